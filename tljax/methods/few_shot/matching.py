"""Matching networks: Vinyals et al. 2016, https://arxiv.org/abs/1606.04080.

A query's label is the mean of the support's, weighted by attention: equations 1 and 2, and 3 to 6
of the appendix for full context.
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
    """p(class | query) = sum over the class's support of softmax(scale * cos(f(query),
    g(support))).

    Args:
        net: what embeds both, f' and g'.
        classes: taken as by every method, for nothing: an episode's shape tells its ways.
        context: full-context embeddings: g reads the support with an LSTM in both directions, f
            reads it `steps` times by attention.
        steps: of f's reading.
        scale: what cosines are multiplied by; 1 in the paper.

    Returns:
        A Method over params {'backbone'}, and 'head' with context, on batches of episodes
        (`episodes`).

    >>> from tljax.zoo.families.identity import identity
    >>> one = {'input': jnp.array([[[[1.0, 0.0]], [[0.0, 1.0]]]]), 'label': jnp.array([[[0], [1]]])}
    >>> method = matching(identity(2), 2)
    >>> out = jax.jit(method.predict)(
    ...     {'backbone': {}}, {'backbone': {}}, {'support': one, 'query': one}
    ... )['output']
    >>> [[round(float(p), 3) for p in row] for row in jnp.exp(out)[0]]
    [[0.731, 0.269], [0.269, 0.731]]
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
    dim: int
    steps: int

    @nn.compact
    def __call__(self, support, query):
        forward, back = (
            nn.RNN(nn.OptimizedLSTMCell(self.dim), name=name) for name in ('forward', 'back')
        )
        support = support + forward(support) + back(support, reverse=True, keep_order=True)
        cell, dense = nn.OptimizedLSTMCell(self.dim, name='read'), nn.Dense(self.dim, name='join')
        memory, hidden = (jnp.zeros_like(query),) * 2
        for _ in range(self.steps):
            read = jax.nn.softmax(hidden @ support.T) @ support
            (memory, hidden), _ = cell((memory, dense(jnp.concatenate([hidden, read], -1))), query)
            hidden = hidden + query
        return support, hidden
