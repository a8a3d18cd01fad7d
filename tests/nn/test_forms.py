"""Every form of a convolution against flax's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from tljax.nn.convolution import convolve
from tljax.nn.layers import Conv


@pytest.mark.parametrize(
    'strides, padding, size, kernel',
    [
        ((1, 1), 'SAME', 7, (3, 3)),
        ((2, 2), 'SAME', 8, (3, 3)),
        ((2, 1), 'VALID', 9, (5, 3)),
        ((2, 2), ((1, 1), (1, 0)), 6, (3, 3)),
        ((1, 1), 'SAME', 5, (1, 1)),
    ],
)
@pytest.mark.parametrize('form', ['dots', 'shifts'])
def test_every_form_of_convolution_is_flax_s_own(form, strides, padding, size, kernel):
    groups, rng = (6 if form == 'shifts' else 1), np.random.default_rng(0)
    x, w = (
        rng.normal(size=(2, size, size, 6)).astype('f'),
        rng.normal(size=(*kernel, 6 // groups, 6)).astype('f'),
    )
    reference = nn.Conv(
        6, kernel, strides, padding=padding, feature_group_count=groups, use_bias=False
    )

    def expected(x, w):
        out = reference.apply({'params': {'kernel': w}}, x)
        return jnp.sum(out**2), out

    def ours(x, w):
        out = convolve(x, w, strides, padding, groups, form)
        return jnp.sum(out**2), out

    ((_, out), gradients), ((_, expected_out), expected_gradients) = jax.jit(
        lambda x, w: tuple(
            jax.value_and_grad(f, (0, 1), has_aux=True)(x, w) for f in (ours, expected)
        )
    )(x, w)
    np.testing.assert_allclose(out, expected_out, atol=1e-4)
    for a, b in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-3, rtol=1e-4)
    layer = Conv(6, kernel, strides, padding, groups, form=form)
    assert jax.eval_shape(layer.init, jax.random.key(0), x)['params']['kernel'].shape == w.shape
