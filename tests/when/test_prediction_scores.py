"""LEEP, NCE and N-LEEP against loops and scikit-learn."""

import jax.numpy as jnp
import numpy as np
import pytest
from labelled_features import labelled, predictions
from sklearn.decomposition import PCA
from sklearn.metrics import mutual_info_score
from sklearn.mixture import GaussianMixture

from tljax.when.transferability import OF_PREDICTIONS, leep, n_leep, nce


def leep_loop(p, y):
    (n, k), labels = p.shape, list(np.unique(y))
    joint = {
        (label, z): sum(p[i, z] for i in range(n) if y[i] == label) / n
        for label in labels
        for z in range(k)
    }
    marginal = [sum(joint[label, z] for label in labels) for z in range(k)]
    return np.mean(
        [
            np.log(sum(joint[y[i], z] / marginal[z] * p[i, z] for z in range(k) if marginal[z]))
            for i in range(n)
        ]
    )


def test_leep_is_a_loop():
    p, y = predictions()
    unused = np.c_[p, np.zeros(len(p))]  # a source class that nothing is predicted as
    assert leep(p, y) == pytest.approx(leep_loop(p, y), rel=1e-9)
    assert leep(unused, y) == pytest.approx(leep_loop(unused, y), rel=1e-9) and leep(
        p * 1.0005, y
    ) == pytest.approx(leep(p, y))
    assert leep(jnp.asarray(p, jnp.float32), y) == pytest.approx(leep(p, y), rel=1e-5)


def test_nce_is_a_loop_and_what_scikit_learns_information_leaves():
    rng = np.random.default_rng(0)
    z, y = rng.integers(5, 9, 80), rng.integers(0, 3, 80)
    loop = 0.0
    for source in np.unique(z):
        share = np.array([np.mean(y[z == source] == label) for label in range(3)])
        loop += np.mean(z == source) * sum(s * np.log(s) for s in share if s)
    assert nce(z, y) == pytest.approx(loop, rel=1e-9)
    assert nce(z, y) == pytest.approx(mutual_info_score(z, y) - mutual_info_score(y, y), rel=1e-9)
    certain = np.eye(9)[z]
    assert leep(certain, y) == pytest.approx(nce(z, y), rel=1e-9)  # no doubt, no difference
    assert (
        OF_PREDICTIONS['nce'](certain * 0.6 + 0.4 / 9, y) == nce(z, y)
        and OF_PREDICTIONS['leep'] is leep
    )


@pytest.mark.parametrize('components', [None, 4])
def test_n_leep_is_scikit_learns_pipeline_and_the_loop(components):
    f, y = labelled(120, 8)
    z = PCA(0.8, svd_solver='full').fit_transform(f)
    assert 1 < z.shape[1] < 8
    z /= z.std()
    p = GaussianMixture(components or 15, random_state=2).fit(z).predict_proba(z)
    assert n_leep(f, y, components, seed=2) == pytest.approx(leep_loop(p, y), rel=1e-6)


@pytest.mark.parametrize('name', OF_PREDICTIONS)
def test_no_order_matters_to_scores_of_predictions(name):
    (p, y), score = predictions(), OF_PREDICTIONS[name]
    order, classes = np.random.default_rng(0).permutation(60), [2, 0, 3, 1]
    assert score(p[order], y[order]) == pytest.approx(score(p, y), rel=1e-12)
    assert score(p[:, classes], np.array([7, -3, 40])[y]) == pytest.approx(score(p, y), rel=1e-12)
