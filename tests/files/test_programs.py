"""Compiled programs on the disk: taken by later processes, bit-equal, repaired, bounded."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tljax.files.programs import Programs

ROOT = Path(__file__).parents[2]
TRAINING = """
import collections, sys
import jax
from tljax.engine.checkpoint import digest
events = collections.Counter()
jax.monitoring.register_event_listener(lambda name, **_: events.update([name.split('/')[-1]]))
import tljax
assert jax.config.jax_persistent_cache_min_compile_time_secs == 1, 'an import changes nothing'
model = tljax.train(
    data={'name': 'digits', 'size': 8},
    net={'name': 'conv4', 'width': 2, 'blocks': 1, 'size': 8},
    steps=2,
    batch=8,
    seeds=(0, 1),
    workdir=sys.argv[1],
)
print(events['compile_requests_use_cache'], events['cache_hits'], digest(model.params))
"""


class Trained(NamedTuple):
    """Numbers of programs that a process asked for and found, its parameters, what it printed."""

    asked: int
    found: int
    parameters: str
    errors: str


def train(tmp_path: Path, name: str, **environment: str) -> Trained:
    """Trains in a process of its own."""
    environment = {**os.environ, 'TLJAX_CACHE': str(tmp_path / 'cache'), **environment}
    environment.pop('JAX_COMPILATION_CACHE_DIR')
    environment.pop('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS')
    done = subprocess.run(
        [sys.executable, '-c', TRAINING, tmp_path / name],
        env={**environment, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert not done.returncode, done.stderr
    asked, found, parameters = done.stdout.splitlines()[-1].split()
    return Trained(int(asked), int(found), parameters, done.stderr)


def test_a_second_process_compiles_nothing_and_damage_is_repaired(tmp_path):
    first = train(tmp_path, 'first')
    second = train(tmp_path, 'second')
    assert first.asked == second.asked == second.found > first.found
    assert second.parameters == first.parameters, 'a loaded program computes the same bits'
    files = list((tmp_path / 'cache' / 'programs').glob('*/*'))
    whole = {path: path.read_bytes() for path in files}
    for path in files[::2]:
        path.write_bytes(whole[path][:-20])
    repaired = train(tmp_path, 'repaired')
    assert second.found > repaired.found and repaired.parameters == first.parameters
    assert 'rror' not in repaired.errors and 'arning' not in repaired.errors
    assert {path.stat().st_size > 32 for path in files} == {True}
    assert train(tmp_path, 'again').found == first.asked


def test_the_cache_can_be_switched_off(tmp_path):
    off = train(tmp_path, 'off', JAX_ENABLE_COMPILATION_CACHE='0')
    assert off.asked == 0 and not (tmp_path / 'cache' / 'programs').exists()


def test_programs_that_were_not_used_for_long_make_room(tmp_path):
    programs = Programs(tmp_path / 'programs', most=1000)
    for number in range(8):  # each has 132 bytes on the disk, seven fit
        programs.put(f'p{number}', bytes(100))
        os.utime(tmp_path / 'programs' / f'p{number}', (number, number))
    assert programs.get('p1') == bytes(100)  # its use is noted
    programs.put('p8', bytes(100))
    programs.put('p9', bytes(100))
    kept = [number for number in range(10) if programs.get(f'p{number}')]
    assert {1, 7, 8, 9} <= set(kept) and 0 not in kept
    assert sum(path.stat().st_size for path in (tmp_path / 'programs').iterdir()) <= 1100


def test_a_damaged_program_is_replaced(tmp_path):
    programs = Programs(tmp_path)
    for damaged in (b'', b'short', bytes(100)):
        programs.put('p', b'program')
        assert programs.get('p') == b'program'
        (tmp_path / 'p').write_bytes(damaged)
        assert programs.get('p') is None and not list(tmp_path.iterdir())


@pytest.mark.parametrize('folder', ['file/programs', 'file', 'x' * 300])
def test_a_folder_that_cannot_be_used_is_no_error(folder, tmp_path):
    (tmp_path / 'file').touch()
    programs = Programs(tmp_path / folder)
    programs.put('p', b'program')
    assert programs.get('p') is None


def test_processes_may_store_one_program_at_once(tmp_path):
    code = (
        'import sys; from tljax.files.programs import Programs; p = Programs(sys.argv[1])\n'
        'for _ in range(300): p.put("p", bytes(10**5)); assert p.get("p") == bytes(10**5)'
    )
    arguments = [sys.executable, '-c', code, str(tmp_path)]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    processes = [subprocess.Popen(arguments, env=environment) for _ in range(2)]
    assert [process.wait(100) for process in processes] == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ['p']
