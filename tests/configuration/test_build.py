"""From config to run: cached features, partitions, statistics, phases, and every config at its smallest."""
import importlib
import json
import re
from pathlib import Path

import jax
import numpy as np
import optax
import pytest
from commands import call
from flax import linen as nn
from tiny import tiny

from configs import base, digits
from tljax import build, configuration, paths
from tljax.engine import optim
from tljax.engine.checkpoint import load_final
from tljax.engine.train import fit
from tljax.nn.convolution import convolve
from tljax.nn.layers import Conv

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(path.stem for path in (ROOT / 'configs').glob('[a-z]*.py') if path.stem != 'base')


def config(**changes):
    return tiny({'steps': 12}, changes)


@pytest.fixture(scope='module')
def donor(tmp_path_factory):
    path = tmp_path_factory.mktemp('donor')
    fit(build.build(config()), path)
    return path


FROZEN = {'partition': {'name': 'freeze', 'until': 'backbone'}}


def test_a_head_on_cached_features_equals_one_on_the_backbone(donor, tmp_path):
    plain, cached = (fit(build.build(config(seeds=[0, 1], per_class=3, cache=cache, **FROZEN), donor_dir=donor), tmp_path / str(cache))
                     for cache in (False, True))
    assert paths.flatten(plain.params).keys() == paths.flatten(cached.params).keys()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), (plain.params, plain.state), (cached.params, cached.state))
    assert plain.scores == cached.scores
    assert paths.flatten(load_final(tmp_path / 'True')[0]).keys() == paths.flatten(plain.params).keys(), 'the full layout is saved'


def test_features_are_cached_by_weights_data_and_preprocessing(donor, tmp_path, monkeypatch):
    monkeypatch.setenv('TLJAX_CACHE', str(tmp_path))
    files = lambda: len(list(tmp_path.glob('features/*.npz')))  # noqa: E731
    build.build(config(cache=True, **FROZEN), donor_dir=donor)
    assert files() == 3
    build.build(config(cache=True, per_class=2, steps=3, **FROZEN), donor_dir=donor)
    assert files() == 3, 'other steps and subsets use the same features'
    fit(build.build(config(seeds=[8])), tmp_path / 'other')
    build.build(config(cache=True, **FROZEN), donor_dir=tmp_path / 'other')
    assert files() == 6, 'other weights do not'


@pytest.mark.parametrize('changes', [{}, {'partition': {'name': 'freeze', 'until': 'block2'}, 'augment': ['flip']},
                                     {**FROZEN, 'statistics': 'batch'}])
def test_what_moves_is_not_cached(donor, changes):
    assert build.build(config(cache=True, **changes), donor_dir=donor).evals['train'].take(np.arange(1))['input'].ndim == 4


@pytest.mark.parametrize('statistics, moved', [('follow', {'norm2'}), ('stored', set()), ('batch', {'norm1', 'norm2'})])
def test_batch_statistics_follow_the_partition_or_the_option(statistics, moved, donor, tmp_path):
    fitted = fit(build.build(config(statistics=statistics, partition={'name': 'freeze', 'until': 'block1'}), donor_dir=donor), tmp_path)
    before = load_final(donor)[1]['backbone']
    assert {name for name, held in before.items() if (held['mean'] != fitted.state['backbone'][name]['mean']).any()} == moved


def test_layer_wise_rates_multiply_the_step():
    groups = {'block1': 'a/.*', 'block2': 'b/.*'}
    partition = optim.decay(groups, rate=.5)
    params = {'backbone': {'a': {'w': np.ones((2, 2))}, 'b': {'w': np.ones((2, 2))}}, 'head': {'w': np.ones((2, 2))}}
    labels = paths.label(params, partition.rules)
    tx = optim.optimizer(labels, lambda name: optim.group('sgd', steps=10, lr=.1, scale=partition.scales.get(name, 1.)))
    update = tx.update(jax.tree.map(np.ones_like, params), tx.init(params), params)[0]
    np.testing.assert_allclose([update['backbone']['a']['w'][0, 0], update['backbone']['b']['w'][0, 0], update['head']['w'][0, 0]],
                               [-.025, -.05, -.1], rtol=1e-6)


def test_decoupled_decay_with_adam_is_adamw():
    params, grads = {'w': np.full((2, 2), 3.)}, {'w': np.full((2, 2), .5)}
    ours, theirs = optim.group('adam', steps=5, lr=.1, weight_decay=.01), optax.adamw(.1, weight_decay=.01)
    mine, other = params, params
    a, b = ours.init(params), theirs.init(params)
    for _ in range(3):
        u, a = ours.update(grads, a, mine)
        v, b = theirs.update(grads, b, other)
        mine, other = optax.apply_updates(mine, u), optax.apply_updates(other, v)
    np.testing.assert_allclose(mine['w'], other['w'], rtol=1e-6)


def test_clipping_stays_inside_its_group():
    params = {'backbone': np.zeros(4), 'head': np.zeros(4)}
    labels = {'backbone': 'backbone', 'head': 'head'}
    tx = optim.optimizer(labels, lambda name: optim.group('sgd', steps=1, lr=1., clip=1.))
    update = tx.update({'backbone': np.full(4, 100.), 'head': np.full(4, .1)}, tx.init(params), params)[0]
    np.testing.assert_allclose(update['head'], -.1, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(update['backbone']), 1., rtol=1e-6)


