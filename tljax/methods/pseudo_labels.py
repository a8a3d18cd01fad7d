"""Labels that a model gives to examples which have none, between one phase of training and the
next."""

import numpy as np

from tljax.kernels import cosines

# what a config may name, beside 'given': the data's own labels, for an oracle
NAMES = ('centroids',)


def centroids(features: np.ndarray, logits: np.ndarray, rounds: int = 2) -> np.ndarray:
    """The class of the nearest centroid of features, by cosine: SHOT's pseudo-labels (Liang, Hu and
    Feng 2020, equations 4 to 6).

    Args:
        features: (n, d).
        logits: (n, c): the first centroids are means weighted by their softmax, the later ones
            means of classes.
        rounds: how often examples are assigned.

    Returns:
        (n,) int32.

    >>> centroids(
    ...     np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]),
    ...     np.array([[9.0, 0.0], [0.0, 1.0], [0.0, 9.0]]),
    ... ).tolist()
    [0, 0, 1]
    """
    features = np.column_stack([features, np.ones(len(features))])  # the bias is a feature, too
    belongs = np.exp(logits - logits.max(1, keepdims=True))
    belongs /= belongs.sum(1, keepdims=True)
    for _ in range(rounds):
        means = belongs.T @ features / (belongs.sum(0)[:, None] + 1e-8)
        distance = np.asarray(cosines(features, means))
        # a class without a member has no centroid
        label = np.where(belongs.sum(0) > 0, distance, -np.inf).argmax(1)
        belongs = np.eye(logits.shape[1])[label]
    return label.astype(np.int32)
