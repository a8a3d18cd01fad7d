"""The study of weight averages: what its members share, what it chooses, and what it writes."""

import json

import jax
import numpy as np
import pytest
from tiny import SMALL

import tljax
from configs import base
from tljax import build
from tljax.averages import statistics_estimator
from tljax.configuration import merge, phases, plain
from tljax.core import UserError
from tljax.data.streams import examples_of
from tljax.engine.checkpoint import load_final
from tljax.studies.averages import compare_averages
from tljax.studies.members import member_settings

MEMBERS = {'slow': {}, 'fast': {'optim': {'lr': 0.05}}, 'turned': {'augment': ['flip']}}


def config(study=None, phase=None, **changes):
    """Three members of two draws, whose BatchNorm uses the batches' statistics."""
    settings = merge(plain(base.get_config()), SMALL)
    tuned = {'init': {'phase': 'probe', 'rules': [['.*', None]]}, **(phase or {})}
    return (
        settings
        | {
            'per_class': 3,
            'seeds': [1, 2],
            'steps': 12,
            'phases': {'probe': {'partition': {'name': 'freeze'}}, 'tuned': tuned},
            'study': {
                'members': MEMBERS,
                'baseline': 'slow',
                'weights': [0.0, 0.4, 1.0],
                **(study or {}),
            },
        }
        | changes
    )


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    workdir = tmp_path_factory.mktemp('soup')
    return workdir, compare_averages(config(), workdir)


def rows_by_name(results):
    return {row['model']: row for row in results['rows']}


def test_members_share_the_labels_and_differ_in_their_order():
    whole = config()
    *_, (_, last) = phases(whole)
    settings = member_settings(last, MEMBERS)
    seeds = [changed['seeds'] for changed in settings.values()]
    assert len({seed for each in seeds for seed in each}) == 6 and seeds[0] == [1, 2]
    orders = []
    for changed in settings.values():
        run = build.build(merge(changed, {'init': {'phase': ''}, 'batch': 30}))
        rows = [run.stream.index(seed, 0) for seed in run.seeds]
        orders.append([each['rows'] if isinstance(each, dict) else each for each in rows])
    for draw in range(2):
        drawn = [order[draw].tolist() for order in orders]
        assert len({(*sorted(each),) for each in drawn}) == 1  # an epoch
        assert len({(*each,) for each in drawn}) == 3
    assert sorted(orders[0][0]) != sorted(orders[0][1])


def test_the_table_has_models_their_cost_and_paired_gains(study):
    workdir, results = study
    assert json.loads((workdir / 'results.json').read_text()) == results
    rows = rows_by_name(results)
    costs = {name: row['trainings'] for name, row in rows.items()}
    assert costs == {
        'linear probe': 0,
        'fine-tuning': 1,
        'mean member': 1,
        'best member': 3,
        'uniform soup': 3,
        'greedy soup': 3,
        'WiSE-FT': 1,
    }
    validation = np.array([row['validation'] for row in results['members']])
    test = np.array([row['test'] for row in results['members']])
    best = validation.argmax(0), [0, 1]
    assert rows['fine-tuning']['test'] == test[0].tolist()
    np.testing.assert_allclose(rows['mean member']['test'], test.mean(0))
    assert rows['best member']['test'] == test[best].tolist()
    for name in ('greedy soup', 'uniform soup'):
        gain = np.mean(np.subtract(rows[name]['test'], rows['best member']['test']))
        assert results['over_best'][name]['mean'] == pytest.approx(gain)
    gain = np.mean(np.subtract(rows['WiSE-FT']['test'], test[0]))
    assert rows['WiSE-FT']['gain']['mean'] == pytest.approx(gain)
    assert rows['fine-tuning']['gain'] is None


