"""One device, eight by jit, eight by pmap, and two processes of four give one result; frozen
parameters cost nothing."""

import json
import re
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from processes import DOMAINS, WORKER, config, finish, fit_arrays, start, start_cluster

from tljax import build
from tljax.core import TrainState
from tljax.engine.log import read
from tljax.engine.step import make_step

SMALL = {'blocks': 1}
RUNS = {'two seeds': config(seeds=[0, 1], net=SMALL, keep='best', patience=1, eval_every=2)}
MORE = {'two domains': config(data=DOMAINS, method={'name': 'dann'}, net=SMALL), 'a seed': config()}
TASKS = {
    'name': 'joint_tasks',
    'of': {'read': DOMAINS['target'], 'print': DOMAINS['source']},
    'shares': 'equal',
}
MORE['two tasks'] = config(data=TASKS, method={'name': 'hard_sharing'}, net=SMALL)
# under pmap a device projects and balances the gradients of its own part
PER_DEVICE = {
    method: config(data=TASKS, method={'name': method}, net=SMALL)
    for method in ('pcgrad', 'gradnorm')
}
NORMALISED = {'batch statistics': config(net={**SMALL, 'norm': 'batch'})}


def by_pmap(runs):
    return {f'{name} by pmap': {**settings, 'parallel': 'pmap'} for name, settings in runs.items()}


@pytest.mark.slow
@pytest.mark.parametrize('runs', [RUNS | NORMALISED, MORE | PER_DEVICE])
def test_devices_and_processes_agree(runs, tmp_path):
    """A process fits all runs one after the other, because its start takes longest. Batch
    statistics, and directions that a device makes of its own gradients, are compared under jit
    only."""
    eight, two = tmp_path / 'eight', tmp_path / 'two'
    eight.mkdir()
    two.mkdir()
    # in this process, on one device
    expected = {name: fit_arrays(settings, tmp_path / name) for name, settings in runs.items()}
    by_jit = {**NORMALISED, **PER_DEVICE}
    others = {name: settings for name, settings in runs.items() if name not in by_jit}
    on_eight, on_two = runs | by_pmap(others), others | by_pmap(others)
    results = {
        'eight devices': finish(eight, on_eight, start(eight, on_eight, 8)),
        'two processes': finish(two, on_two, *start_cluster(two, on_two, 4, 2)),
    }
    for place, arrays_by_name in results.items():
        for name, arrays in arrays_by_name.items():
            # statistics of the whole batch are sums over devices, in another order
            tolerance = 1e-5 if name in by_jit else 1e-6
            for key, value in expected[name.removesuffix(' by pmap')].items():
                np.testing.assert_allclose(
                    arrays[key], value, atol=tolerance, err_msg=f'{place}, {name}: {key}'
                )


@pytest.mark.slow
def test_sigterm_to_one_process_stops_all_at_one_step_and_saves(tmp_path):
    pair = start_cluster(tmp_path, {'pair': config(steps=10**6, log_every=10)}, 1, 2)
    log, deadline = tmp_path / 'pair' / 'log.jsonl', time.monotonic() + 200
    while not read(log) and time.monotonic() < deadline:
        time.sleep(0.2)
    pair[1].send_signal(signal.SIGTERM)
    errors = [process.communicate(timeout=200)[1] for process in pair]
    matches = [re.search(r'stopped at step (\d+) of', text) for text in errors]
    assert all(matches) and matches[0][1] == matches[1][1]
    assert (tmp_path / 'pair' / 'checkpoints' / matches[0][1]).exists()


def compile_resnet(**changes):
    """The compiled step of a ResNet on 32 pictures with clipping, its compiled forward pass, and
    its training state."""
    net = {'name': 'cifar_resnet', 'depth': 14, 'width': 8}
    adam = {'name': 'adam', 'lr': 0.1, 'clip': 1.0}
    settings = config(net=net, optim=adam, batch=32, **changes)
    run = build.build(settings)
    program = build.parts(settings).program(build.load(settings['data'])['train'])
    params, variables = run.init(0)
    state = TrainState(jnp.zeros((), jnp.int32), params, variables, program.tx.init(params))
    batch = run.stream.batch(0, 0)
    step = make_step(program.method, program.tx, program.labels)
    compiled_step = jax.jit(step).lower(state, batch, 0).compile()
    forward = jax.jit(program.method.predict).lower(params, variables, batch).compile()
    return compiled_step, forward, state


@pytest.mark.slow
def test_a_frozen_backbone_is_free():
    step, forward, state = compile_resnet(partition={'name': 'freeze', 'until': 'backbone'})
    ratio = step.cost_analysis()['flops'] / forward.cost_analysis()['flops']
    assert ratio < 1.02, ratio
    head = sum(leaf.size for leaf in jax.tree.leaves(state.params['head']))
    assert sum(leaf.size for leaf in jax.tree.leaves(state.opt_state) if leaf.ndim) == 2 * head


def test_all_reduce_carries_trained_gradients_alone(tmp_path):
    code = tmp_path / 'hlo.py'
    code.write_text(f"""
import json, sys
sys.path[:0] = {[str(folder) for folder in WORKER.parents[:3]]!r}
import jax
jax.config.update('jax_num_cpu_devices', 8)
import numpy as np
import test_parallel
from tljax import build
from tljax.engine.devices import first_state
for parallel in ('jit', 'pmap'):
    frozen = dict(name='freeze', until='backbone')
    settings = test_parallel.config(
        partition=frozen, optim=dict(clip=1.), net=dict(norm='batch'), parallel=parallel)
    run = build.build(settings)
    batch = jax.tree.map(lambda leaf: leaf[None, None], run.stream.batch(0, 0))
    state = first_state(run.init, run.tx, run.seeds)
    compiled = run.step.run.lower(state, run.step.place(batch), np.zeros(1, np.uint32)).compile()
    print(json.dumps([parallel, compiled.as_text()]))
""")
    done = subprocess.run([sys.executable, code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    for line in done.stdout.splitlines():
        parallel, text = json.loads(line)
        shapes = [
            shape
            for call in re.findall(r'= (.*?) all-reduce(?:-start)?\(', text)
            for shape in re.findall(r'f32\[([\d,]*)\]', call)
        ]
        sizes = sorted(
            int(np.prod([int(n) for n in shape.split(',') if n] or [1])) for shape in shapes
        )
        assert {16 * 10, 10} <= set(sizes), (
            f"{parallel}: the head's kernel and bias are averaged: {sizes}"
        )
        assert all(size in (1, 10, 160) for size in sizes), (
            f'{parallel}: nothing else but scalars is: {sizes}'
        )
