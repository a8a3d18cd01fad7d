"""What a run takes: bytes by hand, against what is allocated, and what devices exchange."""

import json
import math
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from commands import call, call_apart, error
from tiny import tiny

from tljax import build
from tljax.engine.devices import first_state
from tljax.engine.reading import exchanged_bytes
from tljax.studies.dry_run import dry_run, of_call

FOLDERS = [str(folder) for folder in Path(__file__).parents[:3]]
MLP = {'name': 'mlp', 'widths': [20]}
DIGITS, PRETRAINED = '--config=configs/digits.py:smoke', 'config.phases.pretrain'


def apart(code, *arguments, timeout=600):
    """The JSON document that a process of its own prints."""
    text = f'import sys\nsys.path[:0] = {FOLDERS!r} + {[FOLDERS[1]]!r}\n{code}'
    done = subprocess.run(
        [sys.executable, '-c', text, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_bytes_of_a_small_network_by_hand():
    taken = of_call(build.build(tiny({'net': MLP, 'partition': {'name': 'freeze'}})))
    head, backbone = 20 * 10 + 10, 64 * 20 + 20
    assert taken['bytes']['parameters'] == 4 * (backbone + head)
    assert taken['bytes']['state'] == 0
    # Adam's moments and its count, that of the schedule, and the number of the step
    assert taken['bytes']['optimiser'] == 4 * (2 * head + 3)
    # 16 pictures of 8x8 bytes or floats, and as many labels
    sample = build.build(tiny({'net': MLP})).stream.batch(0, 0)
    assert taken['bytes']['batch'] == sum(leaf.nbytes for leaf in jax.tree.leaves(sample))
    products = 16 * (64 * 20 + 20 * 10)  # forward; and the gradient of the head's kernel
    assert taken['flops'] >= 2 * (products + 16 * 20 * 10)
    assert taken['flops'] < 4 * products
    assert set(taken['exchanged'].values()) == {0}


@pytest.mark.parametrize(
    'changes',
    [
        {'net': {'norm': 'batch'}},
        {'seeds': [0, 1, 2], 'optim': {'name': 'sgd', 'lr': 0.1}},
        {'penalty': {'name': 'l2_sp'}},
        {'method': {'name': 'with_lora', 'method': {'name': 'finetune'}, 'rank': 2}},
    ],
)
def test_bytes_of_states_are_those_that_are_allocated(changes):
    run = build.build(tiny(changes))
    state = first_state(run.init, run.tx, run.seeds)
    jax.block_until_ready(state)
    taken = of_call(run)['bytes']
    for name, tree in (
        ('parameters', state.params),
        ('state', state.variables),
        ('optimiser', (state.step, state.opt_state)),
    ):
        assert taken[name] == sum(leaf.nbytes for leaf in jax.tree.leaves(tree)), name


def test_exchanges_are_found_in_the_text_of_a_program():
    text = """
      %a = f32[8,4]{1,0} all-gather(%x), replica_groups=[1,8]<=[8], dimensions={0}
      %b = (f32[1,4]{1,0}, f32[8,4]{1,0}) all-gather-start(%x), replica_groups=[1,8]<=[8]
      %c = f32[8,4]{1,0} all-gather-done(%b)
      %d = f32[1,4]{1,0} reduce-scatter(%a), replica_groups={{0,1,2,3,4,5,6,7}}, to_apply=%add
      %e = bf16[2,3]{1,0} all-to-all(%y), replica_groups=[1,8]<=[8]
      %f = (f32[5]{0}, f32[5]{0}, u32[], u32[]) collective-permute-start(%z)
      %g = f32[5]{0} collective-permute(%z), source_target_pairs={{0,1},{1,0}}
    """
    assert exchanged_bytes(text) == {
        'all-reduce': 0,
        'all-gather': 2 * 4 * 32,
        'reduce-scatter': 4 * 32,
        'all-to-all': 2 * 6,
        'collective-permute': 2 * 4 * 5,
    }


def phases_of(*phases, **changes):
    first = tiny(changes)
    return {**first, 'phases': {f'phase{i}': change for i, change in enumerate(phases)}}


def test_a_phase_starts_from_shapes_of_an_earlier_one_and_its_misfits_are_found(tmp_path):
    transfer = {
        'init': {'path': '', 'phase': 'phase0'},
        'partition': {'name': 'freeze'},
        'cache': True,
    }
    config = phases_of({'seeds': [0]}, transfer, net=MLP)
    first, second = dry_run(config, tmp_path / 'run')
    assert not (tmp_path / 'run').exists()
    assert second['cached'] and not first['cached']
    moves = {group['name']: group for group in second['transferred']}
    assert moves['backbone']['donor'].endswith('00-phase0') and moves['backbone']['rate'] is None
    assert second['bytes']['parameters'] == 4 * (20 * 10 + 10)  # the head, on features
    config['phases']['phase1']['net'] = {'name': 'mlp', 'widths': [21]}
    with pytest.raises(Exception, match='the donor does not fit'):
        dry_run(config, tmp_path / 'run')


def test_a_method_that_learns_from_the_data_before_its_first_step_does_so(tmp_path):
    delta = {'init': {'path': '', 'phase': 'phase0'}, 'method': {'name': 'delta'}}
    _, row = dry_run(phases_of({}, delta), tmp_path)
    backbone = row['transferred'][0]['numbers']
    assert row['bytes']['state'] > 4 * backbone  # its copy of the source, and the attention


def test_a_teacher_is_an_earlier_phase(tmp_path):
    student = {'teacher': 'phase0', 'method': {'name': 'distillation'}}
    teacher, row = dry_run(phases_of({}, student, net=MLP), tmp_path)
    assert row['bytes']['state'] == teacher['bytes']['parameters']


def test_weights_are_not_read():
    """Those of ImageNet would be downloaded."""
    net = {'name': 'mobilenet', 'alpha': 0.25}
    data = {'name': 'resampled', 'of': {'name': 'digits'}, 'size': 32, 'channels': 3}
    config = tiny({'net': net, 'data': data, 'init': {'path': 'imagenet'}, 'batch': 2})
    (row,) = dry_run({**config, 'phases': {}}, Path('nowhere'))
    assert {group['donor'] for group in row['transferred']} == {'imagenet', 'fresh'}


@pytest.mark.parametrize(
    'flags, said',
    [
        (['--devices=256'], '--devices=256 needs --dry_run'),
        (['--dry_run', '--devices=0'], '--devices=0'),
        (['--dry_run', '--guard'], '--guard with --dry_run'),
        (['--dry_run', '--profile=1:2'], '--profile with --dry_run'),
        (['--profile=3'], '--profile=3 is not FIRST:LAST'),
        (['--profile=3:3'], '--profile=3:3 holds no step'),
        (['--profile=-1:3'], '--profile=-1:3 is not FIRST:LAST'),
        (['--profile=0:9999'], '--profile=0:9999 ends after the'),
        (['--dry_run', '--config.batch=0'], 'config.batch=0'),
    ],
)
def test_what_does_not_fit_is_one_clear_line(flags, said, tmp_path):
    line = error(call('train', DIGITS, *flags, f'--workdir={tmp_path}/run'))
    assert said in line, line
    assert not (tmp_path / 'run').exists()


def test_the_command_prints_a_document_for_devices_that_are_not_there(tmp_path):
    flags = [DIGITS, '--dry_run', '--devices=8', f'--workdir={tmp_path}/run', '--json']
    done = call_apart('train', *flags, '--config.seeds=0')
    assert done.code == 0, done.err[-2000:]
    first, last = json.loads(done.out)
    assert first['devices'] == last['devices'] == 8
    numbers = sum(group['numbers'] for group in last['transferred'])
    assert last['bytes']['parameters'] == 4 * numbers
    assert last['exchanged']['all-reduce'] >= 4 * numbers
    line = error(call_apart('train', *flags, '--config.batch=12'))
    assert 'batch=12 does not divide over 8 devices' in line
    assert not (tmp_path / 'run').exists()


GIANT = """
import json, re
from pathlib import Path
from tiny import tiny
from tljax.studies.dry_run import dry_run, on_virtual_devices
on_virtual_devices(2)
config = tiny({'net': {'name': 'mlp', 'widths': [30000, 30000]}})
again = {'init': {'path': '', 'phase': 'first'}}
_, row = dry_run({**config, 'phases': {'first': {}, 'again': again}}, Path('nowhere'), True)
# not ru_maxrss, in which the process that starts another counts
peak = re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1]
print(json.dumps([row['bytes'], int(peak)]))
"""


def test_a_network_that_has_no_room_on_this_machine_is_counted():
    """It has 900 million parameters."""
    taken, kilobytes = apart(GIANT)
    assert taken['total'] > 20e9 and kilobytes < 2**20


EXCHANGES = """
import json
import jax
from tljax.studies.dry_run import dry_run, on_virtual_devices
on_virtual_devices(int(sys.argv[1]))
from pathlib import Path
from tiny import tiny
partitions = json.loads(sys.argv[2])
rows = {}
for parallel in ('jit', 'pmap'):
    for name, partition in partitions.items():
        config = tiny({'net': {'norm': 'layer'}, 'batch': 256, 'parallel': parallel,
                       'partition': partition})
        (row,) = dry_run({**config, 'phases': {}}, Path('nowhere'), elsewhere=True)
        trained = sum(g['numbers'] for g in row['transferred'] if g['rate'] is not None)
        rows[f'{parallel} {name}'] = [trained, row['exchanged']]
print(json.dumps(rows))
"""
PARTITIONS = {
    'full': {'name': 'full'},
    'freeze': {'name': 'freeze'},
    'layerwise': {'name': 'layerwise'},
    'bitfit': {'name': 'bitfit'},
    'by_path': {'name': 'by_path', 'rules': [['backbone/.*kernel', 'frozen']]},
}


@pytest.mark.slow
@pytest.mark.parametrize('devices', [8, 64, 256])
def test_devices_exchange_the_gradients_of_trained_parameters_alone(devices):
    rows = apart(EXCHANGES, devices, json.dumps(PARTITIONS))
    assert len(rows) == 2 * len(PARTITIONS)
    for name, (trained, exchanged) in rows.items():
        scalars = 3 if name.startswith('pmap') else 2
        # the loss and the accuracy; by pmap also the norm of the gradient
        assert exchanged.pop('all-reduce') == 4 * (trained + scalars), (devices, name, trained)
        assert not any(exchanged.values()), (devices, name, exchanged)
    assert len({trained for trained, _ in rows.values()}) >= 3


GROWTH = """
import json, re
from pathlib import Path
import jax, numpy as np
from tiny import tiny
from tljax import build
from tljax.files.memory import give_back_freed_memory
from tljax.studies.dry_run import abstract_state, batch_of_call, of_call
run = build.build(tiny(json.loads(sys.argv[1])))

def status(name):
    return 1024 * int(re.search(name + r':\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1])

taken = of_call(run)['bytes']
seeds = np.asarray(run.seeds, np.uint32)
batch = jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), batch_of_call(run, 1, 1))
shapes = abstract_state(run, run.seeds)
program = run.step.run.lower(shapes, batch, seeds).compile()

def step():
    def full(leaf):
        return jax.numpy.full(leaf.shape, 0.01, leaf.dtype)

    return jax.block_until_ready(program(*jax.tree.map(full, (shapes, batch)), seeds))

step()  # what the first call of a program takes once, for good
give_back_freed_memory()
Path('/proc/self/clear_refs').write_text('5')  # VmHWM starts anew
before = status('VmRSS')
step()
print(json.dumps({**taken, 'grown': status('VmHWM') - before}))
"""
WIDE = {'name': 'mlp', 'widths': [4096, 4096]}
RESNET = {'name': 'cifar_resnet', 'depth': 14, 'width': 32}
MOBILENET = {'name': 'mobilenet', 'alpha': 0.25}


def pictures(size):
    return {'name': 'resampled', 'of': {'name': 'digits'}, 'size': size, 'channels': 3}


@pytest.mark.slow
@pytest.mark.parametrize('partition', ['full', 'freeze'])
@pytest.mark.parametrize(
    'net, data, batch',
    [
        (WIDE, {'name': 'digits'}, 512),
        (RESNET, pictures(32), 128),
        (MOBILENET, pictures(128), 64),
    ],
    ids=['mlp', 'cifar_resnet', 'mobilenet'],
)
def test_the_total_is_the_memory_that_a_step_takes(net, data, batch, partition):
    if not Path('/proc/self/clear_refs').exists():
        pytest.skip('only Linux tells the largest memory of a process since a moment')
    config = {'net': net, 'data': data, 'batch': batch, 'partition': {'name': partition}}
    taken = apart(GROWTH, json.dumps(config))
    print(config, taken)
    # 1 to 4 % more; the first call of a program takes tens of megabytes once, which do not count
    assert math.isclose(taken['grown'], taken['total'], rel_tol=0.15), taken
