"""Which source will transfer best, before anything is trained: scores of one forward pass over labelled target data.

Larger is better for all. Scores of features take f (n, d), features of any real type, and y (n,), integer classes whose values and
order do not matter; scores of predictions take the source's own head in place of f. All of them compare sources on the same examples
and mean nothing beside those of other examples. All judge the examples that they are given: with few for each class and many features,
a source can fit them by chance. None knows how much of a network fine-tuning will change.

All is computed in float64 and returned as a float. `Refused` are: no rows, rows that do not pair, values that are not finite, labels
that are no integers, a single class, and features that are the same for all examples.
"""
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.linalg import eigh_tridiagonal, lapack
from scipy.optimize import elementwise
from scipy.special import xlogy
from scipy.stats import spearmanr
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import PCA
from sklearn.metrics.cluster import contingency_matrix
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from tljax.core import Refused

ROWS = 4096          # rows that are held in float64 at once
RANK = 1e-12         # directions with less of the features' power than this are taken for rounding, which is near 1e-16 n
RESIDUAL = 1e-10     # a smaller share of the labels outside of the features' span is rounding; were it 0 the evidence would be infinite
LOG_RATIOS = np.linspace(-60, 25, 400)   # ln(alpha / beta) over the features' power: beyond, nothing or everything is explained
VARIANCE = 1e-4      # a class's variance is at least this part of the features' mean variance, so that one example has a Gaussian
TOLERANCE = 1e-3     # how far from 1 a row of probabilities may sum


class Moments(NamedTuple):
    """What `logme_of` and `h_score_of` need to know of labelled features; `moments` makes it, also of sets too large for memory.

    n: rows. gram: (d, d), f^T f. cross: (d, c), f^T t, and square: (c,), column sums of t^2, for the targets t: classes one-hot, or float
    labels. classes: (c,), which integers the columns stand for; None for float labels.

    >>> moments([(np.array([[1., 2.]]), np.array([7]))])._replace(gram=None)
    Moments(n=1, gram=None, cross=array([[1.],
           [2.]]), square=array([1.]), classes=array([7]))
    """
    n: int
    gram: np.ndarray
    cross: np.ndarray
    square: np.ndarray
    classes: np.ndarray | None


def moments(blocks):
    """The `Moments` of all rows together, in memory of d^2 and one block.

    Products are of float64: those of float32 move LogME in its second digit where features have a mean and a decaying spectrum.

    Args:
        blocks: an iterable of pairs (f, y), (n, d) and (n,) integers or (n,) or (n, c) floats. A class may be missing from a block.

    Raises:
        Refused: as in the module, and for no blocks, or blocks of other columns.

    >>> x, y = np.arange(8.).reshape(4, 2), np.array([0, 1, 1, 2])
    >>> whole, parts = moments([(x, y)]), moments((x[i:i + 1], y[i:i + 1]) for i in range(4))
    >>> parts.classes.tolist(), parts.cross.tolist() == whole.cross.tolist()
    ([0, 1, 2], True)
    """
    total = None
    for f, y in blocks:
        f, y = _paired(f, y)
        for start in range(0, len(f), ROWS):
            part = _moments(f[start:start + ROWS].astype(np.float64), y[start:start + ROWS])
            total = part if total is None else _sum(total, part)
    if total is None:
        raise Refused('moments of no blocks: give one pair of features and labels or more')
    return total


