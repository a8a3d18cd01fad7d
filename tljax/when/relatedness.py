"""Relatedness of tasks: from measured transfers, or from a probe network's Fisher information.

`rank_agreement` compares two orders of the same sources, `transfer_affinity` turns measured
transfers into preferences, and `task2vec` embeds tasks.
"""

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

# limits of a source's share of wins, as in Taskonomy: a source that never wins is not infinitely
# worse
SHARES = (0.001, 0.999)


def rank_agreement(predicted: ArrayLike, measured: ArrayLike) -> float | np.ndarray:
    """Weighted Kendall tau of two orders of the same sources, from -1 to 1.

    It is 1 for the same order and -1 for opposite orders.

    An exchange near the top weighs most, by 1 / (rank + 1), averaged over the ranks of both orders
    (Vigna 2015, https://doi.org/10.1145/2736277.2741088), as in the LogME paper (You et al. 2021,
    https://arxiv.org/abs/2102.11005). SciPy handles ties. A prediction that is the same for all
    sources has an agreement of 0, so that a score that cannot rank the sources still counts in a
    mean. With three or four sources tau is often large by chance, in either direction.

    Args:
        predicted: (sources,) or (sources, targets), larger is better.
        measured: (sources,) or (sources, targets), larger is better.

    Returns:
        A float from -1 to 1, or (targets,) of them.

    Raises:
        UserError: for fewer than three sources, different shapes, values that are not finite, and
            measurements that are all the same.

    >>> rank_agreement([1.0, 2.0, 3.0], [0.5, 0.7, 0.9])
    1.0
    >>> rank_agreement([1.0, 1.0, 1.0], [0.5, 0.7, 0.9])
    0.0
    >>> predicted = [[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]]  # two targets, in opposite orders
    >>> rank_agreement(predicted, [[0.5, 0.5], [0.7, 0.7], [0.9, 0.9]]).round(9).tolist()
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
    tau = weightedtau(predicted, measured)
    return float(tau.statistic)  # pyright: ignore[reportAttributeAccessIssue]  SciPy names it


def transfer_affinity(scores: ArrayLike) -> np.ndarray:
    """Taskonomy's affinities of sources for each target, from pairwise comparisons.

    For a target, W_ij is the share of repetitions in which source i does better than source j (a
    tie counts half), clipped to [.001, .999]. The target's column is the principal eigenvector of
    W_ij / W_ji (the analytic hierarchy process of Saaty 1987,
    https://doi.org/10.1016/0270-0255(87)90473-8). The targets' scores need no common scale. In
    return the sizes of differences are lost: a source that is always slightly better gets the same
    affinity as one that is always much better, and an affinity does not show whether any source
    helps.

    Args:
        scores: (sources, targets, repetitions), larger is better. Repetitions are test examples or
            seeds, the same for all sources.

    Returns:
        Affinities, (sources, targets). Columns sum to 1.

    Raises:
        UserError: for other axes, fewer than two sources, or scores that are not finite.

    Source: Zamir et al., Taskonomy, 2018, section 3.3 (https://arxiv.org/abs/1804.08328).

    >>> first, second = (
    ...     [[1.0, 1.0, 1.0, 0.0]],
    ...     [[0.0, 0.0, 0.0, 1.0]],
    ... )  # one target, four repetitions
    >>> transfer_affinity([first, second]).round(2).tolist()
    [[0.75], [0.25]]
    """
    scores = np.asarray(scores, float)
    if scores.ndim != 3 or len(scores) < 2 or not scores.size or not np.isfinite(scores).all():
        raise UserError(
            f'scores {scores.shape}: give finite numbers (sources, targets, repetitions) of two '
            'sources or more'
        )
    columns = []
    for score in scores.swapaxes(0, 1):
        wins = np.clip((1 + np.sign(score[:, None] - score).mean(-1)) / 2, *SHARES)
        values, vectors = np.linalg.eig(wins / wins.T)
        # a positive matrix has a real principal eigenvector of one sign
        principal = np.abs(np.real(vectors[:, np.real(values).argmax()]))
        columns.append(principal / principal.sum())
    return np.stack(columns, 1)


def task2vec(
    net: Net,
    params: Tree,
    state: Tree,
    x: ArrayLike,
    y: ArrayLike,
    penalty: float = 1.0,
    block: int = 16,
) -> np.ndarray:
    """Task2Vec: embeds a task by the Fisher information of a probe network's filters.

    The head is a logistic regression on the probe's features. An example's information is the
    squared gradient of log p(class | x), in expectation over the classes as the model predicts
    them. The expectation is exact; the authors' code draws one class. The embedding is the diagonal
    of the information, averaged over examples and within each filter of each kernel. It depends on
    inputs and labels, not on the numbering of the classes, and only embeddings by one probe network
    can be compared. Embeddings are short for easy tasks, and also for tasks that the head cannot
    learn. This is the paper's plain estimate, which is noisy for few examples, not its robust one.

    Args:
        net: the probe network.
        params: parameters of the probe; they are not trained.
        state: statistics of the probe; they are not changed.
        x: inputs, (n, ...).
        y: labels, (n,) integers.
        penalty: penalty of the head, above 0: 1 / C of scikit-learn's LogisticRegression, in the
            units of the features.
        block: examples at a time. Their gradients need the memory of block x classes x the probe's
            weights.

    Returns:
        (filters,) in NumPy: one number for each last-axis column of each kernel, in the order of
        their paths.

    Raises:
        UserError: as `tljax.when.checks.checked_classes`; for no inputs, a probe without kernels,
            and a penalty or block that is not positive.

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
    kernel, bias = jnp.asarray(head.coef_.T), jnp.asarray(head.intercept_)
    if len(count) == 2:  # scikit-learn's single column is the second class; the first has logit 0
        kernel, bias = jnp.pad(kernel, ((0, 0), (1, 0))), jnp.pad(bias, (1, 0))

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

    block_information = jax.jit(jax.vmap(information, (None, None, 0)))
    return _in_blocks(functools.partial(block_information, params, state), x, block).mean(
        0, dtype=np.float64
    )


def _in_blocks(function, x, block):
    """Applies `function` to blocks of rows, and joins the results.

    `lax.map` would make gradients of plain convolutions slow on a CPU.
    """
    block = min(block, len(x))
    parts = [
        np.asarray(function(x.take(range(start, start + block), 0, mode='clip')))
        for start in range(0, len(x), block)
    ]
    # the last block is padded with its last row, so that all have one shape and one compilation
    return np.concatenate(parts)[: len(x)]


def task2vec_distance(a: ArrayLike, b: ArrayLike) -> float:
    """Task2Vec distance: 1 - the cosine of a / (a + b) and b / (a + b), from 0 to 1.

    Filters with a value of 0 in both embeddings are left out, and all others count equally, however
    little information they have. Two halves of one task have a distance above 0: compare a distance
    with theirs. For many classes the distance can depend on the inputs more than on the labels:
    with an untrained probe, ten digits and the same digits with shuffled labels had a distance of
    .03.

    Args:
        a: (filters,) of `task2vec`.
        b: (filters,) of `task2vec`, by the same probe network.

    Returns:
        A float from 0 to 1.

    Raises:
        UserError: for different shapes, values that are below 0 or not finite, and a vector of
            zeros, which has no direction.

    Source: Achille et al. 2019, 'Similarity measures on the space of tasks', equation of d_sym.

    >>> task2vec_distance([1.0, 0.0], [0.0, 1.0])
    1.0
    >>> round(task2vec_distance([1.0, 3.0], [1.0, 1.0]), 4)
    0.1318
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.ndim != 1 or a.shape != b.shape:
        raise UserError(
            f'embeddings {a.shape} and {b.shape}: give two vectors of task2vec by one probe network'
        )
    for vector in (a, b):
        if not (np.isfinite(vector) & (vector >= 0)).all() or not vector.any():
            raise UserError(
                f'an embedding from {vector.min(initial=0)} to {vector.max(initial=0)}: give '
                'finite numbers of 0 or more, not all 0'
            )
    filters = a + b > 0
    a, b = a[filters], b[filters]
    return float(cosine(a / (a + b), b / (a + b)))


def task2vec_transfer(
    source: ArrayLike, target: ArrayLike, trivial: ArrayLike, alpha: float = 0.15
) -> float:
    """Asymmetric Task2Vec distance: d(source, target) - alpha d(source, trivial).

    Smaller is better.

    A source far from the trivial task has learnt more, and is preferred. The caller chooses the
    trivial embedding, which decides how strong this effect is. Two obvious choices fail: the
    embedding of a task of one class is 0 and has no direction, and that of shuffled labels is
    mostly noise. The authors' code uses one number for all filters of a layer, the prior of the
    robust estimate.

    Args:
        source: (filters,), as for `task2vec_distance`.
        target: (filters,), as for `task2vec_distance`.
        trivial: (filters,), as for `task2vec_distance`.
        alpha: weight of the second term; the default is the paper's for a ResNet-34 probe.

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
