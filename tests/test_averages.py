"""Averages of weights, by hand and by NumPy."""

import itertools

import jax
import numpy as np
import pytest

from tljax.averages import greedy_soup, soup, statistics_estimator, wise_ft
from tljax.core import UserError
from tljax.data import arrays
from tljax.zoo import mlp


def trees(count, seed=0):
    """Random parameters, float32, of two seeds."""
    rng = np.random.default_rng(seed)
    return [
        {'backbone': {'w': rng.normal(size=(2, 3, 4)).astype('f')}, 'head': rng.random((2,), 'f')}
        for _ in range(count)
    ]


def test_soups_by_hand():
    members = [{'w': np.array([[1.0, 2.0], [3.0, 4.0]], 'f') * n} for n in (1, 2, 6)]
    np.testing.assert_array_equal(soup(members)['w'], [[3, 6], [9, 12]])
    # the first and the third for the first seed, the second alone for the second seed
    chosen = np.array([[True, False], [False, True], [True, False]])
    np.testing.assert_array_equal(soup(members, chosen)['w'], [[3.5, 7], [6, 8]])
    np.testing.assert_array_equal(soup(members, [1, 1, 2])['w'][0], [3.75, 7.5])


@pytest.mark.parametrize('copies', [1, 3, 7])
def test_a_soup_of_copies_is_the_member_itself(copies):
    (member,) = trees(1)
    jax.tree.map(np.testing.assert_array_equal, soup([member] * copies), member)
    assert soup([member] * copies)['head'].dtype == np.float32


@pytest.mark.parametrize(
    'other, said',
    [
        ({'w': np.ones((2, 3))}, r'member 2 of an average has \(2, 3\) at w, and the first has'),
        ({'w': np.ones(2), 'b': np.ones(1)}, r'has \(1,\) at b, and the first has nothing'),
        ({}, 'has nothing at w'),
    ],
)
def test_members_of_other_shapes_are_refused(other, said):
    with pytest.raises(UserError, match=said):
        soup([{'w': np.ones(2)}, other])
    with pytest.raises(UserError, match=said):
        wise_ft({'w': np.ones(2)}, other, 0.5)


def test_members_are_added_best_first_unless_the_soup_becomes_worse():
    """Two seeds with other orders of members: 0, 1, 2 and 2, 1, 0."""
    scores = {
        (0, 1): (0.8, None),
        (0, 1, 2): (0.7, None),
        (1, 2): (None, 0.5),
        (0, 2): (None, 0.6),  # as good as member 2 alone
    }

    def evaluate(chosen):
        members = [tuple(np.flatnonzero(column).tolist()) for column in chosen.T]
        return [scores[each][seed] for seed, each in enumerate(members)]

    chosen, score = greedy_soup([[0.7, 0.1], [0.6, 0.2], [0.5, 0.6]], evaluate)
    assert chosen.T.tolist() == [[True, True, False], [True, False, True]]
    assert score.tolist() == [0.8, 0.6]


def test_a_greedy_soup_is_never_worse_than_the_best_member():
    rng = np.random.default_rng(0)
    subsets = [*itertools.product([False, True], repeat=4)]
    for _ in range(50):
        alone, of_subset = rng.random((4, 3)), rng.random((3, len(subsets)))

        def evaluate(chosen, of_subset=of_subset):
            return [of_subset[i, subsets.index((*column,))] for i, column in enumerate(chosen.T)]

        chosen, score = greedy_soup(alone, evaluate)
        assert (score >= alone.max(0)).all()
        is_single = chosen.sum(0) == 1
        expected = np.where(is_single, (alone * chosen).sum(0), evaluate(chosen))
        np.testing.assert_allclose(score, expected)


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(UserError, match='a score that is no number'):
        greedy_soup([[0.5], [np.nan]], lambda chosen: [0.5])


def test_wise_ft_by_hand_and_at_its_ends():
    probe, tuned = trees(2)
    jax.tree.map(np.testing.assert_array_equal, wise_ft(probe, tuned, 0), probe)
    jax.tree.map(np.testing.assert_array_equal, wise_ft(probe, tuned, 1), tuned)
    ends = wise_ft(probe, tuned, np.array([0.0, 1.0]))
    np.testing.assert_array_equal(ends['head'], [probe['head'][0], tuned['head'][1]])
    model = wise_ft({'w': np.array([[2.0], [2.0]])}, {'w': np.array([[6.0], [6.0]])}, [0.25, 0.5])
    assert model['w'].tolist() == [[3.0], [4.0]]
    for weight in (-0.1, 1.1):
        with pytest.raises(UserError, match='give numbers from 0 to 1'):
            wise_ft(probe, tuned, weight)


def test_statistics_are_the_means_and_variances_of_the_layers_inputs():
    x = np.random.default_rng(0).normal(2, 3, (11, 5)).astype('f')
    net = mlp((4, 3), norm='batch')
    params, state = net.init(jax.random.key(0), x[:1])
    first = x @ params['dense1']['kernel']
    normalised = (first - first.mean(0)) / np.sqrt(first.var(0) + 1e-5)
    second = np.maximum(normalised, 0) @ params['dense2']['kernel']
    examples = arrays(x, np.zeros(11, int))
    # statistics of before, of another network, do not matter
    shifted = jax.tree.map(lambda leaf: np.asarray(leaf) + 7, state)
    found = statistics_estimator(net)(params, shifted, examples)
    for name, values in (('norm1', first), ('norm2', second)):
        np.testing.assert_allclose(found[name]['mean'], values.mean(0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found[name]['var'], values.var(0), rtol=1e-4)
    # in batches of 4, 4 and 3, the first layer's are still those of all examples
    found = statistics_estimator(net, batch=4)(params, state, examples)
    np.testing.assert_allclose(found['norm1']['mean'], first.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found['norm1']['var'], first.var(0), rtol=1e-4)


def test_layers_that_are_trained_on_stored_statistics_keep_them():
    x = np.random.default_rng(0).normal(size=(6, 5)).astype('f')
    net = mlp((4, 3), norm='batch', stored=lambda layer: layer == 'norm1')
    params, state = net.init(jax.random.key(0), x[:1])
    state['norm1'] = {'mean': np.full(4, 0.3, 'f'), 'var': np.full(4, 0.7, 'f')}
    found = statistics_estimator(net, batch=4)(params, state, arrays(x, np.zeros(6, int)))
    jax.tree.map(np.testing.assert_array_equal, found['norm1'], state['norm1'])
    inner = (x @ params['dense1']['kernel'] - 0.3) / np.sqrt(0.7 + 1e-5)
    second = np.maximum(inner, 0) @ params['dense2']['kernel']
    np.testing.assert_allclose(found['norm2']['var'], second.var(0), rtol=1e-4)
