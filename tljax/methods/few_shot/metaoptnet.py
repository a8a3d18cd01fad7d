"""MetaOptNet: Lee, Maji, Ravichandran and Soatto 2019, https://arxiv.org/abs/1904.03758.

Every episode trains a support vector machine on its support: the multi-class machine of Crammer and
Singer, solved in its dual (equations 9 to 12). The gradient goes through the solution. `ridge` is
the same with ridge regression instead.
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
    """MetaOptNet: classifies queries by a support vector machine, trained on the support.

    logits = scale * f(query) W, where W minimises |W|^2 / 2 + penalty * sum over the support of max
    over classes of the margin's violation. `dual` solves this problem.

    Args:
        net: the embedding f.
        classes: unused; the episode's shape gives the number of ways.
        penalty: C of the paper.
        steps: of the solver.

    Returns:
        A Method over params {'backbone', 'head': {'scale'}} on batches of episodes (`episodes`).

    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> examples = {
    ...     'input': jnp.eye(2).reshape(1, 2, 1, 2),
    ...     'label': jnp.arange(2).reshape(1, 2, 1),
    ... }
    >>> episode = {'support': examples, 'query': examples}
    >>> params, state = {'backbone': {}, 'head': {'scale': jnp.ones(())}}, {'backbone': {}}
    >>> for penalty in (0.01, 0.1, 10.0):  # the machine separates the classes better and better
    ...     loss = jax.jit(metaoptnet(identity(2), 2, penalty).loss)
    ...     print(round(float(loss(params, state, episode, Tick(0, jax.random.key(0)))[0]), 2))
    0.68
    0.6
    0.31
    """

    def compare(head, support, query):
        ways, shots, dim = support.shape
        x, y = support.reshape(-1, dim), jnp.repeat(jnp.eye(ways), shots, 0)
        return head['scale'] * (query @ x.T @ dual(x @ x.T, y, penalty, steps))

    return metric(net, compare, lambda key, embedding: {'scale': jnp.ones(())})


def dual(kernel: jax.Array, y: jax.Array, penalty: float, steps: int) -> jax.Array:
    """Dual variables a (n, c) of Crammer and Singer's support vector machine.

    They maximise sum_i a_i,y(i) - |X' a|^2 / 2, where every row a_i sums to 0 and stays below
    penalty * one-hot(y(i)). This is a quadratic programme over simplices: b = penalty * one-hot -
    a. The solver is accelerated projected gradient ascent (Beck and Teboulle 2009; the momentum is
    i / (i + 3)), and gradients pass through its steps.

    Args:
        kernel: X X', (n, n).
        y: one-hot labels, (n, c).
        penalty: C of the machine.
        steps: of the solver.

    >>> dual(jnp.eye(2), jnp.eye(2), penalty=10.0, steps=50).round(3).tolist()
    [[0.5, -0.5], [-0.5, 0.5]]
    """
    # the largest row sum bounds the largest eigenvalue
    rate = 1 / lax.stop_gradient(jnp.abs(kernel).sum(1).max() + 1e-6)
    project = jax.vmap(lambda row: optax.projections.projection_simplex(row, penalty))

    def step(carry, i):
        a, lookahead = carry
        gradient = y - kernel @ lookahead
        new_a = penalty * y - project(penalty * y - lookahead - rate * gradient)
        return (new_a, new_a + i / (i + 3) * (new_a - a)), None

    start = jnp.zeros_like(y)
    (a, _), _ = lax.scan(step, (start, start), jnp.arange(steps, dtype=y.dtype))
    return a
