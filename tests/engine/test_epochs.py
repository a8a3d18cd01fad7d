"""Epochs in place of steps, and the refusal of another length in a run's folder."""

import json

import numpy as np
import pytest
from commands import call, error
from tiny import SMALL, tiny

import tljax
from tljax import build, configuration, parts
from tljax.configuration import merge
from tljax.core import UserError
from tljax.engine.checkpoint import load_final
from tljax.engine.log import Log, read
from tljax.engine.train import fit
from tljax.epochs import ramp_setting
from tljax.features import donors_at


@pytest.mark.parametrize(
    'changes, steps',
    [
        ({'epochs': 1}, 57),
        ({'epochs': 1.0}, 57),
        ({'epochs': 0.5}, 29),
        ({'epochs': 1e-12}, 1),
        ({'epochs': 2, 'steps': 7}, 113),
        ({'epochs': 0, 'steps': 7}, 7),
        ({'epochs': 1, 'batch': 899}, 1),
        ({'epochs': 3, 'per_class': 2, 'batch': 20}, 3),
        ({'epochs': 1.1, 'per_class': 1, 'batch': 11}, 1),
        ({'epochs': 3, 'per_class': 2, 'batch': 8, 'seeds': [4, 5]}, 8),
    ],
)
def test_steps_of_epochs(changes, steps):
    """ceil(epochs * examples / batch) of 899 examples, or of so many of each of ten classes.

    1.1 * 10 / 11 is one step, whatever floats say.
    """
    run = build.build(tiny(changes))
    assert run.steps == run.record['steps'] == steps
    assert ('epochs' in run.record) == bool(changes['epochs'])


def test_an_epoch_is_a_pass_over_the_training_set():
    run = build.build(tiny({'epochs': 2, 'per_class': 4, 'batch': 10}))
    rows = np.concatenate([run.stream.index(0, step) for step in range(run.steps)])
    assert len(rows) == 80 and set(np.unique(rows, return_counts=True)[1]) == {2}


def test_epochs_end_the_schedule_and_are_the_same_program_and_run_as_their_steps(tmp_path):
    warmup = {'optim': {'warmup': 2}}
    epochs, steps = tiny(warmup, {'epochs': 0.1}), tiny(warmup, {'steps': 6})
    ours, theirs = build.build(epochs), build.build(steps)
    assert ours.steps == 6 and ours.step is theirs.step, 'one program'
    fitted, expected = fit(ours, tmp_path / 'epochs'), fit(theirs, tmp_path / 'steps')
    kernel = fitted.params['head']['kernel']
    np.testing.assert_array_equal(kernel, expected.params['head']['kernel'])
    ours, theirs = (load_final(tmp_path / name)[2]['config'] for name in ('epochs', 'steps'))
    assert ours == {**theirs, 'epochs': 0.1}
    facts = json.loads((tmp_path / 'epochs' / 'data.json').read_text())
    assert ['steps', '6: 0.1 epochs of 899 examples, 16 at a time'] in facts


def test_a_warm_up_that_epochs_leave_no_room_for_takes_a_tenth(tmp_path):
    run = build.build(tiny({'epochs': 0.4, 'optim': {'warmup': 100}}))
    assert run.steps == 23 and 'a warm-up of 2 steps in place of 100' in dict(run.facts())['steps']
    same = build.build(tiny({'steps': 23, 'optim': {'warmup': 2}}))
    assert run.step is same.step, 'one program'
    # where the config has steps, a warm-up that is too long is refused
    with pytest.raises(UserError, match='warmup=9 does not lie'):
        build.build(tiny({'steps': 6, 'optim': {'warmup': 9}}))


def test_what_is_not_trained_is_not_trained_by_epochs(tmp_path):
    run = build.build(tiny({'steps': 0, 'epochs': 3.0, 'keep': 'best', 'patience': 2}))
    assert run.steps == 0 and 'steps' not in dict(run.facts())
    assert fit(run, tmp_path).scores['test']


def test_what_counts_in_steps_is_refused_before_anything_is_loaded(tmp_path):
    ramped = tiny(
        {'epochs': 2.0, 'method': {'name': 'dann', 'ramp': 9}, 'data': {'name': 'nothing'}}
    )
    with pytest.raises(UserError, match='method.ramp is counted in steps'):
        build.refuse_other_config(ramped, tmp_path)


def test_features_are_trained_for_as_many_epochs(tmp_path):
    fit(build.build(tiny({'steps': 2})), tmp_path / 'donor')
    head = tiny(
        {
            'cache': True,
            'epochs': 0.05,
            'partition': {'name': 'freeze'},
            'init': {'path': str(tmp_path / 'donor')},
        }
    )
    run = build.build(head)
    assert run.steps == 3 and 'backbone' in run.full_layout({}, {})[0], 'on cached features'
    fit(run, tmp_path / 'head')
    assert read(tmp_path / 'head' / 'log.jsonl')[-1]['step'] == 3


def test_epochs_hold_for_every_phase_that_does_not_say_its_own():
    config = merge(configuration.DEFAULTS, SMALL) | {
        'epochs': 2.0,
        'phases': {'a': {'steps': 5}, 'b': {'epochs': 3}, 'c': {'epochs': 0, 'steps': 9}},
    }
    fits = [settings for _, settings in configuration.phases(config)]
    assert [build.build(settings).steps for settings in fits] == [113, 169, 9]


DIGITS = {'name': 'digits', 'size': 8}
DANN = {
    'data': {'name': 'domains', 'source': DIGITS, 'target': DIGITS},
    'method': {'name': 'dann', 'ramp': 50},
}
SINE = {'data': {'name': 'sine'}, 'net': {'name': 'mlp'}, 'method': {'name': 'maml'}}


