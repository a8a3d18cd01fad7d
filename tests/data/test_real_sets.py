"""The literature's data sets themselves, where they are at hand."""

import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier
from tiny_sets import rows, sizes

from tljax.data.sets.amazon_reviews import amazon_reviews
from tljax.data.sets.mnist import mnist
from tljax.data.sets.mnist_m import mnist_m
from tljax.data.sets.office_caltech import OFFICE_DOMAINS, office_caltech
from tljax.data.sets.usps import usps

DATA = Path(os.environ.get('TLJAX_DATA', 'data'))

real = pytest.mark.skipif(
    'TLJAX_DATA' not in os.environ, reason='TLJAX_DATA is not set: real data sets are not at hand'
)


@real
def test_real_mnist():
    splits = mnist(DATA / 'mnist' / 'raw')
    assert sizes(splits) == {'train': 57_000, 'validation': 3_000, 'test': 10_000}
    counts = np.bincount(splits['train'].label) + np.bincount(splits['validation'].label)
    assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert rows(splits, 'test')[0].mean() == pytest.approx(0.1325, abs=1e-4)


@real
def test_real_usps():
    splits = usps(DATA / 'usps' / 'usps.h5')
    assert splits['train'].size + splits['validation'].size == 7291 and splits['test'].size == 2007
    (xs, ys), (xt, yt) = (
        (x.reshape(len(x), -1), y)
        for x, y in (rows(splits, 'train', 'validation'), rows(splits, 'test'))
    )
    assert KNeighborsClassifier(1, algorithm='brute').fit(xs, ys).score(xt, yt) == pytest.approx(
        0.9437, abs=1e-3
    )


@real
def test_real_mnist_m():
    splits = mnist_m(
        DATA / 'mnist_m' / 'mnist_m_test.zip', DATA / 'mnist' / 'raw', DATA / 'bsds_patches_source'
    )
    assert sizes(splits) == {'train': 57_000, 'validation': 3_000, 'test': 9_001}
    assert np.bincount(splits['test'].label).tolist() == [
        878,
        1016,
        933,
        908,
        890,
        807,
        856,
        914,
        880,
        919,
    ]
    for name in ('train', 'test'):
        pictures = splits[name].take(np.arange(9000))['input'].mean(-1)
        # where no digit is
        edge = np.concatenate([pictures[:, [0, -1]].ravel(), pictures[..., [0, -1]].ravel()]).mean()
        inverted = (pictures.mean(0) - edge).sum() / (1 - 2 * edge)
        assert 0.38 < edge < 0.46 and inverted == pytest.approx(150.5, abs=15), (
            'pixels of a digit, by what inverting does to the mean'
        )


@real
def test_real_office_caltech_by_one_nearest_neighbour():
    batches = {
        domain: rows(office_caltech(DATA / 'office_caltech10_surf', domain), 'test')
        for domain in OFFICE_DOMAINS
    }
    assert [len(label) for _, label in batches.values()] == [958, 1123, 157, 295]
    scores = [
        KNeighborsClassifier(1, algorithm='brute').fit(*batches[source]).score(*batches[target])
        for source in batches
        for target in batches
        if source != target
    ]
    assert 100 * np.mean(scores) == pytest.approx(31.37, abs=0.01)


@real
def test_real_amazon_reviews():
    splits = amazon_reviews(DATA / 'amazon_sentiment', 'books')
    assert sizes(splits) == {'train': 1_800, 'validation': 200, 'test': 4_465}
    input, label = rows(splits, 'train', 'validation')
    assert (
        input.shape == (2000, 5000)
        and set(np.unique(input)) == {0, 1}
        and np.bincount(label).tolist() == [1000, 1000]
    )
