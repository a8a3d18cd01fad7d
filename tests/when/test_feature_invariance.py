"""Invariance of features, the need of a target, and the advised cut, worked by hand."""

import numpy as np
import pytest

from tljax.core import UserError
from tljax.when.invariance import advised_cut, feature_invariance, probe_change

PENALTY = [10.0]  # a single one is not chosen, which would compile more programs


def pictures(n=60, side=6, seed=0):
    return np.random.default_rng(seed).random((n, side, side))


def flat(pictures):
    return pictures.reshape(len(pictures), -1)


def test_a_mean_over_columns_ignores_a_flip_and_raw_pictures_do_not():
    x = pictures(200)
    flipped = x[:, :, ::-1]
    found = feature_invariance(x.mean(2), flipped.mean(2))
    np.testing.assert_allclose(found, 1.0, atol=1e-9)
    found = feature_invariance(flat(x), flat(flipped))
    assert abs(found.value) < 0.1 and found.low < found.value < found.high


def test_three_pictures_by_hand():
    """Centred features (1, 0), (-1, 1), (0, -1); the third is turned to (0, 1)."""
    f = np.array([[2.0, 5.0], [0.0, 6.0], [1.0, 4.0]])
    g = np.array([[2.0, 5.0], [0.0, 6.0], [1.0, 6.0]])
    same = (1 + 1 - 1) / 3
    unrelated = (-1 / np.sqrt(2) + 0 - 1 / np.sqrt(2)) / 3
    expected = (same - unrelated) / (1 - unrelated)
    assert feature_invariance(f, g).value == pytest.approx(expected)


def test_all_pairs_of_different_pictures_are_unrelated():
    rng = np.random.default_rng(1)
    f, g = rng.normal(size=(12, 5)), rng.normal(size=(12, 5))
    centred = f - f.mean(0)

    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    same = np.mean([cosine(a, b) for a, b in zip(centred, g - f.mean(0), strict=True)])
    pairs = [cosine(centred[i], centred[j]) for i in range(12) for j in range(12) if i != j]
    expected = (same - np.mean(pairs)) / (1 - np.mean(pairs))
    assert feature_invariance(f, g).value == pytest.approx(expected)


def test_features_that_are_never_negative_do_not_look_invariant():
    rng = np.random.default_rng(2)
    f, g = (np.maximum(rng.normal(1, 1, (300, 40)), 0) for _ in range(2))  # unrelated
    raw = np.mean((f * g).sum(1) / np.linalg.norm(f, axis=1) / np.linalg.norm(g, axis=1))
    assert raw > 0.6 and abs(feature_invariance(f, g).value) < 0.05


def test_a_shift_that_all_features_share_is_a_change():
    f = np.random.default_rng(3).normal(size=(100, 10))
    assert feature_invariance(f, f + 3).value < 0.5


def test_intervals_cover_the_invariance_of_more_pictures():
    """Features of which half the variance is T's: the value is that of 20,000 pictures."""
    rng = np.random.default_rng(4)

    def draw(n):
        kept, changed, other = rng.normal(size=(3, n, 8))
        return kept + changed, kept + other

    truth = feature_invariance(*draw(20_000), draws=1).value
    hits = 0
    for _ in range(200):
        found = feature_invariance(*draw(60), draws=300)
        hits += found.low <= truth <= found.high
    assert truth == pytest.approx(0.5, abs=0.05) and 178 <= hits <= 200


def test_a_picture_at_the_mean():
    f = np.array([[1.0], [-1.0], [0.0]])
    assert feature_invariance(f, f).value == pytest.approx(1)
    assert feature_invariance(f, np.array([[1.0], [-1.0], [5.0]])).value < 1


@pytest.mark.parametrize(
    'f, g, said',
    [
        (np.eye(3), np.eye(4), 'give .n, d. twice'),
        (np.eye(2), np.eye(2), 'three pictures'),
        (np.eye(3), np.full((3, 3), np.nan), 'not finite'),
        (np.ones((3, 2)), np.ones((3, 2)), 'all 3 rows of f are the same'),
    ],
)
def test_features_without_an_invariance(f, g, said):
    with pytest.raises(UserError, match=said):
        feature_invariance(f, g)


