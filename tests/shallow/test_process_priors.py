"""Gaussian processes with learnt hyper-parameters, against scikit-learn and finite differences."""

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from tljax.core import UserError
from tljax.shallow.process_priors import (
    ProcessPrior,
    gaussian_process_prior,
    log_marginal_likelihood,
)

SLOPES, LENGTHS = np.array([1.0, -2.0, 0.0]), np.array([0.7, 2.0, 1.0])
PRIOR = ProcessPrior(SLOPES, LENGTHS, 0.3, 1.5, 0.2, (0.0, 1.0), 0.0)


def examples(n=25, d=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=n)


def peer(prior):
    """scikit-learn's process with the same hyper-parameters."""
    kernel = (
        ConstantKernel(prior.offset)
        + ConstantKernel(prior.amplitude) * RBF(prior.lengths)
        + WhiteKernel(prior.noise)
    )
    return GaussianProcessRegressor(kernel, alpha=0, optimizer=None)


def parameters(prior):
    logarithms = np.log([prior.offset, prior.amplitude, prior.noise, *prior.lengths])
    return np.concatenate([logarithms, prior.slopes])


def sampled_tasks(tasks=12, n=30, lengths=(0.5, 3.0), noise=0.05, seed=0):
    """Functions drawn from one process; the labels of each task have a unit of their own."""
    rng = np.random.default_rng(seed)
    prior = ProcessPrior(np.zeros(2), np.array(lengths), 0.5, 1.0, noise, (0.0, 1.0), 0.0)
    xs = [rng.uniform(-2, 2, (n, 2)) for _ in range(tasks)]
    ys = [
        rng.multivariate_normal(np.zeros(n), prior.covariance(x, x) + noise * np.eye(n)) for x in xs
    ]
    return xs, ys


def test_predictions_and_likelihood_are_scikit_learns():
    x, y = examples()
    new = examples(seed=1)[0]
    model = peer(PRIOR).fit(x, y - x @ SLOPES)
    mean, deviation = model.predict(new, return_std=True)
    found = PRIOR.predict(x, y, new)
    np.testing.assert_allclose(found[0], mean + new @ SLOPES, rtol=1e-9)
    np.testing.assert_allclose(found[1], deviation, rtol=1e-9)
    value, gradient = log_marginal_likelihood(x, y, parameters(PRIOR))
    expected, slopes = model.log_marginal_likelihood(model.kernel_.theta, eval_gradient=True)
    assert value == pytest.approx(expected, rel=1e-12)
    # scikit-learn orders offset, amplitude, lengths, noise
    np.testing.assert_allclose(gradient[:6], slopes[[0, 1, 5, 2, 3, 4]], rtol=1e-9)


def test_the_gradient_is_that_of_finite_differences():
    x, y = examples()
    start = parameters(PRIOR)
    _, gradient = log_marginal_likelihood(x, y, start)
    for i, unit in enumerate(1e-6 * np.eye(len(start))):
        above, below = (log_marginal_likelihood(x, y, start + each)[0] for each in (unit, -unit))
        assert gradient[i] == pytest.approx((above - below) / 2e-6, rel=1e-6, abs=1e-6)


def test_what_is_learnt_maximises_the_sum_over_tasks():
    xs, ys = sampled_tasks()
    prior = gaussian_process_prior(xs, ys, tolerance=1e-9)
    labels = [(y - y.mean()) / y.std() for y in ys]
    values, gradients = zip(
        *(
            log_marginal_likelihood(x, y, parameters(prior))
            for x, y in zip(xs, labels, strict=True)
        ),
        strict=True,
    )
    assert sum(values) == pytest.approx(prior.log_likelihood)
    # all but the slopes of the mean, which are held at 0, and the offset, which is at its limit
    assert np.abs(np.sum(gradients, 0)[1:5]).max() < 0.1
    np.testing.assert_allclose(prior.lengths, [0.5, 3.0], rtol=0.3)


def test_a_line_that_tasks_have_in_common_is_learnt():
    xs, ys = sampled_tasks()
    ys = [y + x @ [3.0, -1.0] for x, y in zip(xs, ys, strict=True)]
    prior = gaussian_process_prior(xs, ys, mean='linear', by_task=False, tolerance=1e-9)
    np.testing.assert_allclose(prior.slopes * prior.unit[1], [3.0, -1.0], atol=0.4)
    labels = [(y - prior.unit[0]) / prior.unit[1] for y in ys]
    slopes = sum(
        log_marginal_likelihood(x, y, parameters(prior))[1] for x, y in zip(xs, labels, strict=True)
    )
    assert np.abs(slopes).max() < 0.1
    far = prior.predict(xs[0], ys[0], [[50.0, 0.0], [51.0, 0.0]])[0]
    assert far[1] - far[0] == pytest.approx(prior.slopes[0] * prior.unit[1])


