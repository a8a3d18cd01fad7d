"""Layers that networks are made of: convolution, BatchNorm, pooling, and the way from a flax module
to a `Net`."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from tljax.core import Net, Tree, UserError
from tljax.nn.convolution import convolve
from tljax.protocols import Config, StoredStatistics


class Conv(nn.Module):
    """A convolution with flax's parameter names ('kernel', and 'bias' where wanted), computed in
    the given form.

    >>> jax.eval_shape(Conv(8).init, jax.random.key(0), jnp.ones((1, 4, 4, 3)))['params'][
    ...     'kernel'
    ... ].shape
    (3, 3, 3, 8)
    """

    features: int
    kernel_size: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    padding: str | tuple[tuple[int, int], ...] = 'SAME'
    groups: int = 1
    use_bias: bool = False
    form: str = 'plain'
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (*self.kernel_size, x.shape[-1] // self.groups, self.features)
        kernel = self.param(
            'kernel', nn.initializers.variance_scaling(2.0, 'fan_out', 'truncated_normal'), shape
        )
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        x = convolve(x, kernel, self.strides, self.padding, self.groups, self.form)
        if self.use_bias:
            x = x + self.param('bias', nn.initializers.zeros, (self.features,)).astype(self.dtype)
        return x


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy 2015, algorithms 1 and 2,
    https://arxiv.org/abs/1502.03167) over all axes but the last, with flax's names and arithmetic,
    that knows what is frozen and can be told to pool.

    Args:
        momentum: of the stored statistics.
        epsilon: added to the variance.
        use_scale: whether there is a scale.
        stored: predicate on the layer's path. Where it says so the layer runs on stored statistics,
            whatever the network as a whole does. A frozen layer whose statistics moved would not be
            frozen; `optim.uses_stored_statistics` makes the predicate from the partition.
        dtype: of the output; statistics are float32 or wider.

    >>> layer = BatchNorm(stored=lambda path: True, name='bn', parent=None)
    >>> variables = layer.init(jax.random.key(0), jnp.ones((2, 3)), train=True)
    >>> layer.apply(variables, jnp.ones((2, 3)), train=True, mutable='batch_stats')[1][
    ...     'batch_stats'
    ... ]['mean'].tolist()
    [0.0, 0.0, 0.0]
    """

    momentum: float = 0.99
    epsilon: float = 1e-5
    use_scale: bool = True
    stored: StoredStatistics | None = None
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, train: bool, pool: Callable[[jax.Array], jax.Array] | None = None
    ) -> jax.Array:
        """x (..., c), normalised; with `pool`, such as `max_pool`, the maxima of that over windows,
        for a quarter of the work: what a rising line makes of a maximum is the maximum of what it
        makes, and a falling one turns the signs."""
        shape = x.shape[-1:]
        scale = (
            self.param('scale', nn.initializers.ones, shape) if self.use_scale else jnp.ones(shape)
        )
        bias = self.param('bias', nn.initializers.zeros, shape)
        stored = [
            self.variable('batch_stats', name, start, shape)
            for name, start in (('mean', jnp.zeros), ('var', jnp.ones))
        ]
        mean, var = (each.value for each in stored)
        axes = tuple(range(x.ndim - 1))
        if train and not (self.stored is not None and self.stored('/'.join(self.path))):
            wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
            # written so, XLA sums both in one pass on a CPU
            mean, square = (each.mean(axes) for each in (wide, lax.square(wide)))
            var = jnp.maximum(0.0, square - lax.square(mean))
            if not self.is_initializing():
                for each, new in zip(stored, (mean, var), strict=True):
                    each.value = self.momentum * each.value + (1 - self.momentum) * new
        if pool is not None:
            sign = lax.stop_gradient(jnp.where(scale < 0, -1, 1).astype(x.dtype))
            x = pool(x * sign) * sign
        mean, var, scale, bias = (jnp.expand_dims(each, axes) for each in (mean, var, scale, bias))
        return ((x - mean) * (lax.rsqrt(var + self.epsilon) * scale) + bias).astype(self.dtype)


def refuse_smaller(x: jax.Array, smallest: int, name: str) -> None:
    """Refuses pictures that a network's convolutions and poolings leave nothing of.

    Args:
        x: pictures (n, height, width, channels).
        smallest: side of the smallest pictures that it takes, pixels.
        name: of the network.

    Raises:
        UserError: for smaller ones.

    >>> refuse_smaller(jnp.ones((1, 20, 20, 3)), 32, 'a NASNet')
    Traceback (most recent call last):
    tljax.core.UserError: inputs (20, 20, 3) are too small for a NASNet: take 32x32 pixels or more
    """
    if min(x.shape[1:3]) < smallest:
        raise UserError(
            f'inputs {x.shape[1:]} are too small for {name}: take {smallest}x{smallest} pixels or '
            'more'
        )


