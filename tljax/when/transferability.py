"""Scores of transferability: which source will transfer best, before any training.

They need labelled target data and one forward pass. Larger is better for all. Scores of features
take f (n, d), features of any real type, and y (n,), integer classes whose values and order do not
matter. Scores of predictions take the predictions of the source's own head instead of f. Scores can
be compared between sources on the same examples, but not between different sets of examples. With
few examples per class and many features, a source can fit the examples by chance. No score takes
into account how much fine-tuning will change the network.

All is computed in float64 and returned as a float. Every score raises `UserError` for no rows,
different numbers of rows and labels, values that are not finite, labels that are not integers, a
single class, and features that are the same for all examples.
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

# smallest variance of a class, relative to the features' mean variance; with it, a class of one
# example has a Gaussian
VARIANCE = 1e-4
TOLERANCE = 1e-3  # largest difference from 1 of the sum of a row of probabilities


def regularised_h_score(f: ArrayLike, y: ArrayLike) -> float:
    """H-score of standardised features with a shrunk covariance, 0 to classes - 1.

    Ledoit and Wolf's shrinkage keeps the score meaningful if d is near n or larger. It also removes
    most of the score if the features hardly correlate or the rows are very few.

    Args:
        f: as described in the module.
        y: as described in the module.

    Source: Ibrahim, Ponomareva and Mazumder 2021 (https://arxiv.org/abs/2110.06893): tr(cov_a(f)^-1
    (1 - a) cov(E[f | y])), where a is scikit-learn's estimate of the shrinkage.

    >>> f = np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    >>> y = np.array([0, 0, 0, 1, 1, 1])
    >>> round(regularised_h_score(f, y), 4), round(h_score(f, y), 4)
    (0.6415, 0.8571)
    """
    f, y, count = checked_classes(f, y)
    f = np.asarray(StandardScaler().fit_transform(f))
    covariance, shrinkage = ledoit_wolf(f)
    class_means = (one_hot_targets(y)[1].T @ f).T / np.sqrt(count * len(f))
    trace = explained_trace(covariance, class_means, RANK * np.trace(covariance))
    return float(1 - shrinkage) * trace


def transrate(f: ArrayLike, y: ArrayLike, eps: float = 1e-4) -> float:
    """TransRate: coding rate of all features minus the mean within-class coding rate.

    A coding rate is the number of nats that encode an example up to a squared distortion of eps.
    The score is high for classes that lie in different directions from the centre. It cannot
    separate classes on opposite sides of it: two balanced classes in one dimension score 0, at any
    distance. It grows with the number of features.

    Args:
        f: as described in the module.
        y: as described in the module.
        eps: the squared distortion, above 0.

    Source: Huang et al. 2022 (https://arxiv.org/abs/2106.09362): R(Z) - sum n_c / n R(Z_c) with
    R(Z) = log det(I + Z^T Z / (n eps)) / 2. Features are centred once for all classes. They are
    scaled to a total variance of 1, as in the authors' code for most data sets; otherwise the score
    would grow with their units. The paper's listing weighs all classes equally.

    >>> f = np.array([[1, 0, 0], [2, 0, 0], [0, 1, 0], [0, 2, 0], [0, 0, 1], [0, 0, 2]])
    >>> y = np.array([0, 0, 1, 1, 2, 2])  # a direction for each class
    >>> round(transrate(f, y), 4), round(transrate(f, np.array([0, 1, 2, 0, 1, 2])), 4)
    (3.9403, 3.3919)
    """
    f, y, count = checked_classes(f, y)
    if not 0 < eps < np.inf:
        raise UserError(f'eps={eps}: give a number above 0')
    f = np.asarray(f - f.mean(0))
    f = np.asarray(f / np.sqrt((f**2).sum() / len(f)))
    within = sum(count[i] / len(f) * _rate(f[y == i], eps) for i in range(len(count)))
    return float(_rate(f, eps) - within)


def _rate(z: np.ndarray, eps: float) -> float:
    """The coding rate of z (n, d): log det(I + z^T z / (n eps)) / 2."""
    product = z.T @ z if len(z) >= z.shape[1] else z @ z.T
    return np.linalg.slogdet(np.eye(len(product)) + product / (len(z) * eps))[1] / 2


def gbc(f: ArrayLike, y: ArrayLike, components: int = 64, covariance: str = 'spherical') -> float:
    """Gaussian Bhattacharyya coefficient: minus the overlap of the classes' Gaussians, at most 0.

    The overlaps are summed over ordered pairs of classes. Only the mean and the variance of a class
    count: two classes with one centre overlap, whatever their shapes.

    Args:
        f: as described in the module.
        y: as described in the module.
        components: largest number of principal components.
        covariance: 'spherical', one variance per class, or 'diagonal'.

    Source: Pándy et al. 2022 (https://arxiv.org/abs/2111.12780): -sum exp(-Bhattacharyya's
    distance), after a PCA to 64 dimensions. Here the logarithm of a spherical covariance's
    determinant counts every dimension; in the authors' code it counts one.

    >>> f = np.array([[0.0, 1.0], [0.0, 2.0], [9.0, 1.0], [9.0, 2.0]])
    >>> round(gbc(f, np.array([0, 0, 1, 1])), 4), round(gbc(f, np.array([0, 1, 0, 1])), 4)
    (-0.0, -1.9755)
    """
    f, y, count = checked_classes(f, y)
    if covariance not in ('spherical', 'diagonal'):
        raise UserError(f'covariance={covariance!r}: choose spherical or diagonal')
    f = _principal(f, components)
    classes = [f[y == i] for i in range(len(count))]
    mean = np.stack([rows.mean(0) for rows in classes])
    variance = np.stack([rows.var(0) for rows in classes])
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
    """PARC: rank correlation between the similarities of features and of labels, -1 to 1.

    It is Spearman's correlation over pairs of examples. It compares 1 - Pearson's correlation of
    two examples' features with the same of their one-hot labels. Most pairs differ in class and are
    tied in the labels, so that even features that separate the classes perfectly score below 1. The
    score depends on the signs of the principal components, which are scikit-learn's.

    Args:
        f: as described in the module.
        y: as described in the module.
        components: largest number of principal components.
        rows: largest number of examples; time and memory grow with its square.
        seed: seed of the draw of examples.

    Raises:
        UserError: as described in the module; if the drawn pairs of examples are all of one class
            or all of different classes, and if the features have one principal component.

    Source: Bolya, Mittapalli and Hoffman 2021 (https://arxiv.org/abs/2111.06977), whose PARC is 100
    times this one. As in their code, the principal components are standardised first, and 500
    examples are drawn.

    >>> f = np.array([[1, 0, 0], [2, 0, 0.1], [0, 1, 0], [0, 2, 0.1], [0, 0, 1], [0.1, 0, 2]])
    >>> y = np.array([0, 0, 1, 1, 2, 2])
    >>> round(parc(f, y), 4), round(parc(f, np.array([0, 1, 2, 0, 1, 2])), 4)
    (0.0772, -0.3086)
    """
    f, y, _ = checked_classes(f, y)
    sample = np.random.default_rng(seed).permutation(len(f))[:rows]
    f = np.asarray(StandardScaler().fit_transform(_principal(f[sample], components)))
    pair = np.triu_indices(len(sample), 1)
    # it has the same ranks as 1 - Pearson's correlation of one-hot labels
    label_distance = (y[sample][:, None] != y[sample])[pair]
    if f.shape[1] < 2 or label_distance.all() or not label_distance.any():
        raise UserError(
            f'{int(label_distance.sum())} of {len(label_distance)} pairs of examples differ in '
            f'class, {f.shape[1]} principal components vary: give pairs of both kinds, and two '
            'components or more'
        )
    correlation = spearmanr(1 - np.corrcoef(f)[pair], label_distance)
    return float(correlation.statistic)  # pyright: ignore[reportAttributeAccessIssue]  SciPy has it


def leep(p: ArrayLike, y: ArrayLike) -> float:
    """LEEP: mean log likelihood of the labels given the source's predictions, at most 0.

    The model draws a source class from an example's prediction, then a label from the labels that
    go with this class over all examples. It uses the source's head only, so that information in the
    features beyond the source's classes does not count. It grows with the number of source classes.

    Args:
        p: (n, source classes), softmax outputs of the source.
        y: as described in the module.

    Raises:
        UserError: as described in the module, and for rows of p that are not probabilities.

    Source: Nguyen et al. 2020, equation 2 (https://arxiv.org/abs/2002.12462).

    >>> leep([[1.0, 0.0], [0.0, 1.0]], [0, 1])  # each source class goes with one label
    0.0
    >>> round(leep([[0.5, 0.5], [0.5, 0.5]], [0, 1]), 4)
    -0.6931
    """
    p = _as_probability(p)
    y, _ = numbered_classes(p, y)
    joint = one_hot_targets(y)[1].T @ p
    # no 0 / 0 for a source class without predictions
    label_given_source = joint / np.maximum(joint.sum(0), np.finfo(float).tiny)
    return float(np.log((p * label_given_source[y]).sum(1)).mean())


def n_leep(f: ArrayLike, y: ArrayLike, components: int | None = None, seed: int = 0) -> float:
    """N-LEEP: LEEP with a Gaussian mixture of the features instead of the source's classes.

    It needs no source head. If a component has few examples, the mixture fits single examples, and
    any labels look likely.

    Args:
        f: as described in the module.
        y: as described in the module.
        components: number of components of the mixture. None means five per class, but no more than
            examples.
        seed: seed of the mixture's start.

    Source: Li et al. 2021 (https://arxiv.org/abs/2011.11200): a PCA that keeps 80 % of the
    variance, and five components per class with full covariances, by scikit-learn.

    >>> f = np.array([[0.0, 0.0], [0.0, 1.0], [9.0, 0.0], [9.0, 1.0]])
    >>> round(n_leep(f, np.array([0, 0, 1, 1]), components=2), 4)
    0.0
    >>> round(n_leep(f, np.array([0, 1, 0, 1]), components=2), 4)
    -0.6931
    """
    f, y, count = checked_classes(f, y)
    components = min(5 * len(count), len(f)) if components is None else components
    if not 1 <= components <= len(f):
        raise UserError(f'components={components}: give a number from 1 to the {len(f)} examples')
    f = _principal(f, 0.8)
    f /= f.std()  # scikit-learn adds 1e-6 to variances, whatever their units
    return leep(GaussianMixture(components, random_state=seed).fit(f).predict_proba(f), y)


def nce(z: ArrayLike, y: ArrayLike) -> float:
    """Negative conditional entropy of the labels given the source's class, in nats, at most 0.

    It equals `leep` for predictions with probability 1. The source's certainty does not count.

    Args:
        z: (n,) integers, the class that the source predicts.
        y: as described in the module.

    Source: Tran, Nguyen and Hassner 2019 (https://arxiv.org/abs/1908.08142).

    >>> nce([3, 3, 5], [0, 0, 1])  # the source's class determines the label
    0.0
    >>> round(nce([3, 3, 3, 3], [0, 1, 0, 1]), 4)
    -0.6931
    """
    z = np.asarray(z)
    y, _ = numbered_classes(z, y)
    if z.ndim != 1 or z.dtype.kind not in 'iu':
        raise UserError(f'z has shape {z.shape} and type {z.dtype}: give one integer class per row')
    joint = np.asarray(contingency_matrix(z, y))
    return float(xlogy(joint, joint / joint.sum(1, keepdims=True)).sum() / len(y))


def _nce_of_predictions(p: ArrayLike, y: ArrayLike) -> float:
    return nce(_as_probability(p).argmax(1), y)


# scores of features, (f, y)
SCORES = {
    score.__name__: score
    for score in (logme, h_score, regularised_h_score, transrate, gbc, parc, n_leep)
}
# scores of predictions, (p, y): softmax outputs of the source's own head
OF_PREDICTIONS = {'leep': leep, 'nce': _nce_of_predictions}


def _principal(f: np.ndarray, components: float) -> np.ndarray:
    """Returns the principal components of f that have variance.

    A number of 1 or more limits how many; a number below 1 is the share of variance to keep.
    """
    if not 0 < components < np.inf:
        raise UserError(f'components={components}: give a number above 0')
    pca = PCA(
        components if components < 1 else min(components, *f.shape), svd_solver='covariance_eigh'
    )
    # scikit-learn would subtract the mean from products, and so lose digits
    scores = pca.fit_transform(f - f.mean(0))
    return scores[:, pca.explained_variance_ > RANK * pca.explained_variance_.sum()]


def _as_probability(p: ArrayLike) -> np.ndarray:
    """Returns p in float64 with rows that sum to 1, or refuses rows that are not probabilities."""
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
