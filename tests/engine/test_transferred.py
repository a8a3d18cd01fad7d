"""The table of transferred parameters, which a run prints before the first step."""

import numpy as np
from commands import call
from tiny import tiny

from tljax import build
from tljax.engine.log import transferred_rows
from tljax.engine.train import fit
from tljax.paths import Group, flatten


def numbers(tree):
    return sum(np.size(leaf) for leaf in flatten(tree).values())


def test_groups_tell_where_parameters_come_from_and_how_fast_they_move(tmp_path):
    first = build.build(tiny({'optim': {'lr': 0.02}}))
    params = first.init(0)[0]
    assert first.transferred == [
        Group(name, numbers(params[name]), 'fresh', 0.02) for name in ('backbone', 'head')
    ]
    fit(first, tmp_path)
    changes = {
        'init': {'path': str(tmp_path)},
        'partition': {'name': 'freeze', 'until': 'block1'},
        'optim': {'lr': 0.1},
        'groups': {'backbone': {'scale': 0.5}},
    }
    lower = numbers({name: params['backbone'][name] for name in ('conv1', 'norm1')})
    upper = numbers({name: params['backbone'][name] for name in ('conv2', 'norm2')})
    assert build.build(tiny(changes)).transferred == [
        Group('backbone: block1', lower, str(tmp_path), None),
        Group('backbone: block2', upper, str(tmp_path), 0.05),
        Group('head', numbers(params['head']), 'fresh', 0.1),
    ]


def test_layer_wise_rates_are_groups_of_their_own(tmp_path):
    groups = build.build(
        tiny({'partition': {'name': 'layerwise', 'rate': 0.5}, 'optim': {'lr': 1.0}})
    ).transferred
    assert [(group.name, group.rate) for group in groups] == [
        ('backbone: block1', 0.25),
        ('backbone: block2', 0.5),
        ('head', 1.0),
    ]


def test_a_method_s_own_frozen_players_are_told():
    data = {
        'name': 'domains',
        'source': {'name': 'glyphs', 'part': 'digits', 'size': 8, 'per_class': 10},
        'target': {'name': 'digits', 'size': 8},
    }
    groups = build.build(tiny({'data': data, 'method': {'name': 'adda', 'width': 4}})).transferred
    assert {group.name: group.rate is None for group in groups} == {
        'backbone': False,
        'critic': False,
        'head': True,
        'source': True,
    }


def test_rows_of_the_table():
    assert transferred_rows([Group('head', 1234567, 'fresh', 0.0005)]) == [
        ['head', '1,234,567', 'fresh', 'rate 0.0005']
    ]


def test_the_command_tells_it_before_the_first_step_and_in_its_report(tmp_path):
    done = call(
        'train',
        '--config=configs/digits.py:smoke',
        f'--workdir={tmp_path}',
        '--config.eval_every=2',
    )
    lines = [line.split() for line in done.err.splitlines()]
    table = next(
        i for i, line in enumerate(lines) if line[:4] == ['parameters', 'numbers', 'from', 'moves']
    )
    assert table < next(i for i, line in enumerate(lines) if 'step' in line), done.err
    assert any(line[:1] == ['backbone'] and line[2].endswith('00-pretrain') for line in lines), (
        done.err
    )
    assert 'What was transferred' in (tmp_path / '01-transfer' / 'report.html').read_text()
