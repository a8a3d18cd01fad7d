"""Relatedness against closed forms, plain loops, NumPy and SciPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import weightedtau
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from tljax.core import Net, UserError
from tljax.when.relatedness import (
    rank_agreement,
    task2vec,
    task2vec_distance,
    task2vec_transfer,
    transfer_affinity,
)
from tljax.zoo.families.conv4 import conv4
from tljax.zoo.families.mlp import mlp

LINEAR = Net(
    init=None,
    features=lambda params, state, input, key=None: ({'features': input @ params['kernel']}, state),
    dim=2,
    groups={},
)


# orders


def test_agreement_is_scipys_and_of_one_for_the_same_order():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 9))
    assert (
        rank_agreement(a, b)
        == pytest.approx(weightedtau(a, b)[0])
        == pytest.approx(rank_agreement(b, a))
    )
    assert rank_agreement(a, np.exp(a)) == pytest.approx(1) and rank_agreement(
        a, -a
    ) == pytest.approx(-1)
    assert rank_agreement(np.zeros(9), b) == 0
    ties = np.round(a)
    assert len(set(ties)) < 9 and rank_agreement(ties, b) == pytest.approx(weightedtau(ties, b)[0])
    # two exchanged at the top, two at the bottom
    top, bottom = np.array([4.0, 5.0, 3.0, 2.0, 1.0]), np.array([5.0, 4.0, 3.0, 1.0, 2.0])
    assert rank_agreement(top, [5.0, 4.0, 3.0, 2.0, 1.0]) < rank_agreement(
        bottom, [5.0, 4.0, 3.0, 2.0, 1.0]
    )


def test_agreement_by_hand():
    # Pairs of ranks 0-1, 0-2, 1-2 weigh 1 + 1/2, 1 + 1/3, 1/2 + 1/3: of 22/6, 9/6 is discordant, by
    # either's ranks.
    assert rank_agreement([2.0, 3.0, 1.0], [3.0, 2.0, 1.0]) == pytest.approx((22 - 2 * 9) / 22)


def test_agreement_target_by_target():
    rng = np.random.default_rng(0)
    predicted, measured = rng.normal(size=(2, 6, 3))
    predicted[:, 1] = 0
    agreement = rank_agreement(predicted, measured)
    assert agreement[1] == 0 and [agreement[j] for j in (0, 2)] == pytest.approx(
        [weightedtau(predicted[:, j], measured[:, j])[0] for j in (0, 2)]
    )


# the transfer matrix


def test_affinity_recovers_consistent_preferences():
    """Where i beats j with odds w_i : w_j, the matrix is consistent, and its eigenvector is w = (1,
    2, 3) / 6."""
    # Orders of which source is best, next, last, sixty in all: the best is drawn by w, the next by
    # w among the other two.
    counts = {(2, 1, 0): 20, (2, 0, 1): 10, (1, 2, 0): 15, (1, 0, 2): 5, (0, 2, 1): 6, (0, 1, 2): 4}
    score = np.array(
        [-np.argsort(order) for order, count in counts.items() for _ in range(count)]
    ).T
    assert (
        (score[2] > score[0]).sum() == 45
        and (score[1] > score[0]).sum() == 40
        and (score[2] > score[1]).sum() == 36
    )
    np.testing.assert_allclose(transfer_affinity(score[:, None])[:, 0], [1 / 6, 2 / 6, 3 / 6])


def test_affinity_is_the_limit_of_powers_of_any_preferences():
    # ties, and no consistency
    scores = np.random.default_rng(0).integers(0, 4, (5, 3, 40)) + np.arange(5)[:, None, None] % 3
    affinity = transfer_affinity(scores)
    for target in range(3):
        ratio = np.ones((5, 5))
        for i in range(5):
            for j in range(5):
                wins = [
                    (a > b) + (a == b) / 2
                    for a, b in zip(scores[i, target], scores[j, target], strict=True)
                ]
                losses = [1 - win for win in wins]
                ratio[i, j] = np.clip(np.mean(wins), 0.001, 0.999) / np.clip(
                    np.mean(losses), 0.001, 0.999
                )
        vector = np.ones(5)
        for _ in range(200):
            vector = ratio @ vector / (ratio @ vector).sum()
        # a consistent one has the eigenvalue 5
        assert np.abs(ratio @ vector / vector - 5).min() > 0.01
        np.testing.assert_allclose(affinity[:, target], vector)
    # only which is larger counts
    np.testing.assert_allclose(transfer_affinity(np.exp(scores / 3)), affinity)


def test_affinity_by_hand_for_two_sources_and_for_ties():
    scores = np.array([[[1, 1, 1, 0]], [[0, 0, 0, 1]]], float)
    # W = [[., 3], [1/3, .]], eigenvector (3, 1)
    np.testing.assert_allclose(transfer_affinity(scores), [[0.75], [0.25]])
    np.testing.assert_allclose(transfer_affinity(np.ones((3, 2, 4))), np.full((3, 2), 1 / 3))
    affinity = transfer_affinity(np.array([[[1.0, 1.0]], [[0.0, 0.0]]]))
    np.testing.assert_allclose(affinity[:, 0], [0.999, 0.001])


# Task2Vec


def task(parity, half=None):
    x, y = load_digits(return_X_y=True)
    rows = np.arange(len(x)) if half is None else np.arange(half, len(x), 2)
    return (x[rows].reshape(-1, 8, 8, 1) / 16).astype(np.float32), (
        y[rows] % 2 if parity else (y[rows] < 5).astype(int)
    )


def test_the_information_of_a_linear_softmax_has_a_closed_form():
    """Of logits H' W' x: that of W is the mean of H (diag(p) - p p') H' kron x x'."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 3)).astype(np.float32), np.arange(30) % 3
    kernel = rng.normal(size=(3, 2)).astype(np.float32)
    features = (x @ kernel).astype(np.float64)
    head = LogisticRegression(C=2.0, max_iter=1000).fit(features, y)
    information = np.mean(
        [
            np.kron(head.coef_.T @ (np.diag(p) - np.outer(p, p)) @ head.coef_, np.outer(row, row))
            for row, p in zip(x, head.predict_proba(features), strict=True)
        ],
        0,
    )
    expected = np.diag(information).reshape(2, 3).mean(1)
    np.testing.assert_allclose(
        task2vec(LINEAR, {'kernel': jnp.asarray(kernel)}, {}, x, y, penalty=0.5),
        expected,
        rtol=1e-4,
    )


@functools.cache
def probed():
    """Some digits, and a probe whose stored statistics are not those it began with."""
    x, y = task(parity=True)
    net = conv4(width=3, size=8, blocks=2)
    params, state = jax.jit(net.init)(jax.random.key(1), x[:1])
    return net, params, jax.tree.map(lambda leaf: leaf + 0.3, state), x[:24], y[:24]


@functools.cache
def gradients_one_by_one(classes):
    """What `task2vec` should be of the probed digits, with labels that go round."""
    net, params, state, x, _ = probed()
    y = np.arange(24) % classes
    features = np.asarray(jax.jit(net.features)(params, state, x)[0]['features'], np.float64)
    head = LogisticRegression(max_iter=1000).fit(features, y)

    @jax.jit
    def value_and_gradient(params, row, c):
        def log_p(params):
            logits = (
                net.features(params, state, row[None])[0]['features'][0]
                @ head.coef_.T.astype(np.float32)
                + head.intercept_
            )
            return (
                jax.nn.log_sigmoid((2 * c - 1) * logits[0])
                if classes == 2
                else logits[c] - jax.nn.logsumexp(logits)
            )

        return jax.value_and_grad(log_p)(params)

    total = 0.0
    for row in x:
        for c in range(classes):
            value, gradient = jax.device_get(value_and_gradient(params, row, c))
            by_filter = [(gradient[f'conv{i}']['kernel'] ** 2).mean((0, 1, 2)) for i in (1, 2)]
            total = total + np.exp(value) * np.concatenate(by_filter) / len(x)
    return total


@pytest.mark.parametrize('classes', [2, 4])
@pytest.mark.parametrize('block', [1, 5, 100])
def test_the_information_is_that_of_gradients_one_by_one(classes, block):
    net, params, state, x, _ = probed()
    y, expected = np.arange(24) % classes, gradients_one_by_one(classes)
    vector = task2vec(net, params, state, x, y, block=block)
    assert vector.shape == (6,)
    np.testing.assert_allclose(vector, expected, rtol=1e-4)


def test_neither_the_order_of_examples_nor_the_names_of_classes_matter():
    net, params, state, x, y = probed()
    order = np.random.default_rng(0).permutation(len(x))
    vector = task2vec(net, params, state, x, y)
    np.testing.assert_allclose(
        task2vec(net, params, state, x[order], 7 - 3 * y[order]), vector, rtol=1e-3
    )


def test_halves_of_one_task_are_nearer_than_two_tasks():
    net = conv4(width=16, size=8, blocks=1)
    params, state = jax.jit(net.init)(jax.random.key(0), np.zeros((1, 8, 8, 1), np.float32))
    parity, size = (
        [task2vec(net, params, state, *task(by_parity, half)) for half in (0, 1)]
        for by_parity in (True, False)
    )
    half_distances = task2vec_distance(*parity), task2vec_distance(*size)
    # .08 and .45
    assert 3 * max(half_distances) < min(task2vec_distance(a, b) for a in parity for b in size)


# distances


def test_distances_by_hand():
    a, b = np.array([1.0, 3.0]), np.array([1.0, 1.0])
    x, y = np.array([0.5, 0.75]), np.array([0.5, 0.25])
    expected = 1 - x @ y / np.sqrt((x @ x) * (y @ y))
    assert task2vec_distance(a, b) == pytest.approx(expected)
    # a filter that nobody needs
    assert task2vec_distance([1.0, 3.0, 0.0], [1.0, 1.0, 0.0]) == pytest.approx(expected)
    assert task2vec_transfer(a, b, b, alpha=1.0) == pytest.approx(0)
    x, y = np.array([0.5, 1.0]), np.array([0.5, 0.0])
    assert task2vec_transfer(a, b, [1.0, 0.0]) == pytest.approx(
        expected - 0.15 * (1 - x @ y / np.sqrt((x @ x) * (y @ y)))
    )


def test_distances_are_symmetric_of_any_scale_and_0_to_itself():
    for a, b in np.random.default_rng(0).exponential(size=(50, 2, 20)):
        assert (
            task2vec_distance(a, b)
            == pytest.approx(task2vec_distance(b, a))
            == pytest.approx(task2vec_distance(1e-9 * a, 1e-9 * b))
        )
        assert 0 < task2vec_distance(a, b) <= 1 and 0 <= task2vec_distance(a, a) < 1e-15


# refusals


def refused(call, words):
    with pytest.raises(UserError) as refusal:
        call()
    assert words in str(refusal.value) and '\n' not in str(refusal.value)


@pytest.mark.parametrize(
    'call, words',
    [
        (lambda: rank_agreement([1.0], [1.0]), 'three sources or more'),
        (lambda: rank_agreement([1.0, 2.0], [1.0, 2.0]), 'three sources or more'),
        (lambda: rank_agreement([1.0, 2.0, 3.0], [1.0, 2.0]), 'three sources or more'),
        (lambda: rank_agreement(1.0, 1.0), 'three sources or more'),
        (lambda: rank_agreement(np.ones((3, 0)), np.ones((3, 0))), 'three sources or more'),
        (lambda: rank_agreement(np.ones((3, 2, 1)), np.ones((3, 2, 1))), 'three sources or more'),
        (lambda: rank_agreement([1.0, 2.0, np.nan], [1.0, 2.0, 3.0]), 'not finite'),
        (lambda: rank_agreement([1.0, 2.0, 3.0], [1.0, 1.0, 1.0]), 'no order to agree with'),
        (lambda: rank_agreement(np.eye(3), np.triu(np.ones((3, 3)))), 'all 3 sources measure 1.0'),
        (lambda: transfer_affinity(np.ones((1, 2, 3))), 'two sources or more'),
        (lambda: transfer_affinity(np.ones((2, 2))), 'scores (2, 2)'),
        (lambda: transfer_affinity(np.ones((2, 2, 0))), 'scores (2, 2, 0)'),
        (lambda: transfer_affinity(np.full((2, 2, 3), np.nan)), 'finite numbers'),
        (lambda: task2vec_distance([1.0, 0.0], [1.0]), 'by one probe network'),
        (lambda: task2vec_distance([[1.0]], [[1.0]]), 'by one probe network'),
        (lambda: task2vec_distance([1.0, -1.0], [1.0, 1.0]), 'from -1.0 to 1.0'),
        (lambda: task2vec_distance([1.0, np.nan], [1.0, 1.0]), 'from nan to nan'),
        (lambda: task2vec_distance([1.0, 1.0], [0.0, 0.0]), 'not all 0'),
        (lambda: task2vec_distance([], []), 'not all 0'),
        (lambda: task2vec_transfer([1.0], [1.0], [1.0], alpha=np.nan), 'alpha=nan'),
    ],
)
def test_what_has_no_answer(call, words):
    refused(call, words)


X = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.mark.parametrize(
    'changes, words',
    [
        ({'y': [0, 0, 0, 0]}, 'labels of 1 class'),
        ({'y': [0, 1]}, 'one label per row'),
        ({'y': [0.0, 1.0, 0.0, 1.0]}, 'one integer class'),
        ({'x': np.where(X == 5, np.nan, X)}, 'not finite'),
        ({'x': X[:0], 'y': []}, 'x (0, 3)'),
        ({'x': X[:, 0]}, 'x (4,)'),
        ({'x': 0 * X}, 'all 4 rows'),
        ({'penalty': 0.0}, 'penalty=0.0'),
        ({'penalty': np.nan}, 'penalty=nan'),
        ({'block': 0}, 'block=0'),
        ({'block': 2.5}, 'block=2.5'),
        ({'params': {}}, 'a probe that has kernels'),
    ],
)
def test_what_has_no_vector(changes, words):
    net = mlp((2,))
    params, state = jax.jit(net.init)(jax.random.key(0), X)
    refused(
        lambda: task2vec(
            **{'net': net, 'params': params, 'state': state, 'x': X, 'y': np.arange(4) % 2}
            | changes
        ),
        words,
    )