def halves(n, axis, seed):
    """Pictures whose brighter half along an axis is their class."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 6, 6)), rng.integers(0, 2, n)
    for picture, label in zip(x, y, strict=True):
        np.moveaxis(picture, axis, 0)[3 * label : 3 * label + 3] += 1.5
    return x, y


@pytest.mark.slow
@pytest.mark.parametrize('axis, needs', [(0, False), (1, True)])
def test_left_and_right_need_the_side_and_up_and_down_do_not(axis, needs):
    (x, y), (test_x, test_y) = halves(100, axis, 0), halves(200, axis, 1)
    change = probe_change(
        flat(x),
        y,
        [flat(x[:, :, ::-1])],
        flat(test_x),
        test_y,
        [flat(test_x[:, :, ::-1])],
        PENALTY,
    )
    assert change.plain > 0.95
    assert (change.need > 0.3) == needs and (change.plain_on_changed < 0.1) == needs
    assert abs(change.trained - change.trained_on_changed) < 0.1


def test_a_target_gains_from_ignoring_what_misleads():
    rng = np.random.default_rng(0)
    y, test_y = np.arange(100) % 2, np.arange(200) % 2
    x, test_x = np.zeros((100, 36)), np.zeros((200, 36))
    x[:, 0] = y - 0.5 + 0.3 * rng.normal(size=100)
    test_x[:, 0] = test_y - 0.5 + 0.3 * rng.normal(size=200)
    # the second feature tells the class in training alone, and T turns its sign
    x[:, 1], test_x[:, 1] = 2.0 * y - 1, rng.choice([-1.0, 1.0], 200)
    sign = np.where(np.arange(36) == 1, -1, 1)
    change = probe_change(x, y, [x * sign], test_x, test_y, [test_x * sign], PENALTY)
    assert change.need < -0.2 and change.trained > 0.9


def test_what_changes_nothing_changes_no_probe():
    rng = np.random.default_rng(0)
    x, test_x = rng.normal(size=(100, 36)), rng.normal(size=(200, 36))
    y, test_y = ((part[:, 0] + rng.normal(size=len(part)) > 0).astype(int) for part in (x, test_x))
    change = probe_change(x, y, [x], test_x, test_y, [test_x], PENALTY)
    assert len({round(value, 12) for value in change}) == 1 and change.need == 0


def test_transformations_have_to_pair():
    with pytest.raises(UserError, match='1 transformations in training and 0 in the test'):
        probe_change(np.eye(4), [0, 1, 0, 1], [np.eye(4)], np.eye(4), [0, 1, 0, 1], [])


def by_the_equation(invariance, need):
    """The rule, word for word."""
    layers, transformations = range(len(need)), range(len(need[0]))
    harmful = [
        t
        for t in transformations
        if max(need[k][t] for k in layers) > 0.03 and max(invariance[k][t] for k in layers) >= 0.3
    ]
    helpful = [
        t
        for t in transformations
        if min(need[k][t] for k in layers) < -0.03 and invariance[-1][t] >= 0.3
    ]
    if harmful:
        first = min(k + 1 for k in layers for t in harmful if invariance[k][t] >= 0.3)
        return (first - 1) // 2
    return len(need) if helpful else 0


def test_the_cut_is_that_of_the_equation():
    rng = np.random.default_rng(0)
    found = set()
    for _ in range(300):
        invariance, need = rng.uniform(0, 0.35, (6, 2)), rng.uniform(-0.035, 0.032, (6, 2))
        frozen = advised_cut(invariance, need).frozen
        assert frozen == by_the_equation(invariance, need)
        found.add(frozen)
    assert found == {0, 1, 2, 6}


def test_cuts_of_tables_by_hand():
    shallow, deep, never = [[0.6], [0.7], [0.9]], [[0.0], [0.1], [0.9]], [[0.0], [0.1], [0.2]]
    hurt, gain, neither = [[0.1], [0.1], [0.0]], [[-0.1], [0.0], [0.01]], [[0.02], [0.0], [-0.02]]
    assert advised_cut(shallow, hurt) == (0, (0,), ())
    assert advised_cut(deep, hurt) == (1, (0,), ())
    assert advised_cut(never, hurt) == (0, (), ())  # nothing is discarded, and nothing to keep
    assert advised_cut(deep, gain) == (3, (), (0,))
    assert advised_cut(never, gain) == (0, (), ())  # the source has no such invariance
    assert advised_cut(deep, neither) == (0, (), ())
    # of two transformations, the harmful one decides
    both = advised_cut(
        [[0.9, 0.0], [0.9, 0.1], [0.9, 0.8]], [[-0.5, 0.5], [-0.5, 0.5], [-0.5, 0.5]]
    )
    assert both == (1, (1,), (0,))


@pytest.mark.parametrize(
    'tables, said',
    [
        (([[0.1]], [[0.1, 0.2]]), 'layers, transformations'),
        (([0.1], [0.1]), 'layers, transformations'),
        (([[np.nan]], [[0.1]]), 'not finite'),
    ],
)
def test_tables_that_do_not_fit(tables, said):
    with pytest.raises(UserError, match=said):
        advised_cut(*tables)
