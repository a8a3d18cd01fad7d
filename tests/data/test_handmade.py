"""Hand-made features against numbers worked out by hand, and what turning a picture changes."""

import sys

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from tljax.build import load
from tljax.core import UserError
from tljax.data import digits, domains, resampled, sine
from tljax.data.formats.arrays import arrays
from tljax.data.wrappers import handmade
from tljax.data.wrappers.handmade import (
    bags,
    descriptors,
    handmade_bag,
    handmade_hog,
    nearest_words,
    visual_words,
)

pytest.importorskip('skimage')
ROWS, COLUMNS = np.mgrid[:16, :16] / 16


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    """A cache of its own for each test."""
    monkeypatch.setenv('TLJAX_CACHE', str(tmp_path))
    return tmp_path


def as_set(*pictures):
    """A set of pictures with one class."""
    return arrays(np.array(pictures, np.float32), np.zeros(len(pictures), np.int32), ('a',))


def hog(picture, **keywords):
    """The histogram of a single picture (height, width) or (height, width, channels)."""
    picture = picture[..., None] if picture.ndim == 2 else picture
    return handmade_hog({'train': as_set(picture)}, **keywords)['train'].take([0])['input'][0]


def blobs(seed, side=96):
    """A picture (side, side, 1) of round blobs, in [0, 1]."""
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=(side, side)), 3)
    return ((smooth - smooth.min()) / np.ptp(smooth)).astype(np.float32)[..., None]


@pytest.fixture(scope='module')
def pictures():
    """Splits of pictures of blobs; the last of each is of a single grey."""
    return {
        name: as_set(*(blobs(seed) for seed in seeds), np.full((96, 96, 1), 0.5))
        for name, seeds in (('train', range(8)), ('test', range(8, 11)))
    }


@pytest.mark.parametrize(
    'edge, bin',
    [
        (COLUMNS >= 0.5, 0),  # gradient to the right, 0 degrees; a bin has 20
        (ROWS >= 0.5, 4),  # downwards, 90 degrees
    ],
)
def test_an_edge_has_all_its_energy_in_one_bin(edge, bin):
    # the gradient is 1 on both sides of the edge, so that all four cells have the same sum; their
    # norms in the block are 1 / 2, or .2 when they are clipped, and 1 / 2 again
    expected = np.zeros((4, 9))
    expected[:, bin] = 0.5
    for contrast in (1.0, 0.3):  # which the norm takes out
        found = hog(contrast * edge, cell=8)
        np.testing.assert_allclose(found.reshape(4, 9), expected, atol=1e-4)


def test_the_energy_of_a_slope_lies_at_its_angle():
    for angle in (30, 50, 70, 130, 150):
        slope = np.cos(np.radians(angle)) * COLUMNS + np.sin(np.radians(angle)) * ROWS
        energy = hog(slope, cell=16, block=1)
        assert energy.argmax() == angle // 20, angle


def test_the_channel_with_the_longest_gradient_counts():
    strong, weak = COLUMNS >= 0.5, 0.2 * (ROWS >= 0.25)
    coloured = np.stack([weak, strong, weak], -1)
    grey = hog(strong)
    found = hog(coloured).reshape(4, 9)
    assert found[:, 0].min() > 0.4 and grey[0] > 0.4
    np.testing.assert_allclose(hog(np.stack(3 * [strong], -1)), grey)


def test_blocks_and_cells_are_counted():
    assert hog(np.ones((20, 16)), cell=4, block=3, orientations=5).shape == (3 * 2 * 9 * 5,)
    assert not hog(np.ones((16, 16))).any()


def test_a_bag_is_the_root_of_the_shares_of_the_nearest_words():
    # roots of shares: (1, 0), (.95, .32), (0, 1); the words are (1, 0) and (0, 1)
    found = np.zeros((5, 128), np.uint8)
    found[:, :2] = [(200, 0), (90, 10), (0, 50), (0, 7), (1, 99)]
    word = nearest_words(found, 'sift', np.eye(2, 128, dtype=np.float32))
    assert word.tolist() == [0, 0, 1, 1, 1]
    bag = bags(word, counts=np.array([3, 0, 2]), words=2)
    np.testing.assert_allclose(bag, [[(2 / 3) ** 0.5, (1 / 3) ** 0.5], [0, 0], [0, 1]], atol=1e-6)


def test_words_of_bits_are_the_majorities_of_their_bits():
    bits = np.zeros((6, 256), np.uint8)
    bits[:3, 100:] = 1  # three descriptors far from the others
    bits[0, :3], bits[1, :3], bits[2, :3] = (1, 1, 0), (1, 0, 0), (0, 1, 0)
    bits[3, 5] = 1
    words = visual_words(np.packbits(bits, axis=1), 'orb', words=2, seed=1)
    first = words[words[:, 100:].all(1)][0]
    assert first[:4].tolist() == [1, 1, 0, 0] and first[100:].all() and first.sum() == 158
    assert not words[~words[:, 100:].all(1)].any()


def test_words_of_sift_are_the_centres_of_clusters():
    rng = np.random.default_rng(0)
    found = np.zeros((60, 128), np.uint8)
    found[:30, 0], found[30:, 64] = 200, 200
    found[:, 3] = rng.integers(0, 5, 60)
    words = visual_words(found, 'sift', words=2)
    roots = np.sqrt(found / found.sum(1, keepdims=True))
    means = np.array([roots[30:].mean(0), roots[:30].mean(0)])
    np.testing.assert_allclose(words[words[:, 0].argsort()], means, atol=1e-5)


