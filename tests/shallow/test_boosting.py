"""TrAdaBoost and its relatives: rounds by hand, ADAPT's and scikit-learn's weights, and what is
refused."""

import json
import math
import os
import re
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sparse
from line import line
from sklearn.ensemble import AdaBoostClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tljax.core import UserError
from tljax.shallow import boosting, boosting_r2
from tljax.shallow.boosting import balanced, multi_source_tradaboost, tradaboost
from tljax.shallow.boosting_r2 import tradaboost_r2

ROOT = Path(__file__).parents[2]
TOYS = json.loads(Path(__file__).with_name('boosting.json').read_text())
STUMP = DecisionTreeClassifier(max_depth=1, random_state=0)


def scripted(*answers):
    """A learner whose predictor in each round is given: a function of the column x[:, 0], which
    numbers the rows. `scripted.weights` has what the learner got."""
    rounds = iter(answers)

    def learner(x, y, weight):
        learner.weights.append(weight)
        labels = np.array(next(rounds))
        return lambda x: labels[x[:, 0].astype(int)]

    learner.weights = []
    return learner


def numbered(count, first=0):
    return np.arange(first, first + count, dtype=float)[:, None]


def two_domains(seed=0, ns=200, nt=40, flipped=0.2):
    """A source of which a share of labels is wrong, and a target with the same rule."""
    rng = np.random.default_rng(seed)
    xs, xt = rng.normal(size=(ns, 3)), rng.normal(size=(nt, 3))
    ys, yt = (
        (x @ np.array([1.0, 1.0, 0.0]) + rng.normal(0, 0.5, len(x)) > 0).astype(int)
        for x in (xs, xt)
    )
    wrong = rng.permutation(ns) < flipped * ns
    return xs, np.where(wrong, 1 - ys, ys), xt, yt, wrong


@pytest.mark.parametrize('toy', TOYS, ids=['first toy', 'second toy'])
def test_weights_are_adapt_s_in_every_round(toy, monkeypatch):
    # ADAPT computes beta_t as error / (2 - error); the paper's is error / (1 - error)
    monkeypatch.setattr(boosting, 'odds', lambda error: error / (2 - error))
    arguments = [np.array(toy[key]) for key in ('xs', 'ys', 'xt', 'yt')]
    found = tradaboost(line, *arguments, rounds=len(toy['weights']), start=toy['start'])
    weights = np.array(toy['weights'])
    np.testing.assert_allclose(found.weights / found.weights.sum(1, keepdims=True), weights, 1e-9)
    np.testing.assert_allclose(found.errors, toy['errors'], 1e-9)
    assert np.ptp(weights / weights[0], axis=0).max() > 0.5  # weights that change, or no proof


def test_rounds_by_hand():
    # rows 0 to 2 are the source, 3 to 6 the target; all labels are b, but that of row 2
    learner = scripted(
        ['b', 'a', 'b', 'a', 'b', 'b', 'b'],
        ['b', 'a', 'b', 'b', 'a', 'b', 'b'],
        ['a', 'b', 'b', 'b', 'b', 'a', 'b'],
    )
    found = tradaboost(
        learner, numbered(3), list('bba'), numbered(4, 3), list('bbbb'), 3, 'uniform'
    )
    beta = 1 / (1 + math.sqrt(2 * math.log(3) / 3))
    first = np.ones(7)
    second = first * [1, beta, beta, 3, 1, 1, 1]  # error 1/4, so that beta_t is 1/3
    third = second * [1, beta, beta, 1, 5, 1, 1]  # error 1/6: row 4 has 1 of 6
    np.testing.assert_allclose(found.errors, [1 / 4, 1 / 6, 1 / 10])
    for weights, expected in zip(found.weights, (first, second, third), strict=True):
        np.testing.assert_allclose(weights, expected / expected.mean(), 1e-12)
    np.testing.assert_allclose(found.votes, [0, math.log(5), math.log(9)])  # rounds 2 and 3 of 3
    assert ''.join(found.predict(numbered(7))) == 'abbbbab'
    np.testing.assert_allclose(learner.weights, found.weights)


