"""The table of networks: parameters, groups and precision of each."""
import functools
import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from tljax import paths
from tljax.configuration import named
from tljax.engine import optim
from tljax.zoo.table import ROWS


@functools.cache
def made(name):
    """A network, and the shapes of its parameters and state."""
    net, size = named('tljax.zoo', {'name': name}, 'net'), ROWS[name].size
    return net, *jax.eval_shape(net.init, jax.random.key(0), jax.ShapeDtypeStruct((1, size, size, 3), 'float32'))


@pytest.mark.parametrize('name', ROWS)
def test_partitions_made_from_groups_label_every_parameter_in_the_order_of_depth(name):
    net, shapes, _ = made(name)
    params, groups = {'backbone': shapes, 'head': {'kernel': 0, 'bias': 0}}, list(net.groups)
    layerwise = optim.decay(net.groups, rate=.5)
    labels = paths.flatten(paths.label(params, layerwise.rules))
    assert set(labels.values()) == {*(f'backbone.{group}' for group in groups), 'head'}
    assert [layerwise.scales[f'backbone.{group}'] for group in groups] == [.5 ** (len(groups) - depth) for depth in range(len(groups))]
    for depth, until in enumerate(groups):
        found = paths.flatten(paths.label(params, optim.freeze(net.groups, until).rules))
        below = {path for path, each in labels.items() if each in {f'backbone.{group}' for group in groups[:depth + 1]}}
        assert {path for path, each in found.items() if each == 'frozen'} == below


@pytest.mark.parametrize('name', ROWS)
def test_the_table_s_numbers_are_the_network_s_and_groups_cover_every_parameter_once(name):
    net, params, state = made(name)
    count = sum(leaf.size for leaf in jax.tree.leaves((params, state))) + 1000 * (net.dim + 1)
    assert count == ROWS[name].parameters
    for path in paths.flatten(params):
        assert sum(bool(re.fullmatch(pattern, path)) for pattern in net.groups.values()) == 1, path


PUBLISHED = {   # parameters, batch statistics counted, as published
    'xception': 22_910_480, 'vgg16': 138_357_544, 'vgg19': 143_667_240, 'resnet50': 25_636_712, 'resnet101': 44_707_176,
    'resnet152': 60_419_944, 'resnet50v2': 25_613_800, 'resnet101v2': 44_675_560, 'resnet152v2': 60_380_648, 'inception_v3': 23_851_784,
    'inception_resnet_v2': 55_873_736, 'mobilenet': 4_253_864, 'mobilenet_v2': 3_538_984, 'densenet121': 8_062_504,
    'densenet169': 14_307_880, 'densenet201': 20_242_984, 'nasnet_mobile': 5_326_716, 'nasnet_large': 88_949_818}


def test_the_models_command_lists_all_with_their_numbers():
    done = subprocess.run([sys.executable, '-m', 'experiments.models', '--json'], cwd=Path(__file__).parents[2], capture_output=True,
                          text=True, check=True)
    rows = {row['name']: row for row in json.loads(done.stdout)}
    assert {name: row['parameters'] for name, row in rows.items()} == PUBLISHED
    assert [each['alpha'] for each in rows['mobilenet_v2']['widths']] == [.35, .5, .75, 1., 1.3, 1.4]
    assert rows['mobilenet']['widths'][0]['parameters'] == 475_544, 'counted by Keras for its file at alpha 0.25'


@pytest.mark.parametrize('name', ROWS)
def test_bfloat16_computes_in_halves_and_keeps_float32(name):
    net = named('tljax.zoo', {'name': name, 'dtype': 'bfloat16'}, 'net')
    x = jax.ShapeDtypeStruct((1, ROWS[name].size, ROWS[name].size, 3), 'float32')
    params, state = jax.eval_shape(net.init, jax.random.key(0), x)
    assert {leaf.dtype.name for leaf in jax.tree.leaves((params, state))} == {'float32'}
    taps, _ = jax.eval_shape(net.features, params, state, x)
    assert taps['features'].dtype == 'float32' and taps[list(net.groups)[0]].dtype == 'bfloat16'
