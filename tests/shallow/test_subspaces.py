"""Subspaces and covariances against two PCAs, an integral and NumPy."""

import numpy as np
import pytest
from domain_samples import equal_but_for_signs, samples
from scipy import linalg
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances

from tljax.shallow.mapping import coral, geodesic_flow_kernel, gfk, subspace_alignment


def test_subspace_alignment_is_two_pcas():
    xs, xt, _, _ = samples()
    source, target = PCA(4).fit(xs), PCA(4).fit(xt)
    zs, zt = subspace_alignment(xs, xt, dim=4)
    aligned = source.transform(xs) @ source.components_ @ target.components_.T
    equal_but_for_signs(zs, aligned)
    equal_but_for_signs(zt, target.transform(xt))
    # one sign for both
    np.testing.assert_allclose(
        pairwise_distances(zs, zt), pairwise_distances(aligned, target.transform(xt))
    )


@pytest.mark.parametrize('dim', [1, 4, 9])  # 9 of 12: the subspaces meet, some angles are 0
def test_gfk_is_the_integral_over_the_geodesic(dim):
    # The geodesic by the logarithm on the Grassmannian (Edelman et al. 1998): (I - aa') b (a'b)^-1
    # = u tan(v) w'.
    xs, xt, _, _ = samples()
    a, b = PCA(dim).fit(xs).components_.T, PCA(dim).fit(xt).components_.T
    u, tangent, w = np.linalg.svd((b - a @ a.T @ b) @ np.linalg.inv(a.T @ b), full_matrices=False)
    angles, total = np.arctan(tangent), 0
    for node, weight in zip(*np.polynomial.legendre.leggauss(30), strict=True):
        t = (node + 1) / 2
        phi = a @ w.T @ np.diag(np.cos(t * angles)) + u @ np.diag(np.sin(t * angles))
        total = total + weight / 2 * phi @ phi.T
    np.testing.assert_allclose(phi.T @ phi, np.eye(dim), atol=1e-9)
    np.testing.assert_allclose(geodesic_flow_kernel(xs, xt, dim), total, atol=1e-6)
    zs, zt = gfk(xs, xt, dim)
    np.testing.assert_allclose(zs @ zt.T, xs @ total @ xt.T, atol=1e-6)


def test_gfk_of_one_subspace_projects_on_it():
    xs, _, _, _ = samples()
    basis = PCA(3).fit(xs).components_
    np.testing.assert_allclose(geodesic_flow_kernel(xs, 2 * xs + 1, 3), basis.T @ basis, atol=1e-7)


def test_coral_takes_on_the_targets_covariance():
    xs, xt, _, _ = samples()
    zs, zt = coral(xs, xt, penalty=1e-8)
    np.testing.assert_allclose(np.cov(zs.T), np.cov(xt.T), atol=1e-4)
    np.testing.assert_array_equal(zt, xt)
    regular = [np.cov(x.T) + 2 * np.eye(12) for x in (xs, xt)]
    np.testing.assert_allclose(
        coral(xs, xt, penalty=2.0)[0],
        xs @ linalg.inv(linalg.sqrtm(regular[0])) @ linalg.sqrtm(regular[1]),
    )


XS, XT, YS, _ = samples()
