"""Transfer between feature spaces by labels, where there are no pairs: heterogeneous feature
augmentation (HFA).

Maps P (k, ds) and Q (k, dt) take rows of both spaces to a common one, and the mapped row is added
to the row itself: phi(x) = [P x, x, 0] for the source and [Q x, 0, x] for the target. A linear
classifier of phi has weights of the common part, of the source's and of the target's. Labels alone
decide what P and Q are: they are learnt with the classifier.

What can be learnt this way is limited. The penalty on the maps and on the common weights Wc is, at
its minimum, the sum of the singular values of [Wc P, Wc Q], which has a row for each class. Through
it, the source says which classes are alike, as their weights have directions in common. It can say
no more: a rotation of the source's space changes nothing for the target. With a map for each class,
as the paper's classifiers of two classes have them, there is one row, and the source says nothing
about any direction in the target's space. Maps are therefore shared by all classes here.

Source: Duan, Xu and Tsang, Learning with augmented features for heterogeneous domain adaptation,
2012, equations 1 to 3 (https://arxiv.org/abs/1206.4660); Li, Duan, Xu and Tsang 2014
(https://doi.org/10.1109/TPAMI.2013.167).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from numpy.typing import ArrayLike
from scipy.optimize import minimize

from tljax.core import UserError
from tljax.kernels import in_float64
from tljax.shallow.pairs import with_columns


class Augmented(NamedTuple):
    """A classifier of the target, and the maps of both spaces.

    Attributes:
        classes: the labels, (c,), in increasing order.
        weights: of the target's rows, those of the common part included, (c, dt).
        bias: (c,), the same in both domains.
        source: P, (c, ds).
        target: Q, (c, dt).
        value: the minimum that was found.

    >>> two = Augmented(np.array([3, 7]), np.array([[1.0], [-1.0]]), np.zeros(2), *3 * [np.ones(1)])
    >>> two.predict([[2.0], [-2.0]])
    array([3, 7])
    """

    classes: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    source: np.ndarray
    target: np.ndarray
    value: np.ndarray

    def predict(self, x: ArrayLike) -> np.ndarray:
        """Labels of the largest scores, (m,).

        Args:
            x: rows of the target, (m, dt).

        Raises:
            UserError: for rows with other columns than the target's.
        """
        x = with_columns(x, self.weights.shape[1])
        return self.classes[(x @ self.weights.T + self.bias).argmax(1)]


def hfa(
    xs: ArrayLike,
    ys: ArrayLike,
    xt: ArrayLike,
    yt: ArrayLike,
    own: float = 0.1,
    common: float = 0.1,
    rounds: int = 1000,
) -> Augmented:
    """HFA with maps that all classes share.

    It minimises the mean loss of the source, plus that of the target, plus own / 2 (|Ws|^2 +
    |Wt|^2) + common / 2 (|Wc|^2 + |P|^2 + |Q|^2). The loss of a row is the sum over classes of
    max(0, 1 - s f)^2, where s is 1 for its own class and -1 for the others, and f is the class's
    score. The paper has the hinge itself, and bounds the maps in place of a penalty; a bound and a
    penalty have the same solutions. The paper's loss counts every row the same, so that a large
    source drowns a few rows of the target; here each domain counts the same.

    Args:
        xs: rows of the source, (ns, ds).
        ys: their labels, (ns,).
        xt: rows of the target, (nt, dt).
        yt: their labels, (nt,); no other classes than those of ys.
        own: penalty on the weights of each domain's own rows. Each space is divided by the root
            mean square length of its rows first.
        common: penalty on the maps and on the weights of the common part. Above the largest
            singular value of the loss's gradient they are 0, and nothing is transferred.
        rounds: largest number of steps of L-BFGS.

    Returns:
        `Augmented`.

    Raises:
        UserError: for rows that are not finite, labels that do not fit them, fewer than two
            classes, classes of the target that the source does not have, and penalties that are not
            positive.

    >>> xs, ys = np.repeat(np.eye(3), 2, axis=0), np.repeat([0, 1, 2], 2)
    >>> xt, yt = np.array([[5.0, 0.0], [0.0, 5.0], [-5.0, -5.0]]), np.array([0, 1, 2])
    >>> hfa(xs, ys, xt, yt).predict([[3.0, 0.0], [0.0, 3.0], [-2.0, -3.0]])
    array([0, 1, 2])
    """
    (xs, ys), (xt, yt) = _checked(xs, ys, 'xs', 'ys'), _checked(xt, yt, 'xt', 'yt')
    classes = np.unique(ys)
    if len(classes) < 2 or not np.isin(yt, classes).all():
        raise UserError(
            f'the source has the classes {classes.tolist()} and the target '
            f'{np.unique(yt).tolist()}: give the source two or more, and all of the target'
        )
    for name, value in (('own', own), ('common', common), ('rounds', rounds)):
        if not 0 < value < np.inf:
            raise UserError(f'{name}={value}: give a positive number')
    (zs, back_s), (zt, back_t) = _reduced(xs), _reduced(xt)
    signs = [np.where(y[:, None] == classes, 1.0, -1.0) for y in (ys, yt)]
    start = _start(len(classes), zs.shape[1], zt.shape[1])
    params, value = _minimum(start, zs, signs[0], zt, signs[1], own, common, rounds)
    return Augmented(
        classes,
        (params['wc'] @ params['q'] + params['wt']) @ back_t,
        params['b'],
        params['p'] @ back_s,
        params['q'] @ back_t,
        value,
    )


def _start(c, ds, dt):
    """Maps of 0, from which the loss leads away, and common weights that tell the classes apart."""
    return {
        'p': np.zeros((c, ds)),
        'q': np.zeros((c, dt)),
        'wc': np.eye(c),
        'ws': np.zeros((c, ds)),
        'wt': np.zeros((c, dt)),
        'b': np.zeros(c),
    }


@in_float64
def _minimum(start, zs, ss, zt, st, own, common, rounds):
    """The parameters with the smallest objective, by L-BFGS, and its value."""
    flat, unravel = ravel_pytree(start)
    zs, ss, zt, st = (jnp.asarray(x) for x in (zs, ss, zt, st))

    def value_and_gradient(x):
        value, gradient = _descent(unravel(jnp.asarray(x)), zs, ss, zt, st, own, common)
        return float(value), np.asarray(ravel_pytree(gradient)[0])

    found: Any = minimize(
        value_and_gradient,
        np.asarray(flat),
        jac=True,
        method='L-BFGS-B',
        options=dict(maxiter=rounds, maxfun=2 * rounds, ftol=1e-12, gtol=1e-7),
    )
    return unravel(jnp.asarray(found.x)), jnp.asarray(found.fun)


def _objective(params, xs, ss, xt, st, own, common):
    """The objective of `hfa`: a scalar. Signs ss (ns, c) and st (nt, c) are 1 for a row's class."""

    def loss(x, sign, to_common, weights):
        score = x @ (params['wc'] @ to_common + weights).T + params['b']
        return (jnp.maximum(1 - sign * score, 0) ** 2).sum(1).mean()

    def squares(*names):
        return sum((params[name] ** 2).sum() for name in names) / 2

    return (
        loss(xs, ss, params['p'], params['ws'])
        + loss(xt, st, params['q'], params['wt'])
        + own * squares('ws', 'wt')
        + common * squares('wc', 'p', 'q')
    )


_descent = jax.jit(jax.value_and_grad(_objective))


def _reduced(x):
    """Rows x / unit in an orthonormal basis of their span, z (n, r), and the way back (r, d).

    Weights w of z are the weights w @ back of x. No minimum has weights outside the span.
    """
    unit = np.sqrt((x**2).sum(1).mean())
    if x.shape[1] <= len(x):
        return x / unit, np.eye(x.shape[1]) / unit
    left, values, right = np.linalg.svd(x / unit, full_matrices=False)
    return left * values, right / unit


def _checked(x, y, name, label):
    """Rows in float64 and their labels, if they fit."""
    x, y = np.asarray(x, float), np.asarray(y)
    if x.ndim != 2 or not x.size or not np.isfinite(x).all() or not x.any():
        raise UserError(f'{name} {x.shape}: give rows of finite features, (n, d), not all of 0')
    if y.shape != (len(x),):
        raise UserError(
            f'{label} {y.shape} for the {len(x)} rows of {name}: give one label per row'
        )
    return x, y