@pytest.mark.parametrize('descriptor', ['sift', 'orb'])
def test_a_turned_picture_has_the_same_bag_and_another_hog(pictures, descriptor):
    turned = np.rot90(pictures['test'].take(np.arange(3))['input'], axes=(1, 2))
    splits = {'train': pictures['train'], 'test': pictures['test'], 'turned': as_set(*turned)}
    bag = handmade_bag(splits, descriptor=descriptor, words=12)
    upright, after = (bag[name].take(np.arange(3))['input'] for name in ('test', 'turned'))
    other = upright[[1, 2, 0]]
    change = np.linalg.norm(after - upright, axis=1)
    assert (change < 0.25).all() and (change < np.linalg.norm(other - upright, axis=1) / 2).all()
    edges = handmade_hog(splits, cell=16)
    upright, after = (edges[name].take(np.arange(3))['input'] for name in ('test', 'turned'))
    assert (np.linalg.norm(after - upright, axis=1) > np.linalg.norm(upright, axis=1) / 2).all()


@pytest.mark.parametrize('descriptor', ['sift', 'orb'])
def test_a_picture_without_keypoints_has_zeros(pictures, descriptor):
    bag = handmade_bag(pictures, descriptor=descriptor, words=5)['test'].take(np.arange(4))['input']
    np.testing.assert_allclose((bag**2).sum(1), [1, 1, 1, 0], atol=1e-6)


def test_words_are_of_the_training_pictures_alone(pictures):
    bag, same = (
        handmade_bag({**pictures, 'test': test}, words=5)
        for test in (pictures['test'], as_set(blobs(20)))
    )
    assert bag['train'].fingerprint == same['train'].fingerprint
    other = handmade_bag({**pictures, 'train': pictures['test']}, words=5)
    assert bag['test'].fingerprint != other['test'].fingerprint


def test_words_of_domains_are_of_both(pictures):
    source = {name: pictures['train'] for name in ('train', 'validation')}
    target = {name: pictures['test'] for name in ('train', 'test')}
    both = handmade_bag(domains(source, target), words=5)
    alone = handmade_bag(source, words=5)
    assert both['train'].fingerprint != alone['train'].fingerprint
    assert both['train'].target.fingerprint == both['target'].fingerprint
    assert both['test'].take([0])['input'].shape == (1, 5)


def test_colour_becomes_luma(pictures):
    grey = pictures['test'].take(np.arange(1))['input'][0]
    coloured = np.concatenate([grey, grey, grey], -1)
    np.testing.assert_array_equal(descriptors(coloured, 'orb'), descriptors(grey, 'orb'))
    blue = descriptors(np.stack([0 * grey[..., 0], 0 * grey[..., 0], grey[..., 0]], -1), 'sift')
    assert len(blue) < len(descriptors(grey, 'sift'))


def test_features_are_kept(pictures, empty_cache, monkeypatch):
    first = handmade_bag(pictures, words=5), handmade_hog(pictures)
    # descriptors and bags of two splits, and the words; histograms of two splits
    assert len(list(empty_cache.glob('features/*.npz'))) == 5 + 2
    handmade_bag(pictures, words=6)  # of the same descriptors
    assert len(list(empty_cache.glob('features/*.npz'))) == 7 + 3

    def refuse(split, function):
        raise AssertionError('the pictures are read again')

    monkeypatch.setattr(handmade, '_each', refuse)
    again = handmade_bag(pictures, words=5), handmade_hog(pictures)
    for before, after in zip(first, again, strict=True):
        assert before['test'].fingerprint == after['test'].fingerprint


def test_a_config_names_them():
    data = dict(name='resampled', size=48, most=20, of=dict(name='digits', size=8))
    found = load(dict(name='handmade_bag', of=data, descriptor='orb', words=3))
    assert found['train'].classes == tuple('0123456789')
    assert found['validation'].take([[3, 4]])['input'].shape == (1, 2, 3)


@pytest.mark.parametrize(
    'call, said',
    [
        (
            lambda: handmade_hog(digits(size=8), cell=8),
            'pictures of 8x8 pixels are too small, as a block of 2 cells of 8 pixels has 16: '
            "enlarge them by dict(name='resampled', size=...) around the data",
        ),
        (
            lambda: handmade_bag(digits(size=40), descriptor='orb'),
            'pictures of 40x40 pixels are too small, as a descriptor of ORB needs 41: enlarge',
        ),
        (lambda: handmade_bag(digits(size=5)), 'as a descriptor of SIFT needs 6'),
        (lambda: handmade_hog(sine()), 'hand-made features are of pictures'),
        (lambda: handmade_hog(digits(), cell=0), 'data.cell=0, data.block=2, data.orientations=9'),
        (lambda: handmade_bag(digits(), descriptor='surf'), "data.descriptor='surf' is unknown"),
        (lambda: handmade_bag(digits(), words=1), 'data.words=1: give a whole number of 2 or'),
        (
            lambda: handmade_bag(resampled(digits(size=8), 48, 1, most=2), words=900),
            'data.words=900, and the training pictures have ',
        ),
        (
            lambda: descriptors(np.ones((48, 48, 2), np.float32), 'orb'),
            'with 1 or 3 channels',
        ),
    ],
)
def test_what_cannot_be(call, said):
    with pytest.raises(UserError) as refused:
        call()
    assert said in str(refused.value) and '\n' not in str(refused.value)


@pytest.mark.parametrize('size', [6, 12, 16])
def test_small_pictures_may_have_no_keypoints(size):
    with pytest.raises(UserError, match='the training pictures have|distinct') as refused:
        handmade_bag({'train': as_set(np.ones((size, size, 1)))}, words=2)
    assert 'have 0 descriptors of SIFT' in str(refused.value)


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'skimage', None)  # as if it were not installed
    for make in (handmade_hog, handmade_bag):
        with pytest.raises(UserError, match=r"scikit-image, .* pip install 'tljax\[handmade\]'"):
            make(digits())
