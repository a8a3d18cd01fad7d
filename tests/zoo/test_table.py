"""The table of networks: parameters, groups and precision of each."""

import json
import re
from typing import NamedTuple

import jax
import pytest
from commands import call

from tljax import paths
from tljax.configuration import call_named
from tljax.core import Net
from tljax.engine import optim
from tljax.zoo.table import ROWS
from tljax.zoo.weights import clip


class NetworkCase(NamedTuple):
    """A network that computes in bfloat16, and the shapes of its parameters and state."""

    name: str
    net: Net
    params: dict
    state: dict


DEEP = (
    'resnet101',
    'resnet152',
    'resnet101v2',
    'resnet152v2',
    'densenet169',
    'densenet201',
    'nasnet_large',
    'inception_resnet_v2',
)  # slow: smaller networks of the same families are in the default tests


# module -> its first network; the others of the module are deeper
FIRST = {row.module: name for name, row in reversed(ROWS.items())}


def is_slow(name):
    return name in DEEP or bool(ROWS[name].weights) and FIRST[ROWS[name].module] != name


@pytest.fixture(
    scope='module',
    params=[pytest.param(name, marks=[pytest.mark.slow] * is_slow(name)) for name in ROWS],
)
def case(request):
    net = call_named('tljax.zoo', {'name': request.param, 'dtype': 'bfloat16'}, 'net')
    return NetworkCase(
        request.param, net, *jax.eval_shape(net.init, jax.random.key(0), pictures(request.param))
    )


def pictures(name):
    return jax.ShapeDtypeStruct((1, ROWS[name].size, ROWS[name].size, 3), 'float32')


def test_partitions_made_from_groups_label_every_parameter_in_the_order_of_depth(case):
    params, groups = (
        {'backbone': case.params, 'head': {'kernel': 0, 'bias': 0}},
        list(case.net.groups),
    )
    layerwise = optim.layerwise(case.net.groups, rate=0.5)
    labels = paths.flatten(paths.label(params, layerwise.rules))
    assert set(labels.values()) == {*(f'backbone.{group}' for group in groups), 'head'}
    assert [layerwise.scales[f'backbone.{group}'] for group in groups] == [
        0.5 ** (len(groups) - depth) for depth in range(len(groups))
    ]
    for depth, until in enumerate(groups):
        frozen_labels = paths.flatten(
            paths.label(params, optim.freeze(case.net.groups, until).rules)
        )
        below = {
            path
            for path, label in labels.items()
            if label in {f'backbone.{group}' for group in groups[: depth + 1]}
        }
        assert {path for path, label in frozen_labels.items() if label == 'frozen'} == below


def test_the_table_s_numbers_are_the_network_s_and_groups_cover_every_parameter_once(case):
    row = ROWS[case.name]
    counted = case.params if row.weights else (case.params, case.state)
    if row.module == 'clip':
        counted = counted, clip.text_shapes({'text.norm.bias': 0}, case.net.dim)
    outputs = 0 if row.top1 is None else 1000 * (case.net.dim + 1)
    assert sum(leaf.size for leaf in jax.tree.leaves(counted)) + outputs == row.parameters
    for path in paths.flatten(case.params):
        assert (
            sum(bool(re.fullmatch(pattern, path)) for pattern in case.net.groups.values()) == 1
        ), path


@pytest.mark.parametrize(
    'case',
    [
        pytest.param(name, marks=[pytest.mark.slow] * (FIRST[row.module] != name))
        for name, row in ROWS.items()
    ],
    indirect=True,
    scope='module',
)
def test_bfloat16_computes_in_halves_and_keeps_float32(case):
    assert {leaf.dtype.name for leaf in jax.tree.leaves((case.params, case.state))} == {'float32'}
    taps, _ = jax.eval_shape(case.net.features, case.params, case.state, pictures(case.name))
    assert (
        taps['features'].dtype == 'float32' and taps[list(case.net.groups)[0]].dtype == 'bfloat16'
    )


PUBLISHED = {  # published number of parameters, with batch statistics
    'xception': 22_910_480,
    'vgg16': 138_357_544,
    'vgg19': 143_667_240,
    'resnet50': 25_636_712,
    'resnet101': 44_707_176,
    'resnet152': 60_419_944,
    'resnet50v2': 25_613_800,
    'resnet101v2': 44_675_560,
    'resnet152v2': 60_380_648,
    'inception_v3': 23_851_784,
    'inception_resnet_v2': 55_873_736,
    'mobilenet': 4_253_864,
    'mobilenet_v2': 3_538_984,
    'densenet121': 8_062_504,
    'densenet169': 14_307_880,
    'densenet201': 20_242_984,
    'nasnet_mobile': 5_326_716,
    'nasnet_large': 88_949_818,
}


def test_the_models_command_lists_all_with_their_numbers():
    result = call('models', '--json')
    assert result.code == 0, result.err
    rows = {row['name']: row for row in json.loads(result.out)}
    assert {name: rows[name]['parameters'] for name in PUBLISHED} == PUBLISHED
    assert list(rows) == list(ROWS)
    assert rows['efficientnet_lite0']['parameters'] == 4_652_008
    assert rows['efficientnet_lite0']['weights'][0]['url'].startswith('hub:timm/')
    assert [width['alpha'] for width in rows['mobilenet_v2']['widths']] == [
        0.35,
        0.5,
        0.75,
        1.0,
        1.3,
        1.4,
    ]
    assert rows['mobilenet']['widths'][0]['parameters'] == 475_544, (
        'counted by Keras for its file at alpha 0.25'
    )
