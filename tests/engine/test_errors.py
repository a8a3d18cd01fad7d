"""User errors end in one clear line and leave files unchanged."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny import tiny

import tljax
from tljax import build, paths
from tljax.core import Stopped, UserError
from tljax.data.formats.arrays import arrays
from tljax.engine.checkpoint import Checkpoints, claim, load_final
from tljax.engine.log import read
from tljax.engine.train import fit

ROOT = Path(__file__).parents[2]


def config(**changes):
    return tiny({'optim': {'lr': 1e-3}}, changes)


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'net': {'name': 'conv5'}}, "net.name='conv5' is unknown: did you mean conv4?"),
        ({'net': {'widht': 3}}, 'net.widht is unknown to conv4: did you mean width?'),
        ({'net': {'size': 16}}, 'set net.size'),
        (
            {'partition': {'name': 'freeze', 'until': 'blok1'}},
            "partition.until='blok1' is no group",
        ),
        (
            {'partition': {'name': 'by_path', 'rules': [['backbone/conv9/.*', 'frozen']]}},
            "'backbone/conv9/.*' matches no parameter",
        ),
        ({'groups': {'critic': {'scale': 0.1}}}, 'groups.critic is no group of this run'),
        ({'optim': {'name': 'adamm', 'lr': 0.1}}, "optim.name='adamm'"),
        (
            {'optim': {'momentun': 0.9, 'name': 'sgd', 'lr': 0.1}},
            'optim.momentun is unknown to sgd',
        ),
        ({'per_class': 10_000}, 'per_class=10000: class'),
        ({'statistics': 'moving'}, "statistics='moving'"),
        ({'parallel': 'threads'}, "parallel='threads'"),
        ({'data': {'name': 'folder', 'path': 'nowhere', 'size': 8}}, 'nowhere'),
        ({'init': {'path': 'nowhere'}}, 'nowhere holds no finished run'),
        ({'init': {'phase': 'pretrain'}}, "init.phase='pretrain'"),
        ({'seeds': ['a', 0]}, "config.seeds=['a', 0]: give whole numbers"),
        ({'label_seeds': [1, 2]}, 'config.label_seeds=[1, 2]: give one for each of the 1 seeds'),
        ({'label_seeds': [-1]}, 'config.label_seeds=[-1]: give whole numbers from 0 to'),
    ],
)
def test_a_config_that_does_not_fit_is_refused(changes, message, tmp_path):
    with pytest.raises(UserError) as refusal:
        run = build.build(config(**changes))
        run.stream.index(0, 0)
        run.init(0)
    assert message in str(refusal.value) and '\n' not in str(refusal.value)


def test_an_unknown_key_is_refused_with_the_nearest():
    with pytest.raises(UserError, match='config.stepz is unknown: did you mean steps?'):
        config(stepz=3)


def test_a_parameter_without_a_rule_is_named():
    with pytest.raises(UserError, match='no rule matches the parameter head/w; rules: backbone/'):
        paths.label({'backbone': {'w': 0}, 'head': {'w': 0}}, [('backbone/.*', 'frozen')])


def test_a_donor_that_does_not_fit_is_listed():
    new = {'backbone': {'a': np.zeros(2), 'b': np.zeros(3)}}
    with pytest.raises(UserError) as refusal:
        paths.graft(new, {'backbone': {'a': np.zeros(5), 'c': np.zeros(3)}})
    for part in ('it lacks backbone/b', 'backbone/a (2,) <- (5,)', 'backbone/c'):
        assert part in str(refusal.value)


def test_a_head_of_other_classes_is_refused_even_where_their_number_agrees(tmp_path):
    fit(build.build(config()), tmp_path / 'donor')
    with np.load(save(tmp_path / 'letters.npz', classes=10)) as letters:
        assert len(letters['classes']) == 10
    graft = {'path': str(tmp_path / 'donor'), 'rules': [['.*', None]]}
    with pytest.raises(UserError, match='the head of .* knows the classes 0, 1, 2'):
        build.build(config(data={'name': 'npz', 'path': str(tmp_path / 'letters.npz')}, init=graft))
    save(tmp_path / 'five.npz', classes=5)
    with pytest.raises(UserError, match='knows the classes'):
        build.build(config(data={'name': 'npz', 'path': str(tmp_path / 'five.npz')}, init=graft))
    assert build.build(config(init=graft)).init(0)[0]['head']['kernel'].any(), (
        'the same classes may keep their head'
    )


def save(path, classes):
    rng = np.random.default_rng(0)
    np.savez(
        path,
        input=rng.random((20 * classes, 8, 8, 1), np.float32),
        label=np.arange(20 * classes) % classes,
        classes=np.array([f'letter{i}' for i in range(classes)]),
    )
    return path


def test_a_loss_that_is_no_number_names_the_step_and_the_last_good_checkpoint(tmp_path):
    run = build.build(config(save_every=2, log_every=1))
    rows_of_step_4 = run.stream.index(0, 4)

    def take(index):
        batch = run.stream.take(index)
        if np.array_equal(index, rows_of_step_4):
            batch = {**batch, 'input': batch['input'] * np.nan}
        return batch

    with pytest.raises(
        UserError,
        match=r'loss nan .* at step 4 with seed 0; last good checkpoint: step 4',
    ):
        fit(run._replace(stream=run.stream._replace(take=take)), tmp_path)
    assert not (tmp_path / 'final').exists()


def test_a_workdir_of_another_config_is_refused_and_left_alone(tmp_path):
    claim(tmp_path, build.build(config()).record)
    content = (tmp_path / 'config.json').read_bytes()
    with pytest.raises(UserError, match='steps: 6 there, 7 now'):
        fit(build.build(config(steps=7)), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['config.json']
    assert (tmp_path / 'config.json').read_bytes() == content


@pytest.mark.parametrize('damage', ['cut', 'removed', 'flipped'])
def test_a_damaged_newest_checkpoint_is_reported_and_the_one_before_it_used(
    damage, tmp_path, capsys
):
    state = {'w': np.arange(4096.0)}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state)
        checkpoints.save(2, {'w': state['w'] + 1})
    files = [
        path
        for path in (tmp_path / 'checkpoints' / '2').rglob('*')
        if path.is_file() and '/d/' in str(path)
    ]
    file = max(files, key=lambda path: path.stat().st_size)
    content = file.read_bytes()
    middle = len(content) // 2
    if damage == 'removed':
        file.unlink()
    elif damage == 'cut':
        file.write_bytes(content[:middle])
    else:
        byte = bytes([content[middle] ^ 255])
        file.write_bytes(content[:middle] + byte + content[middle + 1 :])
    with Checkpoints(tmp_path) as checkpoints:
        step, restored_state = checkpoints.restore(state)
    assert step == 1
    np.testing.assert_array_equal(restored_state['w'], state['w'])
    assert (tmp_path / 'damaged-2').exists()


def test_checkpoints_that_no_code_can_read_stay_where_they_are(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, {'w': np.zeros(3)})
    for _ in range(2):  # a second start does not overwrite them either
        with (
            Checkpoints(tmp_path) as checkpoints,
            pytest.raises(UserError, match='none of the checkpoints .1. .* can be read'),
        ):
            checkpoints.restore({'other': np.zeros(3)})
    assert (tmp_path / 'checkpoints' / '1').exists()


@pytest.mark.parametrize(
    'changes', [{'per_class': 9999}, {'partition': {'name': 'freeze', 'until': 'block1'}}]
)
def test_a_run_that_does_not_fit_leaves_no_trace(changes, tmp_path):
    fit(build.build(config(net={'width': 5})), tmp_path / 'donor')
    with pytest.raises(UserError):
        fit(build.build(config(**changes), donor_dir=tmp_path / 'donor'), tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('call', [6, 7])
def test_sigterm_in_the_last_step_or_after_it_finishes_then_stops(call, tmp_path):
    run = build.build(config())

    def predict(*arguments):  # the signal comes while the finished run is evaluated
        if call == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return run.predict.run(*arguments)

    def step(state, batch, seeds):
        if call == 6 and state.step[0] == run.steps - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return run.step.run(state, batch, seeds)

    signalled_run = run._replace(
        step=run.step._replace(run=step),
        predict=run.predict._replace(run=predict),
    )
    with pytest.raises(Stopped, match='stopped at'):
        fit(signalled_run, tmp_path)
    params, expected = fit(run, tmp_path).params, fit(run, tmp_path / 'uncut').params
    jax.tree.map(np.testing.assert_array_equal, params, expected)


def test_sigterm_saves_and_the_same_command_goes_on(tmp_path):
    flags = [
        '--config=configs/digits.py:smoke',
        f'--workdir={tmp_path}',
        '--config.phases.pretrain.steps=100000',
        '--config.log_every=10',
    ]
    process = subprocess.Popen(
        [sys.executable, '-m', 'experiments.train', *flags],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = tmp_path / '00-pretrain' / 'log.jsonl'
    deadline = time.monotonic() + 120
    while not read(log) and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    errors = process.communicate(timeout=120)[1]
    assert process.returncode == 143 and 'the same command goes on from there' in errors, errors
    checkpoints = (tmp_path / '00-pretrain' / 'checkpoints').iterdir()
    assert max(int(path.name) for path in checkpoints) == read(log)[-1]['step']
    assert json.loads((tmp_path / '00-pretrain' / 'config.json').read_text())['steps'] == 100000
    with pytest.raises(UserError):
        load_final(tmp_path / '00-pretrain')


@pytest.mark.parametrize('name', ['conv4', 'lenet', 'cifar_resnet', 'mobilenet'])
def test_a_network_of_pictures_refuses_vectors(name):
    vectors = {'train': arrays(np.eye(3, dtype='f'), np.arange(3), ('a', 'b', 'c'))}
    with pytest.raises(UserError, match=r'takes pictures .* take net.name=mlp'):
        build.build(config(net={'name': name}), splits=vectors)


def test_a_method_states_its_batches(monkeypatch):
    module = sys.modules[tljax.methods.finetune.__module__]
    monkeypatch.delattr(module, 'BATCHES')
    with pytest.raises(UserError, match="its file has BATCHES='': state there 'labelled'"):
        build.build(config())
