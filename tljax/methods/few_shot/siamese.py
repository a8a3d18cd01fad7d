"""Siamese networks for one-shot recognition: Koch, Zemel and Salakhutdinov 2015, section 3.1.

Two pictures go through the same network. A weighted L1 distance of their features tells whether
they belong to one class.
"""

import jax
import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.methods.few_shot.episodes import metric

BATCHES = 'episodes'
CACHED = False  # an episode is no labelled set


def siamese(net: Net, classes: int) -> Method:
    """Siamese networks: a learnt L1 distance tells whether a query belongs to a class.

    p(same class) = sigmoid(b - sum_j a_j |h_j - h'_j|) for features h of the query and h' of a
    support example. With several shots the logits of a class's examples are averaged. The loss is
    the binary cross-entropy of every query with every class.

    Args:
        net: its features go through a sigmoid to give h, since the paper's units are in [0, 1].
        classes: unused; the episode's shape gives the number of ways.

    Returns:
        A Method over params {'backbone', 'head': {'kernel': (dim,), 'bias': ()}} on batches of
        episodes (`episodes`).

    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> examples = {
    ...     'input': jnp.eye(2).reshape(1, 2, 1, 2),
    ...     'label': jnp.arange(2).reshape(1, 2, 1),
    ... }
    >>> episode = {'support': examples, 'query': examples}
    >>> method = siamese(identity(2), 2)
    >>> params, state = jax.jit(method.init)(jax.random.key(0), episode)
    >>> slope = jax.jit(jax.value_and_grad(method.loss, has_aux=True))
    >>> for i in range(3):  # gradient descent on a and b
    ...     (value, _), grads = slope(params, state, episode, Tick(i, jax.random.key(i)))
    ...     params = jax.tree.map(lambda leaf, grad: leaf - 5 * grad, params, grads)
    ...     print(round(float(value), 2))
    0.59
    0.56
    0.54
    """

    def compare(head, support, query):
        distance = jnp.abs(jax.nn.sigmoid(query)[:, None, None] - jax.nn.sigmoid(support)[None])
        return (head['bias'] - distance @ head['kernel']).mean(-1)

    def head(key, embedding):
        return {'kernel': jnp.ones(embedding.shape), 'bias': jnp.zeros(())}

    def error(logits, label):
        """Half for the pair of one class, half for the mean over the other pairs."""
        ways = logits.shape[-1]
        same = jax.nn.one_hot(label, ways)
        values = jax.nn.softplus(logits) - same * logits
        return (same * values).sum(-1) / 2 + ((1 - same) * values).sum(-1) / (2 * (ways - 1))

    return metric(net, compare, head, error=error)
