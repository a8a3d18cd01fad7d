"""MetaOptNet: Lee, Maji, Ravichandran and Soatto 2019, https://arxiv.org/abs/1904.03758: a support
vector machine within an episode.

The multi-class machine of Crammer and Singer is solved in its dual (equations 9 to 12), and the
gradient goes through the solution. With ridge regression in its place the method is `ridge`.
"""

import jax
import jax.numpy as jnp
import optax
from jax import lax

from tljax.core import Method, Net
from tljax.methods.few_shot.episodes import metric

BATCHES = 'episodes'
CACHED = False  # an episode is no labelled set


def metaoptnet(net: Net, classes: int, penalty: float = 0.1, steps: int = 60) -> Method:
    """logits = scale * f(query) W, W minimising |W|^2 / 2 + penalty * sum over the support of max
    over classes of the margin's violation.

    The dual, max over a of sum_i a_i,y(i) - |X' a|^2 / 2 with rows a_i that sum to 0 and stay below
    penalty * one-hot(y(i)), is a quadratic programme over simplices: b = penalty * one-hot - a. It
    is solved by accelerated projected gradient (Beck and Teboulle 2009; the momentum is i / (i +
    3)), and differentiated through its steps.

    Args:
        net: the embedding f.
        classes: taken as by every method, for nothing.
        penalty: C of the paper.
        steps: of the solver.

    Returns:
        A Method over params {'backbone', 'head': {'scale'}} on batches of episodes (`episodes`).

    >>> from tljax.zoo.families.identity import identity
    >>> one = {'input': jnp.array([[[[1.0, 0.0]], [[0.0, 1.0]]]]), 'label': jnp.array([[[0], [1]]])}
    >>> method = metaoptnet(identity(2), 2, penalty=10.0)
    >>> params, state = jax.jit(method.init)(jax.random.key(0), {'support': one, 'query': one})
    >>> jax.jit(method.predict)(params, state, {'support': one, 'query': one})['output'].round(
    ...     3
    ... ).tolist()
    [[[0.5, -0.5], [-0.5, 0.5]]]
    """

    def compare(head, support, query):
        ways, shots, dim = support.shape
        x, y = support.reshape(-1, dim), jnp.repeat(jnp.eye(ways), shots, 0)
        return head['scale'] * (query @ x.T @ dual(x @ x.T, y, penalty, steps))

    return metric(net, compare, lambda key, embedding: {'scale': jnp.ones(())})


def dual(kernel: jax.Array, y: jax.Array, penalty: float, steps: int) -> jax.Array:
    """The dual variables a (n, c) of Crammer and Singer's machine for a kernel matrix (n, n) and
    one-hot labels y (n, c).

    Args:
        kernel: (n, n).
        y: one-hot labels, (n, c).
        penalty: C of the machine.
        steps: of the accelerated gradient ascent.

    >>> dual(jnp.eye(2), jnp.eye(2), penalty=10.0, steps=50).round(3).tolist()
    [[0.5, -0.5], [-0.5, 0.5]]
    """
    # the largest row sum bounds the largest eigenvalue
    rate = 1 / lax.stop_gradient(jnp.abs(kernel).sum(1).max() + 1e-6)
    onto = jax.vmap(lambda row: optax.projections.projection_simplex(row, penalty))

    def step(carry, i):
        a, ahead = carry
        new = penalty * y - onto(penalty * y - ahead - rate * (y - kernel @ ahead))
        return (new, new + i / (i + 3) * (new - a)), None

    return lax.scan(step, (jnp.zeros_like(y),) * 2, jnp.arange(steps, dtype=y.dtype))[0][0]
