"""A model that was trained without some examples is one that never had them, and says so."""

import json

import jax
import numpy as np
import pytest
from commands import call, error
from PIL import Image
from tiny import tiny

import tljax
from tljax.build import build
from tljax.core import UserError
from tljax.data import digits
from tljax.data.formats.arrays import arrays
from tljax.data.splits import restrict
from tljax.data.withdrawal import read_ids, without
from tljax.engine.checkpoint import load_final
from tljax.engine.train import fit
from tljax.studies import withdrawal

GONE = [3, 7, 8, 20, 21, 22, 30, 41, 42, 59]
IDS = [f'train/{row}' for row in GONE]


def equal(a, b):
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, a, b)))


@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'per_class': 3},
        pytest.param({'epochs': 1.0, 'class_weights': 'balanced'}, marks=pytest.mark.slow),
        pytest.param(
            {'augment': ['flip'], 'shuffled': True, 'seeds': [0, 1]}, marks=pytest.mark.slow
        ),
    ],
)
def test_a_run_without_ten_examples_is_bit_equal_to_one_that_never_had_them(changes, tmp_path):
    splits = digits(size=8)
    rows = np.setdiff1d(np.arange(splits['train'].size), GONE)
    inputs = splits['train'].take(rows)
    label, classes = inputs['label'], splits['train'].classes
    never = {**splits, 'train': arrays(inputs['input'], label, classes)}
    config = tiny(changes)
    withdrawn = fit(build(tiny(changes, {'withdrawn': IDS}), splits=splits), tmp_path / 'a')
    absent = fit(build(config, splits=never), tmp_path / 'b')
    whole = fit(build(config, splits=splits), tmp_path / 'c')
    assert equal(withdrawn.params, absent.params) and equal(withdrawn.state, absent.state)
    assert withdrawn.scores == absent.scores
    assert not equal(withdrawn.params, whole.params)
    record = load_final(tmp_path / 'a')[2]['config']
    assert (
        record['withdrawn']['count'] == 10
        and 'withdrawn' not in load_final(tmp_path / 'c')[2]['config']
    )
    assert read_ids(str(tmp_path / 'a/withdrawn.txt')) == tuple(sorted(IDS))
    with pytest.raises(UserError, match='belongs to another config .*withdrawn'):
        build_again = build(tiny(changes, {'withdrawn': IDS[1:]}), splits=splits)
        fit(build_again, tmp_path / 'a')


def test_a_target_loses_its_examples_wherever_it_stands():
    toy = arrays(np.arange(4.0), np.array([0, 1, 0, 1]), 'ab')._replace(names=[*'wxyz'])
    target = toy._replace(names=[*'stuv'])
    kept = without({'train': toy._replace(target=target), 'target': target}, ['x', 't'])
    beside = kept['train'].target
    assert beside is not None and kept['train'].size == kept['target'].size == beside.size == 3
    assert [*beside.names] == ['s', 'u', 'v']


def test_withdrawals_that_cannot_be_are_refused_in_a_line(tmp_path):
    toy = arrays(np.arange(4.0), np.array([0, 1, 0, 1]), 'ab')._replace(names=[*'wxyz'])
    drawn = toy._replace(example=lambda key: {})
    (tmp_path / 'bytes').write_bytes(b'\xff\xfe\xfd')
    for function, text in (
        (lambda: without({'train': toy}, ['a.png']), "no split of this data has 'a.png'"),
        (lambda: without({'train': toy}, [*'wxyz']), 'nothing is left of train'),
        (lambda: without({'train': toy}, [*'wy']), 'all 2 training examples are of the class b'),
        (lambda: without({'train': drawn}, ['w']), 'are made afresh'),
        (lambda: read_ids(str(tmp_path / 'bytes')), 'is no text in UTF-8'),
        (
            lambda: build(tiny({'withdrawn': ['a'], 'data': {'name': 'tfidf', 'of': {}}})),
            "data.name='tfidf' computes inputs from all examples",
        ),
    ):
        with pytest.raises(UserError) as raised:
            function()
        assert text in str(raised.value) and '\n' not in str(raised.value)


@pytest.fixture
def pictures(tmp_path):
    """Twelve pictures of two classes."""
    for name, level in (('dark', 30), ('light', 200)):
        for i in range(6):
            path = tmp_path / 'pictures' / name / f'{name}{i}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(i).integers(level, level + 30, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(path)
    return tmp_path


def test_a_command_tells_whether_pictures_were_left_out(pictures):
    data = {'name': 'folder', 'path': str(pictures / 'pictures'), 'size': 8}
    (pictures / 'gone.txt').write_text('dark/dark1.png\n\ndark/dark2.png\n')
    settings = {'steps': 2, 'batch': 4, 'net': {'name': 'mlp', 'widths': [2]}}
    run = pictures / 'run'
    splits = tljax.data.folder(data['path'], size=8)
    learnt = {name: split.names.tolist() for name, split in splits.items()}
    tljax.train(data=data, workdir=run, withdrawn=str(pictures / 'gone.txt'), **settings)
    kept = next(name for name in learnt['train'] if name[-5] not in '12')
    for ids, code, reason in (
        (pictures / 'gone.txt', 0, 'withdrawn'),
        ('dark/dark1.png', 0, 'withdrawn'),
        ('elsewhere.png', 0, 'in no split'),
        (learnt['test'][0], 0, 'in test alone'),
        (kept, 1, 'in train'),
    ):
        done = call('withdrawn', f'--workdir={run}', f'--ids={ids}', '--json')
        assert done.code == code, (ids, done)
        assert reason in json.loads(done.out)['rows'][0]['reason']
    (pictures / 'pictures' / 'light' / 'light9.png').write_bytes(
        (pictures / 'pictures' / 'light' / 'light1.png').read_bytes()
    )
    done = call('withdrawn', f'--workdir={run}', '--ids=elsewhere.png', '--json')
    assert done.code == 1 and 'have changed' in done.out
    (run / 'withdrawn.txt').write_text('dark/dark1.png\n')
    assert 'is not the list of 2 ids' in error(call('withdrawn', f'--workdir={run}', '--ids=a'))
    assert 'holds no finished run' in error(call('withdrawn', '--workdir=no', '--ids=a'))
    assert '--ids is missing' in error(call('withdrawn', f'--workdir={run}'))


def test_a_run_is_asked_about_the_run_that_it_starts_from(tmp_path):
    start = tiny()
    fit(build(start), tmp_path / 'start')
    then = tiny({'withdrawn': ['train/3'], 'init': {'path': str(tmp_path / 'start')}})
    fit(build(then), tmp_path / 'then')
    result = withdrawal.check(tmp_path / 'then', 'train/3')
    assert [row['without'] for row in result['rows']] == [True, False]
    assert not result['without']


def test_ids_are_those_before_anything_is_left_out():
    splits = digits(size=8)
    kept = without(splits, ['train/0', 'train/5'])['train']
    expected = restrict(splits['train'], np.setdiff1d(np.arange(splits['train'].size), [0, 5]))
    np.testing.assert_array_equal(kept.label, expected.label)
