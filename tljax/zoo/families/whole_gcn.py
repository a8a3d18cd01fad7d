"""Graph convolution on a whole graph, which the network has: an input is the number of a node."""

import functools
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from scipy.sparse import issparse

from tljax.core import Net
from tljax.graphs import Graph, propagated, propagation
from tljax.nn.layers import net
from tljax.nn.low_rank import multiply
from tljax.nn.sparse import times
from tljax.nn.taps import tap
from tljax.zoo.families.graph import layer_groups, refuse_layers

Product = Callable[[jax.Array], jax.Array]


class _Layer(nn.Module):
    features: int
    dtype: DTypeLike

    @nn.compact
    def __call__(self, inputs, product):
        init = nn.initializers.lecun_normal()
        kernel = self.param('kernel', init, (inputs, self.features))
        bias = self.param('bias', nn.initializers.zeros, (self.features,))
        return nn.relu(product(kernel) + bias).astype(self.dtype)


class _Whole(nn.Module):
    widths: tuple
    dropout: float
    inputs: int
    first: Product  # W -> P X W, for the inputs X of all nodes
    mix: Product  # H -> P H
    dtype: DTypeLike

    @nn.compact
    def __call__(self, node, train):
        wide = jnp.promote_types(self.dtype, jnp.float32)
        h = _Layer(self.widths[0], self.dtype, name='dense1')(self.inputs, self.first)
        h = tap('layer1', h)
        taps = {'layer1': h[node]}
        for number, width in enumerate(self.widths[1:], 2):
            x = nn.Dropout(self.dropout, deterministic=not train)(h)
            layer = _Layer(width, self.dtype, name=f'dense{number}')

            def mixed(kernel, x=x):
                return self.mix(multiply(x, kernel.astype(self.dtype)).astype(wide))

            h = tap(f'layer{number}', layer(x.shape[1], mixed))
            taps[f'layer{number}'] = h[node]
        return {**taps, 'features': h[node].astype(wide)}


def whole_gcn(
    graph: Graph,
    widths: Sequence[int] = (128, 128),
    dropout: float = 0.5,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """Graph convolution: H <- relu(P H W + b), with P of `graphs.propagation`, for all nodes.

    Every step computes all nodes, whichever are in the batch, so that a batch is best all of the
    training nodes. Parameters are those of `gcn`, and fit the network on another graph.

    Args:
        graph: the graph. The data are its nodes by number (`whole` of `labelled_nodes`).
        widths: of the layers.
        dropout: share of the units between two layers that are dropped in training.
        dtype: of the multiplications by kernels but the first; parameters, sums over neighbours and
            features are float32 or wider.

    Raises:
        UserError: no layer, or a share outside [0, 1).

    Source: Kipf and Welling 2017, https://arxiv.org/abs/1609.02907, equation 2.

    >>> from tljax.graphs import make_graph
    >>> graph = make_graph([(0, 1)], [[1.0], [3.0], [5.0]], [0, 0, 0], 'a')
    >>> network = whole_gcn(graph, widths=(1,))
    >>> params = {'dense1': {'kernel': jnp.ones((1, 1)), 'bias': jnp.zeros(1)}}
    >>> taps, _ = network.features(params, {}, jnp.array([2, 0]))
    >>> taps['features'].ravel().tolist()
    [5.0, 2.0]
    """
    refuse_layers(widths, widths, dropout)
    mix = times(propagation(graph))
    if issparse(graph.input):
        read = times(graph.input)
        first = lambda kernel: mix(read(jnp.asarray(kernel)))  # noqa: E731
    else:
        first = functools.partial(multiply, jnp.asarray(propagated(graph, 1)))
    inputs = graph.input.shape[1]
    module = _Whole(tuple(widths), dropout, inputs, first, mix, dtype)
    network = net(module, widths[-1], layer_groups(widths))
    name = f'whole_gcn({tuple(widths)}, {dropout}, {graph.fingerprint})'
    return network._replace(fingerprint=name)