def test_the_target_s_weights_are_adaboost_s_where_the_source_weighs_nothing():
    xs, ys, xt, yt, _ = two_domains()
    start = np.repeat([1e-12, 1.0], [len(ys), len(yt)])
    found = tradaboost(STUMP, xs, ys, xt, yt, rounds=8, start=start)
    peer = AdaBoostClassifier(STUMP, n_estimators=8).fit(xt, yt)
    np.testing.assert_allclose(found.errors, peer.estimator_errors_, 1e-6)
    np.testing.assert_allclose(found.votes[3:], peer.estimator_weights_[3:], 1e-6)


@pytest.mark.parametrize('learner', [STUMP, GaussianNB(), LogisticRegression(C=0.01)])
def test_wrong_labels_of_the_source_lose_weight(learner):
    xs, ys, xt, yt, wrong = two_domains()
    weight = tradaboost(learner, xs, ys, xt, yt).weights[-1, : len(ys)]
    assert weight[wrong].mean() < 0.6 * weight[~wrong].mean()


def test_balanced_weights_make_the_domains_count_alike():
    weight = balanced(30, 4)
    assert weight.sum() == pytest.approx(34)
    assert weight[:30].sum() == pytest.approx(weight[30:].sum())
    xs, ys, xt, yt, _ = two_domains()
    found = tradaboost(STUMP, xs, ys, xt, yt)
    np.testing.assert_allclose(found.weights[0], balanced(len(ys), len(yt)))
    uniform = tradaboost(STUMP, xs, ys, xt, yt, start='uniform')
    np.testing.assert_allclose(uniform.weights[0], 1)


def test_the_scale_of_the_start_changes_nothing_even_for_a_learner_whose_penalty_depends_on_it():
    xs, ys, xt, yt, _ = two_domains()
    learner, start = LinearSVC(C=1e-4), np.ones(len(ys) + len(yt))
    one, thousand = (
        tradaboost(learner, xs, ys, xt, yt, rounds=3, start=scale * start) for scale in (1, 1000)
    )
    np.testing.assert_allclose(one.weights, thousand.weights)


def test_sparse_rows_and_functions_are_as_arrays_and_estimators():
    xs, ys, xt, yt, _ = two_domains()
    xs, xt = np.abs(xs), np.abs(xt)

    def function(x, y, weight):
        return MultinomialNB().fit(x, y, sample_weight=weight)

    dense = tradaboost(MultinomialNB(), xs, ys, xt, yt)
    thin = tradaboost(function, sparse.csr_matrix(xs), ys, sparse.csr_array(xt), yt)
    np.testing.assert_allclose(dense.weights, thin.weights)
    assert (dense.predict(xt) == thin.predict(sparse.csr_matrix(xt))).all()


def test_a_learner_without_error_is_told():
    xs, ys, xt, yt, _ = two_domains()
    with pytest.warns(UserWarning, match='no error on any row, so boosting changes noth') as told:
        found = tradaboost(DecisionTreeClassifier(), xs, ys, xt, yt)
    assert told[0].filename == __file__ and '\n' not in str(told[0].message)
    np.testing.assert_allclose(found.weights, np.tile(found.weights[0], (10, 1)))
    learner = scripted(*[[1, 1, 0, 1]] * 3)
    with pytest.warns(
        UserWarning, match='no error on the 2 labels of the target, so none gains.* 1 '
    ):
        found = tradaboost(learner, numbered(2), [0, 1], numbered(2, 2), [0, 1], 3)
    assert found.weights[-1, 0] < found.weights[-1, 1]


def test_predictors_without_error_decide_alone_and_a_tie_goes_to_the_last_class():
    learner = scripted([0, 1, 1, 0, 1], [1, 0, 0, 0, 1], [0, 1, 0, 0, 0], [1, 1, 0, 0, 1])
    found = tradaboost(learner, numbered(2), [0, 1], numbered(3, 2), [0, 0, 1], 4, 'uniform')
    np.testing.assert_allclose(found.errors, [1 / 3, 0, 1 / 4, 0])
    beta = 1 / (1 + math.sqrt(2 * math.log(2) / 4))
    third = np.array([beta, beta, 2, 1, 1])  # round 2 raised nothing
    np.testing.assert_allclose(found.weights[2], third / third.mean())
    assert found.votes.tolist() == [0, 1, 0, 1]
    assert found.predict(numbered(5)).tolist() == [1, 1, 0, 0, 1]


