"""Layers against Keras's and XLA's own: forms of convolution with first and second derivatives,
BatchNorm with and without pooling."""

import functools

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
import scipy.stats
from flax import linen as nn
from jax import lax
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P
from jax.test_util import check_grads

from tljax.loops import in_loop
from tljax.nn import forms
from tljax.nn.convolution import convolve
from tljax.nn.layers import BatchNorm, DropPath, LayerNorm, gelu, max_pool, mean_pool

SHAPES = [  # of the input and the kernel, strides, padding
    ((6, 9, 9, 2), (3, 3, 2, 5), (1, 1), 'SAME'),
    ((6, 9, 8, 4), (3, 3, 4, 2), (1, 1), 'SAME'),
    ((6, 8, 9, 2), (3, 3, 2, 5), (2, 2), 'SAME'),
    ((4, 7, 7, 3), (5, 3, 3, 2), (2, 1), 'VALID'),
    ((5, 6, 6, 2), (1, 1, 2, 3), (2, 2), 'VALID'),
    ((6, 8, 8, 1), (3, 3, 1, 4), (1, 1), ((0, 1), (2, 0))),
    ((16, 6, 7, 3), (3, 3, 1, 3), (1, 1), 'SAME'),
    ((7, 7, 6, 3), (3, 5, 1, 3), (2, 1), ((1, 0), (2, 1))),
]


def is_depthwise(shape, kernel):
    return kernel[2] == 1 < shape[3]


CASES = [
    (form, cache, *case)
    for case in SHAPES
    for form in (('shifts',) if is_depthwise(*case[:2]) else ('dots', 'split'))
    for cache in ((1 << 30,) if form == 'shifts' else (1, 1 << 30))
]


@pytest.mark.parametrize('form, cache, shape, kernel, strides, padding', CASES)
def test_derivatives_of_a_convolution_are_xla_s(
    form, cache, shape, kernel, strides, padding, monkeypatch
):
    """In float64: the output, both gradients, the gradients of a gradient's norm, which MAML needs,
    forward derivatives, and Hessian-vector products forward over reverse."""
    xla = derivatives(shape, kernel, strides, padding, 'plain')
    monkeypatch.setattr(forms, 'CACHE', cache)
    ours = derivatives.__wrapped__(shape, kernel, strides, padding, form)
    for name, arrays in ours.items():
        for a, b in zip(arrays, xla[name], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9, err_msg=name)


@functools.cache
def derivatives(shape, kernel, strides, padding, form):
    """Derivatives of a value computed by a form of convolution, in one program."""
    groups = shape[3] if is_depthwise(shape, kernel) else 1

    def value(x, w):
        return jnp.sum(jnp.sin(convolve(x, w, strides, padding, groups, form)))

    def norm(x, w):
        return sum(jnp.sum(g**2) for g in jax.grad(value, (0, 1))(x, w))

    def compute(x, w, *directions):
        return {
            'value': [value(x, w)],
            'gradient': jax.grad(value, (0, 1))(x, w),
            'norm': [norm(x, w)],
            'second': jax.grad(norm, (0, 1))(x, w),
            'forward': jax.jvp(value, (x, w), directions),
            'linear': [jax.linearize(value, x, w)[1](*directions)],
            'Hessian': jax.jvp(jax.grad(value, (0, 1)), (x, w), directions)[1],
        }

    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        arrays = [rng.normal(size=size) for size in (shape, kernel, shape, kernel)]
        return jax.device_get(jax.jit(compute)(*arrays))


