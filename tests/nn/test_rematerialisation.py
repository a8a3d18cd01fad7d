"""Networks that compute their blocks again for the gradient: the same results in less memory."""

import jax
import numpy as np
import pytest
from tiny import tiny

from tljax import build, zoo
from tljax.configuration import call_named
from tljax.core import UserError
from tljax.engine.train import fit
from tljax.nn.rematerialisation import rematerialised
from tljax.paths import flatten
from tljax.zoo.table import ROWS

FIRST = {row.module: name for name, row in reversed(ROWS.items())}


def gradient(net):
    """The gradient of a training pass as a function, with the new state and the intermediates."""

    def loss(params, state, input, key):
        taps, new_state = net.features(params, state, input, key)
        return (taps['features'] ** 2).mean(), (taps, new_state)

    return jax.grad(loss, has_aux=True)


def assert_equal(result, expected, tolerance=1e-6):
    for path, value in flatten(expected).items():
        atol = tolerance * max(1, np.abs(value).max())
        np.testing.assert_allclose(flatten(result)[path], value, atol=atol, err_msg=path)


@pytest.mark.parametrize(
    'spec',
    [
        pytest.param({'name': 'conv4', 'width': 4, 'size': 32}, marks=pytest.mark.slow),
        {'name': 'lenet', 'widths': [4, 8], 'dense': [16], 'dropout': 0.5, 'norm': 'batch'},
        {'name': 'mlp', 'widths': [8, 8, 4], 'norm': 'batch'},
        pytest.param({'name': 'cifar_resnet', 'depth': 8, 'width': 4}, marks=pytest.mark.slow),
        pytest.param({'name': 'mobilenet_v2', 'alpha': 0.35}, marks=pytest.mark.slow),
    ],
    ids=lambda spec: spec['name'],
)
def test_gradients_statistics_and_intermediates_are_the_same(spec):
    """In float64, as XLA's convolutions round float32 in other ways in other places."""
    with jax.enable_x64(True):
        net = call_named('tljax.zoo', {**spec, 'dtype': 'float64'}, 'net')
        x = np.random.default_rng(0).random((4, 32, 32, 3))
        x = x.mean((1, 2)) if spec['name'] == 'mlp' else x
        params, state = jax.jit(net.init)(jax.random.key(0), x)
        for key in (jax.random.key(1), None):
            (grads, taps_and_state), expected = (
                jax.jit(gradient(each))(params, state, x, key)
                for each in (rematerialised(net), net)
            )
            assert_equal(grads, expected[0], 1e-11)
            assert_equal(taps_and_state[0], expected[1][0], 1e-11)
            assert_equal(taps_and_state[1], expected[1][1], 1e-11)


SINE = {
    'data': {'name': 'sine'},
    'net': {'name': 'mlp', 'widths': [8, 8]},
    'method': {'name': 'maml'},
    'batch': 4,
}
TASKS = {
    'data': {
        'name': 'joint_tasks',
        'of': {
            'read': {'name': 'digits', 'size': 8},
            'print': {'name': 'glyphs', 'part': 'digits', 'size': 8, 'per_class': 10},
        },
    },
    'method': {'name': 'cross_stitch'},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    'changes',
    [
        {'net': {'norm': 'batch'}, 'seeds': [0, 1]},
        SINE,  # its gradient is of a gradient
        pytest.param(TASKS, marks=pytest.mark.slow),  # it replaces intermediates
    ],
    ids=['finetune', 'maml', 'cross_stitch'],
)
def test_a_run_ends_the_same(changes, tmp_path):
    fitted, expected = (
        fit(
            build.build(
                tiny({'steps': 3, 'optim': {'name': 'sgd', 'lr': 0.1}, 'remat': remat}, changes)
            ),
            tmp_path / str(remat),
        )
        for remat in (True, False)
    )
    assert_equal(fitted.params, expected.params)
    assert_equal(fitted.state, expected.state)


def kept(net, size):
    """Bytes that a training pass of 8 pictures keeps for the gradient, beside the parameters."""
    x = jax.ShapeDtypeStruct((8, size, size, 3), 'float32')
    params, state = jax.eval_shape(net.init, jax.random.key(0), x)

    def pullback(params, state, input, key):
        return jax.vjp(lambda p: net.features(p, state, input, key)[0]['features'], params)[1]

    leaves = jax.tree.leaves(jax.eval_shape(pullback, params, state, x, jax.random.key(0)))
    sizes = [leaf.size * leaf.dtype.itemsize for leaf in leaves]
    return sum(sizes) - sum(4 * leaf.size for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(
    'name',
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name not in ('resnet50', 'vgg16')))
        for name in FIRST.values()
    ],
)
def test_every_family_keeps_less_for_the_gradient(name):
    net, size = call_named('tljax.zoo', {'name': name}, 'net'), ROWS[name].size
    assert kept(rematerialised(net), size) < kept(net, size) / 2


@pytest.mark.slow
def test_the_compiled_gradient_needs_less_memory():
    net, x = zoo.resnet50(), jax.ShapeDtypeStruct((16, 64, 64, 3), 'float32')
    arguments = *jax.eval_shape(net.init, jax.random.key(0), x), x, jax.random.key(1)
    plain, again = (
        jax.jit(gradient(each)).lower(*arguments).compile().memory_analysis()
        for each in (net, rematerialised(net))
    )
    # 36 MB in place of 135 MB when XLA optimises for speed, as tests do not
    assert again.temp_size_in_bytes < plain.temp_size_in_bytes / 2


def test_the_setting_is_recorded_where_it_is_set():
    assert 'remat' not in build.build(tiny()).record
    assert build.build(tiny({'remat': True})).record['remat'] is True
    with pytest.raises(UserError, match='config.remat=1 is not True or False'):
        build.build(tiny({'remat': 1}))