def test_boosting_ends_before_a_predictor_that_is_no_better_than_chance():
    learner = scripted([0, 1, 0, 1, 1], [0, 1, 1, 1, 0], [0, 1, 0, 0, 1])
    found = tradaboost(learner, numbered(2), [0, 1], numbered(3, 2), [0, 0, 1], 5, 'uniform')
    np.testing.assert_allclose(found.errors, [1 / 3])
    assert len(found.weights) == len(found.votes) == 1


def test_one_of_several_sources_is_tradaboost_in_which_all_rounds_vote():
    xs, ys, xt, yt, _ = two_domains()
    single = tradaboost(STUMP, xs, ys, xt, yt)
    found = multi_source_tradaboost(STUMP, [(xs, ys)], xt, yt)
    np.testing.assert_allclose(found.weights, single.weights)
    np.testing.assert_allclose(found.votes, np.log(1 / found.errors - 1))


def test_rounds_of_two_sources_by_hand():
    # source 0 is row 0, source 1 rows 1 and 2, the target rows 3 to 6; all labels are 1
    learner = scripted(
        [1, 1, 1, 0, 0, 1, 1],  # of source 0: error 1/2
        [0, 1, 0, 0, 1, 1, 1],  # of source 1: error 1/4, kept
        [1, 0, 1, 1, 0, 1, 1],  # of source 0: error 1/6, kept
        [1, 1, 1, 0, 1, 1, 1],  # of source 1: error 1/2
    )
    sources = [(numbered(1), [1]), (numbered(2, 1), [1, 0])]
    found = multi_source_tradaboost(learner, sources, numbered(4, 3), [1] * 4, 2, 'uniform')
    beta = 1 / (1 + math.sqrt(2 * math.log(3) / 2))
    second = np.array([beta, 1, 1, 3, 1, 1, 1])
    np.testing.assert_allclose(found.errors, [1 / 4, 1 / 6])
    np.testing.assert_allclose(found.weights, [np.ones(7), second / second.mean()])
    np.testing.assert_allclose(found.votes, [math.log(3), math.log(5)])
    assert [len(weight) for weight in learner.weights] == [5, 6, 5, 6]
    part = second[[0, 3, 4, 5, 6]]
    np.testing.assert_allclose(learner.weights[2], part / part.mean())


def test_of_a_good_and_a_misleading_source_the_good_one_is_used():
    xs, ys, xt, yt, _ = two_domains(flipped=0)
    found = multi_source_tradaboost(
        GaussianNB(), [(xs, 1 - ys), (xs, ys)], xt, yt, start=np.ones(2 * len(ys) + len(yt))
    )
    mislead, good = found.weights[-1, : len(ys)], found.weights[-1, len(ys) : 2 * len(ys)]
    assert mislead.mean() < 0.3 * good.mean()


def constant(prediction):
    """A learner that predicts a given number for each row, whatever it is trained on."""

    def learner(x, y, weight):
        learner.weights.append(weight)
        return lambda x: np.array(prediction)[x[:, 0].astype(int)]

    learner.weights = []
    return learner


