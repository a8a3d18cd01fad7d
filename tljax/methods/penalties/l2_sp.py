"""L2-SP: Xuhong, Grandvalet and Davoine 2018, https://arxiv.org/abs/1802.01483, equation 6."""

import jax.numpy as jnp
from flax.traverse_util import unflatten_dict

from tljax.methods.combinators import Penalty
from tljax.paths import flatten, select


def l2_sp(alpha: float = 0.1, beta: float = 0.01, pattern: str = 'backbone/.*') -> Penalty:
    """The starting point as reference: alpha/2 |w - w0|^2 on what was transferred, beta/2 |w|^2 on
    the rest.

    Xuhong, Grandvalet and Davoine, Explicit inductive bias for transfer learning with convolutional
    networks, 2018, equation 6 (https://arxiv.org/abs/1802.01483). The start w0 is what the method
    begins from, grafts included.

    Args:
        alpha: of what was transferred.
        beta: of the rest.
        pattern: regex of the paths that were transferred.

    >>> penalty = l2_sp(alpha=2.0, beta=2.0, pattern='a')
    >>> memory = penalty.init({'a': jnp.ones(1), 'b': jnp.ones(1)})
    >>> float(penalty.value({'a': jnp.full(1, 3.0), 'b': jnp.full(1, 3.0)}, memory))
    13.0
    """

    def init(params):
        return unflatten_dict(select(params, pattern), sep='/')

    def value(params, start):
        start = flatten(start)
        near = sum(
            jnp.sum((leaf - start[path]) ** 2)
            for path, leaf in flatten(params).items()
            if path in start
        )
        small = sum(jnp.sum(leaf**2) for path, leaf in flatten(params).items() if path not in start)
        return alpha / 2 * near + beta / 2 * small

    return Penalty('l2_sp', init, value)
