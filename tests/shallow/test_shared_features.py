"""Features that tasks share: the duality gap, and scikit-learn where tasks share their rows."""

import numpy as np
import pytest
from sklearn.linear_model import Lasso, MultiTaskLasso

from tljax.core import UserError
from tljax.shallow.shared_features import joint_features, largest_penalty


def sparse_tasks(tasks=6, d=20, used=4, sizes=(8, 30), seed=0):
    """Tasks that use the same few features."""
    rng = np.random.default_rng(seed)
    weights = np.zeros((tasks, d))
    weights[:, :used] = rng.normal(0, 2, (tasks, used))
    xs = [rng.normal(size=(rng.integers(*sizes), d)) for _ in range(tasks)]
    ys = [x @ w + 0.1 * rng.normal(size=len(x)) for x, w in zip(xs, weights, strict=True)]
    return xs, ys, weights


XS, YS, WEIGHTS = sparse_tasks()


def loss(xs, ys, weights, penalty):
    errors = [y - x @ w for x, y, w in zip(xs, ys, weights, strict=True)]
    return sum(e @ e for e in errors) / 2 + penalty * np.sqrt((weights**2).sum(0)).sum()


@pytest.mark.parametrize('penalty', [0.3, 3.0, 30.0])
@pytest.mark.parametrize('sizes', [(8, 15), (25, 60)], ids=['fewer', 'more'])
def test_the_gap_proves_the_minimum(penalty, sizes):
    """A dual point that is computed here from the weights alone bounds every loss from below."""
    xs, ys, _ = sparse_tasks(sizes=sizes)
    found = joint_features(xs, ys, penalty, tolerance=1e-9)
    residuals = [y - x @ w for x, y, w in zip(xs, ys, found.weights, strict=True)]
    longest = np.sqrt(sum((x.T @ r) ** 2 for x, r in zip(xs, residuals, strict=True))).max()
    dual = [r * min(1, penalty / longest) for r in residuals]
    bound = sum(y @ r - r @ r / 2 for y, r in zip(ys, dual, strict=True))
    scale = sum(y @ y for y in ys) / 2
    assert -1e-12 * scale < loss(xs, ys, found.weights, penalty) - bound < 2e-9 * scale
    assert found.gap <= 1e-9 * scale
    rng = np.random.default_rng(0)
    for _ in range(20):
        other = found.weights + 0.1 * rng.normal(size=found.weights.shape)
        assert loss(xs, ys, other, penalty) > bound


@pytest.mark.parametrize('share', [0.02, 0.3])
def test_where_tasks_share_their_rows_it_is_scikit_learns_multi_task_lasso(share):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(40, 10)), rng.normal(size=(40, 5))
    y += x[:, :3] @ rng.normal(size=(3, 5))
    penalty = share * largest_penalty([x] * 5, list(y.T))
    peer = MultiTaskLasso(alpha=penalty / 40, fit_intercept=False, tol=1e-12, max_iter=100_000)
    found = joint_features([x] * 5, list(y.T), penalty, tolerance=1e-13)
    np.testing.assert_allclose(found.weights, peer.fit(x, y).coef_, atol=1e-6)
    assert ((found.strength == 0) == (peer.coef_ == 0).all(0)).all()


def test_a_single_task_is_the_lasso():
    penalty = 0.1 * largest_penalty(XS[:1], YS[:1])
    peer = Lasso(alpha=penalty / len(XS[0]), fit_intercept=False, tol=1e-12, max_iter=100_000)
    found = joint_features(XS[:1], YS[:1], penalty, tolerance=1e-13)
    np.testing.assert_allclose(found.weights[0], peer.fit(XS[0], YS[0]).coef_, atol=1e-5)


def test_scales_of_columns_cost_no_steps():
    """Columns in other units, and one of zeros: each has steps of its own."""
    xs, ys, _ = sparse_tasks(sizes=(40, 60))
    units = np.logspace(-3, 3, 20) * (np.arange(20) != 7)
    found = joint_features([x * units for x in xs], ys, 1e-4, rounds=300)
    assert found.strength[7] == 0 and (np.delete(found.strength, 7) > 0).all()


def test_the_features_of_all_tasks_are_found():
    xs, ys, _ = sparse_tasks(sizes=(40, 60))
    found = joint_features(xs, ys, 0.1 * largest_penalty(xs, ys), tolerance=1e-9)
    assert (found.strength > 0).tolist() == [True] * 4 + [False] * 16
    above = joint_features(XS, YS, 1.001 * largest_penalty(XS, YS))
    assert (above.weights == 0).all()
    below = joint_features(XS, YS, 0.99 * largest_penalty(XS, YS), tolerance=1e-9)
    assert (below.strength > 0).sum() == 1


def test_a_task_that_was_learnt_from_gets_the_same_weights_as_a_new_one():
    found = joint_features(XS, YS, 3.0, tolerance=1e-12)
    for i in range(len(XS)):
        np.testing.assert_allclose(found.weights_of(XS[i], YS[i]), found.weights[i], atol=1e-4)


def test_a_new_task_with_few_examples_profits_from_the_features():
    xs, ys, _ = sparse_tasks(tasks=30, seed=2)
    found = joint_features(xs[:20], ys[:20], 10.0)
    shared, alone = 0.0, np.zeros(3)
    for x, y in zip(xs[20:], ys[20:], strict=True):
        shared += ((found.predict(x[:6], y[:6], x[6:]) - y[6:]) ** 2).mean()
        for i, alpha in enumerate((0.03, 0.1, 0.3)):
            own = Lasso(alpha, fit_intercept=False).fit(x[:6], y[:6])
            alone[i] += ((own.predict(x[6:]) - y[6:]) ** 2).mean()
    assert shared < 0.8 * alone.min()


@pytest.mark.parametrize(
    'xs, ys, keywords, words',
    [
        ([], [], {}, '0 tasks are too few'),
        ([XS[0], np.empty((0, 20))], [YS[0], []], {}, 'xs[1] has no examples'),
        ([XS[0], XS[1][:, :3]], YS[:2], {}, 'xs[1] has 3 columns and xs[0] has 20'),
        (XS[:2], [YS[0], YS[1] * np.nan], {}, 'ys[1]: '),
        (XS, YS, {'penalty': 0.0}, 'penalty=0.0: give a positive number'),
        (XS, YS, {'rounds': 3}, 'after 3 steps: give a larger penalty'),
    ],
    ids=range(6),
)
def test_what_does_not_fit_is_refused_in_one_line(xs, ys, keywords, words):
    with pytest.raises(UserError) as refusal:
        joint_features(xs, ys, **{'penalty': 1.0, **keywords})
    assert words in str(refusal.value) and '\n' not in str(refusal.value)
