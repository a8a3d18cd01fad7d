"""Forms of a convolution and of its gradients on a CPU.

The sum of output * convolution(input, kernel) is linear in each of the three. Its derivative in one
of them is a function of the other two: the convolution, and its two gradients. These three
functions are one primitive of JAX. Every derivative, forward or reverse, of first or higher order,
therefore has the same form.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from tljax.nn.apart import may_stay_apart

CACHE = 4 << 20  # bytes of patches that are computed at a time
TERMS = 8  # the most examples that one pass of a depthwise kernel's gradient adds
DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')
SLOTS = ('input', 'kernel', 'output')  # 'output': the output, or a gradient with respect to it


class Geometry(NamedTuple):
    """What a convolution and its gradients have in common.

    Attributes:
        size: height and width of the input, pixels.
        kernel: shape of the kernel, (kh, kw, c / groups, d).
        strides: steps down and to the right, pixels.
        padding: ((top, bottom), (left, right)), pixels.
    """

    size: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]


def convolution(x: jax.Array, kernel: jax.Array, form: str, geometry: Geometry) -> jax.Array:
    """Convolves maps with a kernel in one form, in which all derivatives are computed, too.

    Args:
        x: maps, (n, h, w, c).
        kernel: (kh, kw, c / groups, d).
        form: 'split', 'dots' or 'shifts', as `tljax.nn.convolution.convolve` explains them.
        geometry: of the convolution.

    Returns:
        Maps, (n, h', w', d).

    >>> geometry = Geometry((2, 2), (2, 2, 1, 1), (1, 1), ((0, 0), (0, 0)))
    >>> x, kernel = jnp.arange(4.0).reshape(1, 2, 2, 1), jnp.ones((2, 2, 1, 1))
    >>> convolution(x, kernel, 'dots', geometry).item()
    6.0
    """
    return _derivative('output', {'input': x, 'kernel': kernel}, form, geometry)


def _derivative(wanted, values, form, geometry):
    """The derivative in the slot `wanted` from the values of the other two."""
    others = _vary_together(*(values[slot] for slot in SLOTS if slot != wanted))
    return _primitive.bind(*others, wanted=wanted, form=form, geometry=geometry)


def _vary_together(*arrays):
    """Under `shard_map`: the arrays vary over the same axes, as every primitive must ask."""
    varying = [jax.typeof(array).mat.varying for array in arrays]
    every = frozenset.union(*varying)
    return [
        lax.pcast(array, tuple(every - own), to='varying') if every - own else array
        for array, own in zip(arrays, varying, strict=True)
    ]


def _transpose(place, cotangent, a, b, *, wanted, form, geometry):
    """The gradient with respect to the first or the second argument: a derivative in its slot."""
    first, second = (slot for slot in SLOTS if slot != wanted)
    values = {first: a, second: b, wanted: cotangent}
    return _derivative((first, second)[place], values, form, geometry)


def _compute(a, b, wanted, form, geometry):
    return FUNCTIONS[form][wanted](a, b, geometry)


def _shape(a, b, **options):
    result = jax.eval_shape(functools.partial(_compute, **options), a, b)
    return a.update(shape=result.shape, dtype=result.dtype)


def _batch(arrays, axes, *, wanted, form, geometry):
    """Examples of a batch of maps join one axis if they share the kernel. Maps with kernels of
    their own are matrix products: XLA would compute grouped convolutions, which are slow."""
    others = [slot for slot in SLOTS if slot != wanted]
    if 'kernel' in others and axes[others.index('kernel')] is None:
        place = 1 - others.index('kernel')
        maps = jnp.moveaxis(arrays[place], axes[place], 0)
        values = dict(zip(others, arrays, strict=True))
        values[others[place]] = maps.reshape(-1, *maps.shape[2:])
        joined = _derivative(wanted, values, form, geometry)
        return joined.reshape(*maps.shape[:2], *joined.shape[1:]), 0
    form = 'dots' if form == 'split' else form
    compute = functools.partial(_compute, wanted=wanted, form=form, geometry=geometry)
    return jax.vmap(compute, axes)(*arrays), 0


def _lower(a, b, wanted, form, geometry):
    """As `_compute`; a gradient is a function of its own in the compiled program. Otherwise XLA
    computes its arguments again for every tap of the kernel, and stores them transposed. In a
    function of its own, XLA's convolution is slow."""
    compute = jax.jit(functools.partial(_compute, wanted=wanted, form=form, geometry=geometry))
    if wanted == 'output' or (form, wanted) == ('split', 'input') or not may_stay_apart():
        return compute(a, b)
    return set_xla_metadata(compute(a, b), inlineable='false')


