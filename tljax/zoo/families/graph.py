"""Networks of nodes: GraphSAGE on sampled neighbours, and a perceptron on inputs that were
propagated beforehand. `gcn` has a file of its own.

An input of GraphSAGE and of graph convolution is a node with its neighbours, as `labelled_nodes` of
`tljax.data.graph_nodes` makes it: (1 + f1 + f1 f2 + ..., d + 2). The rows are the
node, its neighbours, and theirs; the last two columns are a row's weight in the sum over
neighbours, and its weight for itself.
"""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net, UserError
from tljax.nn.layers import Dense, net
from tljax.nn.taps import tap


class _Sampled(nn.Module):
    widths: tuple
    fanouts: tuple
    dropout: float
    aggregate: str
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        levels, start, taps = [], 0, {}
        for i in range(len(self.fanouts) + 1):
            count = math.prod(self.fanouts[:i])
            levels.append(x[:, start : start + count].reshape(x.shape[0], *self.fanouts[:i], -1))
            start += count
        weights = [level[..., -2:-1] for level in levels]
        own = [level[..., -1:] for level in levels]
        values = [level[..., :-2] for level in levels]
        for number, width in enumerate(self.widths, 1):
            values = [nn.Dropout(self.dropout, deterministic=not train)(each) for each in values]
            sums = [(weights[i + 1] * values[i + 1]).sum(-2) for i in range(len(values) - 1)]
            layer = Dense(width, dtype=self.dtype, name=f'dense{number}')
            if self.aggregate == 'gcn':
                mixed = [own[i] * values[i] + each for i, each in enumerate(sums)]
                values = [nn.relu(layer(each)) for each in mixed]
            else:
                beside = Dense(width, use_bias=False, dtype=self.dtype, name=f'neighbours{number}')
                pairs = zip(values, sums, strict=False)
                values = [_unit(nn.relu(layer(each) + beside(mean))) for each, mean in pairs]
            taps[f'layer{number}'] = tap(f'layer{number}', values[0])
        wide = jnp.promote_types(self.dtype, jnp.float32)
        return {**taps, 'features': values[0].astype(wide)}


def graphsage(
    widths: Sequence[int] = (128, 128),
    fanouts: Sequence[int] = (10, 10),
    dropout: float = 0.5,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """GraphSAGE: h_v <- relu(W h_v + U mean of the neighbours' h_u + b), scaled to length 1.

    Args:
        widths: of the layers, one for each fan-out.
        fanouts: those of the data, made with weights='mean'.
        dropout: share of the inputs of each layer that are dropped in training.
        dtype: of the multiplications by kernels; parameters, sums over neighbours and features are
            float32 or wider.

    Raises:
        UserError: other numbers of layers than of fan-outs, and a share outside [0, 1).

    Source: Hamilton, Ying and Leskovec 2017, https://arxiv.org/abs/1706.02216, algorithm 2 with
        mean aggregation.

    >>> list(graphsage((16, 8), (5, 5)).groups)
    ['layer1', 'layer2']
    """
    return sampled_network(widths, fanouts, dropout, 'mean', dtype)


class _Perceptron(nn.Module):
    widths: tuple
    dropout: float
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        taps = {}
        for number, width in enumerate(self.widths, 1):
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
            x = nn.relu(Dense(width, dtype=self.dtype, name=f'dense{number}')(x))
            x = taps[f'layer{number}'] = tap(f'layer{number}', x)
        return {**taps, 'features': x.astype(jnp.promote_types(self.dtype, jnp.float32))}


def graph_perceptron(
    widths: Sequence[int] = (128,), dropout: float = 0.5, dtype: DTypeLike = jnp.float32
) -> Net:
    """A perceptron with dropout, for nodes whose inputs were propagated beforehand.

    With the hops computed on the host, a step costs as much as without a graph.

    Args:
        widths: of the layers.
        dropout: share of the inputs of each layer that are dropped in training.
        dtype: of the multiplications by kernels; parameters, sums over neighbours and features are
            float32 or wider.

    Raises:
        UserError: no layer, or a share outside [0, 1).

    Source: Wu et al. 2019, https://arxiv.org/abs/1902.07153, section 2.2, with hidden layers.

    >>> graph_perceptron((16,)).dim
    16
    """
    refuse_layers(widths, widths, dropout)
    return net(_Perceptron(tuple(widths), dropout, dtype), widths[-1], layer_groups(widths))


def sampled_network(
    widths: Sequence[int],
    fanouts: Sequence[int],
    dropout: float,
    aggregate: str,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """Makes a network on nodes with their neighbours: `graphsage`, or `gcn` of its own file.

    Args:
        widths: of the layers, one for each fan-out.
        fanouts: those of the data.
        dropout: share of the inputs of each layer that are dropped in training.
        aggregate: 'gcn' or 'mean'.
        dtype: as `graphsage` takes it.

    Raises:
        UserError: as `graphsage`.

    >>> sampled_network((4,), (2,), 0.0, 'mean').dim
    4
    """
    refuse_layers(widths, fanouts, dropout)
    module = _Sampled(tuple(widths), tuple(fanouts), dropout, aggregate, dtype)
    return net(module, widths[-1], layer_groups(widths))


def layer_groups(widths: Sequence[int]) -> dict[str, str]:
    """The groups of a network of nodes, one for each layer.

    Args:
        widths: of the layers.

    >>> layer_groups((4, 4))['layer2']
    '(dense|neighbours)2/.*'
    """
    return {f'layer{i}': f'(dense|neighbours){i}/.*' for i in range(1, len(widths) + 1)}


def refuse_layers(widths: Sequence[int], fanouts: Sequence[int], dropout: float) -> None:
    """Raises an error for settings that no network of nodes can have.

    Args:
        widths: of the layers.
        fanouts: one for each layer.
        dropout: a share.

    >>> refuse_layers((4,), (2,), 1.0)
    Traceback (most recent call last):
    tljax.core.UserError: net.widths=(4,), net.fanouts=(2,), net.dropout=1.0: give a layer or ...
    """
    if not widths or len(widths) != len(fanouts) or not 0 <= dropout < 1:
        raise UserError(
            f'net.widths={tuple(widths)}, net.fanouts={tuple(fanouts)}, net.dropout={dropout}: '
            'give a layer or more, as many fan-outs, and a share from 0 to below 1'
        )


def _unit(x):
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    length = jnp.sqrt(jnp.maximum((wide**2).sum(-1, keepdims=True), 1e-12))
    return (wide / length).astype(x.dtype)
