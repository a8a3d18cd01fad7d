"""The study of weight averages: what its members share, what it chooses, and what it writes."""

import json

import jax
import numpy as np
import pytest
from commands import call

import tljax
from configs import soup
from tljax import build
from tljax.averages import statistics_estimator
from tljax.configuration import merge, phases, plain
from tljax.core import UserError
from tljax.data.streams import examples_of
from tljax.engine.checkpoint import load_final
from tljax.studies.averages import compare_averages
from tljax.studies.members import member_settings

FOLLOW = '--config.phases.members.statistics=follow'


def config(phase=None, study=None, **changes):
    """The smallest study, whose BatchNorm uses the batches' statistics."""
    whole = plain(soup.get_config('smoke')) | changes
    phase = {'statistics': 'follow'} | (phase or {})
    whole['phases']['members'] = whole['phases']['members'] | phase
    return whole | {'study': whole['study'] | (study or {})}


@pytest.fixture(scope='module')
def study(tmp_path_factory):
    workdir = tmp_path_factory.mktemp('soup')
    done = call('soup', '--config=configs/soup.py:smoke', FOLLOW, f'--workdir={workdir}')
    assert done.code == 0, done.err[-3000:]
    results = json.loads((workdir / 'results.json').read_text())
    return workdir, results, done


def rows_by_name(results):
    return {row['model']: row for row in results['rows']}


def test_members_share_the_labels_and_differ_in_their_order():
    whole = config()
    *_, (_, last) = phases(whole)
    settings = member_settings(last, whole['study']['members'])
    orders = []
    for changed in settings.values():
        epoch = {'init': {'phase': ''}, 'augment': [], 'batch': 20}
        run = build.build(merge(changed, epoch))
        orders.append([run.stream.index(seed, 0).tolist() for seed in run.seeds])
    for draw in (0, 1):
        first, second = (order[draw] for order in orders)
        assert sorted(first) == sorted(second) and first != second
    assert sorted(orders[0][0]) != sorted(orders[0][1])


@pytest.mark.slow
def test_the_table_has_models_their_cost_and_paired_gains(study):
    _, results, done = study
    rows = rows_by_name(results)
    costs = {name: row['trainings'] for name, row in rows.items()}
    assert costs == {
        'linear probe': 0,
        'fine-tuning': 1,
        'mean member': 1,
        'best member': 2,
        'uniform soup': 2,
        'greedy soup': 2,
        'WiSE-FT': 1,
    }
    assert all(name in done.out for name in costs) and 'chosen in draws' in done.out
    validation = np.array([row['validation'] for row in results['members']])
    test = np.array([row['test'] for row in results['members']])
    assert rows['fine-tuning']['test'] == test[0].tolist() and rows['fine-tuning']['gain'] is None
    np.testing.assert_allclose(rows['mean member']['test'], test.mean(0))
    assert rows['best member']['test'] == test[validation.argmax(0), [0, 1]].tolist()
    for name in ('greedy soup', 'uniform soup'):
        gain = np.mean(np.subtract(rows[name]['test'], rows['best member']['test']))
        assert results['over_best'][name]['mean'] == pytest.approx(gain)
    gain = np.mean(np.subtract(rows['WiSE-FT']['test'], test[0]))
    assert rows['WiSE-FT']['gain']['mean'] == pytest.approx(gain)


def test_choices_are_made_on_the_validation_split(study):
    _, results, _ = study
    rows = rows_by_name(results)
    greedy = np.array(rows['greedy soup']['validation'])
    assert (greedy >= rows['best member']['validation']).all()
    curve = np.array([point['validation'] for point in results['curve']])
    weights = [point['weight'] for point in results['curve']]
    chosen = [weights.index(weight) for weight in results['weights']]
    assert curve[chosen, [0, 1]].tolist() == curve.max(0).tolist()
    assert rows['WiSE-FT']['validation'] == curve.max(0).tolist()


def test_wise_ft_ends_at_the_probe_and_at_the_fine_tuned_network(study):
    _, results, _ = study
    rows, (first, *_, last) = rows_by_name(results), results['curve']
    for point, row in ((first, rows['linear probe']), (last, rows['fine-tuning'])):
        assert point['validation'] == row['validation'] and point['test'] == row['test']


def test_averages_are_finished_runs_with_new_statistics(study):
    workdir, results, _ = study
    *_, (_, last) = phases(config())
    members = [load_final(workdir / 'cells' / row['member']) for row in results['members']]
    params, state, record = load_final(workdir / 'soups' / 'uniform_soup')
    jax.tree.map(
        lambda found, *leaves: np.testing.assert_allclose(found, np.mean(leaves, 0), atol=1e-6),
        params,
        *(params for params, _, _ in members),
    )
    run, splits = build.build(merge(last, {'init': {'phase': ''}})), build.load(last['data'])
    for draw, seed in enumerate((0, 1)):
        backbone, statistics = jax.tree.map(
            lambda leaf, i=draw: leaf[i], (params['backbone'], state['backbone'])
        )
        examples = examples_of(splits['train'], seed, last['per_class'])
        expected = statistics_estimator(run.net)(backbone, statistics, examples)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), statistics, expected)
        of_member = members[0][1]['backbone']['norm1']['mean'][draw]
        assert not np.allclose(statistics['norm1']['mean'], of_member)
    test = splits['test']
    model = tljax.load(workdir / 'soups' / 'greedy_soup')
    assert model.scores['test']['accuracy'] == rows_by_name(results)['greedy soup']['test']
    assert model.predict(test).shape == (test.size, 10) and record['seeds'] == [0, 1]


def test_a_restart_trains_nothing(study, monkeypatch):
    workdir, results, _ = study
    monkeypatch.setattr('tljax.engine.train.first_state', None)  # what every training begins with
    assert compare_averages(config(), workdir) == results


OTHER = {'middle_plain': {}, 'other': {}}  # members


@pytest.mark.parametrize(
    'changes, said',
    [
        ({'study': {'baseline': 'x'}}, 'the name of one of them as study.baseline'),
        ({'study': {'members': {'middle_plain': {}}}}, 'study.members: give two or more'),
        ({'study': {'weights': [0.5, 2]}}, r'study.weights=\(0.5, 2\): give numbers from 0 to 1'),
        ({'seeds': [1]}, 'two seeds or more'),
        ({'phase': {'seeds': [3, 4]}}, 'the same seeds, per_class and shuffled in its last two'),
        ({'phase': {'per_class': 1}}, 'the same seeds, per_class and shuffled in its last two'),
        ({'phase': {'init': {'phase': ''}}}, r'starts from it \(init.phase\)'),
        ({'data': {'name': 'lines', 'number': 0}}, 'give data with classes'),
        (
            {'study': {'members': OTHER | {'other': {'init': {'path': 'runs/b'}}}}},
            'study.members.other.init: members share data, labels, network and start',
        ),
        (
            {'study': {'members': OTHER | {'other': {'net': {'width': 8}}}}},
            'study.members.other.net: members share',
        ),
        (
            {'phase': {'init': {'phase': 'probe', 'rules': [['backbone/.*', None]]}}},
            'member middle_plain does not start with all parameters of the linear probe',
        ),
    ],
)
def test_what_is_no_study_of_averages_is_refused(changes, said, tmp_path):
    with pytest.raises(UserError, match=said):
        compare_averages(config(**changes), tmp_path)
    assert not (tmp_path / 'cells').exists()
