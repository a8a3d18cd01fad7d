"""Few-shot methods without an inner loop against scikit-learn and numbers by hand."""

import jax
import numpy as np
from episodes_by_hand import TICK, output, vectors
from scipy.special import logsumexp, softmax
from sklearn.linear_model import Ridge
from sklearn.neighbors import NearestCentroid
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

from tljax.kernels import cosines, squared_distances
from tljax.methods.few_shot.matching import matching
from tljax.methods.few_shot.metaoptnet import metaoptnet
from tljax.methods.few_shot.protonet import protonet
from tljax.methods.few_shot.relation import relation
from tljax.methods.few_shot.ridge import ridge
from tljax.methods.few_shot.siamese import siamese
from tljax.methods.few_shot.simpleshot import simpleshot
from tljax.zoo.families.identity import identity

BASE = {'input': np.zeros((1, 6)), 'label': np.zeros(1, int)}


def pairs(batch):
    """(support (n, k, d), query (m, d)) of every task, float64."""
    for support, query in zip(batch['support']['input'], batch['query']['input'], strict=True):
        yield support.astype(float), query.reshape(-1, query.shape[-1]).astype(float)


def test_protonet_is_the_softmax_of_distances_to_means():
    batch = vectors()
    outputs, _ = output(protonet(identity(6), 4), batch)
    for logits, (support, query) in zip(outputs, pairs(batch), strict=True):
        np.testing.assert_allclose(
            logits, -((query[:, None] - support.mean(1)[None]) ** 2).sum(-1), rtol=1e-4, atol=1e-4
        )


def test_matching_is_attention_over_the_support():
    batch = vectors()
    outputs, _ = output(matching(identity(6), 4, scale=3.0), batch)
    for logits, (support, query) in zip(outputs, pairs(batch), strict=True):
        flat = support.reshape(-1, 6)
        cosine = (
            query @ flat.T / np.linalg.norm(query, axis=1)[:, None] / np.linalg.norm(flat, axis=1)
        )
        np.testing.assert_allclose(
            np.exp(logits), softmax(3 * cosine, -1).reshape(len(query), 4, 3).sum(-1), rtol=1e-4
        )


def test_full_context_lets_the_support_see_itself():
    batch = vectors(tasks=1)
    method = matching(identity(6), 4, context=True, steps=2)
    before, params = output(method, batch)
    batch['support']['input'] = batch['support']['input'].copy()
    batch['support']['input'][:, 0, 0] += 5
    after = np.asarray(jax.jit(method.predict)(params, {'backbone': {}}, batch)['output'])
    shares = (
        logsumexp(before[..., 1:], -1) - before[..., 1],
        logsumexp(after[..., 1:], -1) - after[..., 1],
    )
    assert np.abs(shares[0] - shares[1]).max() > 1e-3, (
        'a changed example moves the share of the others'
    )


def test_ridge_is_scikit_learn_s():
    batch = vectors()
    outputs, _ = output(ridge(identity(6), 4, penalty=2.0), batch)
    for logits, (support, query) in zip(outputs, pairs(batch), strict=True):
        model = Ridge(alpha=2.0, fit_intercept=False).fit(
            support.reshape(-1, 6), np.repeat(np.eye(4), 3, 0)
        )
        np.testing.assert_allclose(logits, model.predict(query), rtol=1e-3, atol=1e-4)


def test_metaoptnet_s_machine_is_scikit_learn_s():
    batch = vectors()
    outputs, _ = output(metaoptnet(identity(6), 4, penalty=0.3, steps=500), batch)
    for logits, (support, query) in zip(outputs, pairs(batch), strict=True):
        machine = LinearSVC(
            multi_class='crammer_singer', C=0.3, fit_intercept=False, tol=1e-8, max_iter=100_000
        )
        machine.fit(support.reshape(-1, 6), np.repeat(np.arange(4), 3))
        np.testing.assert_allclose(logits, machine.decision_function(query), rtol=1e-3, atol=1e-3)


def test_simpleshot_is_the_nearest_centroid_of_centred_unit_features():
    batch, method = vectors(), simpleshot(identity(6), 4)
    params, state = jax.jit(method.init)(jax.random.key(0), BASE)
    mean = np.random.default_rng(1).normal(size=6)
    outputs = np.asarray(jax.jit(method.predict)(params, {**state, 'mean': mean}, batch)['output'])
    for logits, (support, query) in zip(outputs, pairs(batch), strict=True):
        model = NearestCentroid().fit(
            normalize(support.reshape(-1, 6) - mean), np.repeat(np.arange(4), 3)
        )
        assert (model.predict(normalize(query - mean)) == logits.argmax(-1)).all()
        distance = ((normalize(query - mean)[:, None] - model.centroids_) ** 2).sum(-1)
        np.testing.assert_allclose(-logits, distance, rtol=1e-3, atol=1e-5)


def test_the_mean_of_base_features_follows_the_batches():
    x = np.random.default_rng(0).normal(3.0, 1.0, size=(64, 6)).astype('f')
    method = simpleshot(identity(6), 2)
    params, state = jax.jit(method.init)(
        jax.random.key(0), {'input': x, 'label': np.zeros(64, int)}
    )
    for _ in range(2000):
        state = jax.jit(method.loss)(params, state, {'input': x, 'label': np.zeros(64, int)}, TICK)[
            1
        ][0]
    np.testing.assert_allclose(state['mean'], x.mean(0), rtol=1e-4)


def test_siamese_and_relation_by_hand():
    batch = vectors(tasks=1, shots=1)
    outputs, _ = output(siamese(identity(6), 4), batch)
    ((support, query),) = pairs(batch)
    squash = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    np.testing.assert_allclose(
        outputs[0], -np.abs(squash(query)[:, None] - squash(support)[None, :, 0]).sum(-1), rtol=1e-4
    )
    method = relation(identity(6), 4)
    outputs, params = output(method, batch)
    dense = params['head']
    joint = np.concatenate(np.broadcast_arrays(support[None, :, 0], query[:, None]), -1)
    hidden = np.maximum(joint @ dense['hidden']['kernel'] + dense['hidden']['bias'], 0)
    np.testing.assert_allclose(
        outputs[0],
        (hidden @ dense['score']['kernel'] + dense['score']['bias'])[..., 0],
        rtol=1e-4,
        atol=1e-5,
    )
    value = float(jax.jit(method.loss)(params, {'backbone': {}}, batch, TICK)[0])
    same = np.eye(4)[batch['query']['label'][0].ravel()]
    np.testing.assert_allclose(value, ((squash(outputs[0]) - same) ** 2).sum(-1).mean(), rtol=1e-5)


def test_distances():
    a, b = np.random.default_rng(0).normal(size=(2, 5, 3))
    np.testing.assert_allclose(
        jax.jit(squared_distances)(a, b), ((a[:, None] - b[None]) ** 2).sum(-1), rtol=1e-4
    )
    np.testing.assert_allclose(np.diagonal(jax.jit(cosines)(a, a)), 1, rtol=1e-5)
