"""Pictures brought to a network's shape."""

import numpy as np
import pytest
from PIL import Image

from tljax.core import UserError
from tljax.data import digits, sine
from tljax.data.formats.arrays import arrays
from tljax.data.wrappers.resampled import resampled


@pytest.fixture
def pictures():
    """Two red, green and blue pictures of 4x4."""
    return np.random.default_rng(0).uniform(size=(2, 4, 4, 3)).astype(np.float32)


@pytest.fixture
def coloured(pictures):
    """The splits of a set of two pictures, whose test split is empty."""
    return {
        'train': arrays(pictures, np.array([0, 1]), 'ab'),
        'test': arrays(pictures[:0], np.zeros(0, int), 'ab'),
    }


def test_pictures_are_scaled_as_pillow_does_and_greyed_by_luma(coloured, pictures):
    batch = resampled(coloured, size=6, channels=1)['train'].take(np.array([[1], [0]]))
    assert batch['input'].shape == (2, 1, 6, 6, 1) and batch['label'].tolist() == [[1], [0]]
    for row, picture in ((0, pictures[1]), (1, pictures[0])):
        luma = sum(
            weight
            * np.asarray(Image.fromarray(picture[..., i]).resize((6, 6), Image.Resampling.BILINEAR))
            for i, weight in enumerate((0.299, 0.587, 0.114))
        )
        np.testing.assert_allclose(batch['input'][row, 0, ..., 0], luma, atol=1e-6)


def test_pictures_of_the_right_shape_stay_as_they_are(coloured, pictures):
    splits = resampled(coloured, size=4)
    np.testing.assert_array_equal(splits['train'].take(np.arange(2))['input'], pictures)
    assert splits['test'].size == 0


def test_no_more_than_was_asked_for_and_the_same_each_time():
    subset, same_subset = (resampled(digits(size=8), 8, 1, most=50)['train'] for _ in range(2))
    train = digits(size=8)['train']
    assert subset.size == 50 and subset.fingerprint == same_subset.fingerprint
    pictures = {picture.tobytes() for picture in train.take(np.arange(train.size))['input']}
    assert all(picture.tobytes() in pictures for picture in subset.take(np.arange(50))['input'])
    assert (
        subset.fingerprint != resampled(digits(size=8), 8, 1, most=50, seed=1)['train'].fingerprint
    )


@pytest.mark.parametrize(
    'changes, said',
    [
        ({'size': 0}, 'data.size=0'),
        ({'channels': 2}, 'data.channels=2'),
        ({'most': 0}, 'data.most=0'),
    ],
)
def test_what_cannot_be(changes, said):
    with pytest.raises(UserError, match=said):
        resampled(digits(), **{'size': 8, **changes})


def test_what_is_no_picture():
    with pytest.raises(UserError, match='data.of has inputs .* no square pictures'):
        resampled(sine(), size=8)
