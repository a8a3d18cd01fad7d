"""Processes that tests start: alone, or several that fit runs together."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
from tiny import tiny

from tljax import build
from tljax.configuration import merge
from tljax.core import TrainState
from tljax.engine.devices import first_state
from tljax.engine.step import make_step
from tljax.engine.train import fit
from tljax.paths import flatten

WORKER = Path(__file__).with_name('engine') / 'worker.py'


DOMAINS = {
    'name': 'domains',
    'source': {'name': 'glyphs', 'part': 'digits', 'size': 8, 'per_class': 10},
    'target': {'name': 'digits', 'size': 8},
}


DETECTOR = {
    'data': {
        'name': 'scenes',
        'of': {'name': 'glyphs', 'part': 'digits', 'size': 8, 'per_class': 10},
        'size': 16,
        'count': 40,
        'channels': 1,
    },
    'net': {
        'name': 'with_extras',
        'of': {'name': 'conv4', 'width': 4, 'blocks': 2, 'size': 16, 'norm': 'layer'},
        'maps': ['block1', 'block2'],
        'widths': [8],
    },
    'method': {'name': 'single_shot', 'criterion': {'name': 'focal'}},
    'augment': ['flip_boxes'],
    'optim': {'lr': 0.01},
}


def config(*changes, **more):
    return tiny(
        {
            'steps': 5,
            'eval_batch': 512,
            'optim': {'name': 'sgd', 'lr': 0.1},
            'net': {'norm': 'layer'},
        },
        *changes,
        more,
    )


def start(folder, runs, devices, *cluster):
    """Starts a process that fits the runs, configs by name."""
    path = folder / f'{devices} devices, process {cluster[2] if cluster else 0}.json'
    path.write_text(
        json.dumps({str(folder / f'{name}.npz'): settings for name, settings in runs.items()})
    )
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(map(str, WORKER.parents[1:3]))}
    environment['XLA_FLAGS'] = ' '.join(
        flag for flag in os.environ['XLA_FLAGS'].split() if 'device_count' not in flag
    )
    return subprocess.Popen(
        [sys.executable, WORKER, path, str(devices), *map(str, cluster)],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_cluster(folder, runs, devices, processes):
    """Starts a cluster of processes that fit the runs together."""
    port = free_port()
    return [
        start(folder, runs, devices, f'127.0.0.1:{port}', processes, i) for i in range(processes)
    ]


def finish(folder, runs, *processes):
    """Waits for the processes; returns the arrays of their runs, by name."""
    for process in processes:
        errors = process.communicate(timeout=300)[1]
        assert process.returncode == 0, errors[-3000:]
    return {name: dict(np.load(folder / f'{name}.npz')) for name in runs}


def free_port():
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


def fit_arrays(settings, folder):
    """The parameters and accuracies of a run that is fitted in this process."""
    fitted = fit(build.build(settings), folder)
    return {
        **flatten(fitted.params),
        **{
            f'{split} {name}': values
            for split, scores in fitted.scores.items()
            for name, values in scores.items()
        },
    }


def first_steps(settings):
    """By how much the parameters after a step of pmap over all devices differ at most from the mean
    of the steps that each device's part of the batch would make alone, and from a step of jit."""
    steps = {}
    for parallel in ('pmap', 'jit'):
        run = build.build(merge(settings, {'parallel': parallel}))
        batch = run.stream.take(run.stream.index(0, 0))
        state = first_state(run.init, run.tx, run.seeds)
        placed = run.step.place(jax.tree.map(lambda leaf: leaf[None, None], batch))
        steps[parallel] = run.step.run(state, placed, np.zeros(1, np.uint32))[0].params
    functions = build.parts(settings)
    program = functions.program(build.load(settings['data'])['train'])
    step = jax.jit(make_step(program.method, program.tx, program.labels, program.prepare))
    params, variables = run.init(0)
    start = TrainState(np.zeros((), np.int32), params, variables, program.tx.init(params))
    count = jax.device_count()
    size = settings['batch'] // count
    parts = [
        step(start, jax.tree.map(lambda leaf: leaf[i * size : (i + 1) * size], batch), 0)[0].params  # noqa: B023
        for i in range(count)
    ]
    mean = jax.tree.map(lambda *leaves: sum(leaves) / count, *parts)

    def largest(a, b):
        differences = jax.tree.map(lambda x, y: np.abs(np.asarray(x) - np.asarray(y)).max(), a, b)
        return float(max(jax.tree.leaves(differences)))

    pmapped, jitted = (jax.tree.map(lambda leaf: leaf[0], steps[name]) for name in ('pmap', 'jit'))
    return largest(pmapped, mean), largest(pmapped, jitted)
