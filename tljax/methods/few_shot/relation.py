"""Relation networks: Sung et al. 2018, https://arxiv.org/abs/1711.06025. How alike two things are
is learnt, not a distance.

Equations 1 and 2: a relation score in [0, 1] of each query with the sum of a class's embedded
support, trained by squared error.
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
    """score(class, query) = sigmoid(g([sum of f(support of the class), f(query)])); the loss is its
    squared error to 1 or 0.

    Args:
        net: the embedding f.
        classes: taken as by every method, for nothing: an episode's shape tells its ways.
        width: of g's hidden layer.
        channels: of g's convolutions, where the embedding is a map.
        tap: which of the network's intermediates is compared: a vector, or a map, as in the paper
            (conv4's 'block4').

    Returns:
        A Method over params {'backbone', 'head'} on batches of episodes (`episodes`). Where the
        paper has BatchNorm in g, each pair is normalised by itself, so that no query depends on the
        others.

    >>> from tljax.zoo.families.identity import identity
    >>> one = {'input': jnp.array([[[[1.0, 0.0]], [[0.0, 1.0]]]]), 'label': jnp.array([[[0], [1]]])}
    >>> method = relation(identity(2), 2)
    >>> params, state = jax.jit(method.init)(jax.random.key(0), {'support': one, 'query': one})
    >>> jax.jit(method.predict)(params, state, {'support': one, 'query': one})['output'].shape
    (1, 2, 2)
    """

    def compare(head, support, query):
        support = support.sum(1)
        pairs = (len(query), len(support))
        left, right = (
            jnp.broadcast_to(support[None], (*pairs, *support.shape[1:])),
            jnp.broadcast_to(query[:, None], (*pairs, *query.shape[1:])),
        )
        both = jnp.concatenate([left, right], -1).reshape(
            -1, *support.shape[1:-1], 2 * support.shape[-1]
        )
        return apply_stateless(_Relation(width, channels), head, both).reshape(pairs)

    def head(key, embedding):
        both = jnp.zeros((1, *embedding.shape[:-1], 2 * embedding.shape[-1]))
        return _Relation(width, channels).init(key, both)['params']

    def error(logits, label):
        return jnp.square(jax.nn.sigmoid(logits) - jax.nn.one_hot(label, logits.shape[-1])).sum(-1)

    return metric(net, compare, head, tap, error)


class _Relation(nn.Module):
    width: int
    channels: int

    @nn.compact
    def __call__(self, x):
        for _ in range(2 if x.ndim == 4 else 0):
            x = nn.relu(
                nn.GroupNorm(num_groups=None, group_size=1)(nn.Conv(self.channels, (3, 3))(x))
            )
            x = nn.max_pool(x, (2, 2), (2, 2), 'SAME')
        return nn.Dense(1, name='score')(
            nn.relu(nn.Dense(self.width, name='hidden')(x.reshape(len(x), -1)))
        )