_primitive = Primitive('convolution_form')
_primitive.def_impl(jax.jit(_compute, static_argnames=('wanted', 'form', 'geometry')))
_primitive.def_abstract_eval(_shape)
ad.defbilinear(_primitive, functools.partial(_transpose, 0), functools.partial(_transpose, 1))
batching.primitive_batchers[_primitive] = _batch
mlir.register_lowering(_primitive, mlir.lower_fun(_lower, multiple_results=False))


def _linear_transpose(function, gradient, geometry):
    """The gradient of the input, where `function` is linear in the input."""
    shape = (gradient.shape[0], *geometry.size, geometry.kernel[2])
    return jax.linear_transpose(function, jax.ShapeDtypeStruct(shape, gradient.dtype))(gradient)[0]


# split: XLA's convolution and its gradient in the input; the kernel's gradient as in dots


def _xla(x, kernel, geometry):
    return lax.conv_general_dilated(
        x, kernel, geometry.strides, geometry.padding, dimension_numbers=DIMENSIONS
    )


def _xla_input(kernel, gradient, geometry):
    return _linear_transpose(lambda x: _xla(x, kernel, geometry), gradient, geometry)


def _split_input(kernel, gradient, geometry):
    """As a product where the gradient's patches are little wider than the input."""
    narrow = 4 * gradient.shape[3] <= geometry.kernel[2]
    by = _product_input if narrow and geometry.strides == (1, 1) else _xla_input
    return by(kernel, gradient, geometry)


# dots: patches times the kernel as a matrix, for a part of the examples at a time


def _product(x, kernel, geometry):
    def product(x):
        return _patches(x, geometry) @ kernel.reshape(-1, kernel.shape[3])

    parts = _parts(x, geometry)
    out = lax.map(product, parts) if len(parts) > 1 else product(parts[0])
    return out.reshape(len(x), *out.shape[-3:])


def _product_input(kernel, gradient, geometry):
    """The gradient of a product is one, too: of the dilated gradient and the turned kernel. With
    strides, that would multiply many zeros, except for a kernel of one pixel."""
    if geometry.kernel[:2] == (1, 1):
        return _dilate(gradient @ kernel[0, 0].T, geometry)
    if geometry.strides == (1, 1):
        dilated = _dilate(gradient, geometry)
        turned = kernel[::-1, ::-1].swapaxes(2, 3)
        return _product(dilated, turned, _unpadded(dilated, turned.shape))
    matrix = kernel.reshape(-1, kernel.shape[3])
    return _linear_transpose(lambda x: _patches(x, geometry) @ matrix, gradient, geometry)


def _product_kernel(x, gradient, geometry):
    """Patches times gradients. With strides of one, patches are made of the narrower of the two:
    as the gradient moves over the input, so does the input over the gradient, the other way."""
    if geometry.strides == (1, 1) and gradient.shape[3] < x.shape[3]:
        dilated = _dilate(gradient, geometry)
        shape = (*geometry.kernel[:2], geometry.kernel[3], geometry.kernel[2])
        turned = _product_kernel(dilated, x, _unpadded(dilated, shape))
        return turned[::-1, ::-1].swapaxes(2, 3)

    def product(x, gradient):
        rows = _patches(x, geometry)
        return rows.reshape(-1, rows.shape[-1]).T @ gradient.reshape(-1, gradient.shape[-1])

    parts = _parts(x, geometry)
    gradients = gradient.reshape(*parts.shape[:2], *gradient.shape[1:])
    return _sum_over(product, parts, gradients).reshape(geometry.kernel)


