"""Label propagation against its closed form."""

import numpy as np
import pytest

from tljax.core import UserError
from tljax.shallow.label_propagation import propagate_labels


def test_the_limit_is_the_closed_form_and_no_label_means_zeros():
    rng = np.random.default_rng(0)
    edges = rng.integers(0, 8, (12, 2))
    edges = np.concatenate([edges, edges[:, ::-1], edges[:3], [[2, 2], [9, 10], [10, 9]]])
    scores = np.zeros((12, 3))
    scores[[0, 3, 5], [0, 1, 2]] = 1
    found = propagate_labels(edges, scores, strength=0.7, steps=200)
    links = np.zeros((12, 12))
    links[edges[:, 0], edges[:, 1]] = 1
    np.fill_diagonal(links, 0)
    scale = 1 / np.sqrt(np.maximum(links.sum(1), 1))
    smooth = scale[:, None] * links * scale
    expected = 0.3 * np.linalg.solve(np.eye(12) - 0.7 * smooth, scores)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert not found[8:].any()  # 9 and 10 are linked to each other alone


@pytest.mark.parametrize(
    'edges, scores, keywords, said',
    [
        ([(0, 5)], np.eye(2), {}, 'edges name the nodes 0 to 5, and there are 2'),
        ([(0, 1)], np.zeros((2, 2)), {}, 'no node has a score'),
        ([(0, 1)], -np.eye(2), {}, 'scores of shape (2, 2): give (n, classes) of 0 or more'),
        ([(0, 1)], np.eye(2), {'strength': 1.0}, 'strength=1.0, steps=50'),
    ],
)
def test_what_does_not_fit_is_one_clear_line(edges, scores, keywords, said):
    with pytest.raises(UserError) as refused:
        propagate_labels(edges, scores, **keywords)
    assert said in str(refused.value)
