"""Early stopping and the best checkpoint: several seeds end as single ones, killed runs as uncut
ones."""

import jax
import numpy as np
import pytest
from tiny import tiny

from tljax import build
from tljax.configuration import merge
from tljax.core import UserError
from tljax.data import digits
from tljax.data.splits import restrict
from tljax.engine import choice, train
from tljax.engine.checkpoint import Checkpoints, load_final
from tljax.engine.choice import Choice, out_of_patience, outcome, start_choice, update_choice
from tljax.engine.log import read
from tljax.engine.train import fit

BEST = {
    'keep': 'best',
    'patience': 2,
    'eval_every': 3,
    'steps': 60,
    'log_every': 3,
    'eval_batch': 1024,
    'net': {'name': 'mlp', 'widths': [4]},
    'optim': {'lr': 0.03, 'schedule': 'constant'},
}


def select(rule, scores):
    """The selection after scores (evaluations, seeds) at steps 10, 20, ...; parameters are the
    number of their step."""
    selection = start_choice({'w': np.zeros((len(scores[0]), 2))}, len(scores[0]))
    for i, values in enumerate(scores):
        step = 10 * (i + 1)
        trees = {'w': np.full((len(values), 2), float(step))}
        selection = update_choice(rule, selection, step, np.array(values, float), trees)
    return selection


@pytest.mark.parametrize(
    'rule, scores, best, step, ran_out',
    [
        (Choice('best'), [0.1, 0.3, 0.2], 20, 20, False),
        (Choice('best'), [0.3, 0.3, 0.3], 10, 10, False),  # an equal score is not better
        (Choice('best'), [np.nan, 0.1, np.nan], 20, 20, False),  # NaN is the worst
        (Choice('best'), [np.nan, np.nan], 10, 10, False),
        (Choice('best', more_is_better=False), [3.0, 1.0, 2.0], 20, 20, False),
        (Choice('best', more_is_better=False), [np.nan, np.inf, 2.0], 30, 30, False),
        (
            Choice('best', patience=2),
            [0.3, 0.2, 0.1, 0.9],
            10,
            10,
            True,
        ),  # it has run out before the .9
        (Choice('last', patience=2), [0.3, 0.2, 0.1, 0.9], 10, 30, True),
        (Choice('last', patience=2), [0.1, 0.2, 0.1, 0.3], 40, 40, False),
        (Choice('last', patience=1), [np.nan, np.nan, 0.5], 10, 20, True),
    ],
)
def test_by_hand(rule, scores, best, step, ran_out):
    selection = select(rule, [[score] for score in scores])
    assert (selection.best, selection.step) == (best, step)
    assert out_of_patience(rule, selection) == ran_out
    np.testing.assert_array_equal(selection.trees['w'], [[step, step]])


@pytest.mark.parametrize('rule', [Choice('best', 2), Choice('last', 2), Choice('best')])
def test_each_seed_is_judged_alone(rule):
    scores = np.random.default_rng(0).integers(0, 4, (9, 5)) / 4
    joint = jax.tree.leaves(select(rule, scores))
    for seed in range(5):
        single = jax.tree.leaves(select(rule, scores[:, seed : seed + 1]))
        for leaf, expected in zip(joint, single, strict=True):
            np.testing.assert_array_equal(leaf[seed : seed + 1], expected)


def test_the_person_is_told_what_was_kept():
    selection = select(Choice('last', 1), [[0.3, 0.1], [0.2, 0.2], [0.1, 0.1]])
    assert outcome(Choice('last', 1), selection, 30, 90) == (
        'stopped at step 30 of 90: no better validation score for 1 evaluation; best at steps 10, '
        '20, seed by seed; kept as of steps 20, 30, seed by seed'
    )
    selection = select(Choice('best'), [[0.1], [0.3], [0.2]])
    assert outcome(Choice('best'), selection, 30, 30) == 'validation score best at step 20'


def assert_same(fitted, expected):
    jax.tree.map(np.testing.assert_array_equal, fitted[:3], expected[:3])  # params, state, scores


@pytest.mark.parametrize('keep', ['best', 'last'])
def test_several_seeds_end_as_each_of_them_alone(keep, tmp_path):
    settings = tiny(BEST, {'keep': keep})
    joint = fit(build.build(merge(settings, {'seeds': [0, 3]})), tmp_path / 'joint')
    last_steps = []
    for i, seed in enumerate((0, 3)):
        single = fit(build.build(merge(settings, {'seeds': [seed]})), tmp_path / str(seed))
        trees = jax.tree.map(lambda leaf, i=i: leaf[i : i + 1], (joint.params, joint.state))
        scores = {
            split: {name: value[i : i + 1] for name, value in split_scores.items()}
            for split, split_scores in joint.scores.items()
        }
        assert_same((*trees, scores), single)
        last_steps.append(single.kept['ended'])
        step = single.kept['best'][0] if keep == 'best' else last_steps[-1]
        assert single.kept['step'][0] == step
    assert max(last_steps) == joint.kept['ended'] < 60
    assert len(set(last_steps)) == 2, 'one seed waited for the other'
    assert load_final(tmp_path / 'joint')[2]['kept'] == joint.kept


def test_the_scores_are_those_of_what_is_kept_and_of_validation_alone(tmp_path):
    fitted = fit(build.build(tiny(BEST)), tmp_path)
    records = {
        split: {
            record['step']: record['accuracy']
            for record in read(tmp_path / 'log.jsonl')
            if record['kind'] == split
        }
        for split in ('train', 'validation', 'test')
    }
    best = max(records['validation'], key=lambda step: (records['validation'][step], -step))
    assert fitted.kept['best'] == [best] and fitted.kept['score'] == records['validation'][best]
    for split, accuracies in records.items():
        assert fitted.scores[split]['accuracy'] == accuracies[best]
    assert fitted.kept['ended'] == best + 2 * 3 == max(records['test'])


