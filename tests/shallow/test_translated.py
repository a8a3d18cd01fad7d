"""Translated learning: distributions by hand, and words that teach visual words."""

import numpy as np
import pytest

from tljax.core import UserError
from tljax.shallow.translated import translated_learning

# the words of each of two classes: every word goes with two of the six visual words
WORDS = np.array([[0.4, 0.4, 0.1, 0.1], [0.1, 0.1, 0.4, 0.4]])
VISUAL = np.array(
    [
        [0.5, 0.5, 0, 0, 0, 0],
        [0, 0.5, 0.5, 0, 0, 0],
        [0, 0, 0, 0.5, 0.5, 0],
        [0, 0, 0, 0, 0.5, 0.5],
    ]
)


def test_distributions_by_hand():
    xs, ys = [[3, 1], [0, 2], [1, 1]], [5, 2, 5]
    ps, pt = [[1, 1], [0, 4]], [[2, 0, 0], [1, 0, 3]]
    found = translated_learning(xs, ys, ps, pt, smoothing=0.5)
    # words of class 2: (0, 2), of class 5: (4, 2), and 1/2 each
    words = np.array([[0.5, 2.5], [4.5, 2.5]]) / [[3], [7]]
    # shares of pairs: word 1 with visual word 1 in half a pair; word 2 in half a pair and 1/4, 3/4
    translator = np.array([[1 / 2, 0, 0], [1 / 2 + 1 / 4, 0, 3 / 4]]) + 1 / 6
    translator /= translator.sum(1, keepdims=True)
    assert found.classes.tolist() == [2, 5]
    np.testing.assert_allclose(found.distribution, words @ translator)
    picture = np.array([[4.0, 0.0, 4.0]])
    expected = 0.5 * np.log(0.5 / found.distribution[:, [0, 2]]).sum(1)
    np.testing.assert_allclose(found.divergence(picture)[0], expected)


def test_words_teach_pictures():
    rng = np.random.default_rng(0)

    def examples(count):
        label = rng.integers(0, 2, count)
        words = np.stack([rng.multinomial(20, WORDS[c]) for c in label])
        return label, words, np.stack([rng.multinomial(30, w / 20 @ VISUAL) for w in words])

    ys, xs, _ = examples(100)
    _, ps, pt = examples(300)
    label, _, pictures = examples(300)
    found = translated_learning(xs, ys, ps, pt)
    assert (found.predict(pictures) == label).mean() > 0.95
    wrong = translated_learning(xs, ys, ps, rng.permutation(pt))  # pairs that are none
    assert (wrong.predict(pictures) == label).mean() < 0.8


def test_counts_of_any_length_and_pictures_without_words():
    xs, ys, ps, pt = np.eye(2), [0, 1], np.eye(2), np.eye(2)
    found = translated_learning(xs, ys, ps, pt)
    same = translated_learning(xs, ys, 1000 * ps, 0.01 * pt)
    np.testing.assert_allclose(found.distribution, same.distribution)
    assert found.divergence(np.zeros((1, 2))).tolist() == [[0, 0]]


@pytest.mark.parametrize(
    'change, said',
    [
        ({'ys': [0]}, 'ys (1,) for the 2 rows of xs'),
        ({'xs': -np.eye(2)}, 'xs has -1.0: give counts'),
        ({'pt': -np.eye(2)}, 'pt has -1.0: give counts'),
        ({'xs': np.eye(3)}, 'rows of shape (3, 3)'),
        ({'smoothing': 0}, 'smoothing=0: give a positive number'),
    ],
    ids=['labels', 'source', 'pairs', 'columns', 'smoothing'],
)
def test_bad_counts_are_refused(change, said):
    good = dict(xs=np.eye(2), ys=[0, 1], ps=np.eye(2), pt=np.eye(2))
    with pytest.raises(UserError) as error:
        translated_learning(**{**good, **change})
    assert said in str(error.value)
