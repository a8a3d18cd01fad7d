"""One device, eight by jit, fsdp or pmap, and two processes give one result; a run goes on with
other devices; frozen parameters cost nothing."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from processes import DETECTOR, DOMAINS, WORKER, config, finish, fit_arrays, start, start_cluster

from tljax import build
from tljax.core import TrainState
from tljax.engine.checkpoint import load_final
from tljax.engine.log import read
from tljax.engine.step import make_step
from tljax.paths import flatten

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
    for count in (2, 4):
        (tmp_path / str(count)).mkdir()
    results = {
        **{
            f'{count} devices': finish(
                tmp_path / str(count), runs, start(tmp_path / str(count), runs, count)
            )
            for count in (2, 4)
        },
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


SGD = {'name': 'sgd', 'lr': 0.05, 'momentum': 0.9}


def wide(**changes):
    """A run of which fsdp divides nearly all: arrays below its limit are 1 % of the parameters."""
    net = {'name': 'mlp', 'widths': [1024, 1024]}
    return config(**{'net': net, 'optim': SGD, 'parallel': 'fsdp', **changes})


@pytest.mark.slow
def test_divided_states_give_the_same_result(tmp_path):
    best = {'seeds': [0, 1], 'keep': 'best', 'patience': 1, 'eval_every': 2}
    runs = {
        'a seed': wide(),
        'steps in a loop': wide(chunk=3),
        'two seeds': wide(**best),
        'parts of batches': {**wide(remat=True, steps=6), 'optim': {**SGD, 'accumulate': 2}},
    }
    eight, two = tmp_path / 'eight', tmp_path / 'two'
    eight.mkdir()
    two.mkdir()
    expected = {
        name: fit_arrays({**settings, 'parallel': 'jit'}, tmp_path / name)
        for name, settings in runs.items()
    }
    results = {
        'eight devices': finish(eight, runs, start(eight, runs, 8)),
        'two processes': finish(two, runs, *start_cluster(two, runs, 2, 2)),
    }
    for place, arrays_by_name in results.items():
        for name, arrays in arrays_by_name.items():
            for key, value in expected[name].items():
                np.testing.assert_allclose(
                    arrays[key], value, atol=1e-5, err_msg=f'{place}, {name}: {key}'
                )
    for folder in (eight, two):  # the finished run is read as any other
        params = flatten(load_final(folder / 'two seeds')[0])
        for key, value in params.items():
            np.testing.assert_allclose(value, expected['two seeds'][key], atol=1e-5)


@pytest.mark.slow
def test_a_divided_run_goes_on_with_other_devices_and_modes(tmp_path):
    def cut(steps):
        """Takes the run back to its last checkpoint. Those before it are not written again."""
        shutil.rmtree(folder / 'final')
        for step in steps:
            shutil.rmtree(folder / 'checkpoints' / str(step))

    divided, whole = ({'run': wide(parallel=name, save_every=1)} for name in ('fsdp', 'jit'))
    folder = tmp_path / 'run'
    uncut = fit_arrays(whole['run'], folder)
    cut([3])
    assert sorted(os.listdir(folder / 'checkpoints')) == ['4']
    eight = finish(tmp_path, divided, start(tmp_path, divided, 8))['run']
    assert sorted(os.listdir(folder / 'checkpoints')) == ['4']

    shutil.rmtree(folder)
    finish(tmp_path, divided, start(tmp_path, divided, 8))
    cut([3])
    pair = finish(tmp_path, divided, *start_cluster(tmp_path, divided, 2, 2))['run']
    assert sorted(os.listdir(folder / 'checkpoints')) == ['4']

    shutil.rmtree(folder)
    finish(tmp_path, divided, *start_cluster(tmp_path, divided, 2, 2))
    cut([3])
    one = fit_arrays(whole['run'], folder)
    assert sorted(os.listdir(folder / 'checkpoints')) == ['4']
    for place, arrays in (('eight devices', eight), ('two processes', pair), ('one', one)):
        for key, value in uncut.items():
            np.testing.assert_allclose(arrays[key], value, atol=1e-5, err_msg=f'{place}: {key}')


MEMORY = """
import json, sys
import jax
jax.config.update('jax_num_cpu_devices', 8)
import numpy as np
import test_parallel
from tljax import build
from tljax.engine.checkpoint import digest
from tljax.engine.devices import first_state

def held(tree):
    return sum(leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(tree))