class Killed(Exception):
    pass


@pytest.mark.parametrize('at', [4, 13, 31])
def test_a_killed_run_stops_where_an_uncut_one_would(at, tmp_path, monkeypatch, uncut):
    """Killed before some step, and once more before the finished run is written."""
    run = build.build(tiny(BEST, {'save_every': 5, 'seeds': [0, 3]}))
    calls = []

    def take(index):
        calls.append(1)
        if len(calls) > 2 * at:
            raise Killed
        return run.stream.take(index)

    def kill(*_):
        raise Killed

    if at < uncut.kept['ended']:
        with pytest.raises(Killed):
            fit(run._replace(stream=run.stream._replace(take=take)), tmp_path)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(train, 'save_final', kill)
        fit(run, tmp_path)
    fitted = fit(run, tmp_path)
    assert_same(fitted, uncut)
    assert fitted.kept == uncut.kept
    steps = [
        record['step'] for record in read(tmp_path / 'log.jsonl') if record['kind'] == 'validation'
    ]
    assert steps == list(range(3, uncut.kept['ended'] + 1, 3)), 'an evaluation is logged once'


@pytest.fixture(scope='module')
def uncut(tmp_path_factory):
    run = build.build(tiny(BEST, {'save_every': 5, 'seeds': [0, 3]}))
    return fit(run, tmp_path_factory.mktemp('uncut'))


def test_what_a_seed_does_that_has_run_out_counts_no_more(uncut, tmp_path):
    """After a seed has run out of patience, its loss may be NaN; before, that is an error."""
    run = build.build(tiny(BEST, {'seeds': [0, 3]}))
    early = int(np.argmin(uncut.kept['best']))
    last_step = uncut.kept['best'][early] + 2 * 3
    assert last_step < uncut.kept['ended']

    def with_nan(first_step):
        def index(seed, step):
            bad = seed == run.seeds[early] and step >= first_step
            return {'rows': run.stream.index(seed, step), 'bad': np.full((16, 1, 1, 1), bad)}

        def take(index):
            batch = run.stream.take(index['rows'])
            return {**batch, 'input': np.where(index['bad'], np.float32(np.nan), batch['input'])}

        return run._replace(stream=run.stream._replace(index=index, take=take))

    assert_same(fit(with_nan(last_step), tmp_path / 'after'), uncut)
    with pytest.raises(UserError, match=f'at step {last_step - 1} with seed {run.seeds[early]}'):
        fit(with_nan(last_step - 1), tmp_path / 'before')


def test_a_run_without_a_choice_has_the_checkpoints_and_the_record_of_before(tmp_path):
    run = build.build(tiny({'save_every': 2}))
    assert not {'epochs', 'keep', 'patience', 'eval_every'} & set(run.record)
    fitted = fit(run, tmp_path)
    assert fitted.kept is None and 'kept' not in load_final(tmp_path)[2]
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore(train.first_state(run.init, run.tx, run.seeds))[0] == 4
    record = build.build(tiny(BEST)).record
    assert (record['keep'], record['patience']) == ('best', 2)
    assert record['eval_every'] == 3, 'how often it looks changes how it ends'


@pytest.mark.parametrize(
    'changes, message',
    [
        (
            {'keep': 'best'},
            "keep='best' goes by scores during training: set eval_every, between 1 and "
            '5 for these 6 steps .it is 0',
        ),
        ({'patience': 3}, 'patience=3 goes by scores during training: set eval_every'),
        ({'patience': 3, 'eval_every': 6}, 'it is 6'),
        ({'keep': 'first'}, "config.keep='first' is not last or best"),
        ({'patience': -1}, 'config.patience=-1: give a whole number, 0 or more'),
        ({'patience': 1.5}, 'config.patience=1.5: give a whole number'),
        ({'steps': 2.5}, 'config.steps=2.5: give a whole number'),
        ({'steps': '5'}, 'config.steps=5: give a whole number'),
        ({'batch': True}, 'config.batch=True: give a whole number'),
    ],
)
def test_a_choice_without_scores_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        build.build(tiny(changes))


@pytest.mark.parametrize(
    'changes, setting', [({'keep': 'best'}, "keep='best'"), ({'patience': 1}, 'patience=1')]
)
def test_a_choice_is_never_by_the_test(changes, setting):
    splits = digits(size=8)
    empty = splits | {'validation': restrict(splits['train'], np.arange(0))}
    absent = {name: splits[name] for name in ('train', 'test')}
    for splits in (empty, absent):
        message = f'{setting} goes by the validation split, and this data'
        with pytest.raises(UserError, match=message):
            build.build(tiny({'eval_every': 2}, changes), splits=splits)


def test_a_smaller_error_is_better(tmp_path):
    numbers = {'name': 'digits', 'size': 8, 'task': 'numbers'}
    run = build.build(tiny(BEST, {'data': numbers, 'patience': 0, 'steps': 9}))
    assert not run.choice.more_is_better
    fitted = fit(run, tmp_path)
    scores = {
        record['step']: record['rmse'][0]
        for record in read(tmp_path / 'log.jsonl')
        if record['kind'] == choice.SPLIT
    }
    assert fitted.kept['best'] == [min(scores, key=scores.get)]
    assert fitted.scores['validation']['rmse'] == [min(scores.values())]
