"""Phases of deep adaptation from end to end, and what its methods refuse."""

import jax
import numpy as np
import pytest
from tiny import tiny
from two_sets import DOMAINS

import tljax
from configs import adapt
from tljax import build, configuration
from tljax.core import UserError
from tljax.engine.checkpoint import load_final


def study(strategy):
    """The smallest phases of a strategy of configs/adapt.py."""
    return configuration.phases(adapt.get_config(f'train={strategy},smoke'))


def test_a_study_of_one_method_has_the_source_alone_beside_it():
    config = adapt.get_config('method=shot,smoke')
    (_, source), (_, last) = configuration.phases(config)
    baseline = configuration.merge(last, configuration.plain(config.study.strategies.source_only))
    assert (
        source['method'] == baseline['method'] == {'name': 'finetune'}
        and baseline['data']['name'] == 'domains'
    )
    assert list(config.study.strategies) == ['source_only', 'shot']
    assert [name for name, _ in configuration.phases(adapt.get_config('train=cdan'))] == ['adapt']


def test_networks_that_part_the_domains_do_so_where_a_batch_has_both():
    config = configuration.plain(adapt.get_config('data=mnist-usps'))
    source, adapted = (phase['net'].get('domains') for _, phase in configuration.phases(config))
    per_domain = {
        name
        for name, changes in config['study']['strategies'].items()
        if changes.get('net', {}).get('domains') == 1
    }
    assert (
        source == 1 and adapted is None and per_domain == {'source_only', 'adabn', 'adda', 'shot'}
    )


@pytest.mark.slow
def test_adda_starts_from_the_source_and_moves_the_targets_encoder_alone(tmp_path):
    _, fitted = build.fit_phases(study('adda'), tmp_path)
    first = load_final(tmp_path / '00-source')[0]
    jax.tree.map(np.testing.assert_array_equal, fitted.params['source'], first['backbone'])
    jax.tree.map(np.testing.assert_array_equal, fitted.params['head'], first['head'])
    assert all(
        (a != b).any()
        for a, b in zip(
            jax.tree.leaves(fitted.params['backbone']),
            jax.tree.leaves(first['backbone']),
            strict=True,
        )
    )


def test_shot_sees_no_source_and_keeps_its_head(tmp_path):
    phases = study('shot')
    assert phases[1][1]['data']['alone'] and not build.load(phases[1][1]['data'])['train'].target
    run, fitted = build.fit_phases(phases, tmp_path)
    jax.tree.map(
        np.testing.assert_array_equal,
        fitted.params['head'],
        load_final(tmp_path / '00-source')[0]['head'],
    )
    batches = [run.stream.batch(seed, 0) for seed in (0, 1)]
    truth = [
        build.load({'name': 'digits'})['train'].take(run.stream.index(seed, 0)['rows'])['label']
        for seed in (0, 1)
    ]
    assert any(
        (batch['label'] != label).any() for batch, label in zip(batches, truth, strict=True)
    ), 'the true labels are not used'


@pytest.mark.parametrize(
    'changes, message',
    [
        (
            {'data': {'name': 'digits', 'size': 8}, 'method': {'name': 'dann'}},
            'takes unlabelled inputs of a target beside labelled ones',
        ),
        (
            {**DOMAINS, 'method': {'name': 'dan'}, 'batch': 1},
            '1 row of a domain on a device has no discrepancy',
        ),
        (
            {'data': {'name': 'sine'}, 'net': {'name': 'mlp'}, 'method': {'name': 'dann'}},
            'this data gives episodes',
        ),
        (
            {'data': {'name': 'digits', 'size': 8}, 'method': {'name': 'shot'}},
            'takes pseudo-labels: set pseudo.name=centroids',
        ),
    ],
)
def test_what_a_method_lacks_is_told_in_one_line(changes, message, tmp_path):
    from tljax.engine.train import fit

    with pytest.raises(UserError, match=message):
        fit(
            build.build(tiny({'net': {'norm': 'layer'}} if 'net' not in changes else {}, changes)),
            tmp_path,
        )


@pytest.mark.parametrize(
    'name, message', [('dann', 'domain adaptation needs classes'), ('mcd', 'mcd needs classes')]
)
def test_regression_is_refused(name, message):
    with pytest.raises(UserError, match=message):
        getattr(tljax.methods, name)(tljax.zoo.identity(2), 0)
