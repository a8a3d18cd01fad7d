"""Ctrl-C saves and stops; the second stops at once, and so does one where nothing is trained."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from commands import call
from tiny import tiny

from tljax import build
from tljax.core import Stopped
from tljax.engine.signals import stop_signal
from tljax.engine.train import fit

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _ctrl_c_is_heard():
    """As on a terminal; where a shell runs the tests behind &, Ctrl-C is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_signal_that_is_ignored_stays_so():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stop_signal() as asked:
        os.kill(os.getpid(), signal.SIGINT)
        assert not asked() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def interrupted(run, at, number):
    """The run, to which a signal comes while the batch of a step is computed with."""

    def step(state, batch, seeds):
        step.calls += 1
        if step.calls == at:
            os.kill(os.getpid(), number)
        return run.step.run(state, batch, seeds)

    step.calls = 0
    return run._replace(step=run.step._replace(run=step))


@pytest.mark.parametrize(
    'number, word, status', [(signal.SIGINT, 'Ctrl-C', 130), (signal.SIGTERM, 'SIGTERM', 143)]
)
def test_a_signal_saves_and_the_run_goes_on_from_there(number, word, status, tmp_path, capsys):
    run, before = build.build(tiny()), signal.getsignal(number)
    with pytest.raises(Stopped, match='stopped at step 3 of 6, saved in .* goes on') as stopped:
        fit(interrupted(run, 3, number=number), tmp_path / 'cut')
    assert stopped.value.status == status
    assert f'{word}: saving, then stopping' in capsys.readouterr().err
    assert (tmp_path / 'cut' / 'checkpoints' / '3').exists() and signal.getsignal(number) is before
    ours, theirs = fit(run, tmp_path / 'cut'), fit(run, tmp_path / 'whole')
    np.testing.assert_array_equal(ours.params['head']['kernel'], theirs.params['head']['kernel'])


@pytest.mark.parametrize('first', [signal.SIGINT, signal.SIGTERM])
def test_a_second_ctrl_c_interrupts_at_once(first):
    with pytest.raises(KeyboardInterrupt), stop_signal() as asked:
        os.kill(os.getpid(), first)
        assert asked() == first
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_sigterm_may_come_again_while_it_saves():
    with stop_signal() as asked:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert asked() == signal.SIGTERM


def test_beside_the_main_thread_nothing_is_changed():
    found = []

    def work():
        with stop_signal() as asked:
            found.extend([asked(), signal.getsignal(signal.SIGINT)])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [0, signal.default_int_handler]


def test_ctrl_c_where_nothing_is_trained_is_one_line(tmp_path):
    """A config file that says when it is read, and takes its time."""
    (tmp_path / 'slow.py').write_text(
        'import pathlib, time\npathlib.Path(__file__).with_name("read").touch()\ntime.sleep(100)\n'
    )
    running = subprocess.Popen(
        [sys.executable, '-m', 'experiments.train', f'--config={tmp_path}/slow.py'],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / 'read').exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    assert running.communicate(timeout=60) == ('', 'stopped by Ctrl-C\n')
    assert running.returncode == 130


@pytest.mark.parametrize('number, status', [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_ends_with_the_status_of_the_signal(number, status, tmp_path, monkeypatch):
    monkeypatch.setattr(build, 'fit', lambda run, place: fit(interrupted(run, 1, number), place))
    done = call('train', '--config=configs/digits.py:smoke', f'--workdir={tmp_path}')
    assert (
        done.code == status and 'the same command goes on from there' in done.err.splitlines()[-1]
    )
    assert (tmp_path / '00-pretrain' / 'checkpoints').exists() and 'Traceback' not in done.err
