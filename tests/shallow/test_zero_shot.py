"""Zero-shot learning in closed form, against other solvers and numbers worked by hand."""

import numpy as np
import pytest
from scipy.linalg import solve_sylvester

from tljax.core import UserError
from tljax.knowledge import filled, unit_rows, yes_or_no
from tljax.shallow.attribute_predictions import (
    attribute_prior,
    attribute_probabilities,
    conse,
    dap,
    iap,
)
from tljax.shallow.generalised import (
    calibration_curve,
    choice,
    class_mean,
    harmonic_mean,
    stacked,
)
from tljax.shallow.zero_shot import compatibility, decoded, encoded, eszsl, sae

RNG = np.random.default_rng(0)
SEEN = np.array([0, 1, 2, 4])  # class 3 has no example
VECTORS = RNG.normal(size=(5, 4))
X = RNG.normal(size=(24, 6))
Y = SEEN[np.arange(24) % 4]


def test_eszsl_is_the_solution_of_its_normal_equations_by_a_kronecker_solve():
    gamma, penalty = 0.7, 0.3
    s, signs = VECTORS[SEEN].T, 2 * (Y[:, None] == SEEN) - 1.0
    # (X X' + gamma I) V (S S' + penalty I) = X Y S', of which vec(A V B) = (B' kron A) vec(V)
    left, right = X.T @ X + gamma * np.eye(6), s @ s.T + penalty * np.eye(4)
    expected = np.linalg.solve(np.kron(right.T, left), (X.T @ signs @ s.T).ravel(order='F'))
    np.testing.assert_allclose(
        eszsl(X, Y, VECTORS, gamma, penalty), expected.reshape(6, 4, order='F'), rtol=1e-10
    )


def slope(loss, point):
    """Largest central difference of a function of a matrix."""
    units = np.eye(point.size).reshape(-1, *point.shape)
    return max(abs(loss(point + 1e-5 * unit) - loss(point - 1e-5 * unit)) / 2e-5 for unit in units)


def test_eszsl_minimises_the_loss_of_the_paper():
    gamma, penalty = 0.7, 0.3
    s, signs = VECTORS[SEEN].T, 2 * (Y[:, None] == SEEN) - 1.0

    def loss(v):
        squares = [((X @ v @ s - signs) ** 2).sum(), ((v @ s) ** 2).sum(), ((X @ v) ** 2).sum()]
        return squares @ np.array([1, gamma, penalty]) + gamma * penalty * (v**2).sum()

    v = eszsl(X, Y, VECTORS, gamma, penalty)
    assert slope(loss, v) < 1e-6 < 1e-2 < slope(loss, 1.01 * v)


def test_sae_solves_its_sylvester_equation_and_minimises_the_loss_of_the_paper():
    weight, s = 0.4, VECTORS[Y].T
    w = sae(X, Y, VECTORS, weight)
    expected = solve_sylvester(s @ s.T, weight * X.T @ X, (1 + weight) * s @ X)
    np.testing.assert_allclose(w, expected, rtol=1e-9)

    def loss(w):
        return ((X.T - w.T @ s) ** 2).sum() + weight * ((w @ X.T - s) ** 2).sum()

    assert slope(loss, w) < 1e-6 < 1e-2 < slope(loss, 1.01 * w)


def test_sae_recognises_a_class_without_examples_both_ways():
    truth = RNG.normal(size=(4, 6))  # each class has a place in the space of features
    x = VECTORS[Y] @ truth + 0.01 * RNG.normal(size=(24, 6))
    new = VECTORS @ truth
    w = sae(x, Y, VECTORS, weight=0.5)
    for score in (encoded, decoded):
        assert choice(score(new, w, VECTORS), np.ones(5, bool)).tolist() == [0, 1, 2, 3, 4]


def test_sae_without_one_solution_is_refused():
    twice = np.concatenate([X, X], 1)
    copied = np.concatenate([VECTORS, VECTORS], 1)
    assert np.isfinite(sae(twice, Y, VECTORS)).all()  # the descriptions span their space
    with pytest.raises(UserError, match='project the features by PCA'):
        sae(twice, Y, copied)


def test_dap_by_hand():
    probability = np.array([[0.9, 0.2]])
    vectors = np.array([[1, 0], [1, 1], [0, 0], [0, 1]])
    prior = np.array([0.25, 0.5])
    by_hand = [[0.9 / 0.25 * 0.8 / 0.5, 0.9 / 0.25 * 0.2 / 0.5, 0.1 / 0.75 * 1.6, 0.1 / 0.75 * 0.4]]
    np.testing.assert_allclose(np.exp(dap(probability, vectors, prior)), by_hand)


def test_dap_leaves_out_what_is_not_known():
    probability, vectors = np.array([[0.9, 0.2]]), np.array([[1, np.nan], [0, 1], [np.nan, 0]])
    by_hand = [[1.8, 0.2 * 0.4, 1.6]]
    np.testing.assert_allclose(np.exp(dap(probability, vectors)), by_hand)
    np.testing.assert_allclose(
        dap([[0.9, np.nan]], vectors), dap([[0.9]], vectors[:, :1]), atol=1e-12
    )


def test_dap_does_not_depend_on_the_scale_of_attributes():
    strengths = RNG.uniform(size=(5, 4))
    probability = RNG.uniform(size=(7, 4))
    for factor in (1, 100):
        np.testing.assert_array_equal(
            dap(probability, factor * strengths), dap(probability, yes_or_no(strengths))
        )


def test_iap_by_hand():
    horse, tiger, zebra = [1, 0], [0, 1], [1, 1]
    # p(hooves) = .7 and p(stripes) = .3
    scores = np.exp(iap([[0.7, 0.3]], [0, 1], [horse, tiger, zebra]))
    np.testing.assert_allclose(scores, [[4 * 0.49, 4 * 0.09, 4 * 0.21]])