for parallel in ('jit', 'pmap', 'fsdp'):
    run = build.build(test_parallel.wide(optim=dict(name='adam', lr=1e-3), parallel=parallel))
    state = first_state(run.init, run.tx, run.seeds, run.step.shardings)
    record = dict(
        parallel=parallel, digest=digest(state), held=held(state),
        share=held(state.opt_state) / sum(x.nbytes for x in jax.tree.leaves(state.opt_state)))
    for steps in (1, 2):
        batch = jax.tree.map(lambda leaf: np.stack([leaf[None]] * steps), run.stream.batch(0, 0))
        arguments = state, run.step.place(batch), np.zeros(1, np.uint32)
        compiled = run.step.run.lower(*arguments).compile()
        memory = compiled.memory_analysis()
        record[f'reused {steps}'] = memory.alias_size_in_bytes
        record[f'given {steps}'] = memory.argument_size_in_bytes
        record['text'] = compiled.as_text()
    new, _ = run.step.run(*arguments)
    record['share after'] = held(new.opt_state) / sum(
        x.nbytes for x in jax.tree.leaves(new.opt_state))
    print(json.dumps(record))
"""


@pytest.fixture(scope='module')
def memory(tmp_path_factory):
    """Memory of a device, and the compiled step, for each mode on eight devices."""
    code = tmp_path_factory.mktemp('memory') / 'memory.py'
    code.write_text(f'import sys\nsys.path[:0] = {list(map(str, WORKER.parents[:3]))}{MEMORY}')
    done = subprocess.run([sys.executable, code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return {record['parallel']: record for record in map(json.loads, done.stdout.splitlines())}


@pytest.mark.slow
@pytest.mark.parametrize('parallel', ['jit', 'pmap', 'fsdp'])
def test_a_step_writes_the_new_state_over_the_old_one(memory, parallel):
    record = memory[parallel]
    for steps in (1, 2):
        assert record[f'reused {steps}'] >= record['held']
        assert record[f'given {steps}'] < 1.01 * record['held']


@pytest.mark.slow
def test_a_device_holds_its_part_of_the_optimiser_s_state(memory):
    assert memory['jit']['share'] == memory['jit']['share after'] == 1
    for name in ('share', 'share after'):
        assert 1 / 8 <= memory['fsdp'][name] < 1.1 / 8
    assert memory['fsdp']['digest'] == memory['jit']['digest']


@pytest.mark.slow
def test_a_divided_step_computes_as_a_whole_one_and_updates_parts(memory):
    text = memory['fsdp']['text']
    gathered = re.findall(r'= f32\[([\d,]*)\]\S* all-gather', text)
    assert sorted(gathered) == ['1,1024,1024', '1,64,1024'], 'large parameters and nothing else'
    roots = re.findall(r'f32\[([\d,]+)\]\S* sqrt\(', text)
    sizes = {int(np.prod([int(n) for n in shape.split(',')])) for shape in roots}
    assert max(sizes) == 1024 * 1024 // 8


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


MEAN_OF_PARTS = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
import jax
jax.config.update('jax_platforms', 'cpu')
jax.config.update('jax_num_cpu_devices', 2)
import numpy as np
from processes import first_steps
for name, settings in json.loads(sys.argv[2]).items():
    print(json.dumps([name, *first_steps(settings)]))
"""
SHARED = {'method': {'name': 'ddc', 'weight': 10.0}, 'data': DOMAINS, 'net': SMALL}
# name -> a run, and whether a device's part of the batch is a loss of its own
COUPLED = {
    'nothing is coupled': (config(net=SMALL), False),
    'statistics of a batch': (config(net={**SMALL, 'norm': 'batch'}), True),
    'a distance of two domains': (config(SHARED), True),
    'a number of matched boxes': (config(DETECTOR), True),
}


@pytest.mark.slow
def test_pmap_takes_the_mean_of_what_each_device_would_learn_from_its_part():
    """It differs by design from jit, whose loss is that of the whole batch, where a loss couples
    examples: the test states by how much, and that what is not coupled is equal."""
    folders = [str(folder) for folder in WORKER.parents[1:3]]
    runs = {name: settings for name, (settings, _) in COUPLED.items()}
    done = subprocess.run(
        [sys.executable, '-c', MEAN_OF_PARTS, json.dumps(folders), json.dumps(runs)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [name for name, *_ in lines] == list(COUPLED)
    for name, from_parts, from_jit in lines:
        assert from_parts < 1e-6, name
        assert (from_jit > 1e-4) == COUPLED[name][1], (name, from_jit)
        assert COUPLED[name][1] or from_jit < 1e-6, (name, from_jit)