def logme(f, y):
    """The largest log evidence of a Bayesian linear model per example, averaged over classes: LogME.

    Targets, one class against the rest, are t = f w + noise with w ~ N(0, 1 / alpha) and noise of variance 1 / beta, thus t ~ N(0, (I +
    f f^T beta / alpha) / beta), for the alpha and beta that make t most likely. It knows no offset: append a column of ones for one. Where
    fewer than n features explain labels in full the evidence has no upper limit; their noise is then taken for `RESIDUAL` of them.

    Source: You et al. 2021 (https://arxiv.org/abs/2102.11005) and 2022 (https://arxiv.org/abs/2110.10545). Their fixed point iteration from
    alpha = beta = 1 is not used: evidence can have several maxima, and it stops at one that need not be the largest, near it rather than
    at it. Given alpha / beta the best beta is known in closed form, and that one ratio is looked for everywhere.

    Args:
        f, y: as in the module; or float labels y, (n,) or (n, k), for regression, averaged over columns: none of them 0 throughout.

    >>> f = np.array([[0., 1.], [0., 2.], [1., 0.], [2., 0.]])
    >>> logme(f, np.array([0, 0, 1, 1])) > logme(f, np.array([0, 1, 0, 1]))
    True
    """
    f, y = _paired(f, y)
    _varying(f)
    if len(f) >= f.shape[1]:
        return logme_of(moments([(f, y)]))
    classes, targets = _targets(y)
    _several(classes)
    f, targets = f.astype(np.float64), targets.toarray() if classes is not None else targets
    values, energy = _spectrum(f @ f.T, targets)
    return _log_evidence(len(f), values, values[:, None] * energy, (targets ** 2).sum(0))


def logme_of(moments):
    """`logme` of what `moments` has summed.

    >>> f, y = np.array([[0., 1.], [0., 2.], [1., 0.], [2., 0.]]), np.array([0, 0, 1, 1])
    >>> logme_of(moments([(f[:1], y[:1]), (f[1:], y[1:])])) == logme(f, y)
    True
    """
    _several(moments.classes)
    return _log_evidence(moments.n, *_spectrum(moments.gram, moments.cross), moments.square)


def _log_evidence(n, values, energy, square):
    """The largest log evidence per row, averaged over columns t of targets.

    values: (r,) eigenvalues of f^T f or f f^T. energy: (r, c), (v^T f^T t)^2 for the eigenvectors v of f^T f. square: (c,), t^T t.
    """
    if not square.all():
        raise Refused(f'column {int(square.argmin())} of y is 0 throughout: leave it out')
    kept = values > RANK * values.sum()
    values = values[kept, None]
    inside = energy[kept] / (values * square)   # shares of t^T t along the directions of f, which n directions exhaust
    outside = np.maximum(1 - inside.sum(0), RESIDUAL) * (len(values) < n)

    def cost(ratio, unexplained):   # minus the evidence over n at the best beta, but for what depends on neither
        return (np.log1p(values / ratio).sum(0) / n + np.log(unexplained)) / 2

    def of_column(log_ratio, column):
        ratio = np.exp(log_ratio)
        return cost(ratio, outside[column] + (inside[:, column] * (ratio / (values + ratio))).sum(0))

    grid = LOG_RATIOS + np.log(values.sum() or 1.)
    costs = cost(np.exp(grid), outside[:, None] + inside.T @ (1 / (1 + values / np.exp(grid))))
    place = costs.argmin(1).clip(1, len(grid) - 2)
    found = elementwise.find_minimum(of_column, (grid[place - 1], grid[place], grid[place + 1]), args=(np.arange(len(square)),))
    least = np.where(found.success, found.f_x, costs.min(1))   # at an end of the grid there is no minimum between two points
    return -float((least + np.log(2 * np.pi * np.e * square / n) / 2).mean())


def h_score(f, y):
    """tr(cov(f)^+ cov(E[f | y])), 0 to min(d, classes - 1): how much of the features' whitened variance lies between classes: the H-score.

    With d near n it reaches its maximum whatever the labels are; `regularised_h_score` is made for that.

    Source: Bao et al. 2019 (https://doi.org/10.1109/ICIP.2019.8803726). Directions that do not vary are left out.

    >>> round(h_score(np.array([[0., 1.], [0., 2.], [1., 1.], [1., 2.]]), np.array([0, 0, 1, 1])), 6)
    1.0
    """
    f, y, _ = _classified(f, y)
    return h_score_of(moments([(f - f.mean(0), y)]))


