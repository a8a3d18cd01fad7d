"""Examples a second, the share of a device's peak, and traces of steps."""

import os
import signal
import time
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from commands import call
from tiny import tiny

from tljax import build
from tljax.core import Stopped, TrainState
from tljax.engine import speed
from tljax.engine.ahead import Waits
from tljax.engine.checkpoint import load_final
from tljax.engine.log import read
from tljax.engine.reading import flops
from tljax.engine.tracing import Trace
from tljax.engine.train import fit
from tljax.paths import flatten

MLP = {'name': 'mlp', 'widths': [20]}


def records_of(run, workdir):
    fit(run, workdir)
    return [record for record in read(workdir / 'log.jsonl') if record['kind'] == 'training']


def slowed(run, seconds):
    """The run, with steps of a known time."""

    def step(*arguments):
        time.sleep(seconds)
        return run.step.run(*arguments)

    return run._replace(step=run.step._replace(run=step), chunk=1)


def test_examples_a_second_are_of_all_seeds_without_the_first_call_and_evaluations(
    tmp_path, capsys
):
    changes = {'net': MLP, 'steps': 20, 'log_every': 5, 'eval_every': 10, 'seeds': [0, 1]}
    run = slowed(build.build(tiny(changes)), 0.05)  # called for each seed
    evaluations = []

    def slow(*arguments):
        evaluations.append(time.sleep(0.5))
        return predict(*arguments)

    predict = run.predict.run
    run = run._replace(predict=run.predict._replace(run=slow))
    records = records_of(run, tmp_path)
    assert len(evaluations) > 2
    for record in records:
        assert len(record[speed.EXAMPLES]) == 2 and len(set(record[speed.EXAMPLES])) == 1
        assert speed.PEAK_SHARE not in record  # a CPU has no published peak
        # two threads: 50 ms a step of 2 * 16 examples at best, and 100 ms one after the other
        assert 2 * 16 / 0.2 < record[speed.EXAMPLES][0] <= 2 * 16 / 0.05
    assert speed.EXAMPLES in capsys.readouterr().err


def test_a_record_of_the_first_call_alone_has_no_speed(tmp_path):
    run = build.build(tiny({'net': MLP, 'steps': 4, 'log_every': 2}))._replace(chunk=2)
    first, second = records_of(run, tmp_path)
    assert speed.EXAMPLES not in first and second[speed.EXAMPLES][0] > 0


def test_the_share_of_a_peak_by_hand(tmp_path, monkeypatch):
    """As if this CPU were a device of 1 GFLOP a second."""
    monkeypatch.setattr(speed, 'PEAKS', (('cpu', 1e9),))
    run = build.build(tiny({'net': MLP, 'steps': 6, 'log_every': 3, 'batch': 16}))
    record = records_of(run, tmp_path)[-1]
    rate = record[speed.EXAMPLES][0] / 16  # steps a second
    counted = record[speed.PEAK_SHARE][0] * 1e9 / rate
    # forward, and the gradient of both kernels and of the layer between them
    products = 2 * 16 * (2 * 64 * 20 + 3 * 20 * 10)
    assert products <= counted < 1.5 * products


def test_operations_of_many_steps_are_those_of_one():
    run = build.build(tiny({'net': MLP}))
    state, seeds = jax.eval_shape(lambda: _state(run)), np.zeros(1, np.uint32)
    counts = []
    for steps in (1, 7):
        batch = run.stream.batch(0, 0)
        batch = jax.tree.map(lambda x: np.broadcast_to(x, (steps, 1, *x.shape)), batch)  # noqa: B023
        counts.append(flops(run.step.run.lower(state, batch, seeds)))
    assert 0 < counts[0] <= counts[1] < 1.01 * counts[0] + 10


def _state(run):
    params, variables = jax.tree.map(lambda leaf: jax.numpy.stack([leaf]), run.init(0))
    step = jax.numpy.zeros(1, 'int32')
    return TrainState(step, params, variables, jax.vmap(run.tx.init)(params))