def test_both_stages_of_r2_by_hand():
    # two rows of the source and two of the target; adjusted errors are 1/2, 1, 0 and 1/4
    learner = constant([2.0, 4.0, 0.0, 1.0])
    found = tradaboost_r2(learner, numbered(2), [0, 0], numbered(2, 2), [0, 0], 3, 2, folds=2)
    # stage 1: the average error of uniform weights is 7/16, so that beta is 7/9
    target = np.array([7 / 9, (7 / 9) ** 0.75])
    np.testing.assert_allclose(learner.weights[0], np.ones(4))
    np.testing.assert_allclose(learner.weights[1], [1, 1, *(2 * target / target.sum())])
    # stage 2: the target's share rises from 1/2 to 3/4 and 1; u**2 + u = 2/3 for u = beta ** 0.5
    u = (math.sqrt(11 / 3) - 1) / 2
    second = np.array([u, u**2, 1, 1])
    np.testing.assert_allclose(found.weights[0], np.ones(4))
    np.testing.assert_allclose(found.weights[1], second / second.mean())
    np.testing.assert_allclose(found.weights[2], [0, 0, 2, 2])
    np.testing.assert_allclose(found.errors, [0.5, 0.5, 0.5])  # of the target: 0 and 1
    assert found.votes.tolist() == [1, 0, 0]
    assert found.predict(numbered(4)).tolist() == [2, 4, 0, 1]


def test_rows_of_the_source_without_error_keep_their_weight():
    found = tradaboost_r2(
        constant([0.0, 4.0, 0.0, 1.0]), numbered(2), [0, 0], numbered(2, 2), [0, 0], 4, 1, folds=2
    )
    np.testing.assert_allclose(found.weights[2] / found.weights[2, 2], [1, 0, 1, 1])


def test_the_weighted_median_has_half_of_the_votes_below():
    rng = np.random.default_rng(0)
    predictions, votes = rng.normal(size=(7, 50)), rng.uniform(0.1, 2, 7)
    found = boosting_r2.weighted_median(predictions, votes)
    for column, median in zip(predictions.T, found, strict=True):
        assert median in column
        assert votes[column < median].sum() < votes.sum() / 2 <= votes[column <= median].sum()


def friedman(x, scale, shift):
    """Friedman's function of x (n, 5), with each coordinate scaled and shifted."""
    x = scale * x + shift
    bow = np.sin(np.pi * x[:, 0] * x[:, 1])
    return 10 * bow + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]


def test_r2_uses_a_source_that_is_somewhat_different():
    # as in Pardoe and Stone, section 5.1: the source has other scales and shifts of the inputs
    errors = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        xs, xt, x = (rng.uniform(size=(n, 5)) for n in (200, 20, 500))
        ys = friedman(xs, rng.normal(1, 0.3, 5), rng.normal(0, 0.15, 5))
        yt, y = (friedman(each, np.ones(5), np.zeros(5)) for each in (xt, x))
        learner = DecisionTreeRegressor(max_depth=5, random_state=0)
        found = tradaboost_r2(learner, xs, ys, xt, yt, steps=5, rounds=5, folds=3)
        pooled = learner.fit(np.concatenate([xs, xt]), np.concatenate([ys, yt])).predict(x)
        alone = learner.fit(xt, yt).predict(x)
        errors.append([np.abs(each - y).mean() for each in (found.predict(x), pooled, alone)])
    boosted, pooled, alone = np.mean(errors, 0)
    assert boosted < min(0.95 * pooled, alone)


X, Y, XT, YT = np.zeros((4, 2)), [0, 1, 0, 1], np.ones((2, 2)), [0, 1]
NAN = np.array([[0, 0], [1, np.nan]])


