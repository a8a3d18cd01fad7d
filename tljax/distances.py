"""How far two domains lie apart, from features of both, and what each distance can and cannot tell."""
import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from tljax.core import Refused


def proxy_a_distance(xs, xt, penalties=(1e-4, 1e-3, 1e-2, 1e-1, 1.), seed=0):
    """2 (1 - 2 error) of the best linear classifier that tells the domains apart: 0 where none can, 2 where one always can.

    It tells whether features carry the domain, not whether that hurts: a constant has distance 0. Ben-David et al. 2006, section 4
    (https://papers.nips.cc/paper/2983-analysis-of-representations-for-domain-adaptation), as Ganin et al. 2016, section 5.1.5.

    Args:
        xs: (n, d), xt: (m, d) features of source and target. penalties: C of the linear support vector machines, the best of which
            counts. seed: of the two halves, for fitting and for the error, and of a larger domain's share as large as the smaller.

    Returns:
        A float, at least 0.

    Raises:
        Refused: for domains of fewer than ten rows, other columns, or values that are not finite.

    >>> rng = np.random.default_rng(0)
    >>> proxy_a_distance(rng.normal(size=(50, 2)), rng.normal(9, size=(50, 2)))
    2.0
    """
    xs, xt = np.asarray(xs, float), np.asarray(xt, float)
    if xs.ndim != 2 or xs.shape[1:] != xt.shape[1:] or min(len(xs), len(xt)) < 10 or not (np.isfinite(xs).all() and np.isfinite(xt).all()):
        raise Refused(f'domains {xs.shape} and {xt.shape}: give ten finite rows of the same columns or more of each')
    size = min(len(xs), len(xt))
    rng = np.random.default_rng(seed)
    x = np.concatenate([rng.permutation(xs)[:size], rng.permutation(xt)[:size]])
    domain = np.repeat([0, 1], size)
    fit_x, test_x, fit_y, test_y = train_test_split(x, domain, test_size=.5, random_state=seed, stratify=domain)
    errors = [1 - make_pipeline(StandardScaler(), LinearSVC(C=penalty, dual='auto')).fit(fit_x, fit_y).score(test_x, test_y)
              for penalty in penalties]
    return float(max(0., 2 * (1 - 2 * min(errors))))
