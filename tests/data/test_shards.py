"""Each process of a run reads its own part of every stream, and none is lost: two and four
processes train to the result of one process with as many devices."""

import jax
import numpy as np
import pytest
from PIL import Image
from processes import DETECTOR, DOMAINS, config, finish, start, start_cluster

from tljax.data import arrays
from tljax.data.streams import draw
from tljax.engine.devices import shard

DEVICES = 2  # of each process
EPISODES = {
    'name': 'episodes',
    'of': {'name': 'glyphs', 'size': 8, 'classes': 12, 'per_class': 4},
    'by_class': {'test': 0.3},
    'count': 8,
    'ways': 3,
    'shots': 1,
    'queries': 2,
    'test': {'ways': 3, 'shots': 1, 'queries': 2},
}
SINES = {'name': 'sine', 'shots': 10, 'queries': 10, 'count': 8}  # drawn on the device
MAML = {'name': 'maml', 'steps': 1, 'rate': 0.01, 'test_steps': 1, 'chunk': 1}


def write_folder(root):
    """A folder of 2 x 24 pictures of random pixels."""
    rng = np.random.default_rng(0)
    for name in ('ants', 'bees'):
        (root / name).mkdir(parents=True)
        for i in range(24):
            pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(root / name / f'{i}.png')


def runs(tmp_path, prepared):
    """Configs by name: five methods, from a folder, TFDS, memory and the device."""
    write_folder(tmp_path / 'pets')
    folder = {'name': 'folder', 'path': str(tmp_path / 'pets'), 'size': 8}
    tfds = {'name': 'tfds', 'dataset': 'scenes', 'data_dir': str(prepared / 'array_record')}
    few = {'blocks': 1}
    configs = {
        'folder': config(data=folder, net=few),
        # 26 examples: a batch of 16 goes from one epoch to the next
        'tfds': config(data=tfds, net={'name': 'mlp', 'widths': [8]}),
        'dann': config(data=DOMAINS, method={'name': 'dann'}, net=few),
        'protonet': config(data=EPISODES, method={'name': 'protonet'}, net=few, batch=8),
        'maml': config(data=EPISODES, method=MAML, net=few, batch=8),
        'device': config(
            data=SINES, method=MAML, net={'name': 'mlp', 'widths': [8]}, batch=8, optim={'lr': 1e-3}
        ),
        'detector': config(DETECTOR),
    }
    return {name: settings | {'eval_batch': 16} for name, settings in configs.items()}


@pytest.mark.parametrize('processes', [1, 2, 4])
def test_an_epoch_has_every_example_once_over_all_processes(processes, monkeypatch):
    """150 examples in batches of 16: the tenth batch goes on with the next epoch."""
    data = arrays(np.arange(150.0), np.zeros(150, int), ('a',))
    stream = draw(data, batch=16)
    monkeypatch.setattr(jax, 'device_count', lambda: DEVICES * processes)
    monkeypatch.setattr(jax, 'local_device_count', lambda: DEVICES)
    read = []
    for step in range(10):
        for process in range(processes):
            monkeypatch.setattr(jax, 'process_index', lambda process=process: process)
            read += stream.take(shard(stream.index(7, step)))['input'].tolist()
    assert sorted(read[:150]) == list(range(150)) and len(read) == 160


@pytest.mark.slow
@pytest.mark.parametrize('processes', [2, 4])
def test_processes_train_to_the_result_of_one(processes, tmp_path, prepared):
    configs = runs(tmp_path, prepared)
    for folder in ('one', 'many'):
        (tmp_path / folder).mkdir()
    one, many = tmp_path / 'one', tmp_path / 'many'
    expected = finish(one, configs, start(one, configs, processes * DEVICES))
    results = finish(many, configs, *start_cluster(many, configs, DEVICES, processes))
    for name, numbers in expected.items():
        assert numbers
        for key, value in numbers.items():
            np.testing.assert_allclose(
                results[name][key], value, atol=1e-5, err_msg=f'{name}: {key}'
            )