def h_score_of(moments):
    """`h_score` of what `moments` has summed of integer labels.

    Features whose mean is far above their spread lose digits here: subtract about that mean from all blocks.

    >>> f, y = np.array([[0., 1.], [0., 2.], [1., 0.], [2., 0.]]), np.array([0, 0, 1, 1])
    >>> abs(h_score_of(moments([(f[:1], y[:1]), (f[1:], y[1:])])) - h_score(f, y)) < 1e-9
    True
    """
    if moments.classes is None:
        raise Refused('an H-score of float labels: give integer classes')
    _several(moments.classes)
    n, count, mean = moments.n, moments.square, moments.cross.sum(1, keepdims=True) / moments.n
    between = (moments.cross / count - mean) * np.sqrt(count / n)
    return _explained(moments.gram / n - mean @ mean.T, between, RANK * np.trace(moments.gram) / n)


def regularised_h_score(f, y):
    """The H-score of standardised features with the covariance that Ledoit and Wolf shrink, 0 to classes - 1.

    Shrinkage keeps it meaningful where d is near n or above. Of features that hardly correlate little is left, as of very few rows.

    Source: Ibrahim, Ponomareva and Mazumder 2021 (https://arxiv.org/abs/2110.06893): tr(cov_a(f)^-1 (1 - a) cov(E[f | y])), where a is
    scikit-learn's estimate of the shrinkage.

    >>> f = np.array([[0., 1.], [0., 2.], [0., 3.], [1., 0.], [2., 0.], [3., 0.]])
    >>> round(regularised_h_score(f, np.array([0, 0, 0, 1, 1, 1])), 4), round(h_score(f, np.array([0, 0, 0, 1, 1, 1])), 4)
    (0.6415, 0.8571)
    """
    f, y, count = _classified(f, y)
    f = StandardScaler().fit_transform(f)
    covariance, shrinkage = ledoit_wolf(f)
    between = (_targets(y)[1].T @ f).T / np.sqrt(count * len(f))
    return float(1 - shrinkage) * _explained(covariance, between, RANK * np.trace(covariance))


def transrate(f, y, eps=1e-4):
    """How many nats an example's features cost in code up to a distortion, less what they cost once its class is known: TransRate.

    It rewards classes that lie in different directions from the centre, and cannot tell those on opposite sides: two balanced classes in
    one dimension score 0 however far apart they are. More features raise it.

    Source: Huang et al. 2022 (https://arxiv.org/abs/2106.09362): R(Z) - sum n_c / n R(Z_c) with R(Z) = log det(I + Z^T Z / (n eps)) / 2.
    Features are centred, once for all classes, and scaled to a total variance of 1, as the authors' code does for most data sets: else
    the score would grow with their units. The paper's listing has all classes weigh the same.

    Args:
        f, y: as in the module. eps: the squared distortion, above 0.

    >>> f = np.array([[1., 0., 0.], [2., 0., 0.], [0., 1., 0.], [0., 2., 0.], [0., 0., 1.], [0., 0., 2.]])
    >>> round(transrate(f, np.array([0, 0, 1, 1, 2, 2])), 4), round(transrate(f, np.array([0, 1, 2, 0, 1, 2])), 4)
    (3.9403, 3.3919)
    """
    f, y, count = _classified(f, y)
    if not 0 < eps < np.inf:
        raise Refused(f'eps={eps}: give a number above 0')
    f = f - f.mean(0)
    f /= np.sqrt((f ** 2).sum() / len(f))
    return float(_rate(f, eps) - sum(count[i] / len(f) * _rate(f[y == i], eps) for i in range(len(count))))


def _rate(z, eps):
    product = z.T @ z if len(z) >= z.shape[1] else z @ z.T
    return np.linalg.slogdet(np.eye(len(product)) + product / (len(z) * eps))[1] / 2


