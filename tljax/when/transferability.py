"""Which source will transfer best, before anything is trained: scores of one forward pass over
labelled target data.

Larger is better for all. Scores of features take f (n, d), features of any real type, and y (n,),
integer classes whose values and order do not matter; scores of predictions take the source's own
head in place of f. All of them compare sources on the same examples and mean nothing beside those
of other examples. All judge the examples that they are given: with few for each class and many
features, a source can fit them by chance. None knows how much of a network fine-tuning will change.

All is computed in float64 and returned as a float. `UserError` are: no rows, rows that do not pair,
values that are not finite, labels that are no integers, a single class, and features that are the
same for all examples.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy
from scipy.stats import spearmanr
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import PCA
from sklearn.metrics.cluster import contingency_matrix
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from tljax.core import UserError
from tljax.when.checks import checked_classes, numbered_classes, one_hot_targets
from tljax.when.evidence import RANK, explained_trace, h_score, logme

# a class's variance is at least this part of the features' mean variance, so that one example has a
# Gaussian
VARIANCE = 1e-4
TOLERANCE = 1e-3  # how far from 1 a row of probabilities may sum


def regularised_h_score(f: ArrayLike, y: ArrayLike) -> float:
    """The H-score of standardised features with the covariance that Ledoit and Wolf shrink, 0 to
    classes - 1.

    Shrinkage keeps it meaningful where d is near n or above. Of features that hardly correlate
    little is left, as of very few rows.

    Args:
        f: as in the module.
        y: as in the module.

    Source: Ibrahim, Ponomareva and Mazumder 2021 (https://arxiv.org/abs/2110.06893): tr(cov_a(f)^-1
    (1 - a) cov(E[f | y])), where a is scikit-learn's estimate of the shrinkage.

    >>> f = np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    >>> (
    ...     round(regularised_h_score(f, np.array([0, 0, 0, 1, 1, 1])), 4),
    ...     round(h_score(f, np.array([0, 0, 0, 1, 1, 1])), 4),
    ... )
    (0.6415, 0.8571)
    """
    f, y, count = checked_classes(f, y)
    f = np.asarray(StandardScaler().fit_transform(f))
    covariance, shrinkage = ledoit_wolf(f)
    between = (one_hot_targets(y)[1].T @ f).T / np.sqrt(count * len(f))
    return float(1 - shrinkage) * explained_trace(covariance, between, RANK * np.trace(covariance))


def transrate(f: ArrayLike, y: ArrayLike, eps: float = 1e-4) -> float:
    """How many nats an example's features cost in code up to a distortion, less what they cost once
    its class is known: TransRate.

    It rewards classes that lie in different directions from the centre, and cannot tell those on
    opposite sides: two balanced classes in one dimension score 0 however far apart they are. More
    features raise it.

    Source: Huang et al. 2022 (https://arxiv.org/abs/2106.09362): R(Z) - sum n_c / n R(Z_c) with
    R(Z) = log det(I + Z^T Z / (n eps)) / 2. Features are centred, once for all classes, and scaled
    to a total variance of 1, as the authors' code does for most data sets: else the score would
    grow with their units. The paper's listing has all classes weigh the same.

    Args:
        f: as in the module.
        y: as in the module.
        eps: the squared distortion, above 0.

    >>> f = np.array(
    ...     [
    ...         [1.0, 0.0, 0.0],
    ...         [2.0, 0.0, 0.0],
    ...         [0.0, 1.0, 0.0],
    ...         [0.0, 2.0, 0.0],
    ...         [0.0, 0.0, 1.0],
    ...         [0.0, 0.0, 2.0],
    ...     ]
    ... )
    >>> (
    ...     round(transrate(f, np.array([0, 0, 1, 1, 2, 2])), 4),
    ...     round(transrate(f, np.array([0, 1, 2, 0, 1, 2])), 4),
    ... )
    (3.9403, 3.3919)
    """
    f, y, count = checked_classes(f, y)
    if not 0 < eps < np.inf:
        raise UserError(f'eps={eps}: give a number above 0')
    f = np.asarray(f - f.mean(0))
    f = np.asarray(f / np.sqrt((f**2).sum() / len(f)))
    return float(
        _rate(f, eps) - sum(count[i] / len(f) * _rate(f[y == i], eps) for i in range(len(count)))
    )


def _rate(z: np.ndarray, eps: float) -> float:
    product = z.T @ z if len(z) >= z.shape[1] else z @ z.T
    return np.linalg.slogdet(np.eye(len(product)) + product / (len(z) * eps))[1] / 2


def gbc(f: ArrayLike, y: ArrayLike, components: int = 64, covariance: str = 'spherical') -> float:
    """Minus the overlap of classes, summed over ordered pairs, as of Gaussians: the Gaussian
    Bhattacharyya coefficient, at most 0.

    It sees nothing of a class but its mean and spread: two classes around one centre overlap
    whatever their shapes.

    Source: Pándy et al. 2022 (https://arxiv.org/abs/2111.12780): -sum exp(-Bhattacharyya's
    distance), after a PCA to 64 dimensions. The logarithm of a spherical covariance's determinant
    counts every dimension; in the authors' code it counts one.

    Args:
        f: as in the module.
        y: as in the module.
        components: of the PCA, at most.
        covariance: 'spherical', a variance for each class, or 'diagonal'.

    >>> f = np.array([[0.0, 1.0], [0.0, 2.0], [9.0, 1.0], [9.0, 2.0]])
    >>> round(gbc(f, np.array([0, 0, 1, 1])), 4), round(gbc(f, np.array([0, 1, 0, 1])), 4)
    (-0.0, -1.9755)
    """
    f, y, count = checked_classes(f, y)
    if covariance not in ('spherical', 'diagonal'):
        raise UserError(f'covariance={covariance!r}: choose spherical or diagonal')
    f = _principal(f, components)
    of_class = [f[y == i] for i in range(len(count))]
    mean, variance = (
        np.stack([statistic(part, 0) for part in of_class]) for statistic in (np.mean, np.var)
    )
    if covariance == 'spherical':
        variance = np.broadcast_to(variance.mean(1, keepdims=True), mean.shape)
    variance = np.maximum(variance, VARIANCE * f.var(0).mean())
    overlap = 0.0
    for i in range(len(count)):
        middle = (variance[i] + variance) / 2
        distance = (
            (mean[i] - mean) ** 2 / middle / 8
            + np.log(middle / np.sqrt(variance[i] * variance)) / 2
        ).sum(1)
        overlap += np.exp(-np.delete(distance, i)).sum()
    return -float(overlap)


def parc(f: ArrayLike, y: ArrayLike, components: int = 32, rows: int = 500, seed: int = 0) -> float:
    """Whether examples of one class are alike and others are not: a rank correlation from -1 to 1,
    PARC over 100.

    Spearman's correlation, over pairs of examples, of 1 - Pearson's correlation of their features
    with that of their one-hot labels. As pairs of one class are few and all the same to the labels,
    features that tell classes apart without error stay below 1, too. The sign of a principal
    component matters, and is scikit-learn's.

    Source: Bolya, Mittapalli and Hoffman 2021 (https://arxiv.org/abs/2111.06977). As in their code,
    principal components are standardised first; 500 examples are theirs, too.

    Args:
        f: as in the module.
        y: as in the module.
        components: of the PCA, at most.
        rows: how many examples, at most, since time and memory grow with their square.
        seed: draws the examples.

    Raises:
        UserError: as in the module, and where no two of the examples that were drawn are of one
            class, or all are, or where their features have one principal component.

    >>> f = np.array(
    ...     [
    ...         [1.0, 0.0, 0.0],
    ...         [2.0, 0.0, 0.1],
    ...         [0.0, 1.0, 0.0],
    ...         [0.0, 2.0, 0.1],
    ...         [0.0, 0.0, 1.0],
    ...         [0.1, 0.0, 2.0],
    ...     ]
    ... )
    >>> (
    ...     round(parc(f, np.array([0, 0, 1, 1, 2, 2])), 4),
    ...     round(parc(f, np.array([0, 1, 2, 0, 1, 2])), 4),
    ... )
    (0.0772, -0.3086)
    """
    f, y, _ = checked_classes(f, y)
    drawn = np.random.default_rng(seed).permutation(len(f))[:rows]
    f = np.asarray(StandardScaler().fit_transform(_principal(f[drawn], components)))
    pair = np.triu_indices(len(drawn), 1)
    # as a rank, the same as 1 - Pearson's correlation of one-hot labels
    differ = (y[drawn][:, None] != y[drawn])[pair]
    if f.shape[1] < 2 or differ.all() or not differ.any():
        raise UserError(
            f'{int(differ.sum())} of {len(differ)} pairs of examples differ in class, {f.shape[1]} '
            'principal components vary: give pairs of both kinds, and two components or more'
        )
    found = spearmanr(1 - np.corrcoef(f)[pair], differ)
    return float(found.statistic)  # pyright: ignore[reportAttributeAccessIssue]  SciPy names it


def leep(p: ArrayLike, y: ArrayLike) -> float:
    """The mean log likelihood of the labels by way of the source's classes, at most 0: LEEP.

    An example's source class is drawn from its prediction, then a label from those that go with
    that class over all examples. It looks at the source's head alone, so that what its features
    know beyond its classes does not count; more source classes raise it.

    Source: Nguyen et al. 2020, equation 2 (https://arxiv.org/abs/2002.12462).

    Args:
        p: (n, source classes), softmax outputs of the source.
        y: as in the module.

    Raises:
        UserError: as in the module, and for rows of p that are no probabilities.

    >>> leep([[1.0, 0.0], [0.0, 1.0]], [0, 1]), round(leep([[0.5, 0.5], [0.5, 0.5]], [0, 1]), 4)
    (0.0, -0.6931)
    """
    p = _probability(p)
    y, _ = numbered_classes(p, y)
    joint = one_hot_targets(y)[1].T @ p
    # a source class that nothing is predicted as
    label_given_source = joint / np.maximum(joint.sum(0), np.finfo(float).tiny)
    return float(np.log((p * label_given_source[y]).sum(1)).mean())


def n_leep(f: ArrayLike, y: ArrayLike, components: int | None = None, seed: int = 0) -> float:
    """LEEP with a Gaussian mixture of the features in place of the source's classes, so that a
    source needs no head: N-LEEP.

    A mixture with few examples for each component follows single examples, and any labels then look
    likely.

    Source: Li et al. 2021 (https://arxiv.org/abs/2011.11200): a PCA that keeps 80 % of the
    variance, and five components for each class, of full covariance, by scikit-learn.

    Args:
        f: as in the module.
        y: as in the module.
        components: of the mixture, None for five times the classes, but no more than examples.
        seed: of the mixture's start.

    >>> f = np.array([[0.0, 0.0], [0.0, 1.0], [9.0, 0.0], [9.0, 1.0]])
    >>> (
    ...     round(n_leep(f, np.array([0, 0, 1, 1]), components=2), 4),
    ...     round(n_leep(f, np.array([0, 1, 0, 1]), components=2), 4),
    ... )
    (0.0, -0.6931)
    """
    f, y, count = checked_classes(f, y)
    components = min(5 * len(count), len(f)) if components is None else components
    if not 1 <= components <= len(f):
        raise UserError(f'components={components}: give a number from 1 to the {len(f)} examples')
    f = _principal(f, 0.8)
    f /= f.std()  # scikit-learn adds 1e-6 to variances, whatever their units
    return leep(GaussianMixture(components, random_state=seed).fit(f).predict_proba(f), y)


def nce(z: ArrayLike, y: ArrayLike) -> float:
    """Minus the entropy of the labels once the source's class is known, in nats, at most 0:
    negative conditional entropy.

    It is the log likelihood that `leep` would be if predictions were certain; how sure the source
    is does not count.

    Source: Tran, Nguyen and Hassner 2019 (https://arxiv.org/abs/1908.08142).

    Args:
        z: (n,), integers: the class that the source predicts.
        y: as in the module.

    >>> nce([3, 3, 5], [0, 0, 1]), round(nce([3, 3, 3, 3], [0, 1, 0, 1]), 4)
    (0.0, -0.6931)
    """
    z = np.asarray(z)
    y, _ = numbered_classes(z, y)
    if z.ndim != 1 or z.dtype.kind not in 'iu':
        raise UserError(f'z has shape {z.shape} and type {z.dtype}: give one integer class per row')
    joint = np.asarray(contingency_matrix(z, y))
    return float(xlogy(joint, joint / joint.sum(1, keepdims=True)).sum() / len(y))


def _nce_of_predictions(p: ArrayLike, y: ArrayLike) -> float:
    return nce(_probability(p).argmax(1), y)


# (f, y)
SCORES = {
    each.__name__: each
    for each in (logme, h_score, regularised_h_score, transrate, gbc, parc, n_leep)
}
# (p, y), softmax outputs of the source's own head
OF_PREDICTIONS = {'leep': leep, 'nce': _nce_of_predictions}


def _principal(f: np.ndarray, components: float) -> np.ndarray:
    """Principal components of f, those that vary: so many at most, or as many as keep that share of
    the variance."""
    if not 0 < components < np.inf:
        raise UserError(f'components={components}: give a number above 0')
    pca = PCA(
        components if components < 1 else min(components, *f.shape), svd_solver='covariance_eigh'
    )
    # which scikit-learn would subtract from products, where it costs digits
    scores = pca.fit_transform(f - f.mean(0))
    return scores[:, pca.explained_variance_ > RANK * pca.explained_variance_.sum()]


def _probability(p: ArrayLike) -> np.ndarray:
    p = np.asarray(p, np.float64)
    if (
        p.ndim != 2
        or not p.size
        or not (np.isfinite(p) & (p >= 0)).all()
        or (np.abs(p.sum(1) - 1) > TOLERANCE).any()
    ):
        raise UserError(
            f'p has shape {p.shape} and rows that are no probabilities: give softmax outputs (n, '
            'source classes)'
        )
    return p / p.sum(1, keepdims=True)
