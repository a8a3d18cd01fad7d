"""Relatedness against closed forms, plain loops, NumPy and SciPy."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import weightedtau
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from tljax.core import Refused
from tljax.relatedness import rank_agreement, task2vec, task2vec_distance, task2vec_transfer, transfer_affinity
from tljax.zoo.conv4 import conv4
from tljax.zoo.mlp import mlp


def test_agreement_is_scipys_and_of_one_for_the_same_order():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 9))
    assert rank_agreement(a, b) == pytest.approx(weightedtau(a, b)[0]) == pytest.approx(rank_agreement(b, a))
    assert rank_agreement(a, np.exp(a)) == pytest.approx(1) and rank_agreement(a, -a) == pytest.approx(-1)
    assert rank_agreement(np.zeros(9), b) == 0
    top, bottom = np.array([4., 5., 3., 2., 1.]), np.array([5., 4., 3., 1., 2.])   # two exchanged at the top, two at the bottom
    assert rank_agreement(top, [5., 4., 3., 2., 1.]) < rank_agreement(bottom, [5., 4., 3., 2., 1.])


def test_affinity_recovers_consistent_preferences():
    """Where i beats j with odds w_i : w_j, the matrix is consistent, and its eigenvector is w."""
    w = np.array([1., 2., 5.])
    share = w[:, None] / (w[:, None] + w)
    np.testing.assert_allclose(np.linalg.eig(share / share.T)[0].real.max(), 3)
    rng = np.random.default_rng(0)
    order = -np.log(rng.exponential(size=(3, 60_000)) / w[:, None])   # the smallest of exponentials is i with odds of its rate
    found = transfer_affinity(order[:, None])
    np.testing.assert_allclose(found[:, 0], w / w.sum(), atol=.01)


def test_affinity_by_hand_for_two_sources_and_for_ties():
    scores = np.array([[[1, 1, 1, 0]], [[0, 0, 0, 1]]], float)
    np.testing.assert_allclose(transfer_affinity(scores), [[.75], [.25]])   # W = [[., 3], [1/3, .]], eigenvector (3, 1)
    np.testing.assert_allclose(transfer_affinity(np.ones((3, 2, 4))), np.full((3, 2), 1 / 3))
    never = transfer_affinity(np.array([[[1., 1.]], [[0., 0.]]]))
    np.testing.assert_allclose(never[:, 0], [.999, .001])


def task(parity, half=None):
    x, y = load_digits(return_X_y=True)
    rows = np.arange(len(x)) if half is None else np.arange(half, len(x), 2)
    return (x[rows].reshape(-1, 8, 8, 1) / 16).astype(np.float32), (y[rows] % 2 if parity else (y[rows] < 5).astype(int))


def test_the_information_of_a_linear_softmax_has_a_closed_form():
    """For features relu(W x) with W > 0 and x > 0 the network is linear: the diagonal is p-weighted outer products, by a plain loop."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(size=(30, 3)).astype(np.float32), np.arange(30) % 3
    net = mlp((2,))
    params, state = net.init(jax.random.key(0), x)
    params = jax.tree.map(jnp.abs, params)
    kernel = next(np.asarray(leaf) for leaf in jax.tree.leaves(params) if leaf.ndim == 2)
    features = x @ kernel
    head = LogisticRegression(C=1., max_iter=1000).fit(features, y)
    expected = np.zeros_like(kernel)
    for row, p in zip(x, head.predict_proba(features), strict=True):
        for c in range(3):
            slope = head.coef_[c] - p @ head.coef_          # of log p_c by the features
            expected += p[c] * np.outer(row, slope) ** 2 / len(x)
    np.testing.assert_allclose(task2vec(net, params, state, x, y), expected.mean(0), rtol=2e-3)


def test_the_information_is_that_of_gradients_one_by_one():
    x, y = task(parity=True)
    x, y = x[:24], y[:24]
    net = conv4(width=3, size=8, blocks=2)
    params, state = net.init(jax.random.key(1), x)
    features = np.asarray(net.features(params, state, x)[0]['features'])
    head = LogisticRegression(C=1., max_iter=1000).fit(features, y)

    def log_p(params, row, c):
        z = (net.features(params, state, row[None])[0]['features'][0] @ head.coef_[0].astype(np.float32)) + head.intercept_[0]
        return jax.nn.log_sigmoid(z if c else -z)

    total = 0
    for row in x:
        for c in range(2):
            value, grads = jax.value_and_grad(log_p)(params, row, c)
            total = total or jax.tree.map(jnp.zeros_like, grads)
            total = jax.tree.map(lambda t, g, p=jnp.exp(value): t + p * g ** 2 / len(x), total, grads)
    expected = np.concatenate([np.asarray(leaf).mean((0, 1, 2)) for leaf in jax.tree.leaves(total) if leaf.ndim == 4])
    np.testing.assert_allclose(task2vec(net, params, state, x, y, block=5), expected, rtol=1e-3)


def test_halves_of_one_task_are_nearer_than_two_tasks():
    net = conv4(width=8, size=8, blocks=2)
    params, state = net.init(jax.random.key(0), np.zeros((1, 8, 8, 1), np.float32))
    parity, size = ([task2vec(net, params, state, *task(which, half)) for half in (0, 1)] for which in (True, False))
    within = task2vec_distance(*parity), task2vec_distance(*size)
    assert 3 * max(within) < min(task2vec_distance(a, b) for a in parity for b in size)


def test_distances_by_hand():
    a, b = np.array([1., 3.]), np.array([1., 1.])
    x, y = np.array([.5, .75]), np.array([.5, .25])
    expected = 1 - x @ y / np.sqrt((x @ x) * (y @ y))
    assert task2vec_distance(a, b) == pytest.approx(expected) == pytest.approx(task2vec_distance(b, a))
    assert task2vec_distance(a, a) == pytest.approx(0, abs=1e-12)
    assert task2vec_distance([1., 3., 0.], [1., 1., 0.]) == pytest.approx(expected)   # a filter that nobody needs
    assert task2vec_transfer(a, b, b, alpha=1.) == pytest.approx(0)


@pytest.mark.parametrize('call, said', [
    (lambda: rank_agreement([1., 2.], [1., 2.]), 'three sources or more'),
    (lambda: rank_agreement([1., 2., 3.], [1., 2.]), 'three sources or more'),
    (lambda: rank_agreement([1., 2., np.nan], [1., 2., 3.]), 'not finite'),
    (lambda: rank_agreement([1., 2., 3.], [1., 1., 1.]), 'no order to agree with'),
    (lambda: transfer_affinity(np.ones((1, 2, 3))), 'two sources or more'),
    (lambda: transfer_affinity(np.full((2, 2, 3), np.nan)), 'finite numbers'),
    (lambda: task2vec_distance([1., 0.], [1.]), 'by one probe network'),
    (lambda: task2vec_distance([1., -1.], [1., 1.]), 'by one probe network'),
    (lambda: task2vec_distance([0., 0.], [1., 1.]), 'by one probe network')])
def test_what_has_no_answer(call, said):
    with pytest.raises(Refused, match=said):
        call()


def test_a_task_of_one_class():
    net = mlp((2,))
    x = np.ones((4, 3), np.float32) * np.arange(4)[:, None]
    with pytest.raises(Refused, match='labels of 1 class'):
        task2vec(net, *net.init(jax.random.key(0), x), x, np.zeros(4, int))