def gbc(f, y, components=64, covariance='spherical'):
    """Minus the overlap of classes, summed over ordered pairs, as of Gaussians: the Gaussian Bhattacharyya coefficient, at most 0.

    It sees nothing of a class but its mean and spread: two classes around one centre overlap whatever their shapes.

    Source: Pándy et al. 2022 (https://arxiv.org/abs/2111.12780): -sum exp(-Bhattacharyya's distance), after a PCA to 64 dimensions. The
    logarithm of a spherical covariance's determinant counts every dimension; in the authors' code it counts one.

    Args:
        f, y: as in the module. components: of the PCA, at most. covariance: 'spherical', a variance for each class, or 'diagonal'.

    >>> f = np.array([[0., 1.], [0., 2.], [9., 1.], [9., 2.]])
    >>> round(gbc(f, np.array([0, 0, 1, 1])), 4), round(gbc(f, np.array([0, 1, 0, 1])), 4)
    (-0.0, -1.9755)
    """
    f, y, count = _classified(f, y)
    if covariance not in ('spherical', 'diagonal'):
        raise Refused(f'covariance={covariance!r}: choose spherical or diagonal')
    f = _principal(f, components)
    of_class = [f[y == i] for i in range(len(count))]
    mean, variance = (np.stack([statistic(part, 0) for part in of_class]) for statistic in (np.mean, np.var))
    if covariance == 'spherical':
        variance = np.broadcast_to(variance.mean(1, keepdims=True), mean.shape)
    variance = np.maximum(variance, VARIANCE * f.var(0).mean())
    overlap = 0.
    for i in range(len(count)):
        middle = (variance[i] + variance) / 2
        distance = ((mean[i] - mean) ** 2 / middle / 8 + np.log(middle / np.sqrt(variance[i] * variance)) / 2).sum(1)
        overlap += np.exp(-np.delete(distance, i)).sum()
    return -float(overlap)


def parc(f, y, components=32, rows=500, seed=0):
    """Whether examples of one class are alike and others are not: a rank correlation from -1 to 1, PARC over 100.

    Spearman's correlation, over pairs of examples, of 1 - Pearson's correlation of their features with that of their one-hot labels. As
    pairs of one class are few and all the same to the labels, features that tell classes apart without error stay below 1, too. The sign
    of a principal component matters, and is scikit-learn's.

    Source: Bolya, Mittapalli and Hoffman 2021 (https://arxiv.org/abs/2111.06977). As in their code, principal components are standardised
    first; 500 examples are theirs, too.

    Args:
        f, y: as in the module. components: of the PCA, at most. rows: how many examples, at most, since time and memory grow with their
            square. seed: draws them.

    Raises:
        Refused: as in the module, and where no two of the examples that were drawn are of one class, or all are, or where their features
            have one principal component.

    >>> f = np.array([[1., 0., 0.], [2., 0., .1], [0., 1., 0.], [0., 2., .1], [0., 0., 1.], [.1, 0., 2.]])
    >>> round(parc(f, np.array([0, 0, 1, 1, 2, 2])), 4), round(parc(f, np.array([0, 1, 2, 0, 1, 2])), 4)
    (0.0772, -0.3086)
    """
    f, y, _ = _classified(f, y)
    drawn = np.random.default_rng(seed).permutation(len(f))[:rows]
    f, pair = StandardScaler().fit_transform(_principal(f[drawn], components)), np.triu_indices(len(drawn), 1)
    differ = (y[drawn][:, None] != y[drawn])[pair]   # as a rank, the same as 1 - Pearson's correlation of one-hot labels
    if f.shape[1] < 2 or differ.all() or not differ.any():
        raise Refused(f'{int(differ.sum())} of {len(differ)} pairs of examples differ in class, {f.shape[1]} principal components vary: '
                      'give pairs of both kinds, and two components or more')
    return float(spearmanr(1 - np.corrcoef(f)[pair], differ).statistic)


def leep(p, y):
    """The mean log likelihood of the labels by way of the source's classes, at most 0: LEEP.

    An example's source class is drawn from its prediction, then a label from those that go with that class over all examples. It looks
    at the source's head alone, so that what its features know beyond its classes does not count; more source classes raise it.

    Source: Nguyen et al. 2020, equation 2 (https://arxiv.org/abs/2002.12462).

    Args:
        p: (n, source classes), softmax outputs of the source. y: as in the module.

    Raises:
        Refused: as in the module, and for rows of p that are no probabilities.

    >>> leep([[1., 0.], [0., 1.]], [0, 1]), round(leep([[.5, .5], [.5, .5]], [0, 1]), 4)
    (0.0, -0.6931)
    """
    p = _probability(p)
    y, _ = _labels(p, y)
    joint = _targets(y)[1].T @ p
    label_given_source = joint / np.maximum(joint.sum(0), np.finfo(float).tiny)   # a source class that nothing is predicted as
    return float(np.log((p * label_given_source[y]).sum(1)).mean())