def test_choices_are_made_on_the_validation_split(study):
    _, results = study
    rows = rows_by_name(results)
    greedy = np.array(rows['greedy soup']['validation'])
    assert (greedy >= rows['best member']['validation']).all()
    curve = np.array([point['validation'] for point in results['curve']])
    assert results['weights'] == [results['curve'][i]['weight'] for i in curve.argmax(0)]
    assert rows['WiSE-FT']['validation'] == curve.max(0).tolist()


def test_wise_ft_ends_at_the_probe_and_at_the_fine_tuned_network(study):
    _, results = study
    rows, (first, *_, last) = rows_by_name(results), results['curve']
    for point, row in ((first, rows['linear probe']), (last, rows['fine-tuning'])):
        assert point['validation'] == row['validation'] and point['test'] == row['test']


def test_averages_are_finished_runs_with_new_statistics(study):
    workdir, results = study
    members = [load_final(workdir / 'cells' / name)[:2] for name in MEMBERS]
    params, state, record = load_final(workdir / 'soups' / 'uniform_soup')
    jax.tree.map(
        lambda found, *leaves: np.testing.assert_allclose(found, np.mean(leaves, 0), atol=1e-6),
        params,
        *(each for each, _ in members),
    )
    *_, (_, last) = phases(config())
    run, splits = build.build(merge(last, {'init': {'phase': ''}})), build.load(SMALL['data'])
    for draw, seed in enumerate((1, 2)):
        backbone, statistics = jax.tree.map(
            lambda leaf, i=draw: leaf[i], (params['backbone'], state['backbone'])
        )
        examples = examples_of(splits['train'], seed, 3)
        expected = statistics_estimator(run.net)(backbone, statistics, examples)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), statistics, expected)
        of_member = members[0][1]['backbone']['norm1']['mean'][draw]
        assert not np.allclose(statistics['norm1']['mean'], of_member)
    test = splits['test']
    model = tljax.load(workdir / 'soups' / 'greedy_soup')
    assert model.scores['test']['accuracy'] == rows_by_name(results)['greedy soup']['test']
    assert model.predict(test).shape == (test.size, 10) and record['seeds'] == [1, 2]


def test_a_restart_trains_nothing(study, monkeypatch):
    workdir, results = study
    monkeypatch.setattr('tljax.engine.train.first_state', None)  # what every training begins with
    assert compare_averages(config(), workdir) == results


@pytest.mark.parametrize(
    'changes, said',
    [
        ({'study': {'baseline': 'x'}}, 'the name of one of them as study.baseline'),
        ({'study': {'members': {'slow': {}}}}, 'study.members: give two or more'),
        ({'study': {'weights': [0.5, 2]}}, r'study.weights=\(0.5, 2\): give numbers from 0 to 1'),
        ({'seeds': [1]}, 'two seeds or more'),
        ({'phase': {'seeds': [3, 4]}}, 'the same ones in its last two phases'),
        ({'phase': {'init': {'phase': ''}}}, r'starts from it \(init.phase\)'),
        (
            {'study': {'members': {'slow': {}, 'other': {'init': {'path': 'runs/b'}}}}},
            'study.members.other.init: members share data, labels, network and start',
        ),
        (
            {'study': {'members': {'slow': {}, 'wide': {'net': {'width': 8}}}}},
            'study.members.wide.net: members share',
        ),
        (
            {'phase': {'init': {'phase': 'probe', 'rules': [['backbone/.*', None]]}}},
            'member slow does not start with all parameters of the linear probe',
        ),
        (
            {
                'study': {
                    'members': {
                        'slow': {},
                        'lora': {'method': {'name': 'with_lora', 'method': {'name': 'finetune'}}},
                    }
                }
            },
            'no rule|member lora does not start with all parameters|donor does not fit',
        ),
        ({'data': {'name': 'school'}}, 'school'),
    ],
)
def test_what_is_no_study_of_averages_is_refused(changes, said, tmp_path):
    with pytest.raises(UserError, match=said):
        compare_averages(config(**changes), tmp_path)
    assert not (tmp_path / 'cells').exists()
