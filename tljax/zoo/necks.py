"""Necks: layers that turn a network's intermediates into the maps that a detector reads.

A detector's method reads the intermediates 'map1', 'map2', ... of its network, finest first. The
wrappers `with_extras`, `with_pyramid` and `with_pools` make them.
"""

import dataclasses
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net, UserError, nearest_name
from tljax.nn.layers import BatchNorm, Conv, relu6
from tljax.protocols import StoredStatistics


class Neck(nn.Module):
    """Layers above some intermediates of a network.

    A subclass has a call `(maps, train) -> maps`, both lists of (n, h, w, c), finest first.

    Args:
        momentum: of BatchNorm's statistics.
        stored: predicate on a layer's path in the whole network that says which BatchNorm layers
            use stored statistics in training; None: none of them.
        dtype: of the computation.

    >>> class Toy(Neck):
    ...     @nn.compact
    ...     def __call__(self, maps, train):
    ...         return [self.layer(maps[0], train, 4, 'map1_conv', stride=2)]
    >>> maps, variables = Toy().init_with_output(jax.random.key(0), [jnp.ones((1, 5, 5, 2))], False)
    >>> maps[0].shape, list(variables['params'])
    ((1, 3, 3, 4), ['map1_conv', 'map1_conv_bn'])
    """

    momentum: float = 0.99
    stored: StoredStatistics | None = None
    dtype: DTypeLike = jnp.float32

    def layer(
        self,
        x: jax.Array,
        train: bool,
        width: int,
        name: str,
        size: int = 1,
        stride: int = 1,
        groups: int = 1,
    ) -> jax.Array:
        """Applies a convolution without a bias, BatchNorm and ReLU6, as TensorFlow's detectors do.

        Args:
            x: maps, (n, h, w, c).
            train: whether BatchNorm uses the batch's statistics.
            width: number of output channels.
            name: of the convolution; BatchNorm's is this name and '_bn'.
            size: side of the kernel, pixels.
            stride: steps down and to the right, pixels.
            groups: number of groups that the channels are divided into.
        """
        conv = Conv(
            width, (size, size), (stride, stride), groups=groups, dtype=self.dtype, name=name
        )
        norm = BatchNorm(
            self.momentum, 1e-3, stored=self.stored, dtype=self.dtype, name=f'{name}_bn'
        )
        return relu6(norm(conv(x), train))


def with_neck(
    net: Net | Callable[..., Net],
    neck: Neck,
    name: str,
    maps: Sequence[str],
    groups: dict[str, str],
) -> Net:
    """Returns a network with a neck, whose maps are the intermediates 'map1', 'map2', ...

    Args:
        net: the network, or a function `(stored=) -> Net`.
        neck: its layers.
        name: key of the neck's parameters and statistics, beside those of the network.
        maps: names of the intermediates that the neck takes, finest first.
        groups: {name: regex over the neck's own parameter paths}, shallow to deep.

    Raises:
        UserError: the network has no such intermediate.

    >>> from tljax.zoo import mlp
    >>> class Doubled(Neck):
    ...     def __call__(self, maps, train):
    ...         return [2 * x for x in maps]
    >>> net, x = with_neck(mlp((3,)), Doubled(), 'doubled', ['layer1'], {}), jnp.ones((1, 2))
    >>> params, state = net.init(jax.random.key(0), x)
    >>> taps, _ = net.features(params, state, x)
    >>> bool((taps['map1'] == 2 * taps['layer1']).all())
    True
    """
    if not isinstance(net, Net):
        net = net(stored=neck.stored)
    fields = {field.name: getattr(neck, field.name) for field in dataclasses.fields(neck)}
    predicate = fields['stored']
    if predicate is not None:
        neck = neck.clone(stored=lambda path: predicate(f'{name}/{path}'))

    def chosen(taps):
        for tap in maps:
            if tap not in taps:
                raise UserError(
                    f'net.maps: {tap!r} is no intermediate of the network: '
                    f'{nearest_name(tap, list(taps))}'
                )
        return [taps[tap] for tap in maps]

    def init(key, input):
        params, state = net.init(key, input)
        taps, _ = jax.eval_shape(net.features, params, state, input)
        variables = neck.lazy_init(jax.random.fold_in(key, 1), chosen(taps), train=False)
        return {**params, **_under(name, variables.get('params'))}, {
            **state,
            **_under(name, variables.get('batch_stats')),
        }

    def features(params, state, input, key=None):
        own, own_state = _without(name, params), _without(name, state)
        taps, own_state = net.features(own, own_state, input, key)
        variables = {'params': params.get(name, {}), 'batch_stats': state.get(name, {})}
        made, new = neck.apply(variables, chosen(taps), key is not None, mutable=['batch_stats'])
        maps_made = {f'map{i}': x for i, x in enumerate(made, 1)}
        return {**taps, **maps_made}, {**own_state, **_under(name, new.get('batch_stats'))}

    shown = [
        f'{key}={value!r}'
        for key, value in fields.items()
        if key not in ('stored', 'parent', 'name')
    ]
    return Net(
        init,
        features,
        net.dim,
        {**net.groups, **{group: f'{name}/{pattern}' for group, pattern in groups.items()}},
        f'with_{name}({net.fingerprint}, {list(maps)}, {", ".join(shown)})',
        net.published,
        net.whole or net,
    )


def _under(name, tree):
    return {name: tree} if tree else {}


def _without(name, tree):
    return {key: leaves for key, leaves in tree.items() if key != name}
