"""Layers of the networks: convolution, BatchNorm, pooling; and `Net`s made from flax modules."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from tljax.core import Net, Tree, UserError
from tljax.nn.apart import apart
from tljax.nn.convolution import convolve
from tljax.nn.low_rank import multiply
from tljax.protocols import Config, StoredStatistics

FAN_OUT = nn.initializers.variance_scaling(2.0, 'fan_out', 'truncated_normal')


class Conv(nn.Module):
    """Convolution with flax's parameter names, 'kernel' and 'bias'.

    Args:
        features: number of output channels.
        kernel_size: height and width of the kernel, pixels.
        strides: steps down and to the right, pixels.
        padding: as `convolve` takes it.
        groups: as `convolve` takes it.
        use_bias: whether the layer has a bias.
        form: as `convolve` takes it.
        kernel_init: initialiser of the kernel.
        bias_init: initialiser of the bias.
        dtype: of the computation and the output.

    >>> layer, x = Conv(features=8, strides=(2, 2)), jnp.ones((1, 4, 4, 3))
    >>> output, variables = jax.eval_shape(layer.init_with_output, jax.random.key(0), x)
    >>> output.shape, variables['params']['kernel'].shape
    ((1, 2, 2, 8), (3, 3, 3, 8))
    """

    features: int
    kernel_size: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    padding: str | tuple[tuple[int, int], ...] = 'SAME'
    groups: int = 1
    use_bias: bool = False
    form: str = ''
    kernel_init: Callable[..., jax.Array] = FAN_OUT
    bias_init: Callable[..., jax.Array] = nn.initializers.zeros
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        if x.ndim != 4:
            raise UserError(
                f'this network takes pictures (n, height, width, channels), and the inputs are '
                f'{x.shape}: take net.name=mlp, or data of pictures'
            )
        shape = (*self.kernel_size, x.shape[-1] // self.groups, self.features)
        kernel = self.param('kernel', self.kernel_init, shape)
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        x = convolve(x, kernel, self.strides, self.padding, self.groups, self.form)
        if self.use_bias:
            x = x + self.param('bias', self.bias_init, (self.features,)).astype(self.dtype)
        return x


class Dense(nn.Module):
    """Dense layer with flax's parameter names, 'kernel' and 'bias', and flax's results.

    Unlike flax's layer it multiplies by a kernel with an update of low rank part by part.

    Args:
        features: number of outputs.
        use_bias: whether the layer has a bias.
        kernel_init: initialiser of the kernel.
        dtype: of the computation and the output.

    >>> layer, x = Dense(features=3), jnp.ones((2, 5, 4))
    >>> output, variables = jax.eval_shape(layer.init_with_output, jax.random.key(0), x)
    >>> output.shape, variables['params']['kernel'].shape
    ((2, 5, 3), (4, 3))
    """

    features: int
    use_bias: bool = True
    kernel_init: Callable[..., jax.Array] = nn.initializers.lecun_normal()
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param('kernel', self.kernel_init, (x.shape[-1], self.features))
        x = multiply(x.astype(self.dtype), kernel.astype(self.dtype))
        if self.use_bias:
            x = x + self.param('bias', nn.initializers.zeros, (self.features,)).astype(self.dtype)
        return x


class BatchNorm(nn.Module):
    """Batch normalisation over all axes but the last, with flax's names.

    Its results are those of flax's layer but for rounding. Unlike that layer it can use its stored
    statistics during training (frozen layers), and it can include a pooling.

    Args:
        momentum: share of the old value in an update of the stored statistics.
        epsilon: added to the variance.
        use_scale: whether the layer has a scale.
        stored: predicate over the layer's path. Where it is true the layer uses its stored
            statistics in training too and does not change them: a frozen layer whose statistics
            changed would not be frozen. `optim.uses_stored_statistics` makes the predicate from the
            partition.
        dtype: of the output; statistics are float32 or wider.

    Source:
        Ioffe and Szegedy 2015, algorithms 1 and 2, https://arxiv.org/abs/1502.03167

    The stored mean follows the batch's, unless the predicate is true:

    >>> variables = {
    ...     'params': {'scale': jnp.ones(1), 'bias': jnp.zeros(1)},
    ...     'batch_stats': {'mean': jnp.zeros(1), 'var': jnp.ones(1)},
    ... }
    >>> for stored in (None, lambda path: True):
    ...     layer = BatchNorm(momentum=0.5, stored=stored, name='norm', parent=None)
    ...     _, new = layer.apply(variables, jnp.ones((2, 1)), train=True, mutable='batch_stats')
    ...     print(new['batch_stats']['mean'].tolist())
    [0.5]
    [0.0]
    """

    momentum: float = 0.99
    epsilon: float = 1e-5
    use_scale: bool = True
    stored: StoredStatistics | None = None
    dtype: DTypeLike = jnp.float32

    @nn.compact
    @jax.named_scope('batch_norm')
    def __call__(
        self,
        x: jax.Array,
        train: bool,
        pool: Callable[[jax.Array], jax.Array] | None = None,
        share: float = 1.0,
        momentum: float | None = None,
    ) -> jax.Array:
        """Normalises x, and pools it by maxima if `pool` is given.

        Pools first, then normalises the pooled values (a quarter of the work). An increasing affine
        map commutes with max; where the scale is negative, signs are flipped before and after.

        Args:
            x: (..., c).
            train: whether to use the batch's statistics, and to update the stored ones.
            pool: maximum over windows, such as `max_pool`.
            share: share of the channels that use the batch's statistics in training, drawn anew
                in every call; the others use the stored ones (`methods.stoch_norm`).
            momentum: as in the class, for this call; None for the layer's own. 0 stores the batch's
                statistics as they are (`averages.statistics_estimator`).
        """
        shape = x.shape[-1:]
        scale = (
            self.param('scale', nn.initializers.ones, shape) if self.use_scale else jnp.ones(shape)
        )
        bias = self.param('bias', nn.initializers.zeros, shape)
        stored = [
            self.variable('batch_stats', name, start, shape)
            for name, start in (('mean', jnp.zeros), ('var', jnp.ones))
        ]
        mean, var = old = tuple(statistic.value for statistic in stored)
        axes = tuple(range(x.ndim - 1))
        if train and not (self.stored is not None and self.stored('/'.join(self.path))):
            wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
            # in this form and order XLA computes both sums in one pass on a CPU
            square = lax.square(wide)
            mean, mean_square = wide.mean(axes), square.mean(axes)
            var = jnp.maximum(0.0, mean_square - lax.square(mean))
            if not self.is_initializing():
                kept = self.momentum if momentum is None else momentum
                for statistic, new in zip(stored, (mean, var), strict=True):
                    statistic.value = kept * statistic.value + (1 - kept) * new
            if share < 1:
                coin = jax.random.bernoulli(self.make_rng('dropout'), share, shape)
                mean, var = jnp.where(coin, mean, old[0]), jnp.where(coin, var, old[1])
        if pool is not None:
            sign = lax.stop_gradient(jnp.where(scale < 0, -1, 1).astype(x.dtype))
            x = pool(x * sign) * sign
        # one multiplication and one addition, whose gradients are two sums and one more pass
        factor = scale * lax.rsqrt(var + self.epsilon)
        return (x * factor + (bias - mean * factor)).astype(self.dtype)


class Joined(nn.Module):
    """Arrays one after the other along axis 1: a layer without parameters.

    >>> Joined().apply({}, [jnp.ones((1, 2, 4)), jnp.ones((1, 3, 4))]).shape
    (1, 5, 4)
    """

    @nn.compact
    def __call__(self, arrays: Sequence[jax.Array]) -> jax.Array:
        return jnp.concatenate(arrays, 1)


def batch_norm_with(net: Net, **keywords: float) -> Net:
    """Returns a network whose BatchNorm layers are called with further keywords.

    Args:
        net: the network.
        **keywords: 'share' or 'momentum', as `BatchNorm` takes them.

    Here the stored mean becomes the batch's at once:

    >>> from tljax.zoo import mlp
    >>> net = batch_norm_with(mlp((1,), norm='batch'), momentum=0.0)
    >>> params, state = net.init(jax.random.key(0), jnp.ones((1, 1)))
    >>> params['dense1']['kernel'] = jnp.ones((1, 1))
    >>> _, state = net.features(params, state, jnp.array([[1.0], [3.0]]), jax.random.key(0))
    >>> state['norm1']['mean'].tolist()
    [2.0]
    """

    def call(layer, arguments, own, context):
        if isinstance(context.module, BatchNorm) and context.method_name == '__call__':
            own = {**own, **keywords}
        return layer(*arguments, **own)

    def features(params, state, input, key=None):
        with nn.intercept_methods(call):
            return net.features(params, state, input, key)

    return net._replace(features=features)


class LayerNorm(nn.Module):
    """Layer normalisation over the last axis, with flax's names.

    Args:
        epsilon: added to the variance; PyTorch's networks have 1e-6 or 1e-5.
        dtype: of the output; statistics are float32 or wider.

    Source:
        Ba et al. 2016, equation 3, https://arxiv.org/abs/1607.06450

    >>> layer = LayerNorm(name='norm', parent=None)
    >>> params = {'scale': jnp.ones(2), 'bias': jnp.zeros(2)}
    >>> layer.apply({'params': params}, jnp.array([1.0, 3.0])).round(3).tolist()
    [-1.0, 1.0]
    """

    epsilon: float = 1e-6
    dtype: DTypeLike = jnp.float32

    @nn.compact
    @jax.named_scope('layer_norm')
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param('scale', nn.initializers.ones, x.shape[-1:])
        bias = self.param('bias', nn.initializers.zeros, x.shape[-1:])
        return _layer_norm(x, scale, bias, self.epsilon).astype(self.dtype)


@functools.partial(jax.checkpoint, static_argnums=3)  # the gradient stores x alone
def _layer_norm(x, scale, bias, epsilon):
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    centred = wide - wide.mean(-1, keepdims=True)
    deviation = lax.rsqrt(lax.square(centred).mean(-1, keepdims=True) + epsilon)
    return centred * (deviation * scale) + bias


class DropPath(nn.Module):
    """Stochastic depth: in training, drops a residual branch for some examples.

    Kept branches are divided by the share that is kept, so that the mean stays as it is.

    Args:
        rate: share of the examples whose branch is dropped, 0 to 1.

    Source:
        Huang et al. 2016, equation 2, https://arxiv.org/abs/1603.09382

    >>> y = DropPath(0.5).apply({}, jnp.ones((6, 1)), True, rngs={'dropout': jax.random.key(0)})
    >>> set(y.ravel().tolist()) <= {0.0, 2.0}
    True
    """

    rate: float

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        if not train or self.rate == 0:
            return x
        shape = (x.shape[0], *(1,) * (x.ndim - 1))
        kept = jax.random.bernoulli(self.make_rng('dropout'), 1 - self.rate, shape)
        return jnp.where(kept, x / (1 - self.rate), 0).astype(x.dtype)


@jax.checkpoint  # the gradient stores x alone
def gelu(x: jax.Array) -> jax.Array:
    """Returns x times the normal distribution function of x, without an approximation.

    By erf: flax's function takes erfc, which costs three times as much on a CPU.

    Args:
        x: of any shape.

    Source:
        Hendrycks and Gimpel 2016, section 2, https://arxiv.org/abs/1606.08415

    >>> gelu(jnp.array([0.0, 10.0])).tolist()
    [0.0, 10.0]
    """
    return x * (0.5 + 0.5 * lax.erf(x * math.sqrt(0.5)))


@jax.custom_jvp
def relu6(x: jax.Array) -> jax.Array:
    """Returns x between 0 and 6, the activation of MobileNets.

    The gradient is 1 strictly between the bounds and 0 elsewhere, as PyTorch's. Those of JAX's
    minimum and maximum divide a tie, which takes several passes over the maps.

    Args:
        x: of any shape.

    >>> relu6(jnp.array([-1.0, 2.0, 7.0])).tolist()
    [0.0, 2.0, 6.0]
    >>> jax.vmap(jax.grad(relu6))(jnp.array([0.0, 2.0, 6.0])).tolist()
    [0.0, 1.0, 0.0]
    """
    return jnp.clip(x, 0, 6)


relu6.defjvps(lambda tangent, _, x: jnp.where((x > 0) & (x < 6), tangent, 0))


def refuse_smaller(x: jax.Array, smallest: int, name: str) -> None:
    """Refuses pictures that are too small for a network's convolutions and poolings.

    Args:
        x: pictures (n, height, width, channels).
        smallest: the smallest height and width that the network takes, pixels.
        name: of the network, for the message.

    Raises:
        UserError: the pictures are smaller.

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
    """Makes a `Net` from a flax module.

    The state is flax's 'batch_stats', whose paths are those of the layers' parameters. The
    fingerprint is the module's class and fields, without the form of the convolutions and the
    predicate for stored statistics: neither changes the function that the network computes.

    Args:
        module: a flax module whose call `(input, train)` returns a dict of intermediates, among
            them 'features' (n, dim).
        dim: width of the features.
        groups: {name: regex over the module's parameter paths}, shallow to deep.
        published: which published weights fit the network, as `Net.published`.

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
        shape = taps['features'].shape
        if shape != (len(input), dim):
            raise UserError(
                f'inputs {input.shape[1:]} give features {shape[1:]}, not ({dim},): set net.size '
                'to the size of the inputs'
            )
        return params, state

    def features(
        params: Tree, state: Tree, input: Tree, key: jax.Array | None = None
    ) -> tuple[Tree, Tree]:
        variables = {'params': params, 'batch_stats': state}
        if key is None:
            return module.apply(variables, input, train=False), state
        taps, new_variables = module.apply(
            variables, input, train=True, rngs={'dropout': key}, mutable=['batch_stats']
        )
        return taps, new_variables.get('batch_stats', state)

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
    """Applies a flax module that has parameters and no state.

    Args:
        module: the module.
        params: its parameters.
        *inputs: arguments of its call.

    >>> params = {'kernel': jnp.array([[2.0], [3.0]]), 'bias': jnp.ones(1)}
    >>> apply_stateless(nn.Dense(1), params, jnp.array([10.0, 100.0])).tolist()
    [321.0]
    """
    return module.apply({'params': params}, *inputs)


class SeparableConv(nn.Module):
    """Depthwise convolution followed by a 1x1 convolution, with Keras's parameter names, no bias.

    Args:
        features: number of output channels.
        kernel_size: height and width of the depthwise kernel, pixels.
        strides: steps down and to the right, pixels.
        padding: as `convolve` takes it.
        multiplier: number of outputs of the depthwise convolution for each of its inputs.
        form: as `convolve` takes it.
        dtype: of the computation and the output.

    >>> layer, x = SeparableConv(features=8), jnp.ones((1, 4, 4, 3))
    >>> variables = jax.eval_shape(layer.init, jax.random.key(0), x)
    >>> jax.tree.map(lambda leaf: leaf.shape, variables['params'])
    {'depthwise_kernel': (3, 3, 1, 3), 'pointwise_kernel': (1, 1, 3, 8)}
    """

    features: int
    kernel_size: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    padding: str | tuple[tuple[int, int], ...] = 'SAME'
    multiplier: int = 1
    form: str = ''
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        init = nn.initializers.variance_scaling(2.0, 'fan_in', 'truncated_normal')
        channels = x.shape[-1]
        width = self.multiplier * channels
        depthwise = self.param('depthwise_kernel', init, (*self.kernel_size, 1, width))
        pointwise = self.param('pointwise_kernel', init, (1, 1, width, self.features))
        x = convolve(
            x.astype(self.dtype),
            depthwise.astype(self.dtype),
            self.strides,
            self.padding,
            channels,
            self.form,
        )
        return convolve(x, pointwise.astype(self.dtype), form=self.form)


@jax.custom_jvp
def larger(a: jax.Array, b: jax.Array) -> jax.Array:
    """Returns the larger of two arrays, element by element.

    The gradient belongs to the larger one, and to the first one of equals, as in PyTorch's pooling.
    That of JAX's maximum is divided among equals, which takes several passes over the maps.

    Args:
        a: of any shape.
        b: of the same shape.

    >>> larger(jnp.array([1.0, 2.0]), jnp.array([3.0, 0.0])).tolist()
    [3.0, 2.0]
    >>> float(jax.grad(larger)(1.0, 1.0))
    1.0
    """
    return jnp.maximum(a, b)


@larger.defjvp
def _larger_jvp(primals, tangents):
    return larger(*primals), jnp.where(primals[0] >= primals[1], *tangents)


@jax.named_scope('max_pool')
def max_pool(
    x: jax.Array,
    size: tuple[int, int] = (2, 2),
    strides: tuple[int, int] = (2, 2),
    padding: str | Sequence[tuple[int, int]] = 'VALID',
) -> jax.Array:
    """Maximum over windows, computed from strided slices, which every transform of JAX handles.

    Args:
        x: maps, (n, h, w, c).
        size: height and width of a window.
        strides: steps from window to window, down and to the right.
        padding: 'SAME', 'VALID' or ((top, bottom), (left, right)); the padding is minus infinity.

    Returns:
        Maps, (n, h', w', c).

    Raises:
        UserError: the map is smaller than the window.

    >>> max_pool(jnp.arange(4.0).reshape(1, 2, 2, 1)).tolist()
    [[[[3.0]]]]
    """
    return _reduce_windows(larger, -jnp.inf, x, size, strides, padding)


@jax.named_scope('mean_pool')
def mean_pool(
    x: jax.Array,
    size: tuple[int, int] = (2, 2),
    strides: tuple[int, int] = (2, 2),
    padding: str | Sequence[tuple[int, int]] = 'VALID',
) -> jax.Array:
    """Mean over windows, computed from strided slices; padding does not count.

    Args:
        x: maps, (n, h, w, c).
        size: height and width of a window.
        strides: steps from window to window, down and to the right.
        padding: 'SAME', 'VALID' or ((top, bottom), (left, right)).

    Returns:
        Maps, (n, h', w', c).

    >>> mean_pool(jnp.arange(4.0).reshape(1, 2, 2, 1)).tolist()
    [[[[1.5]]]]
    """
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:3], size, strides, padding)
    total = functools.partial(
        _reduce_windows, lax.add, 0.0, size=size, strides=strides, padding=padding
    )
    return apart(total)(x) / total(jnp.ones((1, *x.shape[1:3], 1), x.dtype))


def _reduce_windows(reduce, fill, x, size, strides, padding):
    """Reduces windows of x, whose padding is `fill`: first the rows, then the columns."""
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:3], size, strides, padding)
    if any(map(any, padding)):
        spans = [(0, 0, 0), *((low, high, 0) for low, high in padding), (0, 0, 0)]
        x = lax.pad(x, jnp.array(fill, x.dtype), spans)
    for axis, (k, stride) in enumerate(zip(size, strides, strict=True), 1):
        length = (x.shape[axis] - k) // stride + 1
        if length < 1:
            raise UserError(
                f'a map of {x.shape[1]}x{x.shape[2]} is smaller than the window {size} that pools '
                'it: take larger inputs'
            )
        x = functools.reduce(reduce, _places(x, axis, k, stride, length))
    return x


def _places(x, axis, k, stride, length):
    """The values at each of the k places of windows along an axis: k arrays."""
    if k == stride:  # windows that do not overlap: the gradients of all places are joined at once
        x = lax.slice_in_dim(x, 0, k * length, 1, axis)
        x = x.reshape(*x.shape[:axis], length, k, *x.shape[axis + 1 :])
        return [lax.squeeze(place, (axis + 1,)) for place in lax.split(x, (1,) * k, axis + 1)]
    span = stride * (length - 1) + 1
    return [lax.slice_in_dim(x, i, i + span, stride, axis) for i in range(k)]
