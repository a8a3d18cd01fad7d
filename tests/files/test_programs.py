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


OTHER_JAX = """
import collections, sys
import jax
del jax._src.compilation_cache  # JAX's other modules have it already
sys.modules['jax._src.compilation_cache'] = None
import jax.numpy as jnp
from tljax.files.programs import keep_programs
hits = collections.Counter()
jax.monitoring.register_event_listener(lambda name, **_: hits.update([name.split('/')[-1]]))
keep_programs()
keep_programs()
jax.jit(lambda x: 3 * jnp.sin(x) + 1)(1.0).block_until_ready()
print(hits['cache_hits'])
"""


class Trained(NamedTuple):
    """Numbers of programs that a process asked for and found, its parameters, what it printed."""

    asked: int
    found: int
    parameters: str
    errors: str


def run(program: str, *arguments: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a program in a process of its own, without the cache of JAX that the tests have."""
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), **environment}
    environment.pop('JAX_COMPILATION_CACHE_DIR')
    environment.pop('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS')
    done = subprocess.run(
        [sys.executable, '-c', program, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert not done.returncode, done.stderr
    return done


def train(tmp_path: Path, name: str, **environment: str) -> Trained:
    """Trains in a process of its own."""
    cache = str(tmp_path / 'cache')
    done = run(TRAINING, tmp_path / name, TLJAX_CACHE=cache, **environment)
    asked, found, parameters = done.stdout.splitlines()[-1].split()
    return Trained(int(asked), int(found), parameters, done.stderr)


@pytest.mark.slow
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


def test_a_jax_without_the_private_place_uses_its_own_cache_or_none(tmp_path):
    (tmp_path / 'file').touch()
    hits = [run(OTHER_JAX, TLJAX_CACHE=str(tmp_path / 'cache')).stdout for _ in range(2)]
    assert int(hits[0]) == 0 < int(hits[1])
    assert [path.name[-4:] for path in (tmp_path / 'cache' / 'programs').iterdir()] == ['-jax']
    unusable = run(OTHER_JAX, TLJAX_CACHE=str(tmp_path / 'file'))
    assert int(unusable.stdout) == 0 and 'arning' not in unusable.stderr


def test_a_jax_whose_private_place_has_another_name_is_left_alone(monkeypatch):
    from jax._src import compilation_cache

    from tljax.files import programs

    assert programs._private_module_of_jax() is compilation_cache
    monkeypatch.delattr(compilation_cache, '_cache_initialized')
    assert programs._private_module_of_jax() is None


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


def test_an_old_program_is_found_in_a_folder_that_is_read_only(tmp_path, monkeypatch):
    programs = Programs(tmp_path)
    programs.put('p', b'program')
    os.utime(tmp_path / 'p', (0, 0))

    def refuse(path):
        raise PermissionError(f'{path} is read only')

    monkeypatch.setattr(os, 'utime', refuse)
    assert programs.get('p') == b'program'


def test_an_interrupt_while_a_program_is_stored_leaves_no_part_of_it(tmp_path, monkeypatch):
    def interrupt(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, 'replace', interrupt)
    with pytest.raises(KeyboardInterrupt):
        Programs(tmp_path).put('p', b'program')
    assert not list(tmp_path.iterdir())


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