def net(
    module: nn.Module, dim: int, groups: dict[str, str], published: Config | None = None
) -> Net:
    """A `Net` from a flax module whose call `(input, train)` returns a dict of intermediates with
    'features' (n, dim) among them.

    Its state is flax's 'batch_stats', whose paths are those of the layers' parameters. Its
    fingerprint is the module's class and fields, but for the form of its convolutions and which
    statistics are stored: neither changes what the network computes.

    Args:
        module: the flax module.
        dim: width of the features.
        groups: {name: regex over the module's parameter paths}, shallow to deep.
        published: which published weights fit it, as `Net.published`.

    Returns:
        The network.

    >>> class Toy(nn.Module):
    ...     @nn.compact
    ...     def __call__(self, x, train):
    ...         return {'features': nn.Dense(2, name='dense')(x)}
    >>> toy = net(Toy(), dim=2, groups={'dense': 'dense/.*'})
    >>> params, state = toy.init(jax.random.key(0), jnp.ones((1, 3)))
    >>> toy.features(params, state, jnp.ones((4, 3)))[0]['features'].shape
    (4, 2)
    """

    def init(key, input):
        taps, variables = module.init_with_output(key, input, train=False)
        params, state = variables.get('params', {}), variables.get('batch_stats', {})
        found = taps['features'].shape
        if found != (len(input), dim):
            raise UserError(
                f'inputs {input.shape[1:]} give features {found[1:]}, not ({dim},): set net.size '
                'to the size of the inputs'
            )
        return params, state

    def features(
        params: Tree, state: Tree, input: Tree, key: jax.Array | None = None
    ) -> tuple[Tree, Tree]:
        variables = {'params': params, 'batch_stats': state}
        if key is None:
            return module.apply(variables, input, train=False), state
        out, moved = module.apply(
            variables, input, train=True, rngs={'dropout': key}, mutable=['batch_stats']
        )
        return out, moved.get('batch_stats', state)

    fields = [
        f'{field.name}={getattr(module, field.name)!r}'
        for field in dataclasses.fields(module)
        if field.name not in ('form', 'stored', 'parent', 'name')
    ]
    return Net(
        init,
        features,
        dim,
        groups,
        f'{type(module).__name__}({", ".join(fields)})',
        published or {},
    )


def apply_stateless(module: nn.Module, params: Tree, *inputs: jax.Array) -> Tree:
    """What a flax module without state answers.

    Args:
        module: the module.
        params: its parameters.
        inputs: what its call takes.

    >>> apply_stateless(
    ...     nn.Dense(1), {'kernel': jnp.ones((2, 1)), 'bias': jnp.ones(1)}, jnp.ones(2)
    ... ).tolist()
    [3.0]
    """
    return module.apply({'params': params}, *inputs)


class SeparableConv(nn.Module):
    """A depthwise convolution and a 1x1 one that mixes its channels, with Keras's parameter names
    and no bias.

    >>> params = jax.eval_shape(SeparableConv(8).init, jax.random.key(0), jnp.ones((1, 4, 4, 3)))[
    ...     'params'
    ... ]
    >>> jax.tree.map(lambda leaf: leaf.shape, params)
    {'depthwise_kernel': (3, 3, 1, 3), 'pointwise_kernel': (1, 1, 3, 8)}
    """

    features: int
    kernel_size: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    padding: str | tuple[tuple[int, int], ...] = 'SAME'
    form: str = 'plain'
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        start, channels = (
            nn.initializers.variance_scaling(2.0, 'fan_in', 'truncated_normal'),
            x.shape[-1],
        )
        depthwise = self.param('depthwise_kernel', start, (*self.kernel_size, 1, channels))
        pointwise = self.param('pointwise_kernel', start, (1, 1, channels, self.features))
        x = convolve(
            x.astype(self.dtype),
            depthwise.astype(self.dtype),
            self.strides,
            self.padding,
            channels,
            self.form,
        )
        return convolve(x, pointwise.astype(self.dtype), form=self.form)


def max_pool(
    x: jax.Array,
    size: tuple[int, int] = (2, 2),
    strides: tuple[int, int] = (2, 2),
    padding: str | Sequence[tuple[int, int]] = 'VALID',
) -> jax.Array:
    """Maximum over windows, (n, h, w, c) -> (n, h', w', c), as maxima of strided slices: exact
    under every transform.

    Args:
        x: maps, (n, h, w, c).
        size: height and width of a window.
        strides: steps from window to window, down and to the right.
        padding: 'SAME', 'VALID' or ((top, bottom), (left, right)); what is padded never wins.

    >>> max_pool(jnp.arange(4.0).reshape(1, 2, 2, 1)).tolist()
    [[[[3.0]]]]
    """
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:3], size, strides, padding)
    x = (
        jnp.pad(x, ((0, 0), *padding, (0, 0)), constant_values=-jnp.inf)
        if any(map(any, padding))
        else x
    )
    # first the rows, then the columns
    for axis, (k, stride) in enumerate(zip(size, strides, strict=True), 1):
        length = (x.shape[axis] - k) // stride + 1
        if length < 1:
            raise UserError(
                f'a map of {x.shape[1]}x{x.shape[2]} is smaller than the window {size} that pools '
                'it: take larger inputs'
            )
        x = functools.reduce(
            jnp.maximum,
            (lax.slice_in_dim(x, i, i + stride * (length - 1) + 1, stride, axis) for i in range(k)),
        )
    return x


def mean_pool(
    x: jax.Array,
    size: tuple[int, int] = (2, 2),
    strides: tuple[int, int] = (2, 2),
    padding: str | Sequence[tuple[int, int]] = 'VALID',
) -> jax.Array:
    """Mean over windows, (n, h, w, c) -> (n, h', w', c); what is padded does not count.

    Args:
        x: maps, (n, h, w, c).
        size: height and width of a window.
        strides: steps from window to window, down and to the right.
        padding: 'SAME', 'VALID' or ((top, bottom), (left, right)).

    >>> mean_pool(jnp.arange(4.0).reshape(1, 2, 2, 1)).tolist()
    [[[[1.5]]]]
    """
    border = cast(str, padding)  # flax takes pairs too, which its annotation leaves out
    return nn.avg_pool(x, size, strides, border, count_include_pad=False).astype(x.dtype)
