"""Rankings, advice and the guard of training, from end to end and where they have no answer."""

import json
import re

import numpy as np
import pytest
from commands import call
from scipy.spatial.distance import cosine
from scipy.stats import ttest_rel, weightedtau

from configs import imagenet_models as configs_imagenet
from configs import rank as configs_rank
from tljax import build
from tljax.configuration import phases, plain
from tljax.core import UserError
from tljax.data.formats.arrays import arrays
from tljax.engine.log import read
from tljax.studies.agreement import agreement
from tljax.studies.donor_scores import donor_outputs, embedding, scores_of_donor
from tljax.studies.donors import Donor, donor, target_for, top1, trained_on
from tljax.studies.ranking import nearness
from tljax.when.transferability import SCORES
from tljax.zoo.table import KERAS


def run(command, *arguments):
    done = call(command, *arguments)
    return done.code, done.out + done.err


def rows():
    """Rows of three targets whose score 'good' is the accuracy itself on all, and 'bad' its
    negative on all but target 2."""
    rng, made = np.random.default_rng(0), []
    for target in range(3):
        for name in 'abcde':
            value = rng.uniform()
            made.append(
                dict(
                    target=target,
                    source=name,
                    labels_per_class=5,
                    measured=dict(scratch=[0.5], finetune=[value, value]),
                    scores=dict(good=[value], bad=[value if target == 2 else -value], part=[value]),
                )
            )
    del made[0]['scores']['part']
    return made


def test_agreement_is_weighted_tau_and_a_score_is_chosen_by_the_other_targets():
    made = rows()
    study = dict(
        budgets=[5], strategies=['scratch', 'finetune'], baseline='scratch', controls=['e']
    )
    found = {(row['sources'], row['score']): row for row in agreement(made, study)}
    assert {score for _, score in found} == {'good', 'bad', 'chosen by the other targets'}, (
        'a score that a source lacks is left out'
    )
    assert found['all', 'good']['mean'] == pytest.approx(1) and found['all', 'bad']['tau'][
        2
    ] == pytest.approx(1)
    mine = [row for row in made if row['target'] == 0]
    expected = weightedtau(
        [row['scores']['bad'][0] for row in mine], [row['measured']['finetune'][0] for row in mine]
    ).statistic
    assert found['all', 'bad']['tau'][0] == pytest.approx(expected)
    for row in made:
        # right on target 2 alone, and so never chosen there
        row['scores'] = {'good': row['scores']['bad'], 'bad': row['scores']['good']}
    again = {(row['sources'], row['score']): row for row in agreement(made, study)}
    assert again['all', 'chosen by the other targets']['tau'] == pytest.approx({0: 1, 1: 1, 2: 1})


@pytest.mark.slow
def test_a_file_of_features_is_scored_as_its_arrays(tmp_path):
    target = dict(name='digits', size=8)
    dataset = build.load(target)['train']
    x = np.random.default_rng(0).normal(size=(dataset.size, 6)) + dataset.label[:, None]
    np.savez(tmp_path / 'mine.npz', features=x)
    known = donor('mine', {'features': str(tmp_path / 'mine.npz')}, {}, tmp_path)
    assert target_for(known, target, None) == target
    found, without = scores_of_donor(
        known,
        target,
        dict(source='mine', target='digits', labels_per_class=None),
        [0],
        None,
        SCORES,
    )
    assert (
        found['logme'] == [SCORES['logme'](x, dataset.label)]
        and 'leep' not in found
        and set(without) == {'inputs'}
    )


@pytest.mark.parametrize(
    'held, said',
    [
        ({'features': np.ones((3, 2))}, 'has features of 3 examples, and the target has 2'),
        ({'x': np.ones(3)}, 'has x and no features'),
        (
            {'features': np.array([[1.0], [np.nan]])},
            'mine: 1 of 2 features of the target are not finite',
        ),
    ],
)
def test_files_that_do_not_fit(tmp_path, held, said):
    np.savez(tmp_path / 'f.npz', **held)
    with pytest.raises(UserError, match=said):
        donor_outputs(tmp_path / 'f.npz', arrays(np.zeros((2, 1)), np.array([0, 1]), 'ab'), 'mine')


def test_sources_that_are_none(tmp_path):
    settings = phases(configs_rank.get_config('smoke'))[-1][1]
    with pytest.raises(UserError, match='study.sources.x.size is unknown beside run'):
        donor('x', {'run': 'nowhere', 'size': 3}, settings, tmp_path)
    with pytest.raises(UserError, match='study.sources.x: nowhere.npz does not exist'):
        donor('x', {'features': 'nowhere.npz'}, settings, tmp_path)
    with pytest.raises(UserError, match='study.sources.x.stepz is unknown: did you mean steps'):
        donor('x', {'stepz': 3}, settings, tmp_path)


def test_what_learnt_from_the_target_is_no_source():
    learnt = Donor(
        {},
        {},
        {},
        (),
        (28, 28, 1),
        '',
        {'name': 'resampled', 'of': {'name': 'digits', 'size': 8}, 'size': 28},
    )
    assert trained_on(learnt, {'name': 'digits', 'size': 8}) and not trained_on(
        learnt, {'name': 'digits', 'size': 16}
    )


