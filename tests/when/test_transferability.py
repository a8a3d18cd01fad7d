"""Properties that all scores of transferability share, and invalid arguments."""

import jax.numpy as jnp
import numpy as np
import pytest
from labelled_features import cases, labelled, predictions

from tljax.core import UserError
from tljax.when.evidence import h_score, h_score_of, logme, logme_of, moments
from tljax.when.transferability import OF_PREDICTIONS, SCORES, gbc, n_leep, nce, parc, transrate


@pytest.mark.parametrize('name', SCORES)
def test_labels_that_features_tell_beat_labels_that_were_shuffled(name):
    f, y = labelled(300, 8, separation=2.0)
    shuffled = np.random.default_rng(0).permutation(y)
    assert isinstance(SCORES[name](f, y), float) and SCORES[name](f, y) > SCORES[name](f, shuffled)


@pytest.mark.parametrize('name', SCORES)
@pytest.mark.parametrize('wide', [False, True])
def test_neither_the_names_of_classes_nor_the_order_of_rows_matters(name, wide):
    f, y = labelled(30, 50) if wide else labelled()
    score, expected = SCORES[name], SCORES[name](f, y)
    assert score(f, np.array([7, -3, 40])[y]) == pytest.approx(expected, rel=1e-9)
    assert score(f.astype(np.float32), y.astype(np.uint8)) == pytest.approx(
        expected, rel=1e-3, abs=1e-3
    )
    assert score(jnp.asarray(f), jnp.asarray(y)) == score(f.astype(np.float32), y)
    if name != 'n_leep':  # its mixture starts from rows that are drawn
        order = np.random.default_rng(0).permutation(len(f))
        assert score(f[order], y[order]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize('name', ['logme', 'h_score', 'transrate', 'gbc'])
@pytest.mark.parametrize('case', ['tall', 'wide', 'low rank', 'constant column'])
def test_rotation_does_not_matter(name, case):
    f, y = cases()[case]
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(f.shape[1],) * 2))[0]
    assert SCORES[name](f @ rotation, y) == pytest.approx(SCORES[name](f, y), rel=1e-6)


@pytest.mark.parametrize(
    'name', ['h_score', 'regularised_h_score', 'transrate', 'gbc', 'parc', 'n_leep']
)
@pytest.mark.parametrize('scale, offset', [(1e3, 50.0), (1e-3, 1e3)])
def test_neither_units_nor_an_offset_matter_where_features_are_centred(name, scale, offset):
    f, y = labelled()
    assert SCORES[name](scale * f + offset, y) == pytest.approx(SCORES[name](f, y), rel=1e-5)


def test_an_h_score_takes_any_linear_map_and_logme_a_scale():
    f, y = labelled()
    assert h_score(f @ np.random.default_rng(0).normal(size=(6, 6)) + 3, y) == pytest.approx(
        h_score(f, y), rel=1e-6
    )
    assert logme(1e-4 * f, y) == pytest.approx(logme(f, y), rel=1e-6)


F, Y = labelled(12, 4)


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('name', SCORES)
@pytest.mark.parametrize(
    'f, y, words',
    [
        (F, np.full(12, 3), 'labels of 1 class: give'),
        (np.where(F[2, 1] == F, np.nan, F), Y, 'f has 1 values that are not finite'),
        (F, Y[:-1], 'f has shape (12, 4) and y (11,): give one label per row'),
        (F[:0], Y[:0], 'f has shape (0, 4)'),
        (F[:, :0], Y, 'f has shape (12, 0)'),
        (F[0], Y, 'f has shape (4,)'),
        (np.ones((12, 4)), Y, 'all 12 rows of f are the same'),
        (F, Y[:, None], 'y has shape (12, 1)'),
        (F, Y.astype(str), 'y has shape (12,) and type <U21'),
    ],
)
def test_what_has_no_score_is_refused_in_one_line(name, f, y, words):
    refused(lambda: SCORES[name](f, y), words)


@pytest.mark.parametrize('name', [name for name in SCORES if name != 'logme'])
def test_float_labels_are_refused_where_classes_are_needed(name):
    refused(
        lambda: SCORES[name](F, Y.astype(float)), 'type float64: give one integer class per row'
    )


P, LABEL = predictions()


@pytest.mark.parametrize('name', OF_PREDICTIONS)
@pytest.mark.parametrize(
    'p, y, words',
    [
        (np.log(P), LABEL, 'rows that are no probabilities: give softmax'),
        (2 * P, LABEL, 'no probabilities'),
        (P * np.nan, LABEL, 'no prob'),
        (P[0], LABEL, 'p has shape (4,)'),
        (P[:0], LABEL[:0], 'p has shape (0, 4)'),
        (P, LABEL[1:], '60 rows and 59 labels'),
        (P, LABEL * 0, 'labels of 1 class'),
        (P, LABEL * 1.0, 'type float64: give one integer'),
    ],
)
def test_what_are_no_predictions_is_refused_in_one_line(name, p, y, words):
    refused(lambda: OF_PREDICTIONS[name](p, y), words)


@pytest.mark.parametrize(
    'call, words',
    [
        (lambda: logme(F, np.zeros(12)), 'column 0 of y is 0 throughout'),
        (lambda: logme(F, Y * np.nan), 'y has 12 values that are'),
        (lambda: transrate(F, Y, eps=0.0), 'eps=0.0'),
        (lambda: gbc(F, Y, covariance='full'), "covariance='full': choose"),
        (lambda: gbc(F, Y, components=0), 'components=0'),
        (lambda: n_leep(F, Y, components=13), 'components=13: give a number from 1 to'),
        (lambda: parc(F, np.arange(12)), '66 of 66 pairs of examples differ'),
        (lambda: parc(F[:, :1], Y), '1 principal components vary'),
        (lambda: nce(Y * 1.0, Y), 'z has shape (12,) and type float64'),
        (lambda: nce(Y[1:], Y), '11 rows and 12 labels'),
        (lambda: nce([], []), 'type float64'),
        (lambda: moments([]), 'moments of no blocks'),
        (
            lambda: moments([(F, Y), (F[:, 1:], Y)]),
            'blocks of 4 features and integer labels, and of 3 and integer',
        ),
        (lambda: moments([(F, Y), (F, Y * 1.0)]), 'and of 4 and 1: give one kind'),
        (lambda: moments([(F, F), (F, F[:, 1:])]), '4 labels, and of 4 and 3'),
        (lambda: logme_of(moments([(F, Y * 0)])), 'labels of 1 class'),
        (lambda: h_score_of(moments([(F, Y * 0)])), 'labels of 1 class'),
        (lambda: h_score_of(moments([(F, F)])), 'H-score of float labels'),
    ],
)
def test_more_that_is_refused_in_one_line(call, words):
    refused(call, words)


def refused(call, words):
    with pytest.raises(UserError) as refusal:
        call()
    assert words in str(refusal.value) and '\n' not in str(refusal.value)
