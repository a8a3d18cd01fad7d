"""Shape bias: the published answers, numbers worked by hand, and intervals of other statistics."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from tljax.data.sets import cue_conflict
from tljax.data.sets.cue_conflict import Stimuli
from tljax.studies import cue_decisions
from tljax.studies.shape_bias import feature_decisions, published, summarise

SET = Path(os.environ.get('TLJAX_DATA', 'data'), 'cue_conflict')
real = pytest.mark.skipif(not SET.exists(), reason='TLJAX_DATA has no cue_conflict')


@real
def test_published_answers_give_the_published_shape_biases():
    stimuli = cue_conflict.stimuli(SET)
    observers = published(SET, stimuli)
    results = summarise(observers, stimuli.shape, stimuli.texture, stimuli.categories)
    rows = {row['name']: row for row in results['rows']}
    assert results['pictures'] == 1200 and len(rows) == 17
    for name, bias in {
        'ResNet-50': 22.07,
        'AlexNet': 42.94,
        'VGG-16': 17.22,
        'GoogLeNet': 31.19,
        'AlexNet (torchvision)': 25.31,
        'VGG-16 (torchvision)': 9.21,
        'ResNet-50, stylised ImageNet': 80.61,
    }.items():
        assert 100 * rows[name]['bias'] == pytest.approx(bias, abs=0.05), name
    people = [100 * bias for bias in rows['people (10)']['by_seed']]
    assert len(people) == 10
    assert min(people) == pytest.approx(91.9, abs=0.05)
    assert max(people) == pytest.approx(98.7, abs=0.05)
    assert rows['ResNet-50']['decided'] == pytest.approx(0.612, abs=5e-4)


def test_the_category_of_the_largest_mean_probability_is_chosen():
    groups = [np.array([0, 1, 2, 3]), np.array([4]), np.array([5, 6])]  # dogs, a knife, bears
    probability = np.array(
        [
            # by hand the means are .125, .2, .1; sums and maxima would choose the dogs
            [[0.4, 0.1, 0.0, 0.0, 0.2, 0.2, 0.0, 0.1], [0.5, 0.5, 0, 0, 0, 0, 0, 0]],
            # .0, .1, .3; and .025, .025, .35
            [[0, 0, 0, 0, 0.1, 0.0, 0.6, 0.3], [0.1, 0, 0, 0, 0.025, 0.35, 0.35, 0.175]],
        ]
    )
    assert cue_decisions.decide(probability, groups).tolist() == [[1, 0], [2, 2]]


def test_by_hand():
    shape = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    texture = np.array([1, 2, 0, 0, 2, 0, 2, 0])  # the third and the seventh agree
    decision = np.array([[0, 2, 0, 1, 2, 2, 2, -1], [0, 0, 1, 0, 2, 0, 2, 2]])
    bias = cue_decisions.shape_bias(decision, shape, texture)
    # of six conflicts: the first seed 2 shape, 2 texture, 2 neither; the second 3 shape, 3 texture
    assert bias.by_seed == (0.5, 0.5) and bias.mean == 0.5
    assert bias.decided == pytest.approx((4 + 6) / 12)
    by_category, decided = cue_decisions.by_category(decision, shape, texture, 4)
    # shapes of 0: 3 of 4 decisions; of 1: 1 shape, 4 texture; of 2: 1 shape; of 3: no picture
    np.testing.assert_allclose(by_category, [0.75, 0.2, 1, np.nan])
    np.testing.assert_allclose(decided, [1, 5 / 6, 0.5, 0])
    assert cue_decisions.agreeing_accuracy(decision, shape, texture) == 0.75
    nothing = cue_decisions.shape_bias(np.full((1, 8), cue_decisions.NONE), shape, texture)
    assert np.isnan([nothing.mean, nothing.low, nothing.high]).all() and nothing.decided == 0


def drawn(rng, pictures, shares):
    """Decisions of pictures of shape 0 and texture 1; 2 is neither."""
    shape, texture = np.zeros(pictures, int), np.ones(pictures, int)
    return rng.choice(3, (1, pictures), p=shares), shape, texture


def test_the_bootstrap_agrees_with_binomial_and_normal_intervals():
    decision, shape, texture = drawn(np.random.default_rng(0), 1200, [0.18, 0.42, 0.4])
    bias = cue_decisions.shape_bias(decision, shape, texture, draws=4_000)
    decided = (decision < 2).sum()
    half_width = 1.96 * np.sqrt(bias.mean * (1 - bias.mean) / decided)
    exact = binom.ppf([0.025, 0.975], decided, bias.mean) / decided
    for low, high in (exact, (bias.mean - half_width, bias.mean + half_width)):
        assert bias.low == pytest.approx(low, abs=0.1 * half_width)
        assert bias.high == pytest.approx(high, abs=0.1 * half_width)


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng, covered = np.random.default_rng(1), 0
    for seed in range(300):
        decision, shape, texture = drawn(rng, 200, [0.3, 0.4, 0.3])
        bias = cue_decisions.shape_bias(decision, shape, texture, draws=400, seed=seed)
        covered += bias.low <= 3 / 7 <= bias.high
    assert 0.91 <= covered / 300 <= 0.98


def test_a_change_is_paired_by_picture():
    rng = np.random.default_rng(2)
    before, shape, texture = drawn(rng, 600, [0.2, 0.5, 0.3])
    after = np.where(rng.random(600) < 0.1, 0, before)  # one in ten goes over to the shape
    paired = cue_decisions.change(before, after, shape, texture)
    unpaired = cue_decisions.change(before, after[:, rng.permutation(600)], shape, texture)
    assert paired.mean == pytest.approx(unpaired.mean) and paired.low > 0
    assert paired.high - paired.low < 0.6 * (unpaired.high - unpaired.low)
    biases = [cue_decisions.shape_bias(each, shape, texture) for each in (before, after)]
    assert paired.mean == pytest.approx(biases[1].mean - biases[0].mean)
    widths = [bias.high - bias.low for bias in biases]  # independent sides add their variances
    assert unpaired.high - unpaired.low == pytest.approx(np.hypot(*widths), rel=0.15)
    assert cue_decisions.change(before, before, shape, texture) == (0, 0, 0)


def layout(rng):
    """Cues as in the real set: 16 categories, ten photographs of shapes, three of textures."""
    shape, texture = (cue.ravel() for cue in np.indices((16, 16)).repeat(5, axis=2))
    of_shape, of_texture = np.tile(np.arange(1, 11), (256, 1)), np.tile([1, 2, 3, 1, 2], (256, 1))
    numbers = (
        rng.permuted(of_shape, axis=1)[:, :5].ravel(),
        rng.permuted(of_texture, axis=1).ravel(),
    )
    return Stimuli((), (), tuple(f'{i:02}' for i in range(16)), shape, texture, *numbers)


@pytest.mark.parametrize('of_shape, of_texture', [(1.0, 0.3), (0.3, 1.0), (1.0, 1.0)])
def test_features_decide_by_the_cue_that_they_hold(of_shape, of_texture):
    biases = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        stimuli, directions = layout(rng), rng.normal(size=(2, 16, 64))
        directions *= 8 / np.linalg.norm(directions, axis=-1, keepdims=True)
        features = (
            of_shape * directions[0][stimuli.shape]
            + of_texture * directions[1][stimuli.texture]
            + 0.5 * rng.normal(size=(len(stimuli.shape), 64))
        )
        decision = feature_decisions(5 + features, stimuli)[None]
        bias = cue_decisions.shape_bias(decision, stimuli.shape, stimuli.texture, draws=10)
        assert bias.decided > 0.9
        assert cue_decisions.agreeing_accuracy(decision, stimuli.shape, stimuli.texture) > 0.9
        biases.append(bias.mean)
    # fewer examples are left of a picture's texture than of its shape: still no preference
    expected = 0.5 + 0.5 * np.sign(of_shape - of_texture)
    assert np.mean(biases) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize('cue', ['shape', 'texture'])
def test_no_picture_is_recognised_by_a_photograph_of_its_own(cue):
    rng = np.random.default_rng(4)
    stimuli = layout(rng)
    category = getattr(stimuli, cue)
    photograph = 10 * category + getattr(stimuli, f'{cue}_number')
    features = rng.normal(size=(photograph.max() + 1, 256))[photograph]  # of photographs alone
    decision = feature_decisions(features, stimuli)
    conflict = stimuli.shape != stimuli.texture
    assert (decision == category)[conflict].mean() < 0.13  # by chance 1 / 16
