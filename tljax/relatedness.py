"""How related tasks are: by what was measured (a transfer matrix), by what a probe network makes of their data (Task2Vec), and whether
two such orders agree."""
import warnings

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import weightedtau
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from tljax.core import Refused
from tljax.labelled import classified
from tljax.paths import flatten

SHARES = (.001, .999)   # of comparisons that a source wins, as Taskonomy clips them: a source that never wins is not infinitely worse


def rank_agreement(predicted, measured):
    """Weighted Kendall tau of two orders of the same sources: 1 where they are the same, -1 where they are opposite.

    Exchanges near the top weigh most, by 1 / (rank + 1), averaged over the ranks by either (Vigna 2015,
    https://doi.org/10.1145/2736277.2741088), as the LogME paper takes it. A prediction that is the same for all agrees with nothing: 0.

    Args:
        predicted, measured: (sources,), larger is better.

    Returns:
        A float from -1 to 1.

    Raises:
        Refused: for fewer than three sources, lengths that differ, values that are not finite, and measurements that are all the same.

    >>> rank_agreement([1., 2., 3.], [.5, .7, .9]), rank_agreement([1., 1., 1.], [.5, .7, .9])
    (1.0, 0.0)
    """
    predicted, measured = np.asarray(predicted, float), np.asarray(measured, float)
    if predicted.ndim != 1 or predicted.shape != measured.shape or len(predicted) < 3:
        raise Refused(f'predicted {predicted.shape} and measured {measured.shape}: give one value of each for three sources or more')
    if not (np.isfinite(predicted) & np.isfinite(measured)).all():
        raise Refused('predicted or measured values are not finite: leave those sources out')
    if not np.ptp(measured):
        raise Refused(f'all {len(measured)} sources measure {measured[0]}: there is no order to agree with')
    return float(weightedtau(predicted, measured).statistic) if np.ptp(predicted) else 0.


def transfer_affinity(scores):
    """How much each source is preferred for each target, from pairwise comparisons: (sources, targets), columns sum to 1.

    For a target, W_ij is the share of repetitions in which source i does better than source j (a tie counts half), clipped to
    [.001, .999]; the column is the principal eigenvector of W_ij / W_ji (the analytic hierarchy process of Saaty 1987). It needs no
    common scale of scores among targets.

    Args:
        scores: (sources, targets, repetitions), larger is better; repetitions are test examples or seeds, the same for all sources.

    Raises:
        Refused: for other axes, fewer than two sources, or scores that are not finite.

    Source: Zamir et al. 2018, section 3.3 (https://arxiv.org/abs/1804.08328).

    >>> transfer_affinity([[[1., 1., 1., 0.]], [[0., 0., 0., 1.]]]).round(2).tolist()
    [[0.75], [0.25]]
    """
    scores = np.asarray(scores, float)
    if scores.ndim != 3 or len(scores) < 2 or not scores.size or not np.isfinite(scores).all():
        raise Refused(f'scores {scores.shape}: give finite numbers (sources, targets, repetitions) of two sources or more')
    difference = scores[:, None] - scores[None]
    won = np.clip(((difference > 0) + .5 * (difference == 0)).mean(-1), *SHARES)
    preferred = []
    for target in range(scores.shape[1]):
        values, vectors = np.linalg.eig(won[..., target] / won[..., target].T)
        principal = np.abs(vectors[:, values.real.argmax()].real)   # of a positive matrix: real, and of one sign
        preferred.append(principal / principal.sum())
    return np.stack(preferred, 1)


def task2vec(net, params, state, x, y, penalty=1., block=16):
    """A vector for a task: the diagonal of the Fisher information of a probe network's weights, averaged within each filter.

    A logistic regression of the probe's features is its head. The information of an example is the expectation, over the classes as the
    model predicts them, of the squared gradient of log p(class | x). It depends on inputs and labels, not on how classes are numbered,
    and is comparable among tasks of one probe network alone. Easy tasks have short vectors.

    Args:
        net, params, state: the probe, a `core.Net` and its own parameters and statistics, which stay as they are. x: (n, ...) inputs.
        y: (n,) integers. penalty: of the head, as `probes.linear_probe` takes it. block: examples at a time; memory is that many times
            the classes times the weights.

    Returns:
        (filters,) NumPy: one number for each last-axis column of each kernel, in the order of their paths.

    Raises:
        Refused: as `tljax.labelled.classified`.

    Source: Achille et al. 2019, sections 2 and 3 (https://arxiv.org/abs/1902.03545).

    >>> from tljax.zoo.mlp import mlp
    >>> x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    >>> net = mlp((4,))
    >>> task2vec(net, *net.init(jax.random.key(0), x), x, np.arange(20) % 2).shape
    (4,)
    """
    x = jnp.asarray(x)
    features = np.asarray(jax.jit(lambda x: net.features(params, state, x)[0]['features'])(x))
    _, y, count = classified(features, y)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', ConvergenceWarning)
        head = LogisticRegression(C=1 / penalty, max_iter=1000).fit(features, y)
    kernel, bias = head.coef_.T, head.intercept_
    if len(count) == 2:
        kernel, bias = np.concatenate([0 * kernel, kernel], 1), np.concatenate([0 * bias, bias])
    kernel, bias = jnp.asarray(kernel, jnp.float32), jnp.asarray(bias, jnp.float32)

    def of_one(example):
        def log_probability(params):
            taps, _ = net.features(params, state, example[None])
            return jax.nn.log_softmax(taps['features'] @ kernel + bias)[0]

        gradients, probability = jax.jacrev(log_probability)(params), jnp.exp(log_probability(params))
        return jax.tree.map(lambda leaf: jnp.tensordot(probability, leaf ** 2, 1), gradients)

    information = jax.jit(lambda x: jax.tree.map(lambda leaf: leaf.mean(0), jax.lax.map(of_one, x, batch_size=block)))(x)
    return np.concatenate([np.asarray(leaf, np.float64).mean(tuple(range(leaf.ndim - 1)))
                           for leaf in flatten(information).values() if leaf.ndim > 1])


def task2vec_distance(a, b):
    """1 - the cosine of a / (a + b) and b / (a + b): 0 for the same task, at most 1. Filters that neither task needs do not count.

    Args:
        a, b: (filters,) of `task2vec`, by one probe network.

    Source: Achille et al. 2019, section 4, equation of d_sym.

    >>> task2vec_distance([1., 0.], [0., 1.]), round(task2vec_distance([1., 3.], [1., 1.]), 4)
    (1.0, 0.1318)
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.ndim != 1 or a.shape != b.shape or not (np.isfinite(a) & np.isfinite(b) & (a >= 0) & (b >= 0)).all() or not (a.any() and b.any()):
        raise Refused(f'embeddings {a.shape} and {b.shape}: give two vectors of task2vec by one probe network')
    used = a + b > 0
    a, b = a[used] / (a + b)[used], b[used] / (a + b)[used]
    return float(1 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def task2vec_transfer(source, target, trivial, alpha=.15):
    """The asymmetric distance of a source from a target: d(source, target) - alpha d(source, trivial), smaller is better.

    A source far from the trivial task has learnt more, and is preferred.

    Args:
        source, target, trivial: (filters,) of `task2vec`; trivial: of a task without structure, such as one of shuffled labels, or the
            probe's own average. alpha: the paper's.

    Source: Achille et al. 2019, section 4, equation of d_asym.

    >>> round(task2vec_transfer([1., 3.], [1., 1.], [1., 0.]), 4)
    0.0488
    """
    return task2vec_distance(source, target) - alpha * task2vec_distance(source, trivial)
