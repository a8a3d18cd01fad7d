"""Batches made ahead: their order, their errors, their number, and how long steps wait for them."""

import threading
import time

import numpy as np
import pytest
from tiny import tiny

from tljax import build
from tljax.engine import ahead as module
from tljax.engine.ahead import Waits, ahead
from tljax.engine.log import read
from tljax.engine.speed import EXAMPLES
from tljax.engine.train import INPUT_WAIT, fit


def test_batches_come_in_order_however_long_each_takes():
    pauses = np.random.default_rng(0).uniform(0, 0.01, size=30)

    def make(step):
        time.sleep(pauses[step])
        return np.array(step)

    made = [(step, int(batch.result())) for step, batch in ahead(make, range(30))]
    assert made == [(step, step) for step in range(30)]


def test_an_error_reaches_the_step_whose_batch_it_is():
    def make(step):
        if step == 2:
            raise ValueError('no batch 2')
        return np.array(step)

    done = []
    with pytest.raises(ValueError, match='no batch 2'):
        for step, batch in ahead(make, range(5)):
            batch.result()
            done.append(step)
    assert done == [0, 1]


@pytest.mark.parametrize('size, most', [(1, module.MOST), (2**18, 4), (2**22, module.MAKERS)])
def test_memory_limits_how_far_ahead_batches_are_made(monkeypatch, size, most):
    monkeypatch.setattr(module, 'MEMORY', 2**20)
    made, lock, largest = 0, threading.Lock(), 0

    def make(step):
        nonlocal made
        with lock:
            made += 1
        return np.zeros(size, np.uint8)

    for step, batch in ahead(make, range(30)):
        batch.result()
        time.sleep(0.005)  # the threads make all that they may
        with lock:
            largest = max(largest, made - step - 1)
    assert largest <= most
    assert largest >= min(most, 3) - 1


def test_a_loop_that_stops_early_leaves_no_thread_at_work():
    threads, calls = threading.active_count(), []
    batches = ahead(calls.append, range(1000))
    next(batches)
    batches.close()
    assert threading.active_count() == threads
    assert len(calls) < 20


def test_an_error_of_a_step_ends_the_making_of_batches(tmp_path, monkeypatch):
    run = build.build(tiny({'steps': 40, 'seeds': (0,)}))._replace(chunk=1)
    made = []

    def recorded(*arguments):
        made.append(ahead(*arguments))
        return made[-1]

    def fail(*arguments):
        raise RuntimeError('no step')

    monkeypatch.setattr('tljax.engine.train.ahead', recorded)
    with pytest.raises(RuntimeError, match='no step') as error:
        fit(run._replace(step=run.step._replace(run=fail)), tmp_path)
    # a notebook keeps the traceback, and with it the variables of the loop
    assert error.tb and made[0].gi_frame is None


def logged(run, workdir):
    fit(run, workdir)
    return [record for record in read(workdir / 'log.jsonl') if record['kind'] == 'training']


def test_the_log_tells_the_share_of_time_that_steps_wait(tmp_path, capsys):
    run = build.build(tiny({'steps': 40, 'log_every': 10, 'seeds': (0, 1)}))._replace(chunk=1)

    def slow(index):
        time.sleep(0.1)
        return run.stream.take(index)

    slow_records = logged(run._replace(stream=run.stream._replace(take=slow)), tmp_path / 'slow')
    assert INPUT_WAIT in capsys.readouterr().err
    records = logged(run, tmp_path / 'fast')
    for record in (*slow_records, *records):
        assert len(record[INPUT_WAIT]) == 2
        assert len(set(record[INPUT_WAIT])) == 1 and 0 <= record[INPUT_WAIT][0] <= 1
    # two threads make batches of two seeds: one comes every 100 ms, and a step takes much less
    # batches of the first interval were made while the step was compiled
    assert all(record[INPUT_WAIT][0] > 0.5 for record in slow_records[1:])
    for slow_record, record in zip(slow_records, records, strict=True):
        numbers = {
            name: value for name, value in record.items() if name not in (INPUT_WAIT, EXAMPLES)
        }
        assert numbers.items() <= slow_record.items()


def test_input_that_is_ready_makes_nobody_wait():
    waits = Waits()
    for _, batch in ahead(lambda step: np.zeros(1), range(20)):
        time.sleep(0.01)  # the step
        waits.batch(batch, ())
    assert waits.share() < 0.2


def test_time_in_which_the_devices_compute_is_no_wait():
    class Result:
        def block_until_ready(self):
            time.sleep(0.05)
            return self

    with_results, without = Waits(), Waits()
    for waits, results in ((with_results, Result()), (without, ())):
        for _, batch in ahead(lambda step: time.sleep(0.05), range(8)):
            waits.batch(batch, results)
    assert with_results.share() < without.share()
