"""Pseudo-labels: the labels that a model predicts for unlabelled examples between two phases of
training."""

import numpy as np

from tljax.kernels import cosines

# A config may also name 'given': the data's own labels, for an oracle.
NAMES = ('centroids',)


def centroids(features: np.ndarray, logits: np.ndarray, rounds: int = 2) -> np.ndarray:
    """SHOT's pseudo-labels: the class of the centroid that is nearest by cosine.

    The first centroids are means of all features, weighted by the softmax of the logits. Later
    centroids are the means of the features with each pseudo-label.

    Args:
        features: (n, d).
        logits: (n, c).
        rounds: how often the examples are assigned to centroids.

    Returns:
        The pseudo-labels, (n,) int32.

    Source: Liang, Hu and Feng 2020, equations 4 to 6.

    >>> centroids(
    ...     np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]),
    ...     np.array([[9.0, 0.0], [0.0, 1.0], [0.0, 9.0]]),
    ... ).tolist()
    [0, 0, 1]
    """
    features = np.column_stack([features, np.ones(len(features))])  # the bias is a feature, too
    membership = np.exp(logits - logits.max(1, keepdims=True))
    membership /= membership.sum(1, keepdims=True)
    for _ in range(rounds):
        means = membership.T @ features / (membership.sum(0)[:, None] + 1e-8)
        similarity = np.asarray(cosines(features, means))
        # a class without a member has no centroid
        label = np.where(membership.sum(0) > 0, similarity, -np.inf).argmax(1)
        membership = np.eye(logits.shape[1])[label]
    return label.astype(np.int32)
