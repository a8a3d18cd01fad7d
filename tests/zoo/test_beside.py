"""Networks with adapters, and networks with a side network: their start, what is trained, and what
they refuse."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import tiny

import tljax
from tljax import build
from tljax.core import Tick, UserError
from tljax.engine.train import fit
from tljax.methods.fine_tuning.finetune import finetune
from tljax.nn.layers import SeparableConv
from tljax.nn.layers import net as network
from tljax.paths import Group, flatten
from tljax.zoo import conv4, mlp, mobilenet
from tljax.zoo.families.vit import VisionTransformer, groups
from tljax.zoo.wrappers.side_tuning import side_tuning
from tljax.zoo.wrappers.with_adapters import with_adapters

BLOCK = ('attn.qkv', 'attn.proj', 'mlp.fc1', 'mlp.fc2')  # dense layers of a transformer
CONV4 = {'name': 'conv4', 'width': 4, 'blocks': 2, 'size': 8}
ADAPTED = {'name': 'with_adapters', 'of': CONV4, 'width': 2}
BESIDE = {'name': 'side_tuning', 'of': CONV4, 'side': {**CONV4, 'blocks': 1}}
ADDED = [['backbone/(adapters|side)/.*', 'added'], ['backbone/.*', 'frozen']]


def settings(net, *changes):
    partition = {'name': 'by_path', 'rules': ADDED}
    # a network of another name takes the place of the smallest one
    return tiny({'net': {'name': ''}}, {'net': net, 'partition': partition}, *changes)


def drawn(tree, seed=0):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(0.3 * rng.normal(size=leaf.shape), 'f'), tree)


@pytest.mark.parametrize(
    'net, size',
    [
        (conv4(width=4, blocks=2, size=8), 8),
        pytest.param(mobilenet(alpha=0.25), 32, marks=pytest.mark.slow),
    ],
    ids=['conv4', 'mobilenet'],
)
def test_adapters_start_as_the_network(net, size):
    adapted, x = (
        with_adapters(net, width=2),
        np.random.default_rng(0).uniform(size=(2, size, size, 3)).astype('f'),
    )
    params, state = jax.jit(adapted.init)(jax.random.key(0), x)
    own = {name: leaves for name, leaves in params.items() if name != 'adapters'}
    jax.tree.map(np.testing.assert_array_equal, own, jax.jit(net.init)(jax.random.key(0), x)[0])
    for key in (None, jax.random.key(1)):
        mine, theirs = (
            jax.jit(each.features)(values, state, x, key)[0]
            for each, values in ((adapted, params), (net, own))
        )
        for tap in theirs:  # statistics of the batch are rounded in another order
            rounding = 1e-5 if key is not None else 0
            np.testing.assert_allclose(mine[tap], theirs[tap], rtol=rounding, atol=rounding)
    layers = {path.rpartition('/')[0] for path in flatten(params['adapters'])}
    kernels = {path: leaf for path, leaf in flatten(own).items() if path.endswith('kernel')}
    mixing = {path.rpartition('/')[0] for path, leaf in kernels.items() if leaf.shape[2] > 1}
    assert {layer.rpartition('/')[0] for layer in layers} == mixing


def test_an_adapter_is_the_bottleneck_of_the_paper():
    """y + up(relu(down(y))) after the first of two dense layers, by NumPy."""
    net = with_adapters(mlp((5, 3)), width=2, layers='dense1')
    x = np.random.default_rng(0).normal(size=(4, 6)).astype('f')
    params, state = jax.jit(net.init)(jax.random.key(0), x)
    params = drawn(params)
    dense1, dense2 = (
        {part: np.asarray(params[name][part]) for part in ('kernel', 'bias')}
        for name in ('dense1', 'dense2')
    )
    down, up = (params['adapters']['dense1'][part] for part in ('down', 'up'))
    y = x @ dense1['kernel'] + dense1['bias']
    y = y + np.maximum(y @ down['kernel'] + down['bias'], 0) @ up['kernel'] + up['bias']
    expected = np.maximum(np.maximum(y, 0) @ dense2['kernel'] + dense2['bias'], 0)
    features = jax.jit(net.features)(params, state, x)[0]['features']
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-6)


class Separable(nn.Module):
    """A depthwise and a 1x1 convolution in one layer, inside another layer."""

    @nn.compact
    def __call__(self, x, train):
        x = SeparableConv(6, name='first')(x)
        return {'features': Inner(name='inner')(x).mean((1, 2))}


class Inner(nn.Module):
    @nn.compact
    def __call__(self, x):
        return SeparableConv(5, name='second')(x)


@pytest.mark.parametrize(
    'net, layers',
    [
        (network(Separable(), 5, {'all': '.*'}), {'first', 'inner/second'}),
        (
            network(VisionTransformer(8, 1, 2, 4, 8), 8, groups(1)),
            {'patch_embed.proj', *(f'blocks.0/{name}' for name in BLOCK)},
        ),
    ],
    ids=['separable', 'vit'],
)
def test_adapters_of_nested_layers_have_gradients(net, layers):
    adapted = with_adapters(net, width=4)
    x = np.random.default_rng(0).uniform(size=(2, 8, 8, 3)).astype('f')
    params, state = jax.jit(adapted.init)(jax.random.key(0), x)
    params = {**params, 'adapters': drawn(params['adapters'])}
    grads = jax.jit(jax.grad(lambda p: (adapted.features(p, state, x)[0]['features'] ** 3).sum()))(
        params
    )
    ups = {path: leaf for path, leaf in flatten(grads['adapters']).items() if '/up/' in path}
    assert {path.partition('/up/')[0] for path in ups} == layers
    assert all(np.abs(leaf).max() > 0 for leaf in ups.values())


@pytest.mark.parametrize(
    'net',
    [
        pytest.param(ADAPTED, id='adapters'),
        pytest.param(BESIDE, id='side', marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    'method',
    [
        pytest.param({'name': 'finetune'}, id='finetune'),
        pytest.param({'name': 'dann', 'width': 8}, id='dann', marks=pytest.mark.slow),
    ],
)
def test_what_is_added_learns_and_the_run_is_loaded(net, method, tmp_path):
    """From a donor of the plain network; the parts of the donor stay as they are."""
    data = {}
    if method['name'] == 'dann':
        data = {
            'data': {
                'name': 'domains',
                'source': {'name': 'glyphs', 'part': 'digits', 'size': 8, 'per_class': 10},
                'target': {'name': 'digits', 'size': 8},
            }
        }
    donor = fit(build.build(tiny()), tmp_path / 'donor')
    init = {
        'path': str(tmp_path / 'donor'),
        'rules': [['backbone/(?!adapters/|side/).*', None]],
    }
    run = build.build(settings(net, {'init': init, 'method': method, 'cache': True}, data))
    fitted = fit(run, tmp_path / 'run')
    old, new = flatten(donor.params), flatten(fitted.params)
    start = flatten(run.init(0)[0])
    for path, leaf in new.items():
        if path.startswith('backbone/') and path in old:
            np.testing.assert_array_equal(leaf, old[path], err_msg=path)
        else:
            assert (leaf[0] != start[path]).any(), path
    statistics = flatten(donor.state)
    for path, leaf in flatten(fitted.state).items():
        assert path not in statistics or (leaf == statistics[path]).all()
    rows = {group.name.partition(':')[0] for group in run.transferred}
    assert rows >= {'backbone', 'head'}
    added = [group for group in run.transferred if group.name.startswith('backbone: ')]
    assert [group.rate for group in added] == [None, 0.01]
    assert [group.donor for group in added] == [str(tmp_path / 'donor'), 'fresh']
    assert isinstance(added[1], Group) and added[1].numbers == sum(
        leaf.size
        for path, leaf in start.items()
        if path.startswith('backbone/') and path not in old
    )
    model = tljax.load(tmp_path / 'run')
    test = build.load({'name': 'digits', 'size': 8})['test'].take(np.arange(50))
    assert model.predict(test['input']).shape == (50, 10)
    assert model.features(test['input']).shape == (50, run_width(net))


def run_width(net):
    return tljax.zoo.conv4(width=net['of']['width'], blocks=2, size=8).dim


def test_a_side_network_is_blended_by_alpha_and_keeps_statistics_of_its_own():
    side = conv4(width=3, blocks=1, size=8)
    net = side_tuning(conv4(width=4, blocks=2, size=8, stored=lambda path: True), side)
    x = np.random.default_rng(0).uniform(size=(4, 8, 8, 1)).astype('f')
    params, state = jax.jit(net.init)(jax.random.key(0), x)
    params['side']['alpha'] = jnp.array(1.5)
    taps, new_state = jax.jit(net.features)(params, state, x, jax.random.key(0))
    alpha = 1 / (1 + np.exp(-1.5))
    expected = alpha * taps['base'] + (1 - alpha) * taps['side']
    np.testing.assert_allclose(taps['features'], expected, rtol=1e-5)
    beside = jax.jit(side.features)(params['side']['net'], state['side'], x, jax.random.key(0))
    join = params['side']['join']
    np.testing.assert_allclose(
        taps['side'], beside[0]['features'] @ join['kernel'] + join['bias'], rtol=1e-4, atol=1e-5
    )
    old, new = flatten(state), flatten(new_state)
    moved = {path for path in old if not np.array_equal(old[path], new[path])}
    assert moved == {path for path in old if path.startswith('side/')}


def test_gradients_of_adapters_and_alpha_are_finite_differences():
    with jax.enable_x64(True):
        x = np.random.default_rng(0).normal(size=(4, 6))
        batch = {'input': x, 'label': np.arange(4) % 3}
        wide = {'dtype': jnp.float64, 'activation': 'tanh'}
        for net in (
            with_adapters(mlp((5, 4), **wide), width=2),
            side_tuning(mlp((5, 4), **wide), mlp((3,), **wide)),
        ):
            method = finetune(net, 3)
            params, state = jax.jit(method.init)(jax.random.key(0), batch)
            params = jax.tree.map(
                lambda leaf: np.random.default_rng(leaf.size).normal(size=leaf.shape), params
            )
            tick = Tick(jnp.zeros((), int), jax.random.key(0))
            value_and_grad = jax.jit(
                jax.value_and_grad(lambda p, m=method, s=state: m.loss(p, s, batch, tick)[0])
            )
            direction = jax.tree.map(
                lambda leaf: np.random.default_rng(leaf.size + 1).normal(size=leaf.shape), params
            )
            ahead, behind = (
                value_and_grad(jax.tree.map(lambda p, d, e=e: p + e * d, params, direction))[0]
                for e in (1e-6, -1e-6)
            )
            along = jax.tree.map(np.vdot, jax.device_get(value_and_grad(params)[1]), direction)
            np.testing.assert_allclose(
                sum(jax.tree.leaves(along)), (ahead - behind) / 2e-6, rtol=1e-5
            )


@pytest.mark.parametrize(
    'keywords, said',
    [
        ({'width': 0}, 'net.width=0: give 1 or more'),
        ({'layers': 'conv_dw_1'}, "net.layers='conv_dw_1' matches no layer that mixes channels"),
        ({'layers': 'nothing'}, "net.layers='nothing' matches no layer"),
        ({'layers': 'conv('}, "net.layers: 'conv(' is no pattern"),
    ],
)
def test_layers_without_an_adapter_are_refused(keywords, said):
    with pytest.raises(UserError) as refused:
        net = with_adapters(mobilenet(alpha=0.25), **keywords)
        jax.eval_shape(net.init, jax.random.key(0), np.zeros((1, 32, 32, 3), 'f'))
    assert said in str(refused.value)
