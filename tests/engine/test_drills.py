"""What goes wrong on a cluster: a process is killed or told to stop, a disk is full, a file is cut
off, a shard is slow or gone. Nothing is lost. TLJAX_DRILLS says how often each drill is repeated.
"""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from processes import free_port

from tljax.engine.checkpoint import last_phase, load_final
from tljax.engine.log import read
from tljax.files.watch import newest_checkpoint
from tljax.paths import flatten

TIMES = int(os.environ.get('TLJAX_DRILLS', '1'))
ROOT = Path(__file__).parents[2]
STEPS = 300 + 200 * TIMES
FLAGS = [
    '--config=configs/digits.py:smoke',
    f'--config.phases.pretrain.steps={STEPS}',
    '--config.phases.pretrain.save_every=10',
    '--config.phases.pretrain.seeds=(0,)',
    '--config.seeds=(0,)',
    '--config.log_every=10',
]
pytestmark = pytest.mark.slow


def launch(workdir, flags=FLAGS):
    """Two processes of two devices, started by the local launcher."""
    return subprocess.Popen(
        [sys.executable, '-m', 'experiments.launch.local', '2', *flags] + [f'--workdir={workdir}'],
        cwd=ROOT,
        env={**os.environ, 'JAX_NUM_CPU_DEVICES': '2', 'XLA_FLAGS': ''},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait(launcher, condition):
    deadline = time.monotonic() + 120
    while not condition() and launcher.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)


def process_of(launcher, number):
    """The id of a process of a launcher."""
    children = Path(f'/proc/{launcher.pid}/task/{launcher.pid}/children').read_text().split()
    for child in children:
        if f',2,{number}'.encode() in Path(f'/proc/{child}/cmdline').read_bytes():
            return int(child)
    raise AssertionError(children)


def step_of(workdir):
    """The last step that the logs have."""
    logs = [workdir / 'log.jsonl', *workdir.glob('*/log.jsonl')]
    return max([record['step'] for path in logs for record in read(path)], default=0)


def saved(workdir):
    """The step of the newest checkpoint, or 0."""
    return (newest_checkpoint(workdir) or ('', 0))[1]


def final(workdir):
    """The bytes of the parameters of a finished run."""
    folder = last_phase(workdir)
    return {path: leaf.tobytes() for path, leaf in flatten(load_final(folder)[0]).items()}


@pytest.fixture(scope='module')
def uncut(tmp_path_factory):
    """The parameters of a run that nothing has interrupted."""
    workdir = tmp_path_factory.mktemp('uncut') / 'run'
    output = (launcher := launch(workdir)).communicate(timeout=300)[0]
    assert launcher.returncode == 0, output[-9000:]
    return final(workdir)


