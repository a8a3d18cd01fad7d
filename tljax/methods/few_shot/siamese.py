"""Siamese networks for one-shot recognition: Koch, Zemel and Salakhutdinov 2015, section 3.1.

Two pictures go through the same network, and a weighted L1 distance of what comes out tells whether
they are of one class.
"""

import jax
import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.methods.few_shot.episodes import metric

BATCHES = 'episodes'
CACHED = False  # an episode is no labelled set


def siamese(net: Net, classes: int) -> Method:
    """p(same) = sigmoid(b - sum_j a_j |h_j - h'_j|), trained by the binary cross-entropy of every
    query with every class.

    With several shots the logits of a class's examples are averaged.

    Args:
        net: what makes h; the paper's units are in [0, 1], so h is squashed by a sigmoid.
        classes: taken as by every method, for nothing.

    Returns:
        A Method over params {'backbone', 'head': {'kernel': (dim,), 'bias': ()}} on batches of
        episodes (`episodes`).

    >>> from tljax.zoo.families.identity import identity
    >>> one = {'input': jnp.array([[[[1.0, 0.0]], [[0.0, 1.0]]]]), 'label': jnp.array([[[0], [1]]])}
    >>> method = siamese(identity(2), 2)
    >>> params, state = method.init(jax.random.key(0), {'support': one, 'query': one})
    >>> method.predict(params, state, {'support': one, 'query': one})['output'].argmax(-1).tolist()
    [[0, 1]]
    """

    def compare(head, support, query):
        distance = jnp.abs(jax.nn.sigmoid(query)[:, None, None] - jax.nn.sigmoid(support)[None])
        return (head['bias'] - distance @ head['kernel']).mean(-1)

    def head(key, embedding):
        return {'kernel': jnp.ones(embedding.shape), 'bias': jnp.zeros(())}

    def error(logits, label):
        """Same and different pairs count alike, however many ways there are."""
        same = jax.nn.one_hot(label, logits.shape[-1])
        values = jax.nn.softplus(logits) - same * logits
        return (same * values).sum(-1) / 2 + ((1 - same) * values).sum(-1) / (
            2 * (logits.shape[-1] - 1)
        )

    return metric(net, compare, head, error=error)