@pytest.mark.parametrize(
    'kind, expected',
    [
        ('TPU v4', 275e12),
        ('TPU v5', 459e12),
        ('TPU v6 lite', 918e12),
        ('Tesla V100-SXM2-16GB', 125e12),
        ('NVIDIA A100-SXM4-80GB', 312e12),
        ('NVIDIA H100 80GB HBM3', 989e12),
        ('NVIDIA H100 PCIe', 756e12),
        ('NVIDIA H200', 989e12),
        ('NVIDIA GB200', 2500e12),
        ('NVIDIA B200', 2250e12),
        ('cpu', None),
        ('NVIDIA GeForce RTX 4090', None),
    ],
)
def test_peaks_by_the_names_that_jax_gives(kind, expected):
    assert speed.peak(kind) == expected


def test_waits_count_steps_of_their_interval():
    waits = Waits()
    waits.took(5)
    waits.restart()
    assert waits.speed() == 0
    waits.took(2)
    time.sleep(0.1)
    assert 10 < waits.speed() <= 20


def parameters(workdir):
    params, state, _ = load_final(workdir)
    return flatten((params, state))


def traces(folder):
    return [*folder.rglob('*.xplane.pb')]


def test_a_trace_changes_nothing(tmp_path):
    flags = ['--config=configs/digits.py:smoke', '--config.seeds=0', '--config.steps=8']
    for name, more in (('plain', []), ('traced', ['--profile=3:5'])):
        done = call('train', *flags, *more, f'--workdir={tmp_path}/{name}')
        assert done.code == 0, done.err[-2000:]
    assert 'trace in ' in done.err
    plain, traced = tmp_path / 'plain', tmp_path / 'traced'
    assert len(traces(traced / '01-transfer' / 'profile')) == 1
    assert not traces(traced / '00-pretrain') and not traces(plain)
    for phase in ('00-pretrain', '01-transfer'):
        config = (plain / phase / 'config.json').read_text()
        assert config.replace('/plain', '/traced') == (traced / phase / 'config.json').read_text()
        expected = parameters(plain / phase)
        for path, leaf in parameters(traced / phase).items():
            np.testing.assert_array_equal(leaf, expected[path], err_msg=path)
    # a run that has finished has nothing to trace
    done = call('train', *flags, '--profile=3:5', f'--workdir={traced}')
    assert done.code == 0 and len(traces(traced)) == 1
    assert 'no trace: ' in done.err


def test_a_run_that_goes_on_traces_what_is_left(tmp_path):
    run = build.build(tiny({'net': MLP, 'steps': 9}))
    uncut, run = run, run._replace(traced=(2, 7))
    with pytest.raises(Stopped):
        fit(_stopping(run, at=4), tmp_path)
    assert len(traces(tmp_path)) == 1  # of steps 2 to 4
    time.sleep(1.1)  # folders of traces are named by the second
    fitted = fit(run, tmp_path)
    assert len(traces(tmp_path)) == 2
    expected = flatten(fit(uncut, tmp_path / 'uncut').params)
    for path, leaf in flatten(fitted.params).items():
        np.testing.assert_array_equal(leaf, expected[path], err_msg=path)


def _stopping(run, at):
    calls = []

    def step(*arguments):
        calls.append(None)
        if len(calls) == at:
            os.kill(os.getpid(), signal.SIGTERM)
        return run.step.run(*arguments)

    return run._replace(step=run.step._replace(run=step))


def test_whole_calls_are_traced_and_by_the_first_process_alone(tmp_path, monkeypatch):
    began = []
    profiler = SimpleNamespace(
        start_trace=lambda folder: began.append(True), stop_trace=lambda: began.append(False)
    )
    monkeypatch.setattr('tljax.engine.tracing.jax.profiler', profiler)
    ended = []
    with Trace(tmp_path, (12, 21)) as trace:
        for first in range(0, 40, 10):
            trace.before(first, first + 10, ())
            ended.append(trace.after(first + 10, ()))
    assert ended == [False, False, True, False] and began == [True, False]
    with Trace(tmp_path, (12, 21)) as trace:
        trace.before(10, 20, ())
    assert began == [True, False] * 2  # a run that stops early
    monkeypatch.setattr('tljax.engine.tracing.jax.process_index', lambda: 1)
    with Trace(tmp_path, (0, 1)) as trace:
        trace.before(0, 1, ())
    assert began == [True, False] * 2
