"""Fake quantisation: numbers are rounded to those that 8 bits can tell, and stay float32. What a
network computes with whole numbers can so be trained, and reproduced, in float32.

Layers keep the range of their outputs, `low` and `high`, among their statistics in the state.

Source:
    Jacob et al. 2018, sections 3.1 and 3.2, https://arxiv.org/abs/1712.05877
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from tljax.nn.convolution import convolve
from tljax.nn.layers import BatchNorm, Conv, Joined

LIMIT = 6.0  # of the ranges at the start, as of ReLU6's


def fake_quantise(
    x: jax.Array, low: ArrayLike, high: ArrayLike, bits: int = 8, lowest: int = 0
) -> jax.Array:
    """Rounds numbers to the nearest of a grid that has 0 exactly.

    The grid is

        scale (q - zero),   scale = (high - low) / (2^bits - 1 - lowest),

    for whole numbers q from `lowest` to 2^bits - 1, where zero is a whole number: the range moves
    by less than half a step for it. The gradient passes where x lies in that range, and is 0
    elsewhere (straight-through estimate). The range has no gradient.

    Args:
        x: of any shape.
        low: smallest number that can be told, 0 or less; a greater one counts as 0.
        high: greatest one, 0 or more; a smaller one counts as 0.
        bits: of a number.
        lowest: smallest q; 1 for kernels, as TensorFlow has them.

    Returns:
        As x.

    Source:
        Jacob et al. 2018, equation 12; the grid's shift as in TensorFlow's
        `fake_quant_with_min_max_vars`

    >>> x = jnp.array([-1.0, 0.2, 0.9, 2.0])
    >>> fake_quantise(x, low=0.0, high=1.5, bits=2).tolist()
    [0.0, 0.0, 1.0, 1.5]
    >>> jax.grad(lambda x: fake_quantise(x, 0.0, 1.5, 2).sum())(x).tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    low = jnp.minimum(jax.lax.stop_gradient(low), 0.0)
    high = jnp.maximum(jax.lax.stop_gradient(high), 0.0)
    highest = 2**bits - 1
    scale = jnp.maximum((high - low) / (highest - lowest), jnp.finfo(jnp.float32).tiny)
    zero = jnp.clip(jnp.floor(lowest - low / scale + 0.5), lowest, highest)
    least, most = scale * (lowest - zero), scale * (highest - zero)
    steps = jnp.floor((jnp.clip(x, least, most) - least) / scale + 0.5)
    is_inside = (x >= least) & (x <= most)
    passing = jnp.where(is_inside, x, jax.lax.stop_gradient(x))
    rounded = (scale * (lowest - zero + steps)).astype(x.dtype)
    # the difference of both is 0 in the gradient alone
    return rounded + (passing - jax.lax.stop_gradient(passing))


def quantised_layers(
    active: ArrayLike = True, decay: float | None = None, bits: int = 8
) -> AbstractContextManager[Any]:
    """Returns a context in which the layers of networks compute with rounded numbers.

    - A kernel is rounded in its own range, with the factor of the BatchNorm behind it.
    - Outputs of BatchNorm, of convolutions with a bias and of joined maps are rounded in the range
      that the layer keeps, `low` and `high`. Where a layer is made in this context, it keeps one.

    Sums of maps (shortcuts) and the layers of transformers are computed as before.

    Args:
        active: whether numbers are rounded, a scalar. Ranges are kept in any case.
        decay: share of the old range in an update; None: ranges stay as they are.
        bits: of a number.

    The output of the layer is 2, and its range ends at 1:

    >>> layer = Conv(1, (1, 1), use_bias=True)
    >>> variables = {
    ...     'params': {'kernel': jnp.full((1, 1, 1, 1), 2.0), 'bias': jnp.zeros(1)},
    ...     'batch_stats': {'low': jnp.zeros(()), 'high': jnp.ones(())},
    ... }
    >>> with quantised_layers():
    ...     layer.apply(variables, jnp.ones((1, 1, 1, 1))).item()
    1.0
    """
    before: list[Any] = [None, None, None]  # the last convolution, its input and output

    def intercept(
        call: Callable[..., Any], args: Any, keywords: Any, context: nn.module.InterceptorContext
    ) -> Any:
        layer = context.module
        if context.method_name != '__call__' or not isinstance(layer, BatchNorm | Conv | Joined):
            return call(*args, **keywords)
        if isinstance(layer, Conv):
            y = call(*args, **keywords)
            if not layer.use_bias:  # BatchNorm follows, which knows the factor
                before[:] = layer, args[0], y
                return y
            y = jnp.where(active, _with_rounded_kernel(layer, args[0], bits), y)
        elif isinstance(layer, BatchNorm) and before[2] is not None and args[0] is before[2]:
            conv, x, y = before
            before[:] = None, None, None
            if not layer.is_initializing():
                y = jnp.where(active, _with_rounded_kernel(conv, x, bits, _factor(layer)), y)
            y = call(y, *args[1:], **keywords)
        else:
            y = call(*args, **keywords)
        return _rounded_in_range(layer, y, active, decay, bits)

    return nn.intercept_methods(intercept)


def _factor(norm):
    """What BatchNorm multiplies channels by, with its stored statistics."""
    scale = norm.get_variable('params', 'scale') if norm.use_scale else 1.0
    return scale * jax.lax.rsqrt(norm.get_variable('batch_stats', 'var') + norm.epsilon)


def _with_rounded_kernel(conv, x, bits, factor=1.0):
    """The output of a convolution whose kernel times a factor of each channel is rounded."""
    factor = jax.lax.stop_gradient(factor)
    kernel = conv.get_variable('params', 'kernel') * factor
    kernel = fake_quantise(kernel, kernel.min(), kernel.max(), bits, lowest=1)
    # a channel without a factor is the same whatever its kernel
    kernel = (kernel / jnp.where(factor == 0, 1.0, factor)).astype(conv.dtype)
    x = x.astype(conv.dtype)
    y = convolve(x, kernel, conv.strides, conv.padding, conv.groups, conv.form)
    return y + conv.get_variable('params', 'bias').astype(conv.dtype) if conv.use_bias else y


def _rounded_in_range(layer, y, active, decay, bits):
    """Outputs of a layer, rounded in its range, which follows them where `decay` is given."""
    if layer.is_initializing():
        for name, limit in (('low', -LIMIT), ('high', LIMIT)):
            layer.put_variable('batch_stats', name, jnp.full((), limit))
    if not layer.has_variable('batch_stats', 'low'):
        return y
    ends = {name: layer.get_variable('batch_stats', name) for name in ('low', 'high')}
    stored = getattr(layer, 'stored', None)
    if decay is not None and not (stored is not None and stored('/'.join(layer.path))):
        found = {'low': jnp.minimum(y.min(), 0.0), 'high': jnp.maximum(y.max(), 0.0)}
        for name, end in found.items():
            ends[name] = decay * ends[name] + (1 - decay) * jax.lax.stop_gradient(end)
            layer.put_variable('batch_stats', name, ends[name])
    return jnp.where(active, fake_quantise(y, ends['low'], ends['high'], bits), y)
