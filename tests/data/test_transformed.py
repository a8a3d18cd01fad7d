"""Pictures that are transformed at random, and which transformation it was."""

import numpy as np
import pytest

from tljax.build import load
from tljax.core import UserError
from tljax.data.formats.arrays import arrays
from tljax.data.wrappers.transformed import transformed
from tljax.nn.transformations import mirror, upend

BY = [mirror(), upend()]


@pytest.fixture
def splits():
    rng = np.random.default_rng(0)
    return {
        name: arrays(
            rng.random((n, 4, 4, 1), np.float32), rng.integers(0, 2, n).astype(np.int32), 'ab'
        )
        for name, n in (('train', 300), ('test', 30))
    }


def test_each_picture_is_what_its_class_says(splits):
    changed = transformed(splits, BY, label='which')
    for name, split in splits.items():
        rows = np.arange(split.size)
        before, batch = split.take(rows)['input'], changed[name].take(rows)
        expected = {0: before, 1: before[:, :, ::-1], 2: before[:, ::-1]}
        for row, which in enumerate(batch['label']):
            np.testing.assert_array_equal(batch['input'][row], expected[which][row])
        np.testing.assert_array_equal(changed[name].label, batch['label'])
        assert changed[name].classes == ('as it is', 'mirror', 'upend')
    counts = np.bincount(changed['train'].label)
    assert counts.sum() == 300 and counts.min() > 70


def test_own_labels_stay_and_any_shape_of_index_is_read(splits):
    split = transformed(splits, BY)['train']
    assert split.classes == ('a', 'b')
    batch = split.take(np.array([[3, 5], [3, 0]]))
    assert batch['input'].shape == (2, 2, 4, 4, 1)
    np.testing.assert_array_equal(batch['input'][0, 0], batch['input'][1, 0])
    assert batch['label'].tolist() == splits['train'].label[[[3, 5], [3, 0]]].tolist()


def test_the_draw_is_of_the_seed(splits):
    first, again = (transformed(splits, BY)['train'] for _ in range(2))
    other = transformed(splits, BY, seed=1)['train']
    which = transformed(splits, BY, label='which')['train']
    prints = [split.fingerprint for split in (first, again, other, which, splits['train'])]
    assert prints[0] == prints[1] and len(set(prints)) == 4


def test_a_config_names_it():
    data = {'name': 'digits', 'size': 8}
    found = load({'name': 'transformed', 'of': data, 'by': ['mirror'], 'label': 'which'})
    assert found['train'].classes == ('as it is', 'mirror')


@pytest.mark.parametrize(
    'changes, said',
    [
        ({'label': 'other'}, "data.label='other' is not own or which"),
        ({'by': []}, 'give one transformation or more'),
        ({'by': [mirror(), mirror()]}, 'none twice'),
    ],
)
def test_what_cannot_be(splits, changes, said):
    with pytest.raises(UserError, match=said):
        transformed(splits, **{'by': BY, **changes})


def test_what_is_no_picture():
    splits = {'train': arrays(np.zeros((2, 3)), np.array([0, 1]), 'ab')}
    with pytest.raises(UserError, match='which are no pictures'):
        transformed(splits, BY)['train'].take(np.arange(2))
