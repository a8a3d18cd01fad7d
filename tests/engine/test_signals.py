"""Ctrl-C saves and stops a run; a second Ctrl-C, or one before the training, stops at once."""

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
def _default_ctrl_c():
    """Installs the handler of a terminal; a shell that runs the tests behind & ignores Ctrl-C."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


def test_a_signal_that_is_ignored_stays_so():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stop_signal() as received_signal:
        os.kill(os.getpid(), signal.SIGINT)
        assert not received_signal() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def with_signal(run, call, number):
    """The run, with a signal that comes at a call of its step."""
    calls = []

    def step(state, batch, seeds):
        calls.append(seeds)
        if len(calls) == call:
            os.kill(os.getpid(), number)
        return run.step.run(state, batch, seeds)

    return run._replace(step=run.step._replace(run=step))


@pytest.mark.parametrize(
    'number, word, status', [(signal.SIGINT, 'Ctrl-C', 130), (signal.SIGTERM, 'SIGTERM', 143)]
)
def test_a_signal_saves_and_the_run_goes_on_from_there(number, word, status, tmp_path, capsys):
    run, handler = build.build(tiny()), signal.getsignal(number)
    with pytest.raises(Stopped, match='stopped at step 3 of 6, saved in .* goes on') as stop:
        fit(with_signal(run, 3, number), tmp_path / 'cut')
    assert stop.value.status == status
    assert f'{word}: saving, then stopping' in capsys.readouterr().err
    assert signal.getsignal(number) is handler
    assert (tmp_path / 'cut' / 'checkpoints' / '3').exists()
    fitted, expected = fit(run, tmp_path / 'cut'), fit(run, tmp_path / 'uncut')
    kernel = fitted.params['head']['kernel']
    np.testing.assert_array_equal(kernel, expected.params['head']['kernel'])


@pytest.mark.parametrize('first', [signal.SIGINT, signal.SIGTERM])
def test_a_second_ctrl_c_interrupts_at_once(first):
    with pytest.raises(KeyboardInterrupt), stop_signal() as received_signal:
        os.kill(os.getpid(), first)
        assert received_signal() == first
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_sigterm_may_come_again_while_it_saves():
    with stop_signal() as received_signal:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert received_signal() == signal.SIGTERM


def test_beside_the_main_thread_nothing_is_changed():
    results = []

    def work():
        with stop_signal() as received_signal:
            results.extend([received_signal(), signal.getsignal(signal.SIGINT)])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == [0, signal.default_int_handler]


def test_ctrl_c_where_nothing_is_trained_is_one_line(tmp_path):
    """The config file writes a file when it is read, and then sleeps."""
    (tmp_path / 'slow.py').write_text(
        'import pathlib, time\npathlib.Path(__file__).with_name("read").touch()\ntime.sleep(100)\n'
    )
    process = subprocess.Popen(
        [sys.executable, '-m', 'experiments.train', f'--config={tmp_path}/slow.py'],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / 'read').exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ('', 'stopped by Ctrl-C\n')
    assert process.returncode == 130


@pytest.mark.parametrize('number, status', [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_ends_with_the_status_of_the_signal(number, status, tmp_path, monkeypatch):
    monkeypatch.setattr(build, 'fit', lambda run, folder: fit(with_signal(run, 1, number), folder))
    done = call('train', '--config=configs/digits.py:smoke', f'--workdir={tmp_path}')
    assert done.code == status
    assert 'the same command goes on from there' in done.err.splitlines()[-1]
    assert (tmp_path / '00-pretrain' / 'checkpoints').exists() and 'Traceback' not in done.err
