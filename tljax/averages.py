"""Averages of the weights of networks that were fine-tuned from the same start.

A soup averages several fine-tuned networks (Wortsman et al. 2022, Model soups,
https://arxiv.org/abs/2203.05482). WiSE-FT averages a linear probe and the network that was
fine-tuned from it (Wortsman et al. 2022, https://arxiv.org/abs/2109.01903). An average costs no
more than one network to predict with. Its BatchNorm statistics are those of none of its members,
and are estimated anew (Izmailov et al. 2018, Averaging Weights Leads to Wider Optima, section 3,
https://arxiv.org/abs/1803.05407).
"""

import math
from collections.abc import Callable, Sequence

import jax
import numpy as np
from numpy.typing import ArrayLike

from tljax.core import Dataset, Net, Tree, UserError
from tljax.nn.layers import batch_norm_with
from tljax.paths import flatten

Estimate = Callable[[Tree, Tree, Dataset], Tree]  # (params, state, examples) -> state


def soup(members: Sequence[Tree], shares: ArrayLike | None = None) -> Tree:
    """Averages parameters: the sum over members of share * parameters.

    The sum is computed in float64, so that an average of float32 copies is bit-equal to them.

    Args:
        members: trees of arrays of the same shapes.
        shares: (members,) numbers, or (members, seeds) for arrays with a leading axis of seeds;
            divided by their sum over members. None: all members count alike.

    Returns:
        A tree of the same shapes, in NumPy.

    Raises:
        UserError: there are no members, or members of different shapes.

    Source:
        Wortsman et al. 2022, Model soups, section 2: the uniform soup.

    >>> float(soup([{'w': np.array(1.0)}, {'w': np.array(5.0)}])['w'])
    3.0
    >>> soup([{'w': np.array([1.0, 1.0])}, {'w': np.array([5.0, 5.0])}], [[1, 0], [0, 1]])['w']
    array([1., 5.])
    """
    _refuse_unlike(members)
    weights = np.ones(len(members)) if shares is None else np.asarray(shares, float)

    def average(*leaves):
        stacked = np.stack(leaves).astype(np.float64)
        each = weights.reshape(*weights.shape, *(1,) * (stacked.ndim - weights.ndim))
        return ((each * stacked).sum(0) / each.sum(0)).astype(leaves[0].dtype)

    return jax.tree.map(average, *members)


def _refuse_unlike(members: Sequence[Tree]) -> None:
    """Raises an error unless all trees have the same paths and shapes."""
    if not members:
        raise UserError('an average of no members: give one or more')
    shapes = [{path: np.shape(leaf) for path, leaf in flatten(tree).items()} for tree in members]
    for number, other in enumerate(shapes[1:], 2):
        for path in {**shapes[0], **other}:
            ours, theirs = (each.get(path, 'nothing') for each in (shapes[0], other))
            if ours != theirs:
                raise UserError(
                    f'member {number} of an average has {theirs} at {path}, and the first has '
                    f'{ours}: average networks that were fine-tuned from the same start'
                )


def greedy_soup(
    scores: ArrayLike, evaluate: Callable[[np.ndarray], ArrayLike]
) -> tuple[np.ndarray, np.ndarray]:
    """Chooses the members of a soup: best first, each if the soup does not become worse by it.

    Seeds are chosen for separately.

    Args:
        scores: (members, seeds), of each member on held-out examples; larger is better.
        evaluate: ((members, seeds) booleans, the chosen ones) -> (seeds,) scores of these soups on
            the same examples. A soup of one member is not evaluated: it has the member's score.

    Returns:
        The chosen members, (members, seeds) booleans, and the scores of their soups, (seeds,),
        which are no lower than those of the best members.

    Raises:
        UserError: a score is no finite number.

    Source:
        Wortsman et al. 2022, Model soups, recipe 1.

    The second member is worse alone than the first, and improves the soup; the third does not:

    >>> score_of = {(True, True, False): 0.9, (True, True, True): 0.8}
    >>> chosen, score = greedy_soup(
    ...     [[0.7], [0.6], [0.5]], lambda chosen: [score_of[tuple(chosen[:, 0].tolist())]]
    ... )
    >>> chosen[:, 0].tolist(), score.tolist()
    ([True, True, False], [0.9])
    """
    scores = np.asarray(scores, float)
    if not np.isfinite(scores).all():
        raise UserError('a member of the soup has a score that is no number: look for the run')
    seeds = np.arange(scores.shape[1])
    first, *others = np.argsort(-scores, axis=0, kind='stable')
    chosen = np.zeros(scores.shape, bool)
    chosen[first, seeds] = True
    best = scores[first, seeds]
    for member in others:
        candidate = chosen.copy()
        candidate[member, seeds] = True
        score = np.asarray(evaluate(candidate), float)
        chosen = np.where(score >= best, candidate, chosen)
        best = np.where(score >= best, score, best)
    return chosen, best