def test_conse_by_hand():
    vectors = np.array([[2.0, 0.0], [0.0, 5.0], [-1.0, 0.0], [1.0, 1.0]])
    probability = [[0.5, 0.3, 0.2]]
    two = np.array([0.5, 0.3]) / np.hypot(0.5, 0.3)
    np.testing.assert_allclose(
        conse(probability, [0, 1, 2], vectors, top=2),
        [[two[0], two[1], -two[0], two.sum() / 2**0.5]],
    )
    np.testing.assert_allclose(conse(probability, [0, 1, 2], vectors, top=1)[0, 0], 1)
    np.testing.assert_allclose(  # with the third: (.3, .3), between the first two
        conse(probability, [0, 1, 2], vectors, top=3)[0, 3], 1
    )


def test_attribute_classifiers_weigh_classes_equally():
    x = np.concatenate([np.zeros((90, 1)), np.zeros((10, 1))])
    y = np.repeat([0, 1], [90, 10])
    probability = attribute_probabilities(x, y, [[0.0, 1.0], [1.0, 1.0]], x[:1])
    assert probability[0, 0] == pytest.approx(0.5, abs=1e-3) and np.isnan(probability[0, 1])
    np.testing.assert_allclose(attribute_prior(y, [[0, 1], [1, np.nan], [1, 1]]), [0.5, 0.5])


def test_the_calibration_curve_is_what_stacking_gives_at_each_shift():
    scores, seen = RNG.normal(size=(200, 7)), np.arange(7) < 4
    label = RNG.integers(7, size=200)
    curve = calibration_curve(scores, label, seen)
    is_seen = seen[label]
    for shift, on_seen, on_unseen in list(zip(curve.shift, curve.seen, curve.unseen, strict=True))[
        ::9
    ]:
        predicted = choice(stacked(scores, seen, shift), np.ones(7, bool))
        assert class_mean(predicted[is_seen], label[is_seen]) == pytest.approx(on_seen)
        assert class_mean(predicted[~is_seen], label[~is_seen]) == pytest.approx(on_unseen)
    np.testing.assert_array_equal(curve.at(curve.shift), [curve.seen, curve.unseen])
    assert curve.unseen[0] == 0 and curve.seen[-1] == pytest.approx(0)
    assert curve.seen[0] == pytest.approx(class_mean(choice(scores, seen)[is_seen], label[is_seen]))
    best = harmonic_mean(curve.seen, curve.unseen).max()
    predicted = choice(stacked(scores, seen, curve.best), np.ones(7, bool))
    parts = [class_mean(predicted[mask], label[mask]) for mask in (is_seen, ~is_seen)]
    assert harmonic_mean(*parts) == pytest.approx(best) and 0 < curve.area < 1


def test_right_answers_are_averaged_over_classes():
    assert class_mean([0] * 99 + [1], [0] * 100) == 0.99
    assert class_mean([0] * 100, [0] * 99 + [1]) == 0.5
    assert harmonic_mean(0.6, 0.3) == pytest.approx(0.4)


def test_unknown_numbers_and_other_scales():
    table = np.array([[1.0, np.nan], [3.0, 2.0]])
    assert filled(table).tolist() == [[1.0, 2.0], [3.0, 2.0]]
    np.testing.assert_allclose(unit_rows(100 * VECTORS), unit_rows(VECTORS))
    scores = [
        compatibility(X, eszsl(X, Y, unit_rows(factor * VECTORS)), unit_rows(factor * VECTORS))
        for factor in (1, 100)
    ]
    np.testing.assert_allclose(*scores)
    for score, weights in ((encoded, sae(X, Y, VECTORS)), (decoded, sae(X, Y, VECTORS))):
        np.testing.assert_allclose(score(X, weights, VECTORS), score(X, weights, 100 * VECTORS))


@pytest.mark.parametrize(
    'x, y, vectors, said',
    [
        (X, Y - 1, VECTORS, 'labels run from -1 to 3, and 5 classes are described'),
        (X, Y.astype(np.uint8) - np.uint8(1), VECTORS, 'labels run from 0 to 255'),
        (X, Y, VECTORS[:4], 'labels run from 0 to 4, and 4 classes are described'),
        (X, 0 * Y, VECTORS, 'all examples have one class'),
        (X[:3], Y, VECTORS, 'x has shape'),
        (np.where(X > 1, np.nan, X), Y, VECTORS, 'values that are not finite'),
    ],
)
def test_examples_that_do_not_fit_are_refused(x, y, vectors, said):
    for fit in (eszsl, sae, lambda *data: attribute_probabilities(*data, X)):
        with pytest.raises(UserError, match=said):
            fit(x, y, vectors)


def test_numbers_that_do_not_fit_are_refused():
    for call in (
        lambda: eszsl(X, Y, VECTORS, gamma=0.0),
        lambda: eszsl(X, Y, VECTORS, penalty=np.nan),
        lambda: sae(X, Y, VECTORS, weight=-1.0),
        lambda: conse([[0.5, 0.5]], [0, 1, 2], VECTORS),
        lambda: conse([[0.5, 0.5]], [0, 1], VECTORS, top=0),
        lambda: dap([[1.2, 0, 0, 0]], VECTORS),
        lambda: dap([[0.2]], VECTORS),
        lambda: choice(np.ones((2, 3)), np.zeros(3, bool)),
        lambda: calibration_curve(np.ones((2, 2)), [0, 0], [True, False]),
        lambda: class_mean([], []),
    ):
        with pytest.raises(UserError):
            call()
