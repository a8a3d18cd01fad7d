"""LogME against the textbook iteration, SciPy and numbers by hand; sums of blocks."""

import itertools

import numpy as np
import pytest
from labelled_features import cases, every_case, labelled
from scipy import optimize
from scipy.stats import Covariance, multivariate_normal

from tljax.when import evidence
from tljax.when.evidence import h_score, h_score_of, logme, logme_of, moments


def textbook(f, t):
    """You et al. 2021, algorithm 1 from equation 3: the iteration with an explicit inverse, to its
    end, and the evidence there."""
    (n, d), alpha, beta, gram = f.shape, 1.0, 1.0, f.T @ f
    for _ in range(5000):
        inverse = np.linalg.inv(alpha * np.eye(d) + beta * gram)
        m = beta * inverse @ f.T @ t
        gamma = d - alpha * np.trace(inverse)
        previous_ratio = alpha / beta
        alpha, beta = gamma / (m @ m), (n - gamma) / ((t - f @ m) @ (t - f @ m))
        if abs(alpha / beta / previous_ratio - 1) < 1e-9:
            break
    a = alpha * np.eye(d) + beta * gram
    m = beta * np.linalg.solve(a, f.T @ t)
    return (
        n / 2 * np.log(beta / 2 / np.pi)
        + d / 2 * np.log(alpha)
        - np.linalg.slogdet(a)[1] / 2
        - beta / 2 * ((t - f @ m) ** 2).sum()
        - alpha / 2 * (m @ m)
    ) / n


@every_case
def test_logme_is_the_textbook_iteration_with_an_explicit_inverse(case):
    f, y = cases()[case]
    assert logme(f, y) == pytest.approx(
        np.mean([textbook(f, (y == label) * 1.0) for label in np.unique(y)]), rel=1e-6
    )


def largest_density(f, t):
    """SciPy's density of t ~ N(0, I / beta + f f^T / alpha), maximised over both from many
    starts."""
    gram, eye, zeros = f @ f.T, np.eye(len(t)), np.zeros(len(t))

    def loss(logs):
        alpha, beta = np.exp(logs)
        try:
            covariance = Covariance.from_cholesky(np.linalg.cholesky(eye / beta + gram / alpha))
            return -multivariate_normal.logpdf(t, zeros, covariance) / len(t)
        except np.linalg.LinAlgError:  # singular to double precision
            return np.inf

    fits = [
        optimize.minimize(
            loss,
            start,
            method='Nelder-Mead',
            bounds=[(-25, 25)] * 2,
            options={'xatol': 1e-8, 'fatol': 1e-13},
        )
        for start in itertools.product([-8.0, -2.0, 4.0, 10.0], [0.0, 3.0])
    ]
    return -min(fit.fun for fit in fits)


@pytest.mark.parametrize('case', ['tall', 'wide', 'low rank', 'constant column'])
def test_logme_is_the_largest_density_that_scipy_finds(case):
    f, y = (values[:25] for values in cases()[case])
    assert logme(f, y) == pytest.approx(
        np.mean([largest_density(f, (y == label) * 1.0) for label in np.unique(y)]), rel=1e-6
    )


@pytest.mark.parametrize('shape', [(60, 5), (20, 30)])
def test_regression_is_averaged_over_columns(shape):
    rng = np.random.default_rng(0)
    f = rng.normal(size=shape)
    t = f[:, :3] + rng.normal(size=(len(f), 3)) + [0, 1, 2]
    scores = [textbook(f, column) for column in t.T]
    assert logme(f, t) == pytest.approx(np.mean(scores), rel=1e-6)
    assert logme(f, t[:, 0]) == logme(f, t[:, :1]) == pytest.approx(scores[0], rel=1e-6)
    assert logme_of(moments([(f, t)])) == pytest.approx(np.mean(scores), rel=1e-6)


def test_of_two_maxima_the_larger_is_found_where_the_published_iteration_stops_at_the_smaller():
    # One strong feature explains 40 % of the labels and one that is 3000 times weaker another 30 %,
    # which takes larger weights.
    q = np.linalg.qr(np.random.default_rng(0).normal(size=(100, 3)))[0]
    f = q[:, :2] * [30.0, 0.01]
    t = 10 * q @ np.sqrt([0.4, 0.3, 0.3])
    iteration, maximum = textbook(f, t), largest_density(f, t)
    assert maximum > iteration + 0.1
    assert logme(f, t) == pytest.approx(maximum, rel=1e-6)


def test_evidence_at_its_limits():
    rng = np.random.default_rng(0)
    f, y = np.eye(3)[rng.integers(0, 3, 50)], rng.integers(0, 2, 50)
    onehot, classes = np.eye(3)[np.arange(60) % 3], np.arange(60) % 3
    assert 5 < logme(onehot, classes) < 15  # infinite but for RESIDUAL
    # Where features say nothing, alpha grows without limit and t ~ N(0, mean of t^2).
    t = np.where(np.arange(50) % 2, 1.0, -1.0)
    features = np.c_[np.repeat([1.0, -1.0], 25), np.repeat([1.0, -1.0], 25)]
    features = features - np.outer(t, t @ features) / 50  # no correlation at all
    assert logme(features, t) == pytest.approx(-np.log(2 * np.pi * np.e) / 2, abs=1e-9)
    assert logme(f, y) < logme(onehot, classes)


def test_logme_keeps_its_digits_where_products_of_float32_would_not():
    # A mean above all else, and a spectrum that falls to 1e-6 of the first variance.
    rng = np.random.default_rng(0)
    y, scale, rotation = (
        np.arange(1000) % 4,
        np.arange(1, 33) ** -2.0,
        np.linalg.qr(rng.normal(size=(32, 32)))[0],
    )
    f = (
        (rng.normal(size=(1000, 32)) + 0.3 * rng.normal(size=(4, 32))[y]) * scale @ rotation + 1
    ).astype(np.float32)
    expected = np.mean([textbook(f.astype(float), (y == label) * 1.0) for label in range(4)])
    assert logme(f, y) == pytest.approx(expected, rel=1e-6)
    products = moments([(f, y)])._replace(gram=(f.T @ f).astype(float))
    assert abs(logme_of(products) / expected - 1) > 1e-4


@pytest.mark.parametrize('rows', [1, 7, 1000])
def test_blocks_are_their_union(monkeypatch, rows):
    monkeypatch.setattr(evidence, 'ROWS', rows)
    f, y = labelled()
    y = np.array([-5, 70, 2])[y]
    order = np.argsort(y, kind='stable')  # so that blocks lack classes
    blocks = [
        (f[rows_of_block], y[rows_of_block]) for rows_of_block in np.split(order, [10, 11, 60])
    ]
    sums, onehot = moments(iter(blocks)), (y[:, None] == [-5, 2, 70]) * 1.0
    assert sums.n == 90 and sums.classes.tolist() == [-5, 2, 70]
    for value, expected in (
        (sums.gram, f.T @ f),
        (sums.cross, f.T @ onehot),
        (sums.square, onehot.sum(0)),
    ):
        assert value == pytest.approx(expected, rel=1e-12)
    assert logme_of(sums) == pytest.approx(logme(f, y), rel=1e-9) and h_score_of(
        sums
    ) == pytest.approx(h_score(f, y), rel=1e-9)
    wide, labels = labelled(30, 50)
    # (d, d) and (n, n) matrices agree
    assert logme_of(moments([(wide, labels)])) == pytest.approx(logme(wide, labels), rel=1e-8)
