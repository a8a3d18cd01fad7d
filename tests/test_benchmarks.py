"""What the benchmarks rest on: the load of other programs, turns of processes, exponents."""

import functools
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks import machine, processes
from benchmarks.timing import exponent
from tljax.core import UserError

FAKE = '''"""A side without a library."""

import subprocess
import sys
import time

from benchmarks.sides.protocol import serve

CHILD = "import time; memory = b'1' * 50_000_000; time.sleep(0.5)"


def make(seconds, missing=False):
    print('a library greets')
    if missing:
        import no_such_package
    memory = []
    return 'fake 1.0', {
        'step': lambda: time.sleep(seconds),
        'step twice': lambda: time.sleep(2 * seconds),
        'other': lambda: 7.5,
        'fill': lambda: memory.append(b'1' * 50_000_000),
        'fail': lambda: 1 / 0,
        'child': lambda: subprocess.run([sys.executable, '-c', CHILD]).returncode,
    }


serve(make)
'''
SPIN = 'while True: pass'


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A folder with a package `benchmarks` whose only side is a fake one."""
    sides = tmp_path / 'benchmarks' / 'sides'
    sides.mkdir(parents=True)
    (tmp_path / 'benchmarks' / '__init__.py').touch()
    (sides / '__init__.py').touch()
    (sides / 'fake.py').write_text(FAKE)
    protocol = processes.ROOT / 'benchmarks' / 'sides' / 'protocol.py'
    (sides / 'protocol.py').write_text(protocol.read_text())
    return tmp_path


def test_sides_take_turns_and_say_how_long_their_calls_took(source):
    with (
        processes.Side('slow', 'fake', {'seconds': 0.02}, source=source) as slow,
        processes.Side('quick', 'fake', {'seconds': 0.005}, source=source) as quick,
    ):
        assert slow.about == 'fake 1.0'
        assert slow.calls == ['step', 'step twice', 'other', 'fill', 'fail', 'child']
        turns = processes.take_turns([slow, quick], rounds=3, tasks=['step'], window=0.1)
        assert slow.value('other') == 7.5
    assert set(turns.seconds) == {
        (side, call) for side in ('slow', 'quick') for call in ('step', 'step twice')
    }
    assert all(seconds.shape == (3,) for seconds in turns.seconds.values())
    assert 0.02 <= turns.median('slow', 'step') < turns.median('slow', 'step twice')
    assert 0.005 <= turns.median('quick', 'step') < 0.02


def test_the_largest_memory_is_that_of_the_side_alone(source):
    ballast = b'1' * 200_000_000  # memory of this process
    with processes.Side('fake', 'fake', {'seconds': 0}, source=source) as side:
        before = side.memory()
        side.run('fill')
        assert 40e6 < side.memory() - before < 60e6
        assert before < 100e6 < len(ballast)


@pytest.mark.skipif(not machine.STAT.exists(), reason='the system does not tell memory')
def test_the_peak_of_a_call_counts_the_processes_that_it_starts(source):
    with processes.Side('fake', 'fake', {'seconds': 0}, source=source) as side:
        alone, number = side.peak('other')
        assert number == 7.5
        together, status = side.peak('child')
        assert status == 0 and together - alone > 45e6


@pytest.mark.skipif(not machine.STAT.exists(), reason='the system does not tell processor times')
def test_a_side_takes_no_processor_time_while_another_one_runs(source):
    text = FAKE.replace(
        "print('a library greets')",
        'import threading; threading.Thread(target=spin, daemon=True).start()',
    )
    text = text.replace('def make', 'def spin():\n    while True:\n        pass\n\n\ndef make')
    (source / 'benchmarks' / 'sides' / 'fake.py').write_text(text)
    with processes.Side('fake', 'fake', {'seconds': 0.1}, source=source) as side:
        side.run('step')
        time.sleep(0.05)
        start = side.processor_seconds()
        time.sleep(0.3)
        assert side.processor_seconds() == start


def test_a_side_that_ends_is_one_clear_line(source):
    with pytest.raises(UserError, match='no_such_package is missing: .*-m pip install no_such'):
        processes.Side('fake', 'fake', {'seconds': 0, 'missing': True}, source=source)
    with (
        processes.Side('fake', 'fake', {'seconds': 0}, source=source) as side,
        pytest.raises(UserError, match='the side fake ended: ZeroDivisionError'),
    ):
        side.run('fail')
    with pytest.raises(UserError, match='nowhere/python is no interpreter'):
        processes.Side('fake', 'fake', {}, python='nowhere/python', source=source)
    with (
        pytest.raises(UserError, match='commit no-such-commit is not in'),
        processes.old_source('no-such-commit'),
    ):
        pass


@pytest.mark.skipif(sys.platform != 'linux', reason='only Linux ends a process with its parent')
def test_a_stopped_side_ends_with_the_command(source):
    program = (
        'import os, sys; from pathlib import Path; from benchmarks import processes;'
        f'side = processes.Side("fake", "fake", {{"seconds": 0}}, source=Path({str(source)!r}));'
        'print(side._process.pid, flush=True); os.kill(os.getpid(), 9)'
    )
    environment = {**os.environ, 'PYTHONPATH': str(processes.ROOT)}
    command = [sys.executable, '-c', program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    number = int(done.stdout)
    for _ in range(50):
        stat = Path(f'/proc/{number}/stat')
        if not stat.exists() or stat.read_text().rpartition(')')[2].split()[0] == 'Z':
            return
        time.sleep(0.1)
    raise AssertionError(f'process {number} outlives the command')


@pytest.mark.skipif(not machine.STAT.exists(), reason='the system does not tell processor times')
def test_the_load_is_that_of_other_programs():
    with subprocess.Popen([sys.executable, '-c', SPIN]) as other:
        try:
            time.sleep(0.2)
            seconds = functools.partial(machine.process_seconds, other.pid)
            with machine.Watch(window=0.2) as watch, machine.Watch(seconds, window=0.2) as rest:
                end = time.process_time() + 0.3
                while time.process_time() < end:  # work of this process, which is not counted
                    pass
        finally:
            other.kill()
    # the other program has at least a fifth of a core, however many want it
    share = 0.2 / (os.cpu_count() or 1)
    assert min(watch.load) > share
    assert 0 <= rest.load.during < watch.load.during - share


def test_processor_times_are_read_as_linux_writes_them(tmp_path, monkeypatch):
    stat = tmp_path / 'stat'
    # user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice
    stat.write_text('cpu  100 20 30 5000 400 5 6 7 9 9\ncpu0 1 2 3 4\n')
    monkeypatch.setattr(machine, 'STAT', stat)
    ticks = os.sysconf('SC_CLK_TCK')
    assert machine.busy_seconds() == pytest.approx((100 + 20 + 30 + 5 + 6 + 7) / ticks)
    monkeypatch.setattr(machine, 'STAT', tmp_path / 'none')
    with machine.Watch(window=0.01) as watch:
        pass
    assert np.isnan(watch.load).all() and not watch.load.busy


@pytest.mark.parametrize(
    'load, text',
    [
        ((0.3, 0.0, 0.3), '1.20'),
        ((0.31, 0, 0), '1.20 busy'),
        ((0, 0.31, 0), '1.20 busy'),
        ((0, 0, 0.31), '1.20 busy'),
    ],
)
def test_a_ratio_is_marked_where_other_programs_took_more_than_0_3_of_a_core(load, text):
    assert machine.Load(*load).mark('1.20') == text


@pytest.mark.parametrize(
    'vendor, model, text',
    [
        ('AuthenticAMD', 'AMD EPYC 9B14', 'AMD EPYC 9B14, AVX2, AVX-512'),
        ('GenuineIntel', 'Some Processor', 'Intel Some Processor, AVX2, AVX-512'),
    ],
)
def test_the_machine_is_described_by_its_vendor_and_instructions(vendor, model, text, tmp_path):
    cpuinfo = tmp_path / 'cpuinfo'
    cpuinfo.write_text(
        f'processor\t: 0\nvendor_id\t: {vendor}\nmodel name\t: {model}\n'
        'flags\t\t: fpu avx2 avx512f\n\n'
    )
    assert machine.describe(cpuinfo) == f'{text}, {os.cpu_count()} cores'


def test_the_exponent_is_the_slope_on_log_scales():
    sizes = [1, 3, 10, 40]
    assert exponent(sizes, [5 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    assert exponent(sizes, [2.0] * 4) == pytest.approx(0)
