"""Layers against Keras's and XLA's own: forms of convolution with first and second derivatives,
BatchNorm with and without pooling."""

import functools

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from tljax.nn import convolution
from tljax.nn.convolution import convolve
from tljax.nn.layers import BatchNorm, max_pool


@pytest.mark.parametrize(
    'shape, kernel, strides, padding',
    [
        ((6, 9, 9, 2), (3, 3, 2, 5), (1, 1), 'SAME'),
        ((6, 8, 9, 2), (3, 3, 2, 5), (2, 2), 'SAME'),
        ((4, 7, 7, 3), (5, 3, 3, 2), (2, 1), 'VALID'),
        ((5, 6, 6, 2), (1, 1, 2, 3), (2, 2), 'VALID'),
        ((6, 8, 8, 1), (3, 3, 1, 4), (1, 1), ((0, 1), (2, 0))),
    ],
)
@pytest.mark.parametrize('form', ['dots', 'split'])
@pytest.mark.parametrize('cache', [1, 1 << 30], ids=['one at a time', 'at once'])
def test_derivatives_of_a_convolution_are_xla_s(
    form, cache, shape, kernel, strides, padding, monkeypatch
):
    """In float64: the output, both gradients, and the gradients of a gradient's norm, which MAML
    needs."""
    xla = derivatives(shape, kernel, strides, padding, 'plain')
    monkeypatch.setattr(convolution, 'CACHE', cache)
    ours = derivatives.__wrapped__(shape, kernel, strides, padding, form, second=form == 'dots')
    for name, arrays in ours.items():
        for a, b in zip(arrays, xla[name], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9, err_msg=name)


@functools.cache
def derivatives(shape, kernel, strides, padding, form, second=True):
    """A value computed by a form of convolution, its gradient, the gradient's norm, and the
    gradient of that norm; in one program."""

    def value(x, w):
        return jnp.sum(jnp.sin(convolve(x, w, strides, padding, form=form)))

    def norm(x, w):
        return sum(jnp.sum(g**2) for g in jax.grad(value, (0, 1))(x, w))

    def compute(x, w):
        results = {'value': [value(x, w)], 'gradient': jax.grad(value, (0, 1))(x, w)}
        if second:
            results |= {'norm': [norm(x, w)], 'second': jax.grad(norm, (0, 1))(x, w)}
        return results

    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        return jax.device_get(jax.jit(compute)(rng.normal(size=shape), rng.normal(size=kernel)))


def test_batch_norm_is_keras_s_in_training_and_at_rest():
    rng = np.random.default_rng(0)
    x = rng.normal(2.0, 3.0, size=(8, 5, 5, 4)).astype('f')
    scale, bias, mean, var = rng.normal(size=(4, 4)).astype('f') ** 2
    theirs = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-3)
    theirs.build(x.shape)
    theirs.set_weights([scale, bias, mean, var])
    ours = BatchNorm(momentum=0.9, epsilon=1e-3)
    variables = {
        'params': {'scale': scale, 'bias': bias},
        'batch_stats': {'mean': mean, 'var': var},
    }
    apply = jax.jit(ours.apply, static_argnames=('train', 'mutable'))
    np.testing.assert_allclose(
        apply(variables, x, train=False), theirs(x, training=False), rtol=1e-4, atol=1e-4
    )
    out, new_variables = apply(variables, x, train=True, mutable='batch_stats')
    np.testing.assert_allclose(out, theirs(x, training=True), rtol=1e-4, atol=1e-4)
    for name, weights in zip(('mean', 'var'), theirs.get_weights()[2:], strict=True):
        statistic = new_variables['batch_stats'][name]
        np.testing.assert_allclose(statistic, weights, rtol=1e-4)


@pytest.mark.parametrize('train', [True, False])
def test_pooling_first_is_pooling_last(train):
    """With positive, negative and zero scales: outputs, new statistics and every gradient agree."""
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        x = rng.normal(size=(4, 7, 6, 5))
        params = {'scale': np.array([1.0, -2.0, 0.5, -0.1, 0.0]), 'bias': rng.normal(size=5)}
        layer = BatchNorm(dtype=jnp.float64)
        stats = {'mean': rng.normal(size=5), 'var': np.full(5, 2.0)}

        def value(params, x, pool_first):
            out, new_variables = layer.apply(
                {'params': params, 'batch_stats': stats},
                x,
                train,
                max_pool if pool_first else None,
                mutable='batch_stats',
            )
            out = jax.nn.relu(out) if pool_first else max_pool(jax.nn.relu(out))
            return jnp.sum(jnp.sin(3 * out)), (out, new_variables)

        ((_, ours), gradients), ((_, expected), expected_gradients) = jax.device_get(
            jax.jit(
                lambda params, x: tuple(
                    jax.value_and_grad(value, (0, 1), has_aux=True)(params, x, pool_first)
                    for pool_first in (True, False)
                )
            )(params, x)
        )
        # a zero scale makes a tie of every window, whose gradient is not unique
        mask = np.array([1.0, 1.0, 1.0, 1.0, 0.0])
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), ours, expected
        )
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a * mask, b * mask, rtol=1e-9, atol=1e-9),
            gradients,
            expected_gradients,
        )
