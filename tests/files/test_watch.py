"""Watchers of three processes, which stand for those of a run: what each says last."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tljax.files import watch

LISTENING = '0A'  # state of a socket in /proc/net/tcp6
# a process with a watcher: it does as it is told on its input, and ends as a run does
PROCESS = """
import json, os, subprocess, sys, threading
number, addresses, heartbeat, folder = json.loads(sys.argv[1])
settings = [number, os.getpid(), 3, heartbeat, addresses, 'shared']
watcher = subprocess.Popen(
    [sys.executable, '-I', sys.argv[2]], env={**os.environ, 'TLJAX_WATCHER': json.dumps(settings)},
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
print(watcher.stdout.readline().strip(), watcher.pid, flush=True)  # a port, or 'watching'

def end_when_lost():
    for line in watcher.stdout:
        os._exit(75)

threading.Thread(target=end_when_lost, daemon=True).start()
print('folder', folder, file=watcher.stdin, flush=True)
for line in sys.stdin:
    if line.strip() == 'abort':
        os.abort()
    print(line.strip(), file=watcher.stdin, flush=True)
    os._exit(0 if line.strip() == 'bye' else 2)
"""


@pytest.fixture
def processes(tmp_path):
    """Starts three processes: (heartbeat) -> [(process, id of its watcher)]."""
    started = []

    def start(heartbeat=20.0):
        addresses = []
        for number in range(3):
            argument = json.dumps([number, addresses, heartbeat, str(tmp_path / 'run')])
            process = subprocess.Popen(
                [sys.executable, '-c', PROCESS, argument, watch.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=(tmp_path / f'{number}.txt').open('w'),
                text=True,
            )
            told, watcher = process.stdout.readline().split()
            addresses = addresses or [['127.0.0.1', int(told)]]
            started.append((process, int(watcher)))
        time.sleep(0.5)  # the watchers read where the checkpoints are
        return started

    yield start
    for process, watcher in started:
        for pid in (process.pid, watcher):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


pytestmark = pytest.mark.skipif(
    not Path('/proc/net/tcp6').exists(), reason='the tests look into /proc, which Linux has'
)


def ended(processes, tmp_path):
    """Exit statuses and last lines of the processes, when their watchers have ended, too."""
    statuses = [process.wait(30) for process, _ in processes]
    deadline = time.monotonic() + 30
    while any(os.path.exists(f'/proc/{watcher}') for _, watcher in processes):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    texts = [(tmp_path / f'{number}.txt').read_text() for number in range(3)]
    return statuses, [(text.splitlines() or [''])[-1] for text in texts]


def tell(process, text):
    process[0].stdin.write(f'{text}\n')
    process[0].stdin.flush()


@pytest.mark.parametrize('lost', [0, 1])
def test_the_last_line_of_all_others_names_the_process_that_died(lost, processes, tmp_path):
    for step in (10, 20):
        (tmp_path / 'run' / 'checkpoints' / str(step)).mkdir(parents=True)
    (tmp_path / 'run' / 'checkpoints' / '30.orbax-checkpoint-tmp').mkdir()
    three = processes()
    three[lost][0].kill()
    statuses, lines = ended(three, tmp_path)
    line = (
        rf'process {lost} on \S+ died at [\d:]+: the same command goes on from step 20 of '
        rf'{tmp_path}/run'
    )
    for number in range(3):
        if number == lost:
            assert statuses[number] == -signal.SIGKILL and lines[number] == ''
        else:
            assert statuses[number] == watch.LOST and re.fullmatch(line, lines[number])


def test_a_process_that_another_s_death_has_ended_names_the_first(processes, tmp_path):
    """As JAX ends all processes when that of number 0 dies."""
    three = processes()
    three[0][0].kill()
    tell(three[2], 'abort')
    statuses, lines = ended(three, tmp_path)
    assert statuses[2] in (-signal.SIGABRT, watch.LOST)
    assert all('process 0 on' in line and 'starts anew' in line for line in lines[1:])


def test_a_process_that_fails_is_named_and_ends_by_itself(processes, tmp_path):
    three = processes()
    tell(three[1], 'failed')
    statuses, lines = ended(three, tmp_path)
    assert statuses == [watch.LOST, 2, watch.LOST] and lines[1] == ''
    assert all(' failed, as its own last line says at ' in lines[number] for number in (0, 2))


def test_processes_that_fail_for_the_same_reason_say_nothing_more(processes, tmp_path):
    three = processes()
    for process in three:
        tell(process, 'failed')
    assert ended(three, tmp_path) == ([2, 2, 2], ['', '', ''])


def test_processes_that_end_well_say_nothing(processes, tmp_path):
    three = processes()
    for process in three:
        tell(process, 'bye')
        time.sleep(0.1)
    assert ended(three, tmp_path) == ([0, 0, 0], ['', '', ''])


def test_a_host_that_is_silent_is_lost(processes, tmp_path):
    three = processes(heartbeat=1.0)
    for pid in (three[1][0].pid, three[1][1]):
        os.kill(pid, signal.SIGSTOP)
    for number in (0, 2):
        assert three[number][0].wait(20) == watch.LOST
    time.sleep(0.3)
    for number in (0, 2):
        text = (tmp_path / f'{number}.txt').read_text()
        assert 'process 1 on' in text and 'has not answered for 1 seconds' in text


def test_a_stranger_is_not_answered(processes):
    three = processes()
    sockets = [line.split() for line in Path('/proc/net/tcp6').read_text().splitlines()[1:]]
    files = Path(f'/proc/{three[0][1]}/fd')
    own = {os.readlink(file) for file in files.iterdir()}
    (port,) = [
        int(fields[1].rpartition(':')[2], 16)
        for fields in sockets
        if fields[3] == LISTENING and f'socket:[{fields[9]}]' in own
    ]
    with socket.create_connection(('127.0.0.1', port)) as stranger:
        stranger.sendall(b'{"number": 1, "host": "x", "token": "guessed"}\n')
        assert stranger.recv(100) == b''
    assert all(process.poll() is None for process, _ in three)
