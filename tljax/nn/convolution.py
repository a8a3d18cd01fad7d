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
from tljax.loops import inside_loop
from tljax.nn import forms
from tljax.nn.low_rank import LowRank
from tljax.platforms import is_for_any, is_for_cpu

SMALL = 512 << 10  # bytes of an example's patches that always are multiplied as a matrix
FORMS = ('plain', 'split', 'dots', 'shifts')


def choose_form(
    form: str,
    x: jax.Array | jax.ShapeDtypeStruct,
    kernel: jax.Array | jax.ShapeDtypeStruct,
    strides: tuple[int, int],
    groups: int,
) -> str:
    """Chooses the form of a convolution by the backend, its shapes and the loop around it.

    Args:
        form: one of FORMS, which is returned unchanged; '' to choose.
        x: maps, (n, h, w, c); only their shape is used.
        kernel: (kh, kw, c / groups, d); only its shape is used.
        strides: steps down and to the right, pixels.
        groups: number of groups that the channels are divided into.

    Raises:
        UserError: `form` is not one of FORMS.

    >>> x = jax.ShapeDtypeStruct((8, 56, 56, 64), 'float32')
    >>> kernel = jax.ShapeDtypeStruct((3, 3, 64, 64), 'float32')
    >>> form = choose_form('', x, kernel, (1, 1), groups=1)
    >>> form == ('split' if jax.default_backend() == 'cpu' else 'plain')
    True
    """
    if form:
        if form not in FORMS:
            raise UserError(f'form={form!r} is none of {", ".join(FORMS)}: leave it out')
        return form
    if not is_for_cpu() or groups not in (1, kernel.shape[3]):
        return 'plain'
    if groups > 1:
        return 'shifts' if kernel.shape[2] == 1 else 'plain'
    positions = x.shape[1] * x.shape[2] / (strides[0] * strides[1])
    # maps of up to 8x8, or patches of up to 512 kB
    small = positions <= 64 or 4 * positions * kernel.size / kernel.shape[3] <= SMALL
    return 'dots' if kernel.shape[:2] == (1, 1) or small or inside_loop() else 'split'


def convolve(
    x: jax.Array,
    kernel: jax.Array | LowRank,
    strides: tuple[int, int] = (1, 1),
    padding: str | Sequence[tuple[int, int]] = 'SAME',
    groups: int = 1,
    form: str = '',
) -> jax.Array:
    """Convolves maps with a kernel, in one of several forms that give the same result.

    Args:
        x: maps, (n, h, w, c).
        kernel: (kh, kw, c / groups, d), which may have an update of low rank.
        strides: steps down and to the right, pixels.
        padding: 'SAME', 'VALID' or ((top, bottom), (left, right)).
        groups: number of groups that the channels are divided into; each group is convolved with
            its own kernels.
        form: '': `choose_form` chooses, as is best almost always. 'plain': XLA's convolution.
            'split': XLA's convolution, but the kernel's gradient is a sum of matrix products over
            examples. 'dots': patches times a matrix (groups=1). 'shifts': one product per tap of
            the kernel, for depthwise convolutions (groups = c = d).

    Returns:
        Maps, (n, h', w', d).

    Raises:
        UserError: the map is smaller than the kernel, or the form does not allow these groups.

    >>> x, kernel = jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 5))
    >>> bool(jnp.allclose(convolve(x, kernel, form='dots'), convolve(x, kernel, form='plain')))
    True
    """
    if isinstance(kernel, LowRank):
        if groups > 1:
            return convolve(x, jnp.asarray(kernel), strides, padding, groups, form)
        update = convolve(convolve(x, kernel.a, strides, padding, form=form), kernel.b[None, None])
        return convolve(x, kernel.kernel, strides, padding, form=form) + update
    if not form and is_for_any() and groups == kernel.shape[3] and kernel.shape[2] == 1:
        forms_of = functools.partial(convolve, strides=strides, padding=padding, groups=groups)
        return lax.platform_dependent(
            x,
            kernel,
            cpu=functools.partial(forms_of, form='shifts'),
            default=functools.partial(forms_of, form='plain'),
        )
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
    if form == 'shifts' and not groups == x.shape[3] == kernel.shape[3]:
        raise UserError(
            f'form=shifts is for one output per input channel, not {kernel.shape[3]} for '
            f'{x.shape[3]}: take plain'
        )
    if form in ('split', 'dots') and groups != 1:
        raise UserError(
            f'form={form} with groups={groups}: take shifts for depthwise, plain for others'
        )
    with jax.named_scope(_kind(kernel, strides, groups)):  # for profiles
        if form == 'plain':
            return lax.conv_general_dilated(
                x,
                kernel,
                strides,
                border,
                dimension_numbers=forms.DIMENSIONS,
                feature_group_count=groups,
            )
        geometry = forms.Geometry(x.shape[1:3], kernel.shape, tuple(strides), border)
        return forms.convolution(x, kernel, form, geometry)


def _kind(kernel, strides, groups):
    if groups > 1:
        return 'depthwise' if kernel.shape[2] == 1 else 'grouped_convolution'
    if kernel.shape[:2] == (1, 1):
        return 'pointwise'
    return 'convolution' if tuple(strides) == (1, 1) else 'strided_convolution'
