"""Label propagation: what is known of some nodes spreads along the links of a graph: Zhou,
Bousquet, Lal, Weston and Schölkopf, Learning with local and global consistency, 2004.

The links may be those of a target whose nodes a model of a source has judged: the propagation then
makes neighbours agree.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import coo_array, diags_array

from tljax.core import UserError


def propagate_labels(
    edges: ArrayLike, scores: ArrayLike, strength: float = 0.8, steps: int = 50
) -> np.ndarray:
    """Spreads scores of classes along edges.

    F starts as Y, the scores, and becomes strength S F + (1 - strength) Y at each step, where S is
    D^-1/2 A D^-1/2. The limit is (1 - strength) (I - strength S)^-1 Y.

    Args:
        edges: pairs of node numbers, (m, 2), in both directions where links have none. Loops and
            edges that are given twice count once.
        scores: Y, (n, classes), not negative: 1 at the class of a labelled node, 0 for the others,
            or a model's probabilities.
        strength: the paper's alpha, from 0 to below 1.
        steps: number of steps.

    Returns:
        F, (n, classes). A node that no score reaches has a row of zeros: it has no class, and an
        argmax over it would wrongly say the first.

    Raises:
        UserError: negative scores or values that are not finite, numbers of nodes that do not
            exist, no score at all, and settings out of range.

    >>> edges = [(0, 1), (1, 0), (1, 2), (2, 1)]
    >>> found = propagate_labels(edges, [[1, 0], [0, 0], [0, 0], [0, 0]])
    >>> (found > 0).tolist()  # node 3 has no neighbours
    [[True, False], [True, False], [True, False], [False, False]]
    """
    scores, edges = np.asarray(scores, float), np.asarray(edges, int).reshape(-1, 2)
    if scores.ndim != 2 or not scores.size or not np.isfinite(scores).all() or scores.min() < 0:
        raise UserError(f'scores of shape {scores.shape}: give (n, classes) of 0 or more')
    if not scores.any():
        raise UserError('no node has a score: there is nothing to propagate')
    n = len(scores)
    if edges.size and not 0 <= edges.min() <= edges.max() < n:
        raise UserError(f'edges name the nodes {edges.min()} to {edges.max()}, and there are {n}')
    if not 0 <= strength < 1 or steps < 1:
        raise UserError(
            f'strength={strength}, steps={steps}: give a share from 0 to below 1, and a step or '
            'more'
        )
    edges = np.unique(edges[edges[:, 0] != edges[:, 1]], axis=0)
    links = coo_array((np.ones(len(edges)), edges.T), (n, n)).tocsr()
    degree = np.maximum(links.sum(1), 1)
    scale = diags_array(1 / np.sqrt(degree))
    smooth = scale @ links @ scale
    found = scores
    for _ in range(steps):
        found = strength * (smooth @ found) + (1 - strength) * scores
    return found
