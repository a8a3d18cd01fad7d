"""Matching networks: Vinyals et al. 2016, https://arxiv.org/abs/1606.04080.

A query's label is the mean of the support's labels, weighted by attention (equations 1 and 2).
Full-context embeddings are equations 3 to 6 of the appendix.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.kernels import cosines
from tljax.methods.few_shot.episodes import metric
from tljax.nn.layers import apply_stateless

BATCHES = 'episodes'
CACHED = False  # an episode is no labelled set


def matching(
    net: Net, classes: int, context: bool = False, steps: int = 5, scale: float = 1.0
) -> Method:
    """Matching networks: a query attends to the support by cosine similarity.

    p(class | query) = sum over the class's support of softmax(scale * cos(f(query), g(support))),
    where the softmax runs over the whole support.

    Args:
        net: the embedding of queries and support, f' and g' of the paper.
        classes: unused; the episode's shape gives the number of ways.
        context: True for full-context embeddings: g reads the support with an LSTM in both
            directions, and f reads it `steps` times by attention.
        steps: how often f reads the support.
        scale: factor of the cosines; 1 in the paper.

    Returns:
        A Method over params {'backbone'}, and 'head' with context, on batches of episodes
        (`episodes`).

    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> examples = {
    ...     'input': jnp.eye(2).reshape(1, 2, 1, 2),
    ...     'label': jnp.arange(2).reshape(1, 2, 1),
    ... }
    >>> episode = {'support': examples, 'query': examples}
    >>> params = state = {'backbone': {}}
    >>> for scale in (0, 1, 5):  # -log of the right class's attention, sigmoid(scale)
    ...     loss = jax.jit(matching(identity(2), 2, scale=scale).loss)
    ...     print(round(float(loss(params, state, episode, Tick(0, jax.random.key(0)))[0]), 3))
    0.693
    0.313
    0.007
    """

    def compare(head, support, query):
        ways, shots, dim = support.shape
        support = support.reshape(-1, dim)
        if context:
            support, query = apply_stateless(_Context(dim, steps), head, support, query)
        attention = jax.nn.log_softmax(scale * cosines(query, support))
        return jax.nn.logsumexp(attention.reshape(-1, ways, shots), -1)

    def head(key, embedding):
        dim = embedding.shape[-1]
        return _Context(dim, steps).init(key, jnp.zeros((2, dim)), jnp.zeros((1, dim)))['params']

    return metric(net, compare, head if context else None)


class _Context(nn.Module):
    """Full-context embeddings of support (n, dim) and queries (m, dim)."""

    dim: int
    steps: int

    @nn.compact
    def __call__(self, support, query):
        forward = nn.RNN(nn.OptimizedLSTMCell(self.dim), name='forward')
        back = nn.RNN(nn.OptimizedLSTMCell(self.dim), name='back')
        support = support + forward(support) + back(support, reverse=True, keep_order=True)
        cell, dense = nn.OptimizedLSTMCell(self.dim, name='read'), nn.Dense(self.dim, name='join')
        memory = hidden = jnp.zeros_like(query)
        for _ in range(self.steps):
            read = jax.nn.softmax(hidden @ support.T) @ support
            (memory, hidden), _ = cell((memory, dense(jnp.concatenate([hidden, read], -1))), query)
            hidden = hidden + query
        return support, hidden
