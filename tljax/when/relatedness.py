"""How related tasks are: by what was measured (a transfer matrix), by what a probe network makes of
their data (Task2Vec), and whether two such orders agree."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cosine
from scipy.stats import weightedtau
from sklearn.linear_model import LogisticRegression

from tljax.core import Net, Tree, UserError
from tljax.paths import flatten
from tljax.when.checks import checked_classes

# of comparisons that a source wins, as Taskonomy clips them: a source that never wins is not
# infinitely worse
SHARES = (0.001, 0.999)


def rank_agreement(predicted: ArrayLike, measured: ArrayLike) -> float | np.ndarray:
    """Weighted Kendall tau of two orders of the same sources: 1 where they are the same, -1 where
    they are opposite.

    Exchanges near the top weigh most, by 1 / (rank + 1), averaged over the ranks by either (Vigna
    2015, https://doi.org/10.1145/2736277.2741088), as the LogME paper takes it (You et al. 2021,
    https://arxiv.org/abs/2102.11005). Ties are SciPy's. A prediction that is the same for all
    agrees with nothing: 0, so that a score that tells no sources apart is not left out of a mean.
    Of three or four sources tau is large by chance, either way.

    Args:
        predicted: (sources,) or (sources, targets), larger is better.
        measured: (sources,) or (sources, targets), larger is better.

    Returns:
        A float from -1 to 1, or (targets,) of them.

    Raises:
        UserError: for fewer than three sources, shapes that differ, values that are not finite, and
            measurements that are all the same.

    >>> (
    ...     rank_agreement([1.0, 2.0, 3.0], [0.5, 0.7, 0.9]),
    ...     rank_agreement([1.0, 1.0, 1.0], [0.5, 0.7, 0.9]),
    ... )
    (1.0, 0.0)
    >>> rank_agreement(
    ...     [[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]], [[0.5, 0.5], [0.7, 0.7], [0.9, 0.9]]
    ... ).round(9).tolist()
    [1.0, -1.0]
    """
    predicted, measured = np.asarray(predicted, float), np.asarray(measured, float)
    if (
        predicted.shape != measured.shape
        or predicted.ndim not in (1, 2)
        or len(predicted) < 3
        or not predicted.size
    ):
        raise UserError(
            f'predicted {predicted.shape} and measured {measured.shape}: give one value of each '
            'for three sources or more'
        )
    if not (np.isfinite(predicted) & np.isfinite(measured)).all():
        raise UserError('predicted or measured values are not finite: leave those sources out')
    if predicted.ndim == 2:
        return np.array(
            [rank_agreement(*columns) for columns in zip(predicted.T, measured.T, strict=True)]
        )
    if not np.ptp(measured):
        raise UserError(
            f'all {len(measured)} sources measure {measured[0]}: there is no order to agree with, '
            'leave that target out'
        )
    if not np.ptp(predicted):
        return 0.0
    found = weightedtau(predicted, measured)
    return float(found.statistic)  # pyright: ignore[reportAttributeAccessIssue]  SciPy names it


def transfer_affinity(scores: ArrayLike) -> np.ndarray:
    """How much each source is preferred for each target, from pairwise comparisons: (sources,
    targets), columns sum to 1.

    For a target, W_ij is the share of repetitions in which source i does better than source j (a
    tie counts half), clipped to [.001, .999]; the column is the principal eigenvector of W_ij /
    W_ji (the analytic hierarchy process of Saaty 1987,
    https://doi.org/10.1016/0270-0255(87)90473-8). It needs no common scale of scores among targets,
    and knows none: a source that is better by little each time is as far ahead as one that is
    better by much, and no column tells whether any source helps.

    Args:
        scores: (sources, targets, repetitions), larger is better; repetitions are test examples or
            seeds, the same for all sources.

    Raises:
        UserError: for other axes, fewer than two sources, or scores that are not finite.

    Source: Zamir et al., Taskonomy, 2018, section 3.3 (https://arxiv.org/abs/1804.08328).

    >>> transfer_affinity([[[1.0, 1.0, 1.0, 0.0]], [[0.0, 0.0, 0.0, 1.0]]]).round(2).tolist()
    [[0.75], [0.25]]
    """
    scores = np.asarray(scores, float)
    if scores.ndim != 3 or len(scores) < 2 or not scores.size or not np.isfinite(scores).all():
        raise UserError(
            f'scores {scores.shape}: give finite numbers (sources, targets, repetitions) of two '
            'sources or more'
        )
    preferred = []
    for score in scores.swapaxes(0, 1):
        won = np.clip((1 + np.sign(score[:, None] - score).mean(-1)) / 2, *SHARES)
        values, vectors = np.linalg.eig(won / won.T)
        # of a positive matrix: real, and of one sign
        principal = np.abs(np.real(vectors[:, np.real(values).argmax()]))
        preferred.append(principal / principal.sum())
    return np.stack(preferred, 1)


def task2vec(
    net: Net,
    params: Tree,
    state: Tree,
    x: ArrayLike,
    y: ArrayLike,
    penalty: float = 1.0,
    block: int = 16,
) -> np.ndarray:
    """A vector for a task: the diagonal of the Fisher information of a probe network's kernels,
    averaged within each filter.

    A logistic regression of the probe's features is its head. The information of an example is the
    expectation, over the classes as the model predicts them, of the squared gradient of log p(class
    | x): exact, where the authors' code draws one class. It depends on inputs and labels, not on
    how classes are numbered, and is comparable among tasks of one probe network alone. Vectors are
    short for easy tasks, and for those that the head cannot learn, too. This is the plain estimate,
    which few examples make noisy, not the paper's robust one.

    Args:
        net: the probe.
        params: parameters of the probe, which stay as they are.
        state: statistics of the probe, which stay as they are.
        x: inputs, (n, ...).
        y: (n,) integers.
        penalty: of the head, above 0: 1 / C of scikit-learn's LogisticRegression, in the units of
            the features.
        block: examples at a time; their gradients take that many times the classes times the
            weights of memory.

    Returns:
        (filters,) NumPy: one number for each last-axis column of each kernel, in the order of their
        paths.

    Raises:
        UserError: as `tljax.when.checks.classified`, for no inputs, a probe without kernels, and a
            penalty or block that is not positive.

    Source: Achille et al., Task2Vec: task embedding for meta-learning, 2019, section 2
        (https://arxiv.org/abs/1902.03545).

    >>> from tljax.zoo.families.mlp import mlp
    >>> x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    >>> net = mlp((4,))
    >>> task2vec(net, *net.init(jax.random.key(0), x), x, np.arange(20) % 2).shape
    (4,)
    """
    x = np.asarray(x)
    if not 0 < penalty < np.inf or not isinstance(block, (int, np.integer)) or block < 1:
        raise UserError(
            f'penalty={penalty} and block={block}: give a finite number above 0 and a whole number '
            'of one or more'
        )
    if x.ndim < 2 or not x.size or all(leaf.ndim < 2 for leaf in jax.tree.leaves(params)):
        raise UserError(
            f'x {x.shape} through {len(jax.tree.leaves(params))} parameters: give inputs (n, ...) '
            'and a probe that has kernels'
        )
    probe = jax.jit(lambda params, state, x: net.features(params, state, x)[0]['features'])
    features, y, count = checked_classes(
        _in_blocks(functools.partial(probe, params, state), x, block), y
    )
    head = LogisticRegression(C=1 / penalty, max_iter=1000).fit(features, y)
    alone = int(len(count) == 2)  # one column, of the second class: the first one's logit is 0
    kernel, bias = jnp.pad(head.coef_.T, ((0, 0), (alone, 0))), jnp.pad(head.intercept_, (alone, 0))

    def information(params, state, example):
        def log_probability(params):
            value = jax.nn.log_softmax(probe(params, state, example[None]) @ kernel + bias)[0]
            return value, value

        gradients, value = jax.jacrev(log_probability, has_aux=True)(params)
        return jnp.concatenate(
            [
                jnp.tensordot(jnp.exp(value), leaf**2, 1).mean(tuple(range(leaf.ndim - 2)))
                for leaf in flatten(gradients).values()
                if leaf.ndim > 2
            ]
        )

    of_block = jax.jit(jax.vmap(information, (None, None, 0)))
    return _in_blocks(functools.partial(of_block, params, state), x, block).mean(
        0, dtype=np.float64
    )


def _in_blocks(function, x, block):
    """What `function` makes of `block` rows at a time, as one array; `lax.map` would make gradients
    of plain convolutions slow on a CPU."""
    block = min(block, len(x))
    parts = [
        np.asarray(function(x.take(range(start, start + block), 0, mode='clip')))
        for start in range(0, len(x), block)
    ]
    # the last part is filled up, for one shape and one compilation
    return np.concatenate(parts)[: len(x)]


def task2vec_distance(a: ArrayLike, b: ArrayLike) -> float:
    """1 - the cosine of a / (a + b) and b / (a + b): 0 for the same task, at most 1. Filters that
    neither task needs do not count.

    All filters count alike, however little information they have. Halves of one task are not 0
    apart: compare with that distance. Of many classes it may see the inputs more than the labels:
    to an untrained probe, ten digits and the same labels shuffled were .03 apart.

    Args:
        a: (filters,) of `task2vec`.
        b: (filters,) of `task2vec`, by the same probe network.

    Returns:
        A float from 0 to 1.

    Raises:
        UserError: for shapes that differ, values that are below 0 or not finite, and a vector of
            zeros, which has no direction.

    Source: Achille et al. 2019, 'Similarity measures on the space of tasks', equation of d_sym.

    >>> (
    ...     task2vec_distance([1.0, 0.0], [0.0, 1.0]),
    ...     round(task2vec_distance([1.0, 3.0], [1.0, 1.0]), 4),
    ... )
    (1.0, 0.1318)
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.ndim != 1 or a.shape != b.shape:
        raise UserError(
            f'embeddings {a.shape} and {b.shape}: give two vectors of task2vec by one probe network'
        )
    for each in (a, b):
        if not (np.isfinite(each) & (each >= 0)).all() or not each.any():
            raise UserError(
                f'an embedding from {each.min(initial=0)} to {each.max(initial=0)}: give finite '
                'numbers of 0 or more, not all 0'
            )
    used = a + b > 0
    a, b = a[used], b[used]
    return float(cosine(a / (a + b), b / (a + b)))


def task2vec_transfer(
    source: ArrayLike, target: ArrayLike, trivial: ArrayLike, alpha: float = 0.15
) -> float:
    """The asymmetric distance of a source from a target: d(source, target) - alpha d(source,
    trivial), smaller is better.

    A source far from the trivial task has learnt more, and is preferred. What is trivial decides
    how much, and is the caller's choice: the plain information of a task of one class is 0 and has
    no direction, and that of shuffled labels is mostly noise. The authors' code takes one number
    for all filters of a layer, the prior of the robust estimate.

    Args:
        source: (filters,), as `task2vec_distance` takes them.
        target: (filters,), as `task2vec_distance` takes them.
        trivial: (filters,), as `task2vec_distance` takes them.
        alpha: the paper's value for a ResNet-34 as the probe.

    Returns:
        A float, which may be negative.

    Raises:
        UserError: as `task2vec_distance`, and for an alpha that is not finite.

    Source: Achille et al. 2019, 'Similarity measures on the space of tasks', equation of d_asym.

    >>> round(task2vec_transfer([1.0, 3.0], [1.0, 1.0], [1.0, 0.0]), 4)
    0.0488
    """
    if not np.isfinite(alpha):
        raise UserError(f'alpha={alpha}: give a finite number')
    return task2vec_distance(source, target) - alpha * task2vec_distance(source, trivial)