def _taps(x, geometry):
    """The inputs of each tap of the kernel, row by row: (n, h', w', c) each."""
    size, strides = geometry.kernel[:2], geometry.strides
    if any(map(any, geometry.padding)):
        x = jnp.pad(x, ((0, 0), *geometry.padding, (0, 0)))
    h, w = ((length - k) // s + 1 for length, k, s in zip(x.shape[1:3], size, strides, strict=True))
    return [
        x[
            :,
            i : i + strides[0] * (h - 1) + 1 : strides[0],
            j : j + strides[1] * (w - 1) + 1 : strides[1],
        ]
        for i in range(size[0])
        for j in range(size[1])
    ]


def _patches(x, geometry):
    """The inputs of the kernel at every position, (n, h', w', kh kw c)."""
    return jnp.concatenate(_taps(x, geometry), -1)


def _parts(x, geometry):
    """Divides a batch into equal parts, (parts, n / parts, ...), so that the patches of a part fit
    into CACHE. A kernel of one pixel, and patches no wider than the output, need no division."""
    patches = jax.eval_shape(lambda x: _patches(x, geometry), x[:1])
    limit = len(x)
    if patches.shape[3] > geometry.kernel[3] and geometry.kernel[:2] != (1, 1):
        limit = max(CACHE // (patches.size * patches.dtype.itemsize), 1)
    part = max(size for size in range(1, min(limit, len(x)) + 1) if len(x) % size == 0)
    return x.reshape(-1, part, *x.shape[1:])


def _sum_over(function, x, gradient):
    """The sum of function(part, its gradient) over the parts of a batch, in float32 or wider."""
    if len(x) == 1:
        return function(x[0], gradient[0])

    def add(total, part):
        return total + function(*part), None

    result = jax.eval_shape(function, x[0], gradient[0])
    wide = jnp.promote_types(result.dtype, jnp.float32)
    zeros, _ = _vary_together(jnp.zeros(result.shape, wide), x)
    return lax.scan(add, zeros, (x, gradient))[0].astype(result.dtype)


def _dilate(gradient, geometry):
    """The gradient of the output with zeros between the strides, and with the border that the
    turned kernel needs."""
    spans = []
    for axis in (0, 1):
        k, stride, low = geometry.kernel[axis], geometry.strides[axis], geometry.padding[axis][0]
        span = (gradient.shape[1 + axis] - 1) * stride + 1
        spans.append((k - 1 - low, geometry.size[axis] + low - span, stride - 1))
    return lax.pad(gradient, jnp.zeros((), gradient.dtype), ((0, 0, 0), *spans, (0, 0, 0)))


def _unpadded(maps, kernel):
    """The geometry of a convolution of these maps without padding and strides."""
    return Geometry(maps.shape[1:3], kernel, (1, 1), ((0, 0), (0, 0)))


# shifts: a product per tap of a depthwise kernel


def _shifts(x, kernel, geometry):
    taps = _taps(x, geometry)
    weights = kernel.reshape(len(taps), -1)
    return functools.reduce(
        jnp.add, [tap * weight for tap, weight in zip(taps, weights, strict=True)]
    )


def _shifts_input(kernel, gradient, geometry):
    dilated = _dilate(gradient, geometry)
    return _shifts(dilated, kernel[::-1, ::-1], _unpadded(dilated, kernel.shape))


def _shifts_kernel(x, gradient, geometry):
    """Sums over positions in two stages: for every tap one pass adds up to TERMS examples, and a
    matrix product sums what is left. As one reduction, XLA would first store every shifted map."""
    wide = jnp.promote_types(x.dtype, jnp.float32)
    terms = max(size for size in range(1, TERMS + 1) if x.shape[0] % size == 0)

    def in_terms(maps):
        parts = maps.reshape(-1, terms, *maps.shape[1:]).astype(wide)
        return [parts[:, i] for i in range(terms)]

    gradients = in_terms(gradient)

    def tap_gradient(tap):
        products = [x * g for x, g in zip(in_terms(tap), gradients, strict=True)]
        rows = functools.reduce(jnp.add, products).reshape(-1, gradient.shape[3])
        return jnp.ones(rows.shape[0], wide) @ rows

    taps = jnp.stack([tap_gradient(tap) for tap in _taps(x, geometry)])
    return taps.reshape(geometry.kernel).astype(x.dtype)


FUNCTIONS = {
    'split': {'output': _xla, 'input': _split_input, 'kernel': _product_kernel},
    'dots': {'output': _product, 'input': _product_input, 'kernel': _product_kernel},
    'shifts': {'output': _shifts, 'input': _shifts_input, 'kernel': _shifts_kernel},
}