@pytest.mark.parametrize('form, groups', [('dots', 1), ('split', 1), ('shifts', 3)])
def test_derivatives_of_a_convolution_are_finite_differences(form, groups):
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        x, w = rng.normal(size=(2, 4, 5, 3)), rng.normal(size=(3, 3, 3 // groups, 3))
        check_grads(
            lambda x, w: jnp.sin(convolve(x, w, (2, 1), 'SAME', groups, form)), (x, w), order=2
        )


@pytest.mark.parametrize('form, groups', [('dots', 1), ('split', 1), ('shifts', 4)])
@pytest.mark.parametrize('axes', [(0, None), (None, 0), (0, 0)])
def test_a_batch_of_convolutions_is_each_by_itself(form, groups, axes):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, 5, 5, 4)).astype('f')
    w = rng.normal(size=(2, 3, 3, 4 // groups, 4)).astype('f')
    x, w = (array if axis == 0 else array[0] for array, axis in zip((x, w), axes, strict=True))

    def gradient(x, w):
        return jax.grad(
            lambda x, w: jnp.sum(convolve(x, w, groups=groups, form=form) ** 2), (0, 1)
        )(x, w)

    together = jax.jit(jax.vmap(gradient, axes))(x, w)
    for i in range(2):
        alone = gradient(
            *(a if axis is None else a[i] for a, axis in zip((x, w), axes, strict=True))
        )
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize('form, groups', [('dots', 1), ('split', 1), ('shifts', 4)])
def test_a_convolution_of_bfloat16_has_float32_s_gradients(form, groups):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 6, 6, 4)).astype(jnp.bfloat16)
    w = rng.normal(size=(3, 3, 4 // groups, 4)).astype(jnp.bfloat16)

    def gradient(x, w, form):
        return jax.grad(lambda x, w: jnp.sum(convolve(x, w, groups=groups, form=form)), (0, 1))(
            x, w
        )

    expected = gradient(x.astype('f'), w.astype('f'), 'plain')
    for a, b in zip(gradient(x, w, form), expected, strict=True):
        assert a.dtype == jnp.bfloat16
        np.testing.assert_allclose(a.astype('f'), b, rtol=2e-2, atol=0.2)


@pytest.mark.parametrize('form', ['dots', 'split'])
def test_parts_of_a_batch_of_bfloat16_are_summed_in_float32(form, monkeypatch):
    monkeypatch.setattr(forms, 'CACHE', 1)
    x, w = jnp.ones((512, 3, 3, 1), jnp.bfloat16), jnp.ones((3, 3, 1, 1), jnp.bfloat16)

    def total(w):
        return jnp.sum(convolve(x, w, padding='VALID', form=form).astype('f'))

    # in bfloat16, 256 + 1 is 256
    np.testing.assert_array_equal(jax.jit(jax.grad(total))(w), 512)


@pytest.mark.parametrize('cache', [1, 1 << 30], ids=['one at a time', 'at once'])
@pytest.mark.parametrize('form, groups', [('dots', 1), ('split', 1), ('shifts', 4)])
def test_a_convolution_differentiates_under_shard_map(form, groups, cache, monkeypatch):
    monkeypatch.setattr(forms, 'CACHE', cache)
    mesh = jax.make_mesh((1,), ('data',), axis_types=(AxisType.Auto,))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 5, 5, 4)).astype('f')
    w = rng.normal(size=(3, 3, 4 // groups, 4)).astype('f')

    def value(w, x):
        return jnp.sum(jnp.sin(convolve(x, w, groups=groups, form=form)))

    def gradient(w, x):
        return jax.grad(lambda w: lax.psum(value(w, x), 'data'))(w)

    sharded = jax.shard_map(gradient, mesh=mesh, in_specs=(P(), P('data')), out_specs=P())
    np.testing.assert_allclose(jax.jit(sharded)(w, x), jax.grad(value)(w, x), rtol=1e-4, atol=1e-4)


def test_a_network_takes_the_form_of_the_place_where_it_is_traced():
    """On a CPU: XLA's convolution outside of a loop, and a product inside; a gradient is a function
    of its own."""
    x, w = jnp.ones((8, 56, 56, 64)), jnp.ones((3, 3, 64, 64))

    def gradient(x):
        return jax.grad(lambda w: jnp.sum(convolve(x, w)))(w)

    def looped(x):
        return lax.map(in_loop(lambda _: convolve(x, w)), jnp.arange(2))

    assert 'stablehlo.convolution' in jax.jit(lambda x: convolve(x, w)).lower(x).as_text()
    assert 'stablehlo.convolution' not in jax.jit(looped).lower(x).as_text()
    assert 'inlineable = "false"' in jax.jit(gradient).lower(x).as_text()


@pytest.mark.parametrize(
    'size, strides, padding', [(2, 2, 'VALID'), (3, 2, 'SAME'), (3, 1, 'SAME')]
)
def test_mean_pool_and_its_gradient_are_flax_s(size, strides, padding):
    x = np.random.default_rng(0).normal(size=(2, 7, 8, 3)).astype('f')
    window = ((size, size), (strides, strides), padding)

    def value(pool):
        return jax.jit(jax.value_and_grad(lambda x: jnp.sum(jnp.sin(pool(x)))))(x)

    ours = value(lambda x: mean_pool(x, *window))
    flax_s = value(lambda x: nn.avg_pool(x, *window, count_include_pad=False))
    for a, b in zip(ours, flax_s, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


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


def test_layer_norm_is_flax_s():
    x = 1e3 + jax.random.normal(jax.random.key(0), (4, 5, 16))
    params = {
        'scale': jax.random.normal(jax.random.key(1), (16,)),
        'bias': jax.random.normal(jax.random.key(2), (16,)),
    }
    theirs = nn.LayerNorm(1e-6, use_fast_variance=False).apply({'params': params}, x)
    ours = LayerNorm(1e-6).apply({'params': params}, x)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    assert LayerNorm(dtype=jnp.bfloat16).apply({'params': params}, x).dtype == jnp.bfloat16


def test_stochastic_depth_keeps_the_mean_and_drops_whole_examples():
    layer, x = DropPath(0.25), jnp.ones((4000, 2, 3))
    y = layer.apply({}, x, True, rngs={'dropout': jax.random.key(0)})
    by_example = np.asarray(y).reshape(4000, -1)
    assert (by_example == by_example[:, :1]).all()
    assert abs(float(y.mean()) - 1) < 0.03
    np.testing.assert_array_equal(layer.apply({}, x, False), x)


def test_the_gradient_of_max_pooling_goes_to_the_first_of_equal_values():
    x = jnp.zeros((1, 4, 4, 1))
    gradient = jax.grad(lambda x: max_pool(x).sum())(x)[0, ..., 0]
    assert gradient.tolist() == [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
    check_grads(lambda x: max_pool(x), (jax.random.normal(jax.random.key(0), (1, 4, 4, 2)),), 2)


def test_gelu_is_x_times_the_normal_distribution():
    x = np.linspace(-8, 8, 401).astype(np.float32)
    expected = x * scipy.stats.norm.cdf(x.astype(np.float64))
    np.testing.assert_allclose(gelu(x), expected, atol=1e-6)
    check_grads(gelu, (x,), order=2, atol=0.05, rtol=0.05)
