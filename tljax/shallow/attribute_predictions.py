"""Zero-shot learning by probabilities: a classifier's answers for seen classes or for attributes
become scores of all classes.

DAP and IAP: Lampert, Nickisch and Harmeling 2009 and 2014
(https://doi.org/10.1109/TPAMI.2013.140). ConSE: Norouzi et al. 2014
(https://arxiv.org/abs/1312.5650).
"""

import numpy as np
from numpy.typing import ArrayLike
from sklearn.linear_model import LogisticRegression

from tljax.core import UserError
from tljax.knowledge import unit_rows, yes_or_no
from tljax.shallow.zero_shot import checked_examples, refuse_not_positive

SMALLEST = 1e-12  # probability; the logarithm of 0 would rule a class out by one attribute


def dap(probability: ArrayLike, vectors: ArrayLike, prior: ArrayLike | None = None) -> np.ndarray:
    """DAP, direct attribute prediction: log-scores of all classes from probabilities of attributes.

    The score of class z is sum_m log(p(a_m = a_m^z | x) / p(a_m = a_m^z)), the logarithm of
    equation 2: attributes are independent, and classes equally likely.

    Args:
        probability: that input i has attribute m, (n, a). A column of NaN is left out: nothing
            was learnt about the attribute.
        vectors: attributes of all classes, (c, a); strengths become 0 and 1 by `yes_or_no`. An
            attribute that a class leaves open (NaN) takes no part in that class's score.
        prior: probability of each attribute, (a,); None for 1/2, which changes no order of classes
            with as many known attributes.

    Returns:
        Scores, (n, c).

    Raises:
        UserError: shapes or probabilities that do not fit.

    Source: Lampert et al. 2014, section 3.1, equation 2.

    >>> zebra, horse = [1.0, 1.0], [1.0, 0.0]
    >>> np.exp(dap([[0.9, 0.8]], [zebra, horse])).round(2).tolist()  # times 4: 1/2 for each prior
    [[2.88, 0.72]]
    """
    probability = np.asarray(probability, float)
    attributes = yes_or_no(vectors)
    if probability.ndim != 2 or probability.shape[1] != attributes.shape[1]:
        raise UserError(
            f'probability has shape {probability.shape}, and the classes {attributes.shape[1]} '
            'attributes: give a column for each'
        )
    a = attributes.shape[1]
    prior = np.full(a, 0.5) if prior is None else np.asarray(prior, float)
    for name, values in (('probability', probability), ('prior', prior)):
        if (values < 0).any() or (values > 1).any():
            raise UserError(f'{name} has values outside of 0 to 1: give probabilities')
    is_known = ~np.isnan(attributes)
    has, lacks = is_known & (attributes == 1), is_known & (attributes == 0)
    yes, no = (
        np.nan_to_num(np.log(np.maximum(p, SMALLEST)) - np.log(np.maximum(q, SMALLEST)))
        for p, q in ((probability, prior), (1 - probability, 1 - prior))
    )
    return yes @ has.T + no @ lacks.T


def attribute_probabilities(
    x: ArrayLike, y: ArrayLike, vectors: ArrayLike, new: ArrayLike, penalty: float = 1.0
) -> np.ndarray:
    """Probabilities of attributes by a logistic regression for each, as `dap` takes them.

    An example has the attributes of its class. Examples weigh as much as makes their classes equal.

    Args:
        x: features, (n, d).
        y: rows of `vectors`, (n,) integers.
        vectors: attributes of all classes, (c, a).
        new: features of inputs to tell the attributes of, (m, d).
        penalty: penalty / 2 times the squared coefficients is added to the summed log loss.

    Returns:
        (m, a); NaN for an attribute that all seen classes share, or that none of them states.

    Raises:
        UserError: as `zero_shot.checked_examples`, and for a penalty that is not positive.

    Source: Lampert et al. 2014, section 4.3.

    >>> x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])
    >>> attribute_probabilities(x, y, [[0, 1], [1, 1], [1, 0]], [[3.0]]).round(1).tolist()
    [[0.8, nan]]
    """
    x, y, _ = checked_examples(x, y, vectors)
    refuse_not_positive(penalty=penalty)
    new, attributes = np.asarray(new, float), yes_or_no(vectors)
    counts = np.bincount(y)
    weight = len(y) / (np.count_nonzero(counts) * counts[y])
    probability = np.full((len(new), attributes.shape[1]), np.nan)
    for m, column in enumerate(attributes.T):
        rows = ~np.isnan(column[y])
        label = column[y[rows]]
        if len(np.unique(label)) == 2:
            classifier = LogisticRegression(C=1 / penalty, max_iter=1000)
            classifier.fit(x[rows], label, weight[rows])
            probability[:, m] = classifier.predict_proba(new)[:, 1]
    return probability


