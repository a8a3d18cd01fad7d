"""MNIST, USPS and MNIST-M: what is read is what was written."""

import numpy as np
from tiny_sets import (
    LABEL,
    PHOTOGRAPH,
    random,
    read_mnist,
    read_mnist_m,
    read_usps,
    refused,
    rows,
    same,
    sizes,
    unit,
    write_idx,
    write_photograph,
)

from tljax.data.reading import DIGITS


def test_mnist(root):
    splits = read_mnist(root)
    assert sizes(splits) == {'train': 30, 'validation': 10, 'test': 40}
    assert all(
        split.classes == DIGITS and (np.bincount(split.label) == split.size / 10).all()
        for split in splits.values()
    )
    same(rows(splits, 'train', 'validation'), unit(random(0, 40, 28, 28, 1)), LABEL, ordered=False)
    same(rows(splits, 'test'), unit(random(1, 40, 28, 28, 1)), LABEL)


def test_digits_of_another_size_and_in_three_channels(root):
    large, small = (rows(read_mnist(root, size, 3), 'test')[0] for size in (28, 14))
    assert small.shape == (40, 14, 14, 3) and (small == small[..., :1]).all()
    np.testing.assert_array_equal(large, np.repeat(unit(random(1, 40, 28, 28, 1)), 3, -1))
    # At half the size a bilinear filter weighs four neighbours on each side 1, 3, 3, 1: those of
    # pixel i begin at 2 i - 1.
    weight = np.array([1, 3, 3, 1]) / 8
    np.testing.assert_allclose(
        small[:, 3, 5, 0],
        np.einsum('nij,i,j', large[:, 5:9, 9:13, 0], weight, weight),
        atol=1.5 / 255,
    )
    for size, channels in ((0, 1), (28, 2)):
        refused(
            lambda: read_mnist(root, size, channels),
            f'data.size={size}, data.channels={channels}: give one pixel or more',
        )


def test_usps(root):
    splits = read_usps(root)
    assert (
        sizes(splits) == {'train': 30, 'validation': 10, 'test': 40}
        and splits['train'].classes == DIGITS
    )
    same(
        rows(splits, 'train', 'validation'),
        unit(random(2, 40, 256).reshape(40, 16, 16, 1)),
        LABEL,
        ordered=False,
    )
    same(rows(splits, 'test'), unit(random(3, 40, 256).reshape(40, 16, 16, 1)), LABEL)


def test_mnist_m(root):
    splits = read_mnist_m(root)
    assert (
        sizes(splits) == {'train': 30, 'validation': 10, 'test': 10}
        and splits['train'].classes == DIGITS
    )
    same(rows(splits, 'test'), unit(random(4, 10, 32, 32, 3)[:, 2:30, 2:30]), 9 - np.arange(10))
    ink = random(0, 40, 28, 28, 1) > 0
    # of one colour, whatever the window
    blended = np.where(ink, 255 - np.array(PHOTOGRAPH), PHOTOGRAPH)
    same(rows(splits, 'train', 'validation'), unit(blended.astype(np.uint8)), LABEL, ordered=False)


def test_windows_lie_anywhere_in_any_photograph_and_go_by_the_seed(root):
    # pixels say in which photograph and where they are; each has 3 x 4 windows
    for which in range(2):
        write_photograph(
            root,
            np.stack([*np.indices((30, 31)), np.full((30, 31), which)], -1),
            f'{1 + which}.PNG',
        )
    write_idx(root / 'mnist', 'train', np.zeros((800, 28, 28)), np.arange(800) % 10)
    sets = [read_mnist_m(root, seed) for seed in (0, 0, 1)]
    corners = np.round(255 * rows(sets[0], 'train', 'validation')[0][:, 0, 0]).astype(int)
    counts = np.zeros((3, 4, 2), int)
    np.add.at(counts, tuple(corners.T), 1)
    assert counts.min() > 15  # 33 each on average
    assert (
        sets[0]['train'].fingerprint == sets[1]['train'].fingerprint != sets[2]['train'].fingerprint
    )