def wise_ft(probe: Tree, tuned: Tree, weight: ArrayLike) -> Tree:
    """Interpolates parameters: (1 - weight) * probe + weight * tuned.

    Args:
        probe: parameters of a linear probe: the source's backbone with a new head.
        tuned: those of the network that was fine-tuned from the probe.
        weight: a number from 0 (bit-equal to the probe) to 1 (bit-equal to the fine-tuned network),
            or (seeds,) for arrays with a leading axis of seeds.

    Raises:
        UserError: the trees have different shapes, or a weight lies outside 0 to 1.

    Source:
        Wortsman et al. 2022, Robust fine-tuning of zero-shot models, section 3.

    >>> float(wise_ft({'w': np.array(1.0)}, {'w': np.array(5.0)}, weight=0.25)['w'])
    2.0
    """
    weight = np.asarray(weight, float)
    if not ((weight >= 0) & (weight <= 1)).all():
        raise UserError(f'WiSE-FT with the weight {weight}: give numbers from 0 to 1')
    return soup([probe, tuned], np.stack([1 - weight, weight]))


def statistics_estimator(net: Net, batch: int = 256) -> Estimate:
    """Makes a function that estimates BatchNorm's statistics anew, for other parameters.

    It passes examples through the network in training mode, as they are: the pictures of a
    prediction are not augmented either. A layer's mean and variance are those of its inputs over
    all examples, while the layers below normalise by the statistics of each batch. Layers that use
    stored statistics in training keep them: their parameters were trained for these.

    Args:
        net: a network of the zoo, as it was trained (`Run.net`).
        batch: the largest number of examples of a batch; batches are of nearly equal sizes.

    Returns:
        (params, state, examples) -> state, of the network, for one seed. Its arrays are in NumPy.

    The features 1 and 3 have the mean 2 and the variance 1:

    >>> from tljax.data import arrays
    >>> from tljax.zoo import mlp
    >>> net, examples = mlp((1,), norm='batch'), arrays(np.array([[1.0], [3.0]]), np.arange(2))
    >>> params, state = net.init(jax.random.key(0), np.zeros((1, 1)))
    >>> params['dense1']['kernel'] = np.ones((1, 1))
    >>> state = statistics_estimator(net)(params, state, examples)
    >>> state['norm1']['mean'].tolist(), state['norm1']['var'].tolist()
    ([2.0], [1.0])
    """
    storing = batch_norm_with(net, momentum=0.0)

    @jax.jit
    def of_batch(params, state, input):
        return storing.features(params, state, input, jax.random.key(0))[1]

    def estimate(params, state, examples):
        rows = np.array_split(np.arange(examples.size), math.ceil(examples.size / batch))
        states = [of_batch(params, state, examples.take(part)['input']) for part in rows]
        return _pooled(jax.device_get(states), [len(part) for part in rows])

    return estimate


def _pooled(states: list[Tree], counts: list[int]) -> Tree:
    """The statistics of all batches together: their means, and variances within and between."""
    if not isinstance(states[0], dict):
        return states[0]
    if {*states[0]} != {'mean', 'var'}:
        return {key: _pooled([state[key] for state in states], counts) for key in states[0]}

    def average(values):
        return np.average(np.asarray(values, np.float64), axis=0, weights=counts)

    means, dtype = [state['mean'] for state in states], states[0]['mean'].dtype
    mean = average(means)
    between = average([(each - mean) ** 2 for each in means])
    var = average([state['var'] for state in states]) + between
    return {'mean': mean.astype(dtype), 'var': var.astype(dtype)}
