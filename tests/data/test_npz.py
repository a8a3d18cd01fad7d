"""Arrays in .npz as data sets; sound and damaged."""

import numpy as np
import pytest
from trees import LABEL, everything, sizes

from tljax.core import UserError
from tljax.data.formats.arrays import arrays
from tljax.data.formats.npz import npz
from tljax.data.splits import cut


def stored(tmp_path, **columns):
    np.savez(tmp_path / 'a.npz', **columns)
    return tmp_path / 'a.npz'


def test_npz_pictures(tmp_path):
    input = np.random.default_rng(0).integers(0, 256, (20, 4, 5), np.uint8)
    splits = npz(stored(tmp_path, input=input, label=LABEL), seed=2)
    assert sizes(splits) == {'train': 14, 'validation': 2, 'test': 4} and splits[
        'test'
    ].classes == ('0', '1')
    for name, split in cut(
        arrays(input, LABEL, ('0', '1')), {'validation': 0.1, 'test': 0.2}, seed=2
    ).items():
        np.testing.assert_array_equal(
            everything(splits[name])['input'],
            everything(split)['input'][..., None] / np.float32(255),
        )
        np.testing.assert_array_equal(splits[name].label, split.label)


def test_npz_keeps_its_splits_and_names(tmp_path):
    columns = {
        f'{split}_{key}': value
        for split, n in (('train', 6), ('validation', 4), ('test', 2))
        for key, value in (('input', np.arange(n) + 10.0 * n), ('label', np.arange(n) % 2))
    }
    splits = npz(
        stored(
            tmp_path,
            **columns,
            classes=np.array(['odd', 'even']),
            comment=np.array({'a': 1}, dtype=object),
        )
    )
    assert splits['test'].classes == ('odd', 'even') and splits['test'].label.dtype == np.int32
    assert everything(splits['validation'])['input'].tolist() == [40, 41, 42, 43]
    assert everything(splits['test'])['input'].dtype == np.float32
    assert sizes(splits) == {'train': 6, 'validation': 4, 'test': 2}


def test_npz_leaves_integers_alone(tmp_path):
    tokens = np.arange(60, dtype=np.uint8).reshape(20, 3)
    train = npz(stored(tmp_path, input=tokens, label=LABEL))['train']
    assert everything(train)['input'].dtype == np.uint8
    train = npz(stored(tmp_path, input=tokens.astype(np.int64), label=LABEL))['train']
    assert everything(train)['input'].dtype == np.int64


@pytest.mark.parametrize('shape', [(20,), (20, 2)])
def test_npz_regression(tmp_path, shape):
    label = np.random.default_rng(0).normal(size=shape)
    splits = npz(stored(tmp_path, input=np.arange(20), label=label), seed=3)
    assert sizes(splits) == {'train': 14, 'validation': 2, 'test': 4}
    for split in splits.values():
        assert split.classes == () and split.label.dtype == np.float32
        np.testing.assert_array_equal(
            split.label, label[everything(split)['input']].astype(np.float32)
        )
    rows = np.concatenate([everything(split)['input'] for split in splits.values()])
    assert sorted(rows) == list(range(20)) and rows.tolist() != list(range(20))


INPUT = np.zeros((20, 3))


@pytest.mark.parametrize(
    'columns, message',
    [
        ({'x': INPUT, 'y': LABEL}, 'lacks train_input, train_label; it holds x, y: name'),
        ({'input': INPUT}, 'lacks label; it holds input'),
        (
            {'input': INPUT, 'label': LABEL, 'test_input': INPUT},
            'lacks test_label; it holds input, label, test_input',
        ),
        ({'test_input': INPUT, 'test_label': LABEL}, 'lacks train_input, train_label'),
        ({}, 'it holds nothing'),
        (
            {'input': INPUT, 'train_input': INPUT, 'train_label': LABEL},
            'both input and train_input',
        ),
        (
            {'input': INPUT, 'label': LABEL + 1},
            'run from 1 to 2 with 2 distinct values: say data.task=classes',
        ),
        ({'input': INPUT, 'label': LABEL * 2}, 'run from 0 to 2 with 2 distinct'),
        (
            {'input': INPUT, 'label': LABEL, 'classes': ['a']},
            'run from 0 to 1 but there are 1 classes',
        ),
        (
            {'input': INPUT, 'label': LABEL, 'test_input': INPUT, 'test_label': LABEL + 1},
            'test labels run from 1 to 2 but there',
        ),
        (
            {'input': INPUT, 'label': np.zeros((20, 2, 2))},
            r'float64 of shape \(20, 2, 2\): give \(n,\) integers or words',
        ),
        (
            {'input': INPUT, 'label': LABEL / 2, 'classes': ['a', 'b']},
            r'hold 0.5, which is no class',
        ),
        ({'input': INPUT, 'label': LABEL * np.nan}, 'labels are not finite'),
        ({'input': INPUT * np.nan, 'label': LABEL}, 'train: 60 input values are not finite'),
        ({'input': INPUT, 'label': LABEL[:5]}, 'train: 20 inputs but 5 labels'),
        ({'input': INPUT.astype(str), 'label': LABEL}, 'the train input is <U'),
        ({'input': INPUT[:0], 'label': LABEL[:0]}, 'no training examples'),
        (
            {'input': INPUT, 'label': LABEL, 'test_input': INPUT[:0], 'test_label': LABEL[:0]},
            'the test split is empty',
        ),
        (
            {'input': INPUT.astype(object), 'label': LABEL},
            'input is no plain array .*: save numbers',
        ),
    ],
)
def test_npz_that_are_refused(tmp_path, columns, message):
    with pytest.raises(UserError, match=message) as refusal:
        npz(stored(tmp_path, **columns))
    assert 'a.npz' in str(refusal.value) and '\n' not in str(refusal.value)


def test_npz_that_are_damaged(tmp_path):
    with pytest.raises(UserError, match='b.npz does not exist: give'):
        npz(tmp_path / 'b.npz')
    path = stored(tmp_path, input=np.ones((20, 30)), label=LABEL)
    content = path.read_bytes()
    path.write_bytes(content[:-40])
    with pytest.raises(UserError, match='is no .npz or is damaged'):
        npz(path)
    path.write_bytes(content[:900] + b'damage' + content[906:])
    with pytest.raises(UserError, match='input is damaged'):
        npz(path)