def attribute_prior(y: ArrayLike, vectors: ArrayLike) -> np.ndarray:
    """Share of the seen classes that have each attribute, (a,).

    An attribute that all of them have, or none, gets 1/2: it is left out by `dap` anyway.

    Args:
        y: rows of `vectors`, (n,) integers.
        vectors: attributes of all classes, (c, a).

    Source: Lampert et al. 2014, section 3.1.

    >>> attribute_prior([0, 0, 1], [[1, 1, 0], [0, 1, 0], [0, 0, 1]]).tolist()
    [0.5, 0.5, 0.5]
    """
    seen = yes_or_no(vectors)[np.unique(y)]
    count = (~np.isnan(seen)).sum(0)
    share = np.nansum(seen, 0) / np.maximum(count, 1)
    return np.where((share > 0) & (share < 1), share, 0.5)


def iap(
    probability: ArrayLike, seen: ArrayLike, vectors: ArrayLike, prior: ArrayLike | None = None
) -> np.ndarray:
    """IAP, indirect attribute prediction: log-scores of all classes from those of seen classes.

    An attribute's probability is that of the seen classes that have it, p(a_m | x) = sum_k p(a_m |
    k) p(k | x), and `dap` does the rest.

    Args:
        probability: of the seen classes, (n, k).
        seen: rows of `vectors` of the seen classes, (k,) integers.
        vectors: attributes of all classes, (c, a). What a seen class leaves open is taken as 1/2.
        prior: probability of each attribute, (a,); None for 1/2.

    Returns:
        Scores, (n, c).

    Raises:
        UserError: as `dap`, and for probabilities of another number of classes.

    Source: Lampert et al. 2014, section 3.2, equation 5.

    >>> horse, tiger, zebra = [1, 0], [0, 1], [1, 1]
    >>> iap([[0.5, 0.5]], [0, 1], [horse, tiger, zebra]).tolist()  # all is open
    [[0.0, 0.0, 0.0]]
    """
    probability, attributes = _of_seen(probability, seen), yes_or_no(vectors)
    of_seen = np.where(np.isnan(attributes), 0.5, attributes)[np.asarray(seen)]
    return dap(np.clip(probability @ of_seen, 0, 1), vectors, prior)


def conse(probability: ArrayLike, seen: ArrayLike, vectors: ArrayLike, top: int = 10) -> np.ndarray:
    """ConSE: an input is described by the convex combination of the descriptions of its most
    probable seen classes, and compared with all classes.

    f(x) = sum_t p_t s_t / sum_t p_t over the `top` most probable seen classes. Nothing is trained.

    Args:
        probability: of the seen classes, (n, k).
        seen: rows of `vectors` of the seen classes, (k,) integers.
        vectors: descriptions of all classes, (c, a). Rows are scaled to the length 1.
        top: number of seen classes in the combination (T in the paper).

    Returns:
        Scores: cosines of f(x) and every description, (n, c).

    Raises:
        UserError: probabilities of another number of classes, and `top` below 1.

    Source: Norouzi et al. 2014, equations 3 and 4.

    >>> horse, tiger, zebra = [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]
    >>> conse([[0.5, 0.5]], [0, 1], [horse, tiger, zebra]).argmax(1)
    array([2])
    """
    probability, vectors = _of_seen(probability, seen), unit_rows(vectors)
    if top < 1:
        raise UserError(f'top={top}: give a whole number, 1 or more')
    order = np.argsort(-probability, 1, kind='stable')[:, :top]
    kept = np.zeros_like(probability)
    np.put_along_axis(kept, order, np.take_along_axis(probability, order, 1), 1)
    return unit_rows(kept @ vectors[np.asarray(seen)]) @ vectors.T


def _of_seen(probability: ArrayLike, seen: ArrayLike) -> np.ndarray:
    """Probabilities of the seen classes, or an error where their number is another."""
    probability = np.asarray(probability, float)
    if probability.ndim != 2 or probability.shape[1] != len(np.asarray(seen)):
        raise UserError(
            f'probability has shape {probability.shape}, and there are {len(np.asarray(seen))} '
            'seen classes: give a column for each'
        )
    return probability
