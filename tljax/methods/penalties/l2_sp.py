"""L2-SP: Xuhong, Grandvalet and Davoine 2018, https://arxiv.org/abs/1802.01483, equation 6."""

import jax.numpy as jnp
from flax.traverse_util import unflatten_dict

from tljax.methods.combinators import Penalty
from tljax.paths import flatten, select


def l2_sp(alpha: float = 0.1, beta: float = 0.01, pattern: str = 'backbone/.*') -> Penalty:
    """L2-SP: penalises the distance of transferred parameters from their starting point.

    The term is alpha/2 |w - w0|^2 over the transferred parameters + beta/2 |w|^2 over the others.
    The starting point w0 holds the values before the first step, grafts included.

    Args:
        alpha: weight of the transferred parameters.
        beta: weight of the other parameters.
        pattern: regex of the paths of the transferred parameters.

    Source: Xuhong, Grandvalet and Davoine, Explicit inductive bias for transfer learning with
    convolutional networks, 2018, equation 6 (https://arxiv.org/abs/1802.01483).

    >>> penalty = l2_sp(alpha=2.0, beta=2.0, pattern='a')
    >>> memory = penalty.init({'a': jnp.ones(1), 'b': jnp.ones(1)})
    >>> float(penalty.value({'a': jnp.full(1, 3.0), 'b': jnp.full(1, 3.0)}, memory))  # 2^2 + 3^2
    13.0
    """

    def init(params):
        return unflatten_dict(select(params, pattern), sep='/')

    def value(params, memory):
        start, leaves = flatten(memory), flatten(params)
        distance = sum(
            jnp.sum((leaf - start[path]) ** 2) for path, leaf in leaves.items() if path in start
        )
        size = sum(jnp.sum(leaf**2) for path, leaf in leaves.items() if path not in start)
        return alpha / 2 * distance + beta / 2 * size

    return Penalty('l2_sp', init, value)