def test_a_target_may_have_a_noise_of_its_own():
    xs, ys = sampled_tasks(noise=0.01)
    prior = gaussian_process_prior(xs, ys, by_task=False)
    x, y = (arrays[0] for arrays in sampled_tasks(tasks=1, n=200, noise=0.5, seed=7))
    noise = prior.own_noise(x[:150], y[:150])
    assert noise * prior.unit[1] ** 2 == pytest.approx(0.5, rel=0.3)
    # it is the best of scikit-learn's marginal likelihoods, too
    likelihoods = [
        peer(prior._replace(noise=each)).fit(x[:150], (y[:150] - prior.unit[0]) / prior.unit[1])
        for each in (0.7 * noise, noise, 1.4 * noise)
    ]
    values = [model.log_marginal_likelihood_value_ for model in likelihoods]
    assert values[1] == max(values)
    own, shared = (
        ((prior.predict(x[:150], y[:150], x[150:], each)[0] - y[150:]) ** 2).mean()
        for each in (noise, None)
    )
    assert own < shared


def test_a_target_with_few_examples_profits_from_the_sources():
    """Beside the same process learnt from the target's own examples, at 8 of them."""
    xs, ys = sampled_tasks(tasks=40, n=40, seed=1)
    prior = gaussian_process_prior(xs[:20], ys[:20], by_task=False)
    errors = np.zeros(2)
    for x, y in zip(xs[20:], ys[20:], strict=True):
        own = gaussian_process_prior([x[:8]], [y[:8]], by_task=False)
        for i, each in enumerate((prior, own)):
            errors[i] += ((each.predict(x[:8], y[:8], x[8:])[0] - y[8:]) ** 2).mean()
    assert errors[0] < 0.9 * errors[1]


def test_tasks_may_differ_in_their_units():
    xs, ys = sampled_tasks()
    rng = np.random.default_rng(0)
    units = np.column_stack([rng.uniform(0.1, 50, 12), rng.normal(0, 99, 12)])
    scaled = [scale * y + shift for y, (scale, shift) in zip(ys, units, strict=True)]
    prior, other = gaussian_process_prior(xs, ys), gaussian_process_prior(xs, scaled)
    np.testing.assert_allclose(other.lengths, prior.lengths, rtol=1e-3)
    mean, deviation = prior.predict(xs[0], ys[0], xs[1])
    found = other.predict(xs[0], scaled[0], xs[1])
    np.testing.assert_allclose(found[0], units[0][0] * mean + units[0][1], rtol=1e-3)
    np.testing.assert_allclose(found[1], units[0][0] * deviation, rtol=1e-3)


def test_without_examples_the_prediction_is_the_prior():
    xs, ys = sampled_tasks()
    prior = gaussian_process_prior(xs, ys, by_task=False)
    mean, deviation = prior.predict(np.empty((0, 2)), [], xs[0])
    np.testing.assert_allclose(mean, prior.unit[0])
    variance = prior.offset + prior.amplitude + prior.noise
    np.testing.assert_allclose(deviation, prior.unit[1] * variance**0.5)


def test_what_does_not_fit_is_refused_in_one_line():
    xs, ys = sampled_tasks(tasks=3)
    for changed, words in (
        (([], []), '0 tasks are too few'),
        ((xs, [ys[0], ys[1], 0 * ys[2]]), 'ys[2] has no two different labels'),
        ((xs, [ys[0], ys[1], ys[2] * np.nan]), 'ys[2]: 30 of 30 values are not finite'),
        (([xs[0], xs[1][:, :1]], ys[:2]), 'xs[1] has 1 columns and xs[0] has 2'),
    ):
        with pytest.raises(UserError) as refusal:
            gaussian_process_prior(*changed)
        assert words in str(refusal.value) and '\n' not in str(refusal.value)
    prior = gaussian_process_prior(xs, ys)
    with pytest.raises(UserError, match='learn the prior with by_task=False'):
        prior.predict(xs[0][:1], ys[0][:1], xs[1])
    with pytest.raises(UserError, match="mean='cubic' is unknown: give 'zero' or 'linear'"):
        gaussian_process_prior(xs, ys, mean='cubic')
    with pytest.raises(UserError, match=r'ys\[0\] has no two different labels'):
        gaussian_process_prior(xs, [0 * y for y in ys], by_task=False)