@pytest.mark.slow
def test_a_verified_ranking_and_advice_whose_config_runs(tmp_path):
    code, text = run('rank', '--config=configs/rank.py:smoke', '--verify', f'--workdir={tmp_path}')
    assert code == 0, text
    found = json.loads((tmp_path / 'results.json').read_text())
    assert {row['source'] for row in found['rows']} == {'printed', 'untrained'} and set(
        found['rows'][0]['measured']
    ) == {'scratch', 'frozen', 'finetune'}
    assert '<svg' in (tmp_path / 'report.html').read_text()
    done = call(
        'rank', '--config=configs/rank.py:smoke', '--verify', '--json', f'--workdir={tmp_path}'
    )
    assert json.loads(done.out) == found
    code, text = run('advise', '--config=configs/rank.py:smoke', f'--workdir={tmp_path}')
    assert code == 0 and 'no pool of measured transfers: give --pool' in text, text
    advice = json.loads((tmp_path / 'advice.json').read_text())
    assert (
        json.loads(
            call('advise', '--config=configs/rank.py:smoke', '--json', f'--workdir={tmp_path}').out
        )
        == advice
    )
    assert [each['source'] for each in advice] == ['printed', 'untrained'] and 0 <= advice[0][
        'probe'
    ] <= 1
    code, text = run(
        'train',
        f'--config={tmp_path}/digits-printed-2.py',
        '--config.steps=1',
        f'--workdir={tmp_path}/next',
    )
    assert code == 0 and 'parameters in' in text, text
    code, text = run(
        'advise',
        '--config=configs/rank.py:smoke',
        '--config.study.budgets=(0,)',
        f'--workdir={tmp_path}',
    )
    assert code == 0 and 'transductive: the same task, labels in the source alone' in text, text
    code, text = run(
        'advise',
        '--config=configs/rank.py:smoke',
        f'--pool={tmp_path}/results.json',
        f'--workdir={tmp_path}',
    )
    assert code == 2 and 'measure three targets and five sources or more' in text, text


@pytest.mark.slow
def test_what_is_known_of_a_source_beforehand_is_a_score_like_others(tmp_path):
    code, text = run(
        'rank', '--config=configs/imagenet_models.py:smoke', '--verify', f'--workdir={tmp_path}'
    )
    assert code == 0, text
    found = json.loads((tmp_path / 'results.json').read_text())
    assert {row['source']: row['scores']['imagenet_top1'] for row in found['rows']} == {
        f'steps{i}': [i / 10] * 2 for i in range(3)
    }
    taus = {(row['strategy'], row['score']): row['tau'] for row in found['agreement']}
    for strategy in ('frozen', 'finetune'):
        accuracy = [np.mean(row['measured'][strategy]) for row in found['rows']]
        expected = (
            {'digits': pytest.approx(weightedtau([0, 0.1, 0.2], accuracy).statistic)}
            if np.ptp(accuracy)
            else None
        )
        assert taus.get((strategy, 'imagenet_top1')) == expected


def test_all_networks_with_published_weights_are_ranked_by_what_is_published_of_them():
    sources = configs_imagenet.get_config().study.sources
    assert {name: top1(spec) for name, spec in plain(sources).items()} == {
        name: row.top1 for name, row in KERAS.items()
    }
    narrow, small = (
        dict(name='mobilenet', alpha=0.25),
        dict(net=dict(name='mobilenet'), weights='imagenet:128', size=128),
    )
    for other in (
        {'net': {'name': 'conv4'}},
        dict(net=narrow, weights='imagenet'),
        small,
        dict(small, weights='mine.h5'),
    ):
        assert top1(other) is None and top1(dict(other, top1=0.5)) == 0.5


def test_a_source_that_learnt_the_target_s_task_is_nearest(tmp_path):
    known = donor(
        'printed',
        dict(data=dict(name='glyphs', part='digits', size=8, per_class=10), steps=0),
        phases(configs_rank.get_config('smoke'))[-1][1],
        tmp_path,
    )
    sources = dict(
        printed=known,
        digits=known._replace(data=dict(name='digits', size=16)),
        file=tmp_path / 'features.npz',
    )
    study, again = (
        dict(probe='printed', most=None),
        dict(name='resampled', of=dict(name='digits', size=16), size=16, channels=1),
    )
    # one set by another name
    near = {name: nearness(sources, name, again, 5, study, tmp_path / 'tasks') for name in sources}
    assert near['digits'] == pytest.approx(0, abs=1e-9) and near['file'] is None
    one, other = (np.array(embedding(known, each, 5)) for each in (known.data, again))
    both = np.where(one + other > 0, one + other, 1)
    assert (
        near['printed'] == pytest.approx(-cosine(one / both, other / both))
        and -1 <= near['printed'] < -1e-3
    )
    for probe in ('painted', 'file'):
        with pytest.raises(UserError, match=f"study.probe='{probe}' is no source with a network: "):
            nearness(sources, 'printed', again, 5, dict(study, probe=probe), tmp_path)


def test_the_guard_says_what_transfer_gained(tmp_path):
    code, text = run(
        'train', '--config=configs/digits.py:smoke', '--guard', f'--workdir={tmp_path}'
    )
    assert code == 0, text
    transfer, scratch = (
        [
            record['accuracy']
            for record in read(tmp_path / place / 'log.jsonl')
            if record['kind'] == 'validation'
        ][-1]
        for place in ('01-transfer', 'guard')
    )
    interval = ttest_rel(transfer, scratch).confidence_interval()
    said = re.search(
        r'([+-]\d+\.\d) points over scratch on the validation split, 95 % interval (\S+) to (\S+) '
        r'over 2 seeds',
        text,
    )
    assert said, text
    np.testing.assert_allclose(
        [float(each) for each in said.groups()],
        100 * np.array([np.mean(transfer) - np.mean(scratch), interval.low, interval.high]),
        atol=0.051,
    )


def test_the_guard_needs_something_to_guard(tmp_path):
    code, text = run(
        'train', '--config=configs/fixmatch.py:smoke', '--guard', f'--workdir={tmp_path}'
    )
    assert code == 2 and 'the last phase starts from scratch' in text, text
