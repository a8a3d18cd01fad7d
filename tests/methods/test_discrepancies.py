"""Discrepancies of two domains against the papers' equations, written out in NumPy."""

import jax
import numpy as np
from two_sets import gap, logits, softmax

from tljax.kernels import median_width, mixture, mmd


def kernel_by_loops(xs, xt, scales):
    x = np.concatenate([xs, xt])
    distances = np.array([[((a - b) ** 2).sum() for b in x] for a in x])
    return np.mean([np.exp(-distances / (scale * distances.mean())) for scale in scales], 0)


def mmd_by_loops(kernel):
    n = len(kernel) // 2
    ss = [kernel[i, j] for i in range(n) for j in range(n) if i != j]
    tt = [kernel[n + i, n + j] for i in range(n) for j in range(n) if i != j]
    return (
        np.mean(ss)
        + np.mean(tt)
        - 2 * np.mean([kernel[i, n + j] for i in range(n) for j in range(n)])
    )


SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)


def test_dan_is_the_sum_of_two_layers_discrepancies(batch):
    value, head = gap('dan', batch)
    layers = [(batch['input'], batch['target']['input']), logits(batch, head)]
    np.testing.assert_allclose(
        value, sum(mmd_by_loops(kernel_by_loops(*pair, SCALES)) for pair in layers), rtol=1e-4
    )


def test_jan_is_the_discrepancy_of_a_product_of_kernels(batch):
    value, head = gap('jan', batch)
    kernel = kernel_by_loops(batch['input'], batch['target']['input'], SCALES)
    probability = np.concatenate([softmax(rows) for rows in logits(batch, head)])
    kernel = kernel * np.exp(
        -np.array([[((a - b) ** 2).sum() for b in probability] for a in probability]) / 1.68
    )
    np.testing.assert_allclose(value, mmd_by_loops(kernel), rtol=1e-4)


def test_ddc_is_the_distance_of_means(batch):
    means = batch['input'].mean(0) - batch['target']['input'].mean(0)
    np.testing.assert_allclose(gap('ddc', batch, weight=2.0)[0], 2 * (means**2).sum(), rtol=1e-5)


def test_deep_coral_is_the_distance_of_covariances(batch):
    value, head = gap('deep_coral', batch)
    source, target = (np.cov(rows, rowvar=False) for rows in logits(batch, head))
    np.testing.assert_allclose(value, ((source - target) ** 2).sum() / (4 * 9), rtol=1e-4)


def test_cmd_is_the_distance_of_central_moments(batch):
    xs, xt = (
        np.tanh(np.asarray(x, np.float64)) for x in (batch['input'], batch['target']['input'])
    )
    total = np.linalg.norm(xs.mean(0) - xt.mean(0)) / 2
    for k in range(2, 6):
        total += (
            np.linalg.norm(((xs - xs.mean(0)) ** k).mean(0) - ((xt - xt.mean(0)) ** k).mean(0))
            / 2**k
        )
    np.testing.assert_allclose(gap('cmd', batch)[0], total, rtol=1e-4)


def test_mmd_of_one_distribution_is_zero_on_average_and_of_two_is_not():
    rng = np.random.default_rng(0)
    discrepancy = jax.jit(lambda xs, xt: mmd(mixture(xs, xt)))
    same = [float(discrepancy(*rng.normal(size=(2, 20, 2)))) for _ in range(200)]
    assert abs(np.mean(same)) < 3 * np.std(same) / 200**0.5
    assert float(discrepancy(rng.normal(size=(20, 2)), rng.normal(2, size=(20, 2)))) > 0.2


def test_the_median_width_is_scipys():
    from scipy.spatial.distance import pdist

    x = np.random.default_rng(0).normal(size=(15, 3))
    np.testing.assert_allclose(jax.jit(median_width)(x[:7], x[7:]), np.median(pdist(x)), rtol=1e-5)