def n_leep(f, y, components=None, seed=0):
    """LEEP with a Gaussian mixture of the features in place of the source's classes, so that a source needs no head: N-LEEP.

    A mixture with few examples for each component follows single examples, and any labels then look likely.

    Source: Li et al. 2021 (https://arxiv.org/abs/2011.11200): a PCA that keeps 80 % of the variance, and five components for each
    class, of full covariance, by scikit-learn.

    Args:
        f, y: as in the module. components: of the mixture, None for five times the classes, but no more than examples. seed: of its start.

    >>> f = np.array([[0., 0.], [0., 1.], [9., 0.], [9., 1.]])
    >>> round(n_leep(f, np.array([0, 0, 1, 1]), components=2), 4), round(n_leep(f, np.array([0, 1, 0, 1]), components=2), 4)
    (0.0, -0.6931)
    """
    f, y, count = _classified(f, y)
    components = min(5 * len(count), len(f)) if components is None else components
    if not 1 <= components <= len(f):
        raise Refused(f'components={components}: give a number from 1 to the {len(f)} examples')
    f = _principal(f, .8)
    f /= f.std()   # scikit-learn adds 1e-6 to variances, whatever their units
    return leep(GaussianMixture(components, random_state=seed).fit(f).predict_proba(f), y)


def nce(z, y):
    """Minus the entropy of the labels once the source's class is known, in nats, at most 0: negative conditional entropy.

    It is the log likelihood that `leep` would be if predictions were certain; how sure the source is does not count.

    Source: Tran, Nguyen and Hassner 2019 (https://arxiv.org/abs/1908.08142).

    Args:
        z: (n,), integers: the class that the source predicts. y: as in the module.

    >>> nce([3, 3, 5], [0, 0, 1]), round(nce([3, 3, 3, 3], [0, 1, 0, 1]), 4)
    (0.0, -0.6931)
    """
    z = np.asarray(z)
    y, _ = _labels(z, y)
    if z.ndim != 1 or z.dtype.kind not in 'iu':
        raise Refused(f'z has shape {z.shape} and type {z.dtype}: give one integer class per row')
    joint = contingency_matrix(z, y)
    return float(xlogy(joint, joint / joint.sum(1, keepdims=True)).sum() / len(y))


def _nce_of_predictions(p, y):
    return nce(_probability(p).argmax(1), y)


SCORES = {each.__name__: each for each in (logme, h_score, regularised_h_score, transrate, gbc, parc, n_leep)}   # (f, y)
OF_PREDICTIONS = {'leep': leep, 'nce': _nce_of_predictions}   # (p, y), softmax outputs of the source's own head


def _moments(f, y):
    classes, targets = _targets(y)
    return Moments(len(f), f.T @ f, (targets.T @ f).T, (targets * targets).sum(0), classes)


def _sum(a, b):
    """The moments of both, whose classes need not be the same."""
    kinds = [(len(each.gram), len(each.square) if each.classes is None else 'integer') for each in (a, b)]
    if kinds[0] != kinds[1]:
        raise Refused(f'blocks of {kinds[0][0]} features and {kinds[0][1]} labels, and of {kinds[1][0]} and {kinds[1][1]}: give one kind')
    if a.classes is None:
        return Moments(a.n + b.n, a.gram + b.gram, a.cross + b.cross, a.square + b.square, None)
    classes = np.union1d(a.classes, b.classes)
    cross, square = np.zeros((len(a.gram), len(classes))), np.zeros(len(classes))
    for each in (a, b):
        place = np.searchsorted(classes, each.classes)
        cross[:, place] += each.cross
        square[place] += each.square
    return Moments(a.n + b.n, a.gram + b.gram, cross, square, classes)


def _explained(covariance, between, smallest):
    """tr(covariance^+ between between^T), without eigenvalues up to the smallest."""
    values, energy = _spectrum(covariance, between)
    kept = values > smallest
    return float((energy[kept] / values[kept, None]).sum())


