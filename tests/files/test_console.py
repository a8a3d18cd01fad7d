"""How far a long loop is, and the time that is left."""

import io

import pytest
from rich.console import Console

from tljax.engine import log
from tljax.engine.log import Log
from tljax.files import console


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""

    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(console, 'time', clock)
    monkeypatch.setattr(log, 'time', clock)
    return clock


def test_the_first_item_which_may_compile_is_no_measure(clock, capsys):
    for i in console.watched(range(5), 'scoring'):
        clock.now += 60 if i == 0 else 15
    assert capsys.readouterr().err.splitlines() == [
        'scoring  1/5  time left unknown',
        'scoring  2/5  0:45 left',
        'scoring  3/5  0:30 left',
        'scoring  4/5  0:15 left',
    ]


def test_what_is_quick_says_nothing_more(clock, capsys):
    for _ in console.watched(range(5), 'scoring'):
        clock.now += 2
    assert capsys.readouterr().err == ''
    for _ in console.progress(range(5), 'scoring'):
        clock.now += 2
    assert capsys.readouterr().err == 'scoring\n'


def test_a_run_is_measured_since_its_restart_and_compilation(clock, capsys, tmp_path):
    with Log(tmp_path, 'toy', steps=1000, start=500) as run_log:
        clock.now += 300  # compilation
        run_log.started(510)
        clock.now += 20
        run_log.started(520)  # later calls change nothing
        run_log.show(550, {})
    assert capsys.readouterr().err == 'toy  step 550/1000  3:45 left  \n', '40 in 20 seconds'


def test_the_bar_of_a_terminal_is_measured_in_the_same_way(monkeypatch, tmp_path):
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr(log, 'console', terminal)
    now = [0.0]
    monkeypatch.setattr(terminal, 'get_time', lambda: now[0])
    with Log(tmp_path, 'toy', steps=1000, start=500) as run_log:
        for seconds, step in ((300.0, 510), (20.0, 550)):
            now[0] += seconds
            run_log.show(step, {})
        assert run_log.bar.tasks[0].time_remaining == 225
