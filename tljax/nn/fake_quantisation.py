"""Fake quantisation: numbers are rounded to those that 8 bits can tell, and stay float32. What a
network computes with whole numbers can so be trained, and reproduced, in float32.

Layers keep ranges among their statistics in the state: `low` and `high` of their outputs,
`kernel_low` and `kernel_high` of their kernel with the factor of BatchNorm.

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


def fake_quantise(x: jax.Array, low: ArrayLike, high: ArrayLike, bits: int = 8) -> jax.Array:
    """Rounds numbers to the nearest of a grid that has 0 exactly.

    The grid is

        scale (q - zero),   scale = (high - low) / (2^bits - 1),

    for whole numbers q from 0 to 2^bits - 1, where zero is a whole number: the range moves by half
    a step at most for it. The gradient passes where x lies in that range, and is 0
    elsewhere (straight-through estimate). The range has no gradient.

    Args:
        x: of any shape.
        low: smallest number that can be told, 0 or less; a greater one counts as 0.
        high: greatest one, 0 or more; a smaller one counts as 0.
        bits: of a number.

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
    scale = jnp.maximum((high - low) / highest, jnp.finfo(jnp.float32).tiny)
    zero = jnp.clip(jnp.floor(0.5 - low / scale), 0, highest)
    least, most = -scale * zero, scale * (highest - zero)
    steps = jnp.floor((jnp.clip(x, least, most) - least) / scale + 0.5)
    is_inside = (x >= least) & (x <= most)
    passing = jnp.where(is_inside, x, jax.lax.stop_gradient(x))
    rounded = (scale * (steps - zero)).astype(x.dtype)
    # the difference of both is 0 in the gradient alone
    return rounded + (passing - jax.lax.stop_gradient(passing))


def quantised_layers(
    active: ArrayLike = True, decay: float | None = None, bits: int = 8
) -> AbstractContextManager[Any]:
    """Returns a context in which the layers of networks compute with rounded numbers.

    - A kernel is rounded with the factor of the BatchNorm behind it, in the range that the layer
      keeps. In training it is that of the kernel itself.
    - Outputs of BatchNorm, of convolutions with a bias and of joined maps are rounded in the range
      that the layer keeps. In training it follows the outputs.

    A layer keeps ranges if it is made in this context.

    Sums of maps (shortcuts) and the layers of transformers are computed as before.

    Args:
        active: whether numbers are rounded, a scalar. Ranges are kept in any case.
        decay: share of the old range of outputs in an update; None: ranges stay as they are.
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
    follows = decay is not None

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
            if not layer.is_initializing():
                kernel = _rounded_kernel(layer, layer, 1.0, active, bits, follows)
                y = _convolved(layer, args[0], kernel)
            else:
                _keep(layer, 'kernel_', -LIMIT, LIMIT)
        elif isinstance(layer, BatchNorm) and before[2] is not None and args[0] is before[2]:
            conv, x, y = before
            before[:] = None, None, None
            if not layer.is_initializing():
                kernel = _rounded_kernel(conv, layer, _factor(layer), active, bits, follows)
                y = _convolved(conv, x, kernel)
            else:
                _keep(layer, 'kernel_', -LIMIT, LIMIT)
            y = call(y, *args[1:], **keywords)
        else:
            y = call(*args, **keywords)
        return _rounded_outputs(layer, y, active, bits, decay)

    return nn.intercept_methods(intercept)


def _factor(norm):
    """What BatchNorm multiplies channels by, with its stored statistics."""
    scale = norm.get_variable('params', 'scale') if norm.use_scale else 1.0
    return scale * jax.lax.rsqrt(norm.get_variable('batch_stats', 'var') + norm.epsilon)


def _convolved(conv, x, kernel):
    """The output of a convolution with another kernel."""
    kernel = kernel.astype(conv.dtype)
    y = convolve(x.astype(conv.dtype), kernel, conv.strides, conv.padding, conv.groups, conv.form)
    return y + conv.get_variable('params', 'bias').astype(conv.dtype) if conv.use_bias else y


def _rounded_kernel(conv, layer, factor, active, bits, follows):
    """A kernel that is rounded with a factor of each channel, in the range that a layer keeps."""
    kernel = conv.get_variable('params', 'kernel')
    factor = jax.lax.stop_gradient(factor)
    folded = kernel * factor
    if follows:
        ends = jax.lax.stop_gradient((folded.min(), folded.max()))
        _keep(layer, 'kernel_', *ends)
    elif (kept := _kept(layer, 'kernel_')) is not None:
        ends = kept
    else:
        return kernel
    # a channel whose factor is 0 is the same whatever its kernel
    rounded = fake_quantise(folded, ends[0], ends[1], bits) / jnp.where(factor == 0, 1.0, factor)
    return jnp.where(active, rounded, kernel)


def _rounded_outputs(layer, y, active, bits, decay):
    """Outputs of a layer, rounded in the range that it keeps, which follows them in training."""
    if layer.is_initializing():
        _keep(layer, '', -LIMIT, LIMIT)
    ends = _kept(layer, '')
    if ends is None:
        return y
    if decay is not None:
        found = jax.lax.stop_gradient((jnp.minimum(y.min(), 0.0), jnp.maximum(y.max(), 0.0)))
        ends = [decay * old + (1 - decay) * new for old, new in zip(ends, found, strict=True)]
        _keep(layer, '', *ends)
    return jnp.where(active, fake_quantise(y, *ends, bits), y)


def _keep(layer, kind, low, high):
    """Writes a range of a layer: of its outputs, or of its kernel with kind='kernel_'."""
    for end, number in (('low', low), ('high', high)):
        layer.put_variable('batch_stats', f'{kind}{end}', jnp.asarray(number, jnp.float32))


def _kept(layer, kind):
    """A range of a layer; None if it keeps none."""
    if not layer.has_variable('batch_stats', f'{kind}low'):
        return None
    return [layer.get_variable('batch_stats', f'{kind}{end}') for end in ('low', 'high')]