def test_gradual_unfreezing_is_phases_of_partitions(tmp_path):
    """ULMFiT's unfreezing: each phase grafts everything from the one before, head and all, and thaws one more block."""
    whole = configuration.plain(base.get_config()) | {
        'data': {'name': 'digits', 'size': 8}, 'net': {'name': 'conv4', 'width': 4, 'blocks': 2, 'size': 8}, 'batch': 16, 'steps': 3,
        'phases': {'head': {'partition': {'name': 'freeze', 'until': 'backbone'}},
                   'top': {'partition': {'name': 'freeze', 'until': 'block1'}, 'init': {'phase': 'head', 'rules': [['.*', None]]}},
                   'all': {'init': {'phase': 'top', 'rules': [['.*', None]]}}}}
    names, kept = [], []
    for name, settings in configuration.phases(whole):
        names.append(name)
        parent = settings['init']['phase']
        run = build.build(settings, name, parent and configuration.folder(tmp_path, names, parent))
        kept.append(fit(run, configuration.folder(tmp_path, names, name)).params)
    moved = [{path.split('/')[1] for path, leaf in paths.flatten(new).items() if (leaf != paths.flatten(old)[path]).any()}
             for old, new in zip(kept, kept[1:], strict=False)]
    assert moved == [{'conv2', 'norm2', 'kernel', 'bias'}, {'conv1', 'norm1', 'conv2', 'norm2', 'kernel', 'bias'}]


@pytest.mark.parametrize('strides, padding, size, kernel', [
    ((1, 1), 'SAME', 7, (3, 3)), ((2, 2), 'SAME', 8, (3, 3)), ((2, 1), 'VALID', 9, (5, 3)), ((2, 2), ((1, 1), (1, 0)), 6, (3, 3)),
    ((1, 1), 'SAME', 5, (1, 1))])
@pytest.mark.parametrize('form', ['dots', 'shifts'])
def test_every_form_of_convolution_is_flax_s_own(form, strides, padding, size, kernel):
    groups, rng = (6 if form == 'shifts' else 1), np.random.default_rng(0)
    x, w = rng.normal(size=(2, size, size, 6)).astype('f'), rng.normal(size=(*kernel, 6 // groups, 6)).astype('f')
    reference = nn.Conv(6, kernel, strides, padding=padding, feature_group_count=groups, use_bias=False)
    expected = lambda x, w: reference.apply({'params': {'kernel': w}}, x)  # noqa: E731
    found = lambda x, w: convolve(x, w, strides, padding, groups, form)  # noqa: E731
    np.testing.assert_allclose(found(x, w), expected(x, w), atol=1e-4)
    for a, b in zip(*(jax.grad(lambda x, w, f=f: (f(x, w) ** 2).sum(), (0, 1))(x, w) for f in (found, expected)), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-3, rtol=1e-4)
    ours = Conv(6, kernel, strides, padding, groups, form=form)
    assert jax.eval_shape(ours.init, jax.random.key(0), x)['params']['kernel'].shape == w.shape


@pytest.mark.parametrize('name', ['conv4', 'cifar_resnet'])
def test_groups_cover_every_parameter_in_order(name):
    net = configuration.named('tljax.zoo', {'name': name}, 'net')
    params, _ = jax.eval_shape(net.init, jax.random.key(0), jax.ShapeDtypeStruct((2, 16, 16, 3), 'float32'))
    for path in paths.flatten(params):
        assert sum(bool(re.fullmatch(pattern, path)) for pattern in net.groups.values()) == 1, path


@pytest.mark.parametrize('source', ['glyphs', 'untrained', 'shuffled'])
def test_the_phases_of_the_digits_study_build(source):
    for smoke in ('', ',smoke'):
        for name, settings in configuration.phases(digits.get_config(f'source={source}{smoke}')):
            built = build.build(configuration.merge(settings, {'init': {'phase': ''}}), name)
            assert (built.steps == 0) == (source == 'untrained' and name == 'pretrain')


def main_command(name):
    return importlib.import_module(f'configs.{name}').get_config('smoke').commands[0]


@pytest.mark.parametrize('name', [name for name in CONFIGS if main_command(name) != 'rank'])   # tests/test_rank.py runs those
def test_every_config_runs_at_its_smallest(name, tmp_path):
    command = main_command(name)   # a study fits, too
    done = call(command, f'--config=configs/{name}.py:smoke', f'--workdir={tmp_path}', '--json')
    assert done.code == 0, done.err[-3000:]
    assert json.loads(done.out)['rows'] and 'NaN' not in done.out
    if command != 'train':
        assert (tmp_path / 'report.html').exists() and (tmp_path / 'results.json').exists()


@pytest.mark.parametrize('name', CONFIGS)
def test_every_config_tells_its_command_and_result(name):
    said = (ROOT / 'configs' / f'{name}.py').read_text()
    assert f'--config=configs/{name}.py' in said and ('xpected' in said or 'ot yet run' in said)
