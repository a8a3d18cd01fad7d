"""Scores without target labels against numbers by hand, SciPy, scikit-learn and plain loops, and on
bad models that each score prefers."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, mutual_info_score

from tljax.core import UserError
from tljax.when import selection
from tljax.when.selection import (
    SCORES,
    choose,
    deep_embedded_validation,
    importance_weighted_risk,
    information_maximisation,
    negative_entropy,
    soft_neighbourhood_density,
    source_accuracy,
)

LOG2 = np.log(2)


def predictions(n=60, c=5, seed=0):
    return np.random.default_rng(seed).dirichlet(np.full(c, 0.3), n)


def one_hot(label, c):
    return np.eye(c)[label]


# from the target's predictions


def test_entropy_and_information_by_hand():
    # Entropies log 2, 0, 0 and 0; the mean prediction is (5/8, 3/8).
    probability = [[0.5, 0.5], [1, 0], [1, 0], [0, 1]]
    assert negative_entropy(probability) == pytest.approx(-LOG2 / 4)
    of_mean = 5 / 8 * np.log(8 / 5) + 3 / 8 * np.log(8 / 3)
    assert information_maximisation(probability) == pytest.approx(of_mean - LOG2 / 4)


def test_entropies_are_those_of_scipy():
    probability = predictions()
    assert negative_entropy(probability) == pytest.approx(
        -stats.entropy(probability, axis=1).mean()
    )
    assert information_maximisation(probability) == pytest.approx(
        stats.entropy(probability.mean(0)) - stats.entropy(probability, axis=1).mean()
    )


def test_information_is_the_mutual_information_of_scikit_learn():
    rng = np.random.default_rng(0)
    # a hundred votes on each example
    label, votes = rng.integers(0, 5, 60), rng.multinomial(100, predictions())
    assert information_maximisation(one_hot(label, 5)) == pytest.approx(
        mutual_info_score(label, np.arange(60))
    )
    assert information_maximisation(votes / 100) == pytest.approx(
        mutual_info_score(None, None, contingency=votes)
    )


def density(probability, temperature):
    entropies = []
    for i, row in enumerate(probability):
        cosines = [
            row @ other_row / np.sqrt((row @ row) * (other_row @ other_row))
            for j, other_row in enumerate(probability)
            if j != i
        ]
        weight = np.exp(np.array(cosines) / temperature)
        weight /= weight.sum()
        entropies.append(-sum(w * np.log(w) for w in weight if w > 0))
    return np.mean(entropies)


@pytest.mark.parametrize('temperature', [0.05, 1.0])
@pytest.mark.parametrize('block', [1, 7, 60, 1000])
def test_density_is_a_double_loop_in_blocks_of_any_size(monkeypatch, block, temperature):
    monkeypatch.setattr(selection, 'BLOCK', block)
    assert soft_neighbourhood_density(predictions(), temperature) == pytest.approx(
        density(predictions(), temperature)
    )


def test_density_by_hand():
    # Two pairs of equals, at a right angle: at temperature 1 the weights are e, 1 and 1 over e + 2.
    weight = np.array([np.e, 1, 1]) / (np.e + 2)
    assert soft_neighbourhood_density(one_hot([0, 0, 1, 1], 2), temperature=1) == pytest.approx(
        -(weight * np.log(weight)).sum()
    )
    assert soft_neighbourhood_density(one_hot([0, 1], 2)) == 0  # one neighbour only


def test_what_each_score_cannot_tell():
    label = np.repeat([0, 1, 2], [40, 10, 10])
    correct_model, wrong_model, constant_model = (
        one_hot(label, 3),
        one_hot((label + 1) % 3, 3),
        one_hot(np.zeros(60, int), 3),
    )
    balanced_model = one_hot(np.arange(60) % 3, 3)  # wrong, and even where the labels are not
    assert negative_entropy(correct_model) == negative_entropy(constant_model) == 0
    assert information_maximisation(constant_model) == pytest.approx(
        0
    ) and information_maximisation(balanced_model) > information_maximisation(correct_model)
    assert soft_neighbourhood_density(constant_model) == pytest.approx(np.log(59))
    for score in SCORES.values():
        assert score(wrong_model) == pytest.approx(score(correct_model))


def test_bounds():
    flat = np.full((20, 4), 0.25)
    assert negative_entropy(flat) == pytest.approx(-np.log(4))
    assert information_maximisation(flat) == pytest.approx(0)
    assert information_maximisation(one_hot(np.arange(20) % 4, 4)) == pytest.approx(np.log(4))


@pytest.mark.parametrize('name', SCORES)
def test_neither_the_order_nor_float32_matters(name):
    probability, order = predictions(), np.random.default_rng(1).permutation(60)
    assert SCORES[name](probability[order]) == pytest.approx(SCORES[name](probability))
    assert SCORES[name](probability.astype(np.float32)) == pytest.approx(
        SCORES[name](probability), rel=1e-5
    )
    assert SCORES[name](probability * 1.0005) == pytest.approx(SCORES[name](probability))


# from the source's losses and labels


def test_deep_embedded_validation_by_hand():
    # w l = 0, 2, 6; Cov(w l, w) = 3, Var(w) = 1 for w = 1, 2, 3: eta = -3, and 8/3 - 3 (2 - 1) =
    # -1/3.
    assert deep_embedded_validation([0, 1, 2], [1, 2, 3]) == pytest.approx(1 / 3)
    assert importance_weighted_risk([0, 1, 2], [1, 2, 3]) == pytest.approx(-8 / 3)


def test_deep_embedded_validation_is_the_closed_form_of_sample_covariances():
    rng = np.random.default_rng(0)
    loss, weight = rng.exponential(size=(2, 50))
    covariance = np.cov(weight * loss, weight)
    eta = -covariance[0, 1] / covariance[1, 1]
    assert deep_embedded_validation(loss, weight) == pytest.approx(
        -((weight * loss).mean() + eta * weight.mean() - eta)
    )
    order = rng.permutation(50)
    assert deep_embedded_validation(loss[order], weight[order]) == pytest.approx(
        deep_embedded_validation(loss, weight)
    )
    assert importance_weighted_risk(loss[order], weight[order]) == pytest.approx(
        importance_weighted_risk(loss, weight)
    )


def test_a_control_variate_has_nothing_to_say_of_equal_or_scaled_weights():
    rng = np.random.default_rng(0)
    loss, weight = rng.exponential(size=(2, 50))
    for weights in (
        np.full(50, 0.1),
        1 + 1e-16 * np.round(weight),
        1 + 1e-7 * weight,
        weight / weight.mean(),
    ):
        assert deep_embedded_validation(loss, weights) == pytest.approx(
            importance_weighted_risk(loss, weights)
        )


def test_both_risks_are_the_targets_and_the_control_variate_varies_less():
    # The source is uniform on [0, 1] and the target has the density 2 x there, hence w = 2 x; the
    # loss 1 - x^2 / 2 has the target risk
    # 1 - 1 / 4, and is smaller by the source's own account, 1 - 1 / 6.
    draws = np.random.default_rng(0).uniform(size=(300, 200))
    plain_risk, controlled_risk = np.array(
        [
            [
                risk(1 - x**2 / 2, 2 * x)
                for risk in (importance_weighted_risk, deep_embedded_validation)
            ]
            for x in draws
        ]
    ).T
    for risk in (plain_risk, controlled_risk):
        assert abs(risk.mean() + 3 / 4) < 4 * stats.sem(risk)
        assert abs(risk.mean() + 5 / 6) > 4 * stats.sem(risk)
    assert controlled_risk.var() < plain_risk.var() / 4


def test_source_accuracy_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    logits, label = rng.normal(size=(40, 3)), rng.integers(0, 3, 40)
    assert source_accuracy(logits, label) == pytest.approx(accuracy_score(label, logits.argmax(1)))


# choosing


def test_the_best_is_chosen():
    assert choose([0.1, 0.3, 0.3, -np.inf, np.inf, np.nan]) == 1
    assert choose([-2.0, -1.0], ['a', 'b']) == 'b'
    with pytest.raises(UserError, match='none of 2 scores is finite'):
        choose([np.nan, np.inf])
    with pytest.raises(UserError, match='none of 0 scores'):
        choose([])
    with pytest.raises(UserError, match='3 names for 2 scores'):
        choose([1.0, 2.0], ['a', 'b', 'c'])


def test_the_scores_that_a_command_loops_over():
    assert set(SCORES) == {
        'negative_entropy',
        'information_maximisation',
        'soft_neighbourhood_density',
    }
    assert all(isinstance(score(predictions()), float) for score in SCORES.values())


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('name', SCORES)
@pytest.mark.parametrize(
    'probability, words',
    [
        ([[0.5, 0.502]], '1 of 1 rows of probability do not sum to 1: give softmax'),
        ([[2.0, -1.0]], '1 values that are not finite or below 0'),
        ([[np.nan, 1.0]], '1 values that are not finite'),
        ([[np.inf, -np.inf]], '2 values that are not finite'),
        (np.zeros((0, 3)), 'probability (0, 3): give one row or more'),
        (np.zeros((3, 0)), '(3, 0): give one row'),
        ([0.5, 0.5], '(2,)'),
    ],
)
def test_what_are_no_probabilities_is_refused_in_one_line(name, probability, words):
    refused(lambda: SCORES[name](probability), words)


@pytest.mark.parametrize('function', [importance_weighted_risk, deep_embedded_validation])
@pytest.mark.parametrize(
    'loss, weight, words',
    [
        ([1, 2], [1], 'loss (2,) and weight (1,) differ in length'),
        ([], [], 'loss (0,) and weight (0,): give one row'),
        ([[1.0]], [1.0], 'loss (1, 1)'),
        ([np.nan, 1], [1, 1], 'loss has 1 values'),
        ([1, 1], [np.inf, -1], 'weight has 2 values'),
    ],
)
def test_risks_of_what_does_not_pair_are_refused_in_one_line(function, loss, weight, words):
    refused(lambda: function(loss, weight), words)


def test_more_that_is_refused_in_one_line():
    refused(
        lambda: source_accuracy([[1.0, 0.0]], [0, 1]),
        'logits (1, 2) and label (2,) differ in length',
    )
    refused(lambda: source_accuracy([[np.nan, 0.0]], [0]), 'logits has 1 values')
    refused(
        lambda: soft_neighbourhood_density([[1.0, 0.0]]),
        '1 rows at temperature=0.05: give two rows',
    )
    refused(
        lambda: soft_neighbourhood_density(predictions(), temperature=0), '60 rows at temperature=0'
    )


def refused(call, words):
    with pytest.raises(UserError) as refusal:
        call()
    assert words in str(refusal.value) and '\n' not in str(refusal.value)
