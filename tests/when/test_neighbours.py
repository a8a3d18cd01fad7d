"""Votes of nearest neighbours against scikit-learn's."""

import numpy as np
import pytest
from labelled_features import network_like
from scipy.stats import mode
from sklearn.neighbors import KNeighborsClassifier

from tljax.when import probes
from tljax.when.probes import knn_accuracy, knn_score


@pytest.mark.parametrize('metric', ['cosine', 'euclidean'])
# each pair is compiled
@pytest.mark.parametrize(
    'k, blocks', [(1, [1]), (2, [64]), (3, [1000, 64, 1]), (10, [64]), (300, [1000])]
)
@pytest.mark.parametrize('kind', [np.float64, np.float32])
def test_votes_are_those_of_scikit_learn(metric, k, blocks, kind, monkeypatch):
    x, y = network_like(500, distance=0.5)
    x, y = x.astype(kind), np.array([7, -2, 30, 4])[y]
    model = KNeighborsClassifier(k, metric=metric, algorithm='brute').fit(x[:300], y[:300])
    expected = model.predict(x[300:])
    for block in blocks:  # 200 rows at once, with some left over, one by one
        monkeypatch.setattr(probes, 'BLOCK', block)
        assert knn_accuracy(x[:300], y[:300], x[300:], expected, k, metric) == 1.0
    assert knn_accuracy(x[:300], y[:300], x[300:], y[300:], k, metric) == pytest.approx(
        (expected == y[300:]).mean()
    )


@pytest.mark.parametrize('metric', ['cosine', 'euclidean'])
@pytest.mark.parametrize('k, blocks', [(1, [7]), (4, [1000, 7]), (59, [1000])])
def test_leaving_one_out_is_that_of_scikit_learn(metric, k, blocks, monkeypatch):
    x, y = network_like(60, distance=0.5)
    neighbours = (
        KNeighborsClassifier(k, metric=metric, algorithm='brute')
        .fit(x, y)
        .kneighbors(return_distance=False)
    )
    expected = (mode(y[neighbours], axis=1).mode == y).mean()
    for block in blocks:
        monkeypatch.setattr(probes, 'BLOCK', block)
        assert knn_score(x, y, k, metric) == pytest.approx(expected)


def test_votes_by_hand():
    x, y = [[0.0], [1.0], [3.0]], [5, 3, 9]
    queries = [[0.1], [2.9], [1.9]]
    assert knn_accuracy(x, y, queries, [5, 9, 3], metric='euclidean') == 1.0
    # 5 or 9 and 3, which is smaller
    assert knn_accuracy(x, y, queries, [3, 3, 3], k=2, metric='euclidean') == 1.0
    assert knn_accuracy(x, y, queries, [3, 3, 3], k=3, metric='euclidean') == 1.0
    # a row of zeros is at cosine 0 to all
    assert knn_accuracy([[0.0, 0.0], [1.0, 0.0]], [0, 1], [[0.5, 0.1], [-1.0, 0.0]], [1, 0]) == 1.0


def test_copies_and_neighbours_far_from_the_origin_are_told_apart():
    x, y = network_like(200, distance=0.5)
    copies, labels = np.r_[x[:100], x[:100]], np.r_[y[:100], y[:100]]
    assert knn_score(copies, labels, metric='euclidean') == knn_score(copies, labels) == 1.0
    shifted = (x + 1e4).astype(np.float32)
    assert knn_score(shifted, y, metric='euclidean') == pytest.approx(
        knn_score(shifted.astype(float), y, metric='euclidean'), abs=0.02
    )
