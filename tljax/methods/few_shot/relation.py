"""Relation networks: Sung et al. 2018, https://arxiv.org/abs/1711.06025.

A second network learns how similar a query is to a class, in place of a fixed distance. It gives a
relation score in [0, 1] of each query with the sum of a class's embedded support, and is trained by
squared error (equations 1 and 2).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.methods.few_shot.episodes import metric
from tljax.nn.layers import apply_stateless

BATCHES = 'episodes'
CACHED = False  # an episode is no labelled set


def relation(
    net: Net, classes: int, width: int = 8, channels: int = 64, tap: str = 'features'
) -> Method:
    """Relation networks: a learnt score compares each query with each class.

    score(class, query) = sigmoid(g([sum of f(support of the class), f(query)])). The loss is the
    squared error of the score to 1 for the query's class and 0 for other classes.

    Args:
        net: the embedding f.
        classes: unused; the episode's shape gives the number of ways.
        width: of g's hidden layer.
        channels: of g's convolutions, if the embedding is a feature map.
        tap: the intermediate of the network that is compared: a vector, or a feature map as in the
            paper (conv4's 'block4').

    Returns:
        A Method over params {'backbone', 'head'} on batches of episodes (`episodes`). The paper
        has BatchNorm in g. Here every pair is normalised separately, so that no query depends on
        the others.

    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> examples = {
    ...     'input': jnp.eye(2).reshape(1, 2, 1, 2),
    ...     'label': jnp.arange(2).reshape(1, 2, 1),
    ... }
    >>> episode = {'support': examples, 'query': examples}
    >>> method = relation(identity(2), 2)
    >>> params, state = jax.jit(method.init)(jax.random.key(0), episode)
    >>> slope = jax.jit(jax.value_and_grad(method.loss, has_aux=True))
    >>> for i in range(3):  # gradient descent
    ...     (value, _), grads = slope(params, state, episode, Tick(i, jax.random.key(i)))
    ...     params = jax.tree.map(lambda leaf, grad: leaf - grad, params, grads)
    ...     print(round(float(value), 2))
    0.63
    0.55
    0.49
    """

    def compare(head, support, query):
        support = support.sum(1)
        pairs = (query.shape[0], support.shape[0])
        support_side = jnp.broadcast_to(support[None], (*pairs, *support.shape[1:]))
        query_side = jnp.broadcast_to(query[:, None], (*pairs, *query.shape[1:]))
        joint = jnp.concatenate([support_side, query_side], -1).reshape(
            -1, *support.shape[1:-1], 2 * support.shape[-1]
        )
        return apply_stateless(_Relation(width, channels), head, joint).reshape(pairs)

    def head(key, embedding):
        joint = jnp.zeros((1, *embedding.shape[:-1], 2 * embedding.shape[-1]))
        return _Relation(width, channels).init(key, joint)['params']

    def error(logits, label):
        return jnp.square(jax.nn.sigmoid(logits) - jax.nn.one_hot(label, logits.shape[-1])).sum(-1)

    return metric(net, compare, head, tap, error)


class _Relation(nn.Module):
    """The score g of joint embeddings, vectors (n, d) or maps (n, h, w, d): (n, 1)."""

    width: int
    channels: int

    @nn.compact
    def __call__(self, x):
        blocks = 2 if x.ndim == 4 else 0
        for _ in range(blocks):
            x = nn.Conv(self.channels, (3, 3))(x)
            x = nn.relu(nn.GroupNorm(num_groups=None, group_size=1)(x))
            x = nn.max_pool(x, (2, 2), (2, 2), 'SAME')
        x = nn.relu(nn.Dense(self.width, name='hidden')(x.reshape(x.shape[0], -1)))
        return nn.Dense(1, name='score')(x)
