"""Killed at ten moments, or two of them, a phase boundary among them, training ends bit-equal to a
run that nothing happened to."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commands import call

from tljax.engine.checkpoint import load_final
from tljax.engine.log import read
from tljax.paths import flatten

ROOT = Path(__file__).parents[2]
FLAGS = [
    '--config=configs/digits.py:smoke',
    '--config.phases.pretrain.steps=120',
    '--config.steps=120',
    '--config.save_every=6',
    '--config.phases.pretrain.save_every=6',
    '--config.log_every=2',
]


def start(workdir):
    return subprocess.Popen(
        [sys.executable, '-m', 'experiments.train', *FLAGS, f'--workdir={workdir}'],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def progress(workdir):
    """The steps done in all phases."""
    return sum(
        max([record['step'] for record in read(path)], default=0)
        for path in sorted(Path(workdir).glob('*/log.jsonl'))
    )


def wait(process, happened):
    deadline = time.monotonic() + 200
    while not happened() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.parametrize('kills', [2, pytest.param(10, marks=pytest.mark.slow)])
def test_killed_again_and_again(kills, tmp_path):
    whole = call('train', *FLAGS, f'--workdir={tmp_path}/whole')
    assert whole.code == 0, whole.err[-3000:]
    rng = np.random.default_rng(0)
    cut, killed = tmp_path / 'cut', 0
    for number in range(kills):
        process = start(cut)
        if number == kills // 2 - 1:
            wait(process, (cut / '00-pretrain' / 'final').exists)
        else:
            seen = progress(cut)
            more = int(rng.integers(3, 25 if number < kills // 2 - 1 else 13))
            wait(process, lambda seen=seen, more=more: progress(cut) >= seen + more)
            time.sleep(rng.uniform(0, 0.1))
        killed += process.poll() is None
        kill(process)
    assert killed == kills, 'every one of them was still running'
    last = call('train', *FLAGS, f'--workdir={cut}')
    assert last.code == 0, last.err[-3000:]
    for phase in ('00-pretrain', '01-transfer'):
        (params, state, _), (expected, kept, _) = (
            load_final(cut / phase),
            load_final(tmp_path / 'whole' / phase),
        )
        for tree, other in ((params, expected), (state, kept)):
            found, wanted = flatten(tree), flatten(other)
            assert found.keys() == wanted.keys()
            for path, leaf in wanted.items():
                np.testing.assert_array_equal(found[path], leaf, err_msg=f'{phase} {path}')
        steps = [
            record['step']
            for record in read(cut / phase / 'log.jsonl')
            if record['kind'] == 'training'
        ]
        assert steps == sorted(set(steps)), 'the log tells one story'
