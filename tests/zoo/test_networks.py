"""Small networks: intermediates, groups and normalisation."""

import re

import jax
import numpy as np
import pytest

from tljax import configuration, paths
from tljax.zoo.families.lenet import lenet
from tljax.zoo.families.mlp import mlp


def test_a_lenet_may_end_at_its_convolutions():
    net = lenet((2, 3), dense=(), norm='batch')
    pictures = jax.random.normal(jax.random.key(0), (4, 28, 28, 1))
    taps, _ = net.features(*net.init(jax.random.key(1), pictures), pictures)
    assert taps['features'].shape == (4, net.dim) == (4, 4 * 4 * 3) and list(net.groups) == [
        'block1',
        'block2',
    ]
    np.testing.assert_array_equal(taps['features'], np.asarray(taps['block2']).reshape(4, -1))


@pytest.mark.parametrize('name', ['conv4', 'cifar_resnet'])
def test_groups_cover_every_parameter_in_order(name):
    net = configuration.call_named('tljax.zoo', {'name': name}, 'net')
    params, _ = jax.eval_shape(
        net.init, jax.random.key(0), jax.ShapeDtypeStruct((2, 16, 16, 3), 'float32')
    )
    for path in paths.flatten(params):
        assert sum(bool(re.fullmatch(pattern, path)) for pattern in net.groups.values()) == 1, path


@pytest.mark.parametrize('training', [False, True])
def test_a_normalised_perceptron_by_hand(training):
    net, x = mlp((5, 3), norm='batch'), np.random.default_rng(0).normal(size=(8, 4)).astype('f')
    params, state = net.init(jax.random.key(0), x)
    taps, new_state = net.features(params, state, x, jax.random.key(1) if training else None)
    for i in (1, 2):
        x = x @ params[f'dense{i}']['kernel']
        mean, deviation = (
            (x.mean(0), np.sqrt(x.var(0) + 1e-5)) if training else (0, np.sqrt(1 + 1e-5))
        )
        if training:
            np.testing.assert_allclose(
                new_state[f'norm{i}']['mean'], 0.1 * x.mean(0), rtol=1e-4, atol=1e-6
            )
        x = np.maximum((x - mean) / deviation, 0)
    np.testing.assert_allclose(taps['features'], x, rtol=1e-4, atol=1e-5)