@pytest.mark.parametrize('how', [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_is_interrupted_at_random_ends_bit_equal(how, uncut, tmp_path):
    """After SIGKILL to one process the last line names it; after SIGTERM to one, all save."""
    workdir, rng = tmp_path / 'run', random.Random(0)
    for i in range(TIMES):
        launcher, before = launch(workdir), step_of(workdir)
        wait(launcher, lambda before=before: step_of(workdir) > before)
        time.sleep(rng.random())
        number = i % 2
        os.kill(process_of(launcher, number), how)
        lines = launcher.communicate(timeout=120)[0].splitlines()
        assert launcher.returncode == (137 if how == signal.SIGKILL else 143), '\n'.join(
            lines[-80:]
        )
        if how == signal.SIGKILL:
            text, step = '\n'.join(lines), saved(workdir)
            end = f'goes on from step {step} of' if step else 'holds no checkpoint'
            died = rf'process {number} on \S+ died at [\d:]+: .*{end}'
            killed = rf'process {number} of 2 on \S+ was killed by SIGKILL; the others .*{end}'
            assert re.search(died, text) and re.search(killed, lines[-1]), text
        else:
            steps = re.findall(r'stopped at step (\d+) of', '\n'.join(lines))
            assert len(steps) == 2 and set(steps) == {str(saved(workdir))}, '\n'.join(lines[-80:])
    launcher = launch(workdir)
    output = launcher.communicate(timeout=300)[0]
    assert launcher.returncode == 0, output[-9000:]
    assert final(workdir) == uncut


def test_a_full_disk_loses_nothing(tmp_path):
    """The run ends in one line, and the same command goes on where there is room again."""
    small = tmp_path / 'small'
    small.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', str(small)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip('mounting a small disk is refused here')
    rng = random.Random(1)
    try:
        workdir, before = small / 'run', 0
        for _ in range(TIMES):
            filler = small / 'filler'
            launcher = launch(workdir)
            wait(launcher, lambda before=before: saved(workdir) > before)
            room = os.statvfs(small).f_bavail * os.statvfs(small).f_bsize
            filler.write_bytes(bytes(max(room - rng.randrange(100_000), 0)))
            lines = launcher.communicate(timeout=120)[0].splitlines()
            filler.unlink()
            assert launcher.returncode == 2, '\n'.join(lines[-80:])
            assert any('cannot be written (the disk is full): make room' in line for line in lines)
            told = re.search(r'the same command goes on from step (\d+) of', lines[-1])
            assert told and int(told[1]) >= before, '\n'.join(lines[-80:])
            before = int(told[1])
        launcher = launch(workdir)
        output = launcher.communicate(timeout=300)[0]
        assert launcher.returncode == 0, output[-9000:]
        assert final(workdir)
    finally:
        subprocess.run(['umount', str(small)], check=True)


def test_a_checkpoint_that_is_cut_off_is_set_aside(uncut, tmp_path):
    """One file of the newest checkpoint is cut half-way; the one before is used by both."""
    workdir, rng = tmp_path / 'run', random.Random(2)
    for _ in range(TIMES):
        launcher, before = launch(workdir), step_of(workdir)
        wait(launcher, lambda before=before: step_of(workdir) > before + 20)
        os.kill(process_of(launcher, 1), signal.SIGKILL)
        launcher.communicate(timeout=120)
        newest = workdir / '00-pretrain' / 'checkpoints' / str(saved(workdir))
        files = [path for path in newest.rglob('*') if path.is_file() and path.stat().st_size > 1]
        path = rng.choice(files)
        os.truncate(path, path.stat().st_size // 2)
    launcher = launch(workdir)
    output = launcher.communicate(timeout=300)[0]
    assert launcher.returncode == 0, output[-9000:]
    assert final(workdir) == uncut


PETS = """
from configs import base


def get_config():
    config = base.get_config()
    with config.unlocked():
        config.commands = ('train',)
        config.data = dict(name='folder', path={path!r}, size=8)
        config.net = dict(base.smallest(), norm='layer')
        config.steps, config.batch = {steps}, 16
        config.save_every = config.log_every = 10
    return config
"""


@pytest.fixture(scope='module')
def pets(tmp_path_factory):
    """A folder of 4,000 pictures, so large that reading them takes a while, the flags that train on
    it, and the parameters of a run that nothing has disturbed."""
    root, rng = tmp_path_factory.mktemp('pets'), np.random.default_rng(0)
    for name in ('ants', 'bees'):
        (root / 'pictures' / name).mkdir(parents=True)
        for i in range(24):
            pixels = rng.integers(0, 256, (256, 256, 3), np.uint8)
            Image.fromarray(pixels).save(root / 'pictures' / name / f'{i}.png')
            for copy in range(1, 84):
                os.link(
                    root / 'pictures' / name / f'{i}.png',
                    root / 'pictures' / name / f'{24 * copy + i}.png',
                )
    config = root / 'pets.py'
    config.write_text(PETS.format(path=str(root / 'pictures'), steps=100 + 200 * TIMES))
    flags = [f'--config={config}']
    output = (launcher := launch(root / 'run', flags)).communicate(timeout=300)[0]
    assert launcher.returncode == 0, output[-9000:]
    return root / 'pictures', flags, final(root / 'run')


def test_pictures_that_are_gone_stop_the_run_until_they_are_back(pets, tmp_path):
    pictures, flags, uncut = pets
    workdir, away = tmp_path / 'run', pictures.with_name('away')
    for _ in range(TIMES):
        launcher, before = launch(workdir, flags), saved(workdir)
        wait(launcher, lambda before=before: saved(workdir) > before)
        pictures.rename(away)
        try:
            lines = launcher.communicate(timeout=120)[0].splitlines()
        finally:
            away.rename(pictures)
        assert launcher.returncode == 2, '\n'.join(lines[-80:])
        text = '\n'.join(lines)
        assert re.search(r'error: \d+ of \d+ pictures cannot be decoded: (ants|bees)/', text), text
        told = re.search(r'process \d of 2 .* goes on from step (\d+) of', lines[-1])
        assert told and int(told[1]) == saved(workdir), '\n'.join(lines[-80:])
    launcher = launch(workdir, flags)
    output = launcher.communicate(timeout=300)[0]
    assert launcher.returncode == 0, output[-9000:]
    assert final(workdir) == uncut


def test_a_process_whose_pictures_come_late_is_waited_for(pets, tmp_path):
    """A process that reads is halted for seconds, as by a slow disk."""
    _, flags, uncut = pets
    workdir, rng = tmp_path / 'run', random.Random(3)
    launcher, before = launch(workdir, flags), 0
    for i in range(TIMES):
        wait(launcher, lambda: step_of(workdir) > before)  # noqa: B023
        time.sleep(rng.random() / 4)
        process = process_of(launcher, i % 2)
        os.kill(process, signal.SIGSTOP)
        time.sleep(2)
        before = step_of(workdir)
        os.kill(process, signal.SIGCONT)
    output = launcher.communicate(timeout=300)[0]
    assert launcher.returncode == 0, output[-9000:]
    assert final(workdir) == uncut


@pytest.mark.parametrize('difference', ['config', 'setting of the data', 'data'])
def test_processes_that_differ_are_told_in_one_line(difference, tmp_path):
    """Before anything is trained. The second process finds other pictures under the same path."""
    config, address = tmp_path / 'pets.py', f'127.0.0.1:{free_port()}'
    config.write_text(PETS.format(path='pictures', steps=5))
    started = []
    for number in range(2):
        other = number if difference == 'data' else 0
        for name in ('ants', 'bees'):
            folder = tmp_path / str(number) / 'pictures' / name
            folder.mkdir(parents=True)
            for i in range(8 + other):
                pixels = np.full((8, 8, 3), 20 * i, np.uint8)
                Image.fromarray(pixels).save(folder / f'{i}.png')
        rate = 0.001 * (number + 1) if difference == 'config' else 0.001
        size = 8 - number if difference == 'setting of the data' else 8
        flags = [f'--config={config}', f'--config.optim.lr={rate}', f'--config.data.size={size}']
        flags += [f'--workdir={tmp_path}/run']
        started.append(
            subprocess.Popen(
                [sys.executable, '-m', 'experiments.train', *flags]
                + [f'--distributed={address},2,{number}'],
                cwd=tmp_path / str(number),
                env={**os.environ, 'JAX_NUM_CPU_DEVICES': '2', 'PYTHONPATH': str(ROOT)},
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    what = {
        'config': r'config\.optim\.lr: 0\.002 there, 0\.001 in process 0',
        'setting of the data': r'config\.data\.size: 7 there, 8 in process 0',
        'data': 'the data',
    }
    for process in started:
        text = process.communicate(timeout=120)[1]
        assert process.returncode in (2, -signal.SIGABRT), text
        line = rf'error: process 1 on \S+ differs from process 0 in {what[difference]}'
        assert re.search(line, text), text
    assert not (tmp_path / 'run').exists()


def resident(process):
    """Bytes of memory that a process holds."""
    return 4096 * int(Path(f'/proc/{process}/statm').read_text().split()[1])


def test_ten_thousand_steps_keep_memory_flat(tmp_path):
    """With a checkpoint every hundred steps, in two processes."""
    flags = [
        '--config=configs/digits.py:smoke',
        '--config.phases.pretrain.steps=10000',
        '--config.phases.pretrain.save_every=100',
        '--config.phases.pretrain.seeds=(0,)',
        '--config.seeds=(0,)',
        '--config.log_every=50',
    ]
    workdir, held = tmp_path / 'run', []
    launcher = launch(workdir, flags)
    for step in range(1000, 10000, 500):
        wait(launcher, lambda step=step: step_of(workdir) >= step)
        assert launcher.poll() is None
        held.append([resident(process_of(launcher, number)) for number in range(2)])
    output = launcher.communicate(timeout=300)[0]
    assert launcher.returncode == 0, output[-9000:]
    third = len(held) // 3
    for memory in zip(*held, strict=True):
        first, last = np.mean(memory[:third]), np.mean(memory[-third:])
        assert last - first < 0.02 * first, memory
    print([[round(byte / 1e6) for byte in row] for row in held])
