"""A head on cached features, and what is not cached; which batch statistics move."""

import jax
import numpy as np
import pytest
from tiny import tiny

from tljax import build, paths
from tljax.configuration import ZOO, call_named
from tljax.engine.checkpoint import load_final
from tljax.engine.train import fit


def config(**changes):
    return tiny({'steps': 12}, changes)


@pytest.fixture(scope='module')
def donor(tmp_path_factory):
    path = tmp_path_factory.mktemp('donor')
    fit(build.build(config()), path)
    return path


FROZEN = {'partition': {'name': 'freeze', 'until': 'backbone'}}


@pytest.mark.slow
def test_a_head_on_cached_features_equals_one_on_the_backbone(donor, tmp_path):
    plain, cached = (
        fit(
            build.build(config(seeds=[0, 1], per_class=3, cache=cache, **FROZEN), donor_dir=donor),
            tmp_path / str(cache),
        )
        for cache in (False, True)
    )
    assert paths.flatten(plain.params).keys() == paths.flatten(cached.params).keys()
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5),
        (plain.params, plain.state),
        (cached.params, cached.state),
    )
    assert plain.scores == cached.scores
    assert (
        paths.flatten(load_final(tmp_path / 'True')[0]).keys() == paths.flatten(plain.params).keys()
    ), 'the full layout is saved'


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


@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'partition': {'name': 'freeze', 'until': 'block2'}, 'augment': ['flip']},
        {**FROZEN, 'statistics': 'batch'},
    ],
)
def test_what_moves_is_not_cached(donor, changes):
    assert (
        build.build(config(cache=True, **changes), donor_dir=donor)
        .evals['train']
        .take(np.arange(1))['input']
        .ndim
        == 4
    )


@pytest.mark.parametrize(
    'statistics, moved', [('follow', {'norm2'}), ('stored', set()), ('batch', {'norm1', 'norm2'})]
)
def test_batch_statistics_follow_the_partition_or_the_option(statistics, moved, donor, tmp_path):
    fitted = fit(
        build.build(
            config(statistics=statistics, partition={'name': 'freeze', 'until': 'block1'}),
            donor_dir=donor,
        ),
        tmp_path,
    )
    before = load_final(donor)[1]['backbone']
    assert {
        name
        for name, held in before.items()
        if (held['mean'] != fitted.state['backbone'][name]['mean']).any()
    } == moved


def test_an_untrained_network_extracts_by_its_initial_parameters():
    data = {'name': 'resampled', 'of': {'name': 'digits', 'size': 8}, 'size': 8, 'most': 5}
    net = {'name': 'conv4', 'width': 4, 'blocks': 2, 'size': 8}
    found = build.load({'name': 'extracted', 'of': data, 'net': net, 'weights': ''})['train']
    pictures = build.load(data)['train'].take(np.arange(5))['input']
    network = call_named(ZOO, net, 'net')
    taps, _ = network.features(*network.init(jax.random.key(0), pictures), pictures)
    np.testing.assert_allclose(
        found.take(np.arange(5))['input'], taps['features'], rtol=1e-4, atol=1e-5
    )