@pytest.mark.parametrize(
    'arguments, said',
    [
        ((KNeighborsClassifier(), X, Y, XT, YT), 'KNeighborsClassifier takes no sample_weight'),
        ((lambda x, y: x, X, Y, XT, YT), 'takes no weights: give a function (x, y, weight)'),
        ((lambda x, y, w: None, X, Y, XT, YT), 'the learner returned NoneType: return a function'),
        (
            (lambda x, y, w: lambda x: np.zeros((len(x), 2)), X, Y, XT, YT),
            'the predictor returned shape',
        ),
        ((STUMP, X[:, :1], Y, XT, YT), 'the source has 1 columns and the target 2: give both the'),
        ((STUMP, X, Y, NAN, YT), 'features of the target are not all finite numbers: drop or'),
        ((STUMP, sparse.csr_array(NAN), [0, 1], XT, YT), 'features of the source are not all fin'),
        ((STUMP, X, list('abab'), XT, YT), 'labels of the source are <U1 and of the target int64'),
        ((STUMP, X, Y, XT, [0.0, np.nan]), '1 labels of the target are missing: give labelled'),
        ((STUMP, X, Y, XT, [None, 1]), '1 labels of the target are missing: give labelled rows'),
        ((STUMP, X, Y, XT, []), 'the target has 2 rows and labels of shape (0,): give one label'),
        ((STUMP, X, Y, XT[:0], []), 'the target has shape (0, 2): give features (n, d) of one'),
        ((STUMP, X, [0.5, 1, 0, 1], XT, YT), 'labels have fractions: take tradaboost_r2'),
        ((STUMP, X, [1] * 4, XT, [1, 1]), 'all labels are 1: give examples of two classes'),
        ((STUMP, X, Y, XT, YT, 0), 'rounds=0: give a whole number from 1 up'),
        ((STUMP, X, Y, XT, YT, 5, 'equal'), "start='equal': give balanced, uniform or a weight"),
        ((STUMP, X, Y, XT, YT, 5, [1, 1]), 'start has shape (2,): give a weight for each of the 6'),
        ((STUMP, X, Y, XT, YT, 5, [1, -1, 1, 1, 1, 1]), 'negative or not finite'),
        ((STUMP, X, Y, XT, YT, 5, [0, 1, 0, 1, 0, 1]), 'all weights of class 0 are 0 in start'),
        ((STUMP, X, Y, XT, YT, 5, [0, 0, 0, 0, 1, 1]), 'all weights of the source are 0 in start'),
        ((STUMP, X, Y, XT, YT, 5, [1, 1, 1, 1, 0, 0]), 'all weights of the target are 0 in start'),
    ],
)
def test_what_tradaboost_refuses(arguments, said):
    with pytest.raises(UserError) as refused:
        tradaboost(*arguments)
    assert said in str(refused.value) and '\n' not in str(refused.value)


def test_a_learner_that_is_wrong_on_the_target_is_refused():
    with pytest.raises(UserError, match='error of the learner on the target is 1.00 in the first'):
        tradaboost(scripted([0, 1, 1, 0]), numbered(2), [0, 1], numbered(2, 2), [0, 1])


@pytest.mark.parametrize(
    'arguments, said',
    [
        ((Ridge(), X, list('abab'), XT, list('ab')), 'labels are names (a): take tradaboost'),
        ((Ridge(), X, Y, XT[:1], [1]), 'the target has one labelled row: cross-validation needs'),
        ((Ridge(), X, Y, XT, YT, 1), 'steps=1: give a whole number from 2 up'),
        ((DecisionTreeRegressor(), numbered(4), Y, numbered(2, 4), YT), 'fits all rows without er'),
        ((KNeighborsClassifier(), X, Y, XT, YT), 'KNeighborsClassifier takes no sample_weight'),
    ],
)
def test_what_r2_refuses(arguments, said):
    with pytest.raises(UserError) as refused:
        tradaboost_r2(*arguments)
    assert said in str(refused.value) and '\n' not in str(refused.value)


def test_several_sources_are_told_apart_in_refusals():
    with pytest.raises(UserError, match='the source 1 has 1 columns and the target 2'):
        multi_source_tradaboost(STUMP, [(X, Y), (X[:, :1], Y)], XT, YT)
    with pytest.raises(UserError, match='there is no source'):
        multi_source_tradaboost(STUMP, [], XT, YT)


@pytest.mark.slow
@pytest.mark.skipif('TLJAX_DATA' not in os.environ, reason='TLJAX_DATA is not set')
def test_the_chapter_s_examples_run_as_they_are_printed(tmp_path, monkeypatch, capsys):
    (tmp_path / 'data').symlink_to(os.environ['TLJAX_DATA'])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    text = (ROOT / 'docs' / 'chapters' / 'shallow.txt').read_text()
    space = {}
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for block in re.findall(r'```python\n(.*?)```', text, re.DOTALL):
            exec(block, space)
    assert float(capsys.readouterr().out.splitlines()[0]) < 0.06  # always ham: 0.08
    assert len(space['boosted'].weights) >= 1