def _spectrum(matrix, right):
    """Eigenvalues (d,) of a symmetric matrix (d, d), and (v^T right)^2 (d, c) for its eigenvectors v, right (d, c).

    LAPACK reduces the matrix to a tridiagonal one of the same eigenvalues; only that one's eigenvectors are formed, as those of the
    matrix would cost as much again.
    """
    if len(matrix) == 1:
        return matrix[0], right ** 2
    work = 64 * len(matrix)   # LAPACK's blocks are of 64 columns at most
    reflectors, diagonal, beside, tau, _ = lapack.dsytrd(matrix, lower=1, lwork=work)
    rotated = np.concatenate([right[:1], lapack.dormqr('L', 'T', reflectors[1:, :-1], tau, right[1:], work)[0]])
    values, vectors = eigh_tridiagonal(diagonal, beside)
    return values, (vectors.T @ rotated) ** 2


def _principal(f, components):
    """Principal components of f, those that vary: so many at most, or as many as keep that share of the variance."""
    if not 0 < components < np.inf:
        raise Refused(f'components={components}: give a number above 0')
    pca = PCA(components if components < 1 else min(components, *f.shape), svd_solver='covariance_eigh')
    scores = pca.fit_transform(f - f.mean(0))   # which scikit-learn would subtract from products, where it costs digits
    return scores[:, pca.explained_variance_ > RANK * pca.explained_variance_.sum()]


def _targets(y):
    """The classes of integer labels, or None, and the targets (n, c): one-hot and sparse, or float labels."""
    if y.dtype.kind == 'f':
        return None, y.reshape(len(y), -1).astype(np.float64)
    classes, index = np.unique(y, return_inverse=True)
    return classes, sparse.csr_array((np.ones(len(y)), index, np.arange(len(y) + 1)), shape=(len(y), len(classes)))


def _paired(f, y):
    """f (n, d) and y, integers (n,) or floats (n,) or (n, c), as arrays, or a refusal."""
    f, y = np.asarray(f), np.asarray(y)
    if f.ndim != 2 or not f.size:
        raise Refused(f'f has shape {f.shape}: give features (n, d) of one row or more')
    if y.ndim not in (1, 2) or len(y) != len(f) or not y.size:
        raise Refused(f'f has shape {f.shape} and y {y.shape}: give one label per row')
    if y.dtype.kind not in 'iuf' or y.dtype.kind != 'f' and y.ndim > 1:
        raise Refused(f'y has shape {y.shape} and type {y.dtype}: give one integer class per row, or floats for regression')
    for name, each in (('f', f), ('y', y)):
        if not np.isfinite(each).all():
            raise Refused(f'{name} has {int((~np.isfinite(each)).sum())} values that are not finite: look for where they come from')
    return f, y


def _classified(f, y):
    """f (n, d) in float64, classes numbered from 0 (n,), and their sizes (c,), or a refusal."""
    f, y = _paired(f, y)
    _varying(f)
    return f.astype(np.float64), *_labels(f, y)


def _labels(rows, y):
    """Classes numbered from 0 (n,) and their sizes (c,), or a refusal."""
    y = np.asarray(y)
    if y.ndim != 1 or y.dtype.kind not in 'iu':
        raise Refused(f'y has shape {y.shape} and type {y.dtype}: give one integer class per row')
    if len(y) != len(rows):
        raise Refused(f'{len(rows)} rows and {len(y)} labels: give one label per row')
    classes, y, count = np.unique(y, return_inverse=True, return_counts=True)
    _several(classes)
    return y, count


def _several(classes):
    if classes is not None and len(classes) < 2:
        raise Refused(f'labels of {len(classes)} class{"es" * (len(classes) != 1)}: give examples of two or more')


def _varying(f):
    if (f == f[0]).all():
        raise Refused(f'all {len(f)} rows of f are the same: a source that tells no examples apart has no score')


def _probability(p):
    p = np.asarray(p, np.float64)
    if p.ndim != 2 or not p.size or not (np.isfinite(p) & (p >= 0)).all() or (np.abs(p.sum(1) - 1) > TOLERANCE).any():
        raise Refused(f'p has shape {p.shape} and rows that are no probabilities: give softmax outputs (n, source classes)')
    return p / p.sum(1, keepdims=True)
