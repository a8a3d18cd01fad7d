"""The gradient of fine-tuning against Keras, leaf by leaf."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest
from keras_models import keras_model, pictures, scaled, write_legacy

from tljax import paths
from tljax.configuration import call_named
from tljax.zoo.table import KERAS as ROWS
from tljax.zoo.weights.keras import load

MOBILENET, VGG = ('mobilenet', 64, {'alpha': 0.25, 'dropout': 0.0}), ('vgg16', 32, {'size': 32})


@pytest.mark.parametrize(
    'setting, training',
    [  # VGG has no statistics, and 34 million weights
        pytest.param(MOBILENET, False, id='mobilenet-stored', marks=pytest.mark.slow),
        pytest.param(MOBILENET, True, id='mobilenet-batch', marks=pytest.mark.slow),
        pytest.param(VGG, True, id='vgg16', marks=pytest.mark.slow),
    ],
)
def test_the_gradient_of_fine_tuning_is_keras_s(setting, training, tmp_path):
    compare_gradients(setting, training, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize('training', [False, True], ids=['stored', 'batch'])
@pytest.mark.parametrize(
    'name, size',
    [('resnet50', 64), ('densenet121', 64), ('mobilenet_v2', 64), ('inception_v3', 75)],
)
def test_the_gradient_of_deep_networks_is_keras_s_in_float64(
    name, size, training, tmp_path, monkeypatch
):
    """Compares in float64. In float32, rounding changes which ReLUs are active in a deep network
    with batch statistics, and then the gradients differ."""
    # otherwise Keras's BatchNorm computes in float32 on JAX
    monkeypatch.setattr(keras.src.backend, 'result_type', lambda *_: 'float64')
    keras.backend.set_floatx('float64')
    keras.config.set_dtype_policy('float64')
    try:
        with jax.enable_x64(True):
            compare_gradients((name, size, {}), training, tmp_path, 'float64')
    finally:
        keras.backend.set_floatx('float32')
        keras.config.set_dtype_policy('float32')


def compare_gradients(setting, training, tmp_path, dtype='float32'):
    """Compares loss, gradient and new statistics of cross-entropy on ten classes, leaf by leaf."""
    name, size, options = setting
    x, y = pictures(size, 8).astype(dtype), jnp.arange(8)
    model = keras_model(name, size, options, classifier_activation=None, classes=10)
    net = call_named('tljax.zoo', {'name': name, **options, 'dtype': dtype}, 'net')
    params, state = jax.tree.map(
        lambda leaf: leaf.astype(dtype),
        load(write_legacy(tmp_path / 'top.h5', model), net, size, ROWS[name].top)[:2],
    )

    def keras_loss(variables):
        out, new_state = model.stateless_call(
            variables,
            [v.value for v in model.non_trainable_variables],
            scaled(name, x),
            training=training,
        )
        return optax.softmax_cross_entropy_with_integer_labels(out, y).mean(), new_state

    def loss(params):
        taps, new_state = net.features(
            params['backbone'], state['backbone'], x, jax.random.key(0) if training else None
        )
        out = taps['features'] @ params['head']['kernel'] + params['head']['bias']
        return optax.softmax_cross_entropy_with_integer_labels(out, y).mean(), new_state

    (keras_value, keras_state), keras_grads = jax.jit(jax.value_and_grad(keras_loss, has_aux=True))(
        [v.value for v in model.trainable_variables]
    )
    (value, new_state), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(params)
    np.testing.assert_allclose(value, keras_value, rtol=1e-5)
    # Keras's gradients and new statistics are written to a file and read as weights are.
    for variable, gradient in zip(model.trainable_variables, keras_grads, strict=True):
        variable.assign(gradient)
    for variable, statistic in zip(model.non_trainable_variables, keras_state, strict=True):
        variable.assign(statistic)
    expected, statistics = load(
        write_legacy(tmp_path / 'gradient.h5', model), net, size, ROWS[name].top
    )[:2]
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(expected))
    for path, leaf in paths.flatten(expected).items():
        error = np.abs(leaf - paths.flatten(grads)[path]).max() / max(
            np.abs(leaf).max(), 1e-3 * largest
        )
        assert error < 1e-3, (path, error)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        statistics['backbone'],
        dict(new_state),
    )
