"""Layers that networks are made of, and the one place that knows how a convolution is best computed
where.

XLA's own convolution is right for accelerators. On a CPU its forward pass is good and its gradient
is not, least of all inside a loop, where it misses the fast path; sums of matrix products, and of
shifted products for a depthwise one, do that work several times sooner. `choose_form` chooses, from
the table that `python -m benchmarks.engine --only=forms` prints.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from tljax.core import UserError

# where a network runs: on an accelerator; on a CPU, by itself or inside a compiled loop
PLACES = ('plain', 'alone', 'looped')
CACHE = 8 << 20  # bytes of patches at a time
FORMS = ('plain', 'split', 'dots', 'shifts')
DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')


def place_of_run(looped: bool = False) -> str:
    """Where a network built now will run, one of PLACES: the `form` that network factories take.

    Args:
        looped: whether it runs inside a compiled loop.

    >>> place_of_run() in PLACES
    True
    """
    return 'plain' if jax.default_backend() != 'cpu' else 'looped' if looped else 'alone'


def choose_form(
    form: str,
    x: jax.Array | jax.ShapeDtypeStruct,
    kernel: jax.Array | jax.ShapeDtypeStruct,
    strides: tuple[int, int],
    groups: int,
) -> str:
    """The form for a convolution of these shapes in one of PLACES; a form that was asked for by
    name stays.

    Args:
        form: one of PLACES, or of FORMS.
        x: maps, (n, h, w, c); their shape counts.
        kernel: (kh, kw, c / groups, d); its shape counts.
        strides: steps down and to the right, pixels.
        groups: number of parts that the channels are cut into.

    >>> choose_form(
    ...     'alone',
    ...     jax.ShapeDtypeStruct((8, 56, 56, 64), 'float32'),
    ...     jax.ShapeDtypeStruct((3, 3, 64, 64), 'float32'),
    ...     (1, 1),
    ...     1,
    ... )
    'split'
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
    places = x.shape[1] * x.shape[2] / (strides[0] * strides[1])
    # maps of up to 8x8, or of few and narrow patches
    small = places <= 64 or 4 * places * kernel.size / kernel.shape[3] <= CACHE / 16
    return 'dots' if kernel.shape[:2] == (1, 1) or small or form == 'looped' else 'split'


def convolve(
    x: jax.Array,
    kernel: jax.Array,
    strides: tuple[int, int] = (1, 1),
    padding: str | Sequence[tuple[int, int]] = 'SAME',
    groups: int = 1,
    form: str = 'plain',
) -> jax.Array:
    """A convolution of (n, h, w, c) with a kernel (kh, kw, c / groups, d), in one of the forms that
    all give (n, h', w', d).

    Args:
        x: maps, (n, h, w, c).
        kernel: (kh, kw, c / groups, d).
        strides: steps down and to the right, pixels.
        padding: 'SAME', 'VALID' or ((top, bottom), (left, right)).
        groups: number of parts that the channels are cut into; each part is convolved by itself.
        form: 'plain' (XLA's), 'split' (XLA's, but for the kernel's gradient, which is a sum over
            examples of matrix products), 'dots' (patches times a matrix; groups=1) or 'shifts'
            (depthwise: groups = c = d, one product per tap); or one of PLACES.

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
    return (
        _split(x, kernel, tuple(strides), border)
        if form == 'split'
        else _dots(x, kernel, strides, border)
    )


def _taps(x, size, strides, padding):
    """What each tap of a kernel of this size sees, row by row: (n, h', w', c) each."""
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
    """Patches times the kernel as a matrix, some examples at a time."""

    def product(x):
        return _patches(x, kernel.shape, strides, padding) @ kernel.reshape(-1, kernel.shape[3])

    parts = _parts(x, kernel.shape, strides, padding)
    out = lax.map(product, parts) if len(parts) > 1 else product(x)
    return out.reshape(len(x), *out.shape[-3:])


def _input_gradient(gradient, kernel, shape, strides, padding):
    """The transpose of `_product` in its input: with strides of one a product too, of the gradient
    with the kernel turned round."""
    if strides == (1, 1):
        spread = _spread(gradient, kernel.shape, shape, strides, padding)
        return _product(spread, kernel[::-1, ::-1].swapaxes(2, 3), strides, ((0, 0), (0, 0)))
    matrix, input = kernel.reshape(-1, kernel.shape[3]), jax.ShapeDtypeStruct(shape, gradient.dtype)
    return jax.linear_transpose(
        lambda x: _patches(x, kernel.shape, strides, padding) @ matrix, input
    )(gradient)[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _kernel_gradient(x, gradient, shape, strides, padding):
    """The transpose of `_product` in its kernel; linear in both arguments, so that its own
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
    """What a kernel of this shape sees at every position: (n, h', w', kh kw c)."""
    return jnp.concatenate(_taps(x, shape[:2], strides, padding), -1)


def _parts(x, shape, strides, padding):
    """A batch in equal parts, (parts, n / parts, ...), whose patches fit a cache each; in one where
    they are no more than the output."""
    patches = jax.eval_shape(lambda x: _patches(x, shape, strides, padding), x[:1])
    fit = (
        max(CACHE // (patches.size * patches.dtype.itemsize), 1)
        if patches.shape[3] > shape[3]
        else len(x)
    )
    part = max(size for size in range(1, min(fit, len(x)) + 1) if len(x) % size == 0)
    return x.reshape(-1, part, *x.shape[1:])


def _spread(gradient, kernel, shape, strides, padding):
    """A gradient of a convolution's output with its strides filled in by zeros, and a border that a
    turned kernel needs."""
    spans = [
        (k - 1 - low, length + low - (out - 1) * s - 1, s - 1)
        for k, (low, _), length, out, s in zip(
            kernel[:2], padding, shape[1:3], gradient.shape[1:3], strides, strict=True
        )
    ]
    return lax.pad(gradient, jnp.zeros((), gradient.dtype), ((0, 0, 0), *spans, (0, 0, 0)))


def _sum_over(function, x, gradient):
    """The sum of function(part, its gradient) over the parts of a batch."""

    def add(total, each):
        return total + function(*each), None

    total = jax.eval_shape(function, x[0], gradient[0])
    return (
        lax.scan(add, jnp.zeros(total.shape, total.dtype), (x, gradient))[0]
        if len(x) > 1
        else function(x[0], gradient[0])
    )


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
    spread = _spread(gradient, kernel.shape, x.shape, strides, padding)
    return (
        _shifts(spread, kernel[::-1, ::-1], (1, 1), ((0, 0), (0, 0))),
        _sum_over(product, x[:, None], gradient[:, None]).reshape(kernel.shape),
    )


_shifts.defvjp(
    lambda x, kernel, strides, padding: (_shifts(x, kernel, strides, padding), (x, kernel)),
    _shifts_back,
)
