"""Training that is killed several times, once at the boundary of phases, ends bit-equal to an uncut
run."""

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


def wait(process, condition):
    deadline = time.monotonic() + 200
    while not condition() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize('kills', [2, 10])
def test_killed_again_and_again(kills, tmp_path):
    uncut = call('train', *FLAGS, f'--workdir={tmp_path}/uncut')
    assert uncut.code == 0, uncut.err[-3000:]
    rng = np.random.default_rng(0)
    cut, count = tmp_path / 'cut', 0
    for number in range(kills):
        process = start(cut)
        if number == kills // 2 - 1:
            wait(process, (cut / '00-pretrain' / 'final').exists)
        else:
            steps = int(rng.integers(3, 25 if number < kills // 2 - 1 else 13))
            target = progress(cut) + steps
            wait(process, lambda target=target: progress(cut) >= target)
            time.sleep(rng.uniform(0, 0.1))
        count += process.poll() is None
        kill(process)
    assert count == kills, 'each process was running when it was killed'
    done = call('train', *FLAGS, f'--workdir={cut}')
    assert done.code == 0, done.err[-3000:]
    for phase in ('00-pretrain', '01-transfer'):
        *trees, _ = load_final(cut / phase)  # params, state
        *expected_trees, _ = load_final(tmp_path / 'uncut' / phase)
        for tree, expected_tree in zip(trees, expected_trees, strict=True):
            leaves, expected = flatten(tree), flatten(expected_tree)
            assert leaves.keys() == expected.keys()
            for path, leaf in expected.items():
                np.testing.assert_array_equal(leaves[path], leaf, err_msg=f'{phase} {path}')
        steps = [
            record['step']
            for record in read(cut / phase / 'log.jsonl')
            if record['kind'] == 'training'
        ]
        assert steps == sorted(set(steps)), 'the log has every step once'