@pytest.mark.parametrize(
    'changes, message',
    [
        *(
            ({'epochs': epochs}, f'config.epochs={epochs}: give a number above 0')
            for epochs in (-1, float('nan'), float('inf'), '3', True, None)
        ),
        ({'epochs': 2, 'per_class': 10_000}, 'per_class=10000: class'),
        (
            {'epochs': 2, **SINE},
            'epochs=2 of data whose examples are drawn afresh: .* so set steps',
        ),
        ({'epochs': 2, **DANN}, 'epochs=2: method.ramp is counted in steps: set steps in place'),
        (
            {'epochs': 2, 'groups': {'head': {'period': 2}}},
            'groups.head.period is counted in steps',
        ),
    ],
)
def test_epochs_that_mean_nothing_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        build.build(tiny(changes))


def test_a_ramp_is_found_however_deep_it_lies():
    def outer(ramp):
        return {'name': 'outer', 'method': {'name': 'dann', 'ramp': ramp}, 'x': 1}

    assert ramp_setting(outer(5)) == 'method.method.ramp'
    assert ramp_setting(outer(0)) is None


def test_two_lengths_are_refused(tmp_path):
    with pytest.raises(UserError, match='steps=3 and epochs=2 both say how long to train'):
        tljax.train('digits', 'conv4', workdir=tmp_path, steps=3, epochs=2)

    def error_of(config, *flags):
        return error(call('train', f'--config=configs/{config}.py:smoke', *flags))

    for setting in ('phases.head.steps', 'phases.all.steps'):
        assert f'--config.{setting} is read by no fit, as epochs take its place' in error_of(
            'finetune', '--config.epochs=2', f'--config.{setting}=3'
        )
    assert 'is read by no fit' in error_of('fixmatch', '--config.epochs=1', '--config.steps=3')
    assert "'ten' is not a number" in error_of('finetune', '--config.epochs=ten')


def test_progress_counts_epochs(tmp_path, capsys):
    with Log(tmp_path, 'toy', steps=10, epochs=2.5) as log:
        log.started(1)
        log.show(10, {'loss': np.array([0.5])})
    assert 'toy  step 10/10  0:00 left  epoch 2.5/2.5  loss 0.5' in capsys.readouterr().err


@pytest.fixture
def finished(tmp_path):
    phases = [('head', tiny()), ('all', tiny({'init': {'phase': 'head'}}))]
    build.fit_phases(phases, tmp_path / 'run')
    return phases, tmp_path / 'run'


def forbid_loading(monkeypatch):
    """Makes loading data and compiling fail."""

    def fail(*_, **__):
        raise AssertionError('data were loaded')

    monkeypatch.setattr(parts, 'load', fail)
    monkeypatch.setattr(build, 'load', fail)
    monkeypatch.setattr(build, 'parts', fail)


@pytest.mark.parametrize(
    'changes, message',
    [
        (
            {'steps': 9},
            '01-all is finished .steps: 6 there, 9 now.: to train on from it, take another '
            '--workdir and --config.init.path=.*01-all$',
        ),
        ({'epochs': 2}, '01-all is finished .epochs: absent there, 2 now.: to train on'),
        ({'optim': {'lr': 0.5}}, '01-all belongs to another config .optim.lr: 0.01 there, 0.5 now'),
        (
            {'steps': 9, 'seeds': [1]},
            '01-all belongs to another config .*seeds.*steps: 6 there, 9 now',
        ),
        ({'keep': 'best', 'eval_every': 2}, 'eval_every: absent there, 2 now; keep: absent there'),
    ],
)
def test_another_config_is_refused_before_anything_is_loaded(
    changes, message, finished, monkeypatch
):
    (head, (name, settings)), folder = finished
    forbid_loading(monkeypatch)
    with pytest.raises(UserError, match=message) as refusal:
        build.fit_phases([head, (name, merge(settings, changes))], folder)
    assert len(str(refusal.value)) - 2 * len(str(folder)) < 150


def test_a_run_made_by_epochs_goes_on_with_its_epochs_alone(tmp_path, monkeypatch):
    build.fit_phases([('a', tiny({'epochs': 0.05}))], tmp_path)
    build.fit_phases([('a', tiny({'epochs': 0.05, 'log_every': 1}))], tmp_path)  # nothing to do
    forbid_loading(monkeypatch)
    for changes in ({'epochs': 0.1}, {'steps': 3}, {}):
        with pytest.raises(UserError, match='00-a is finished .epochs: 0.05 there'):
            build.fit_phases([('a', tiny(changes))], tmp_path)


def test_from_python_it_is_refused_as_early(tmp_path, monkeypatch):
    from tljax import trained

    keywords = {'data': SMALL['data'], 'net': SMALL['net'], 'workdir': tmp_path, 'batch': 16}
    tljax.train(**keywords, steps=2)
    monkeypatch.setattr(trained, 'build', lambda *_, **__: pytest.fail('built'))
    with pytest.raises(UserError, match='is finished .steps: 2 there, 3 now.: to train on'):
        tljax.train(**keywords, steps=3)


def test_a_finished_run_of_phases_is_a_donor(finished, tmp_path):
    _, folder = finished
    assert donors_at(str(folder), None).classes == donors_at(str(folder / '01-all'), None).classes
    run = build.build(tiny({'steps': 9, 'init': {'path': str(folder), 'rules': [['.*', None]]}}))
    kernel = load_final(folder / '01-all')[0]['head']['kernel'][0]
    np.testing.assert_array_equal(run.init(0)[0]['head']['kernel'], kernel)
    (folder / '01-all' / 'final').rename(tmp_path / 'taken away')
    with pytest.raises(
        UserError, match='run is not finished: 01-all is at step 6 of 6: give the tr'
    ):
        donors_at(str(folder), None)
