"""Convolution in several forms, and the choice of the fastest form for a device and a shape.

All forms give the same result. XLA's own convolution is fast on accelerators. On a CPU its forward
pass is fast and its gradient is slow, above all inside a compiled loop, where XLA does not use its
fast convolution code. Sums of matrix products, or of shifted products for a depthwise convolution,
are several times faster there. `choose_form` follows the table that
`python -m benchmarks.engine --only=forms` prints.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from tljax.core import UserError

# where a network runs: on an accelerator; on a CPU outside of a compiled loop, or inside of one
PLACES = ('plain', 'alone', 'looped')
CACHE = 8 << 20  # bytes of patches that are computed at a time
FORMS = ('plain', 'split', 'dots', 'shifts')
DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')


def place_of_run(looped: bool = False) -> str:
    """Returns the place where a network will run, for the argument `form` of its factory.

    Args:
        looped: whether the network runs inside a compiled loop.

    Returns:
        One of PLACES: 'plain' on an accelerator, 'alone' or 'looped' on a CPU.

    >>> place_of_run() == ('alone' if jax.default_backend() == 'cpu' else 'plain')
    True
    """
    if jax.default_backend() != 'cpu':
        return 'plain'
    return 'looped' if looped else 'alone'


def choose_form(
    form: str,
    x: jax.Array | jax.ShapeDtypeStruct,
    kernel: jax.Array | jax.ShapeDtypeStruct,
    strides: tuple[int, int],
    groups: int,
) -> str:
    """Chooses the form of a convolution by its shapes and the place where it runs.

    Args:
        form: one of PLACES; or one of FORMS, which is returned unchanged.
        x: maps, (n, h, w, c); only their shape is used.
        kernel: (kh, kw, c / groups, d); only its shape is used.
        strides: steps down and to the right, pixels.
        groups: number of groups that the channels are divided into.

    Raises:
        UserError: `form` is neither a place nor a form.

    >>> x = jax.ShapeDtypeStruct((8, 56, 56, 64), 'float32')
    >>> kernel = jax.ShapeDtypeStruct((3, 3, 64, 64), 'float32')
    >>> [choose_form(place, x, kernel, (1, 1), groups=1) for place in PLACES]
    ['plain', 'split', 'dots']
    """
    if form in FORMS:
        return form
    if form not in PLACES:
        raise UserError(
            f'form={form!r} is none of {", ".join(PLACES)}, or {", ".join(FORMS)} by name'
        )
    if form == 'plain' or groups not in (1, kernel.shape[3]):
        return 'plain'
    if groups > 1:
        return 'shifts' if kernel.shape[2] == 1 else 'plain'
    positions = x.shape[1] * x.shape[2] / (strides[0] * strides[1])
    # maps of up to 8x8, or of few and narrow patches
    small = positions <= 64 or 4 * positions * kernel.size / kernel.shape[3] <= CACHE / 16
    return 'dots' if kernel.shape[:2] == (1, 1) or small or form == 'looped' else 'split'


def convolve(
    x: jax.Array,
    kernel: jax.Array,
    strides: tuple[int, int] = (1, 1),
    padding: str | Sequence[tuple[int, int]] = 'SAME',
    groups: int = 1,
    form: str = 'plain',
) -> jax.Array:
    """Convolves maps with a kernel, in one of several forms that give the same result.

    Args:
        x: maps, (n, h, w, c).
        kernel: (kh, kw, c / groups, d).
        strides: steps down and to the right, pixels.
        padding: 'SAME', 'VALID' or ((top, bottom), (left, right)).
        groups: number of groups that the channels are divided into; each group is convolved with
            its own kernels.
        form: 'plain': XLA's convolution. 'split': XLA's convolution, but the kernel's gradient is a
            sum of matrix products over examples. 'dots': patches times a matrix (groups=1).
            'shifts': one product per tap of the kernel, for depthwise convolutions (groups = c =
            d). Or one of PLACES, for which `choose_form` chooses.

    Returns:
        Maps, (n, h', w', d).

    Raises:
        UserError: the map is smaller than the kernel, or the form does not allow these groups.

    >>> x, kernel = jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 5))
    >>> bool(jnp.allclose(convolve(x, kernel, form='dots'), convolve(x, kernel)))
    True
    """
    form = choose_form(form, x, kernel, strides, groups)
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
    border = tuple((before, after) for before, after in padding)
    if any(
        length + sum(pair) < k
        for length, pair, k in zip(x.shape[1:3], border, kernel.shape, strict=False)
    ):
        raise UserError(
            f'a map of {x.shape[1]}x{x.shape[2]} is smaller than the '
            f'{kernel.shape[0]}x{kernel.shape[1]} kernel on it: take larger inputs'
        )
    if form == 'plain':
        return lax.conv_general_dilated(
            x, kernel, strides, border, dimension_numbers=DIMENSIONS, feature_group_count=groups
        )
    if form == 'shifts':
        if not groups == x.shape[3] == kernel.shape[3]:
            raise UserError(
                f'form=shifts is for one output per input channel, not {kernel.shape[3]} for '
                f'{x.shape[3]}: take plain'
            )
        return _shifts(x, kernel, tuple(strides), border)
    if groups != 1:
        raise UserError(
            f'form={form} with groups={groups}: take shifts for depthwise, plain for others'
        )
    if form == 'split':
        return _split(x, kernel, tuple(strides), border)
    return _dots(x, kernel, strides, border)


def _taps(x, size, strides, padding):
    """The inputs of each tap of a kernel of this size, row by row: (n, h', w', c) each."""
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
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


def _dots(x, kernel, strides, padding):
    if kernel.shape[:2] == (1, 1):
        return _taps(x, (1, 1), strides, padding)[0] @ kernel[0, 0]
    return _product(x, kernel, tuple(strides), padding)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _product(x, kernel, strides, padding):
    """Patches times the kernel as a matrix, for a part of the examples at a time."""

    def product(x):
        return _patches(x, kernel.shape, strides, padding) @ kernel.reshape(-1, kernel.shape[3])

    parts = _parts(x, kernel.shape, strides, padding)
    out = lax.map(product, parts) if len(parts) > 1 else product(x)
    return out.reshape(len(x), *out.shape[-3:])


def _input_gradient(gradient, kernel, shape, strides, padding):
    """The transpose of `_product` in its input. With strides of one it is itself a product: of the
    padded gradient with the kernel turned by 180 degrees."""
    if strides == (1, 1):
        dilated = _dilate(gradient, kernel.shape, shape, strides, padding)
        return _product(dilated, kernel[::-1, ::-1].swapaxes(2, 3), strides, ((0, 0), (0, 0)))
    matrix, input = kernel.reshape(-1, kernel.shape[3]), jax.ShapeDtypeStruct(shape, gradient.dtype)
    return jax.linear_transpose(
        lambda x: _patches(x, kernel.shape, strides, padding) @ matrix, input
    )(gradient)[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _kernel_gradient(x, gradient, shape, strides, padding):
    """The transpose of `_product` in its kernel. It is linear in both arguments, so that its own
    gradients are the two functions above."""
    parts = _parts(x, shape, strides, padding)

    def product(x, gradient):
        rows = _patches(x, shape, strides, padding)
        return rows.reshape(-1, rows.shape[-1]).T @ gradient.reshape(-1, gradient.shape[-1])

    return _sum_over(
        product, parts, gradient.reshape(*parts.shape[:2], *gradient.shape[1:])
    ).reshape(shape)


_product.defvjp(
    lambda x, kernel, strides, padding: (_product(x, kernel, strides, padding), (x, kernel)),
    lambda strides, padding, saved, gradient: (
        _input_gradient(gradient, saved[1], saved[0].shape, strides, padding),
        _kernel_gradient(saved[0], gradient, saved[1].shape, strides, padding),
    ),
)


_kernel_gradient.defvjp(
    lambda x, gradient, shape, strides, padding: (
        _kernel_gradient(x, gradient, shape, strides, padding),
        (x, gradient),
    ),
    lambda shape, strides, padding, saved, kernel: (
        _input_gradient(saved[1], kernel, saved[0].shape, strides, padding),
        _product(saved[0], kernel, strides, padding),
    ),
)


def _patches(x, shape, strides, padding):
    """The inputs of a kernel of this shape at every position, (n, h', w', kh kw c)."""
    return jnp.concatenate(_taps(x, shape[:2], strides, padding), -1)


def _parts(x, shape, strides, padding):
    """Divides a batch into equal parts, (parts, n / parts, ...), so that the patches of a part fit
    into CACHE. Patches that are no wider than the output need no division."""
    patches = jax.eval_shape(lambda x: _patches(x, shape, strides, padding), x[:1])
    limit = len(x)
    if patches.shape[3] > shape[3]:
        limit = max(CACHE // (patches.size * patches.dtype.itemsize), 1)
    part = max(size for size in range(1, min(limit, len(x)) + 1) if len(x) % size == 0)
    return x.reshape(-1, part, *x.shape[1:])


def _dilate(gradient, kernel, shape, strides, padding):
    """The gradient of a convolution's output with zeros between the strides, and with the border
    that the turned kernel needs."""
    spans = [
        (k - 1 - low, length + low - (out - 1) * s - 1, s - 1)
        for k, (low, _), length, out, s in zip(
            kernel[:2], padding, shape[1:3], gradient.shape[1:3], strides, strict=True
        )
    ]
    return lax.pad(gradient, jnp.zeros((), gradient.dtype), ((0, 0, 0), *spans, (0, 0, 0)))


def _sum_over(function, x, gradient):
    """The sum of function(part, its gradient) over the parts of a batch."""

    if len(x) == 1:
        return function(x[0], gradient[0])

    def add(total, part):
        return total + function(*part), None

    total = jax.eval_shape(function, x[0], gradient[0])
    return lax.scan(add, jnp.zeros(total.shape, total.dtype), (x, gradient))[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _split(x, kernel, strides, padding):
    return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=DIMENSIONS)


def _split_back(strides, padding, saved, gradient):
    x, kernel = saved
    back = jax.vjp(
        lambda x: lax.conv_general_dilated(
            x, kernel, strides, padding, dimension_numbers=DIMENSIONS
        ),
        x,
    )[1]
    return *back(gradient), _kernel_gradient(x, gradient, kernel.shape, strides, padding)


_split.defvjp(
    lambda x, kernel, strides, padding: (_split(x, kernel, strides, padding), (x, kernel)),
    _split_back,
)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _shifts(x, kernel, strides, padding):
    taps = _taps(x, kernel.shape[:2], strides, padding)
    return sum(
        tap * weight for tap, weight in zip(taps, kernel.reshape(len(taps), -1), strict=True)
    )


def _shifts_back(strides, padding, saved, gradient):
    x, kernel = saved

    def product(x, gradient):
        return jnp.stack(
            [
                jnp.einsum('nhwc,nhwc->c', tap, gradient)
                for tap in _taps(x, kernel.shape[:2], strides, padding)
            ]
        )

    # the transpose is a depthwise convolution too
    dilated = _dilate(gradient, kernel.shape, x.shape, strides, padding)
    return (
        _shifts(dilated, kernel[::-1, ::-1], (1, 1), ((0, 0), (0, 0))),
        _sum_over(product, x[:, None], gradient[:, None]).reshape(kernel.shape),
    )


_shifts.defvjp(
    lambda x, kernel, strides, padding: (_shifts(x, kernel, strides, padding), (x, kernel)),
    _shifts_back,
)
