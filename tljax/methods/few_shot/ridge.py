"""R2-D2, ridge regression in every episode: Bertinetto et al. 2019,
https://arxiv.org/abs/1805.08136.

The regression on the support has a closed form, and the gradient reaches the embedding through it:
equations 3 to 5. Their common offset of all logits is left out, since the softmax cancels it.
"""

import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.methods.few_shot.episodes import metric

BATCHES = 'episodes'
CACHED = False  # an episode is no labelled set


def ridge(net: Net, classes: int, penalty: float = 50.0) -> Method:
    """R2-D2: classifies queries by ridge regression on the support.

    logits = scale * f(query) W with W = X' (X X' + penalty I)^-1 Y, where X is the embedded support
    and Y its one-hot labels. The scale and the penalty are learnt.

    Args:
        net: the embedding f.
        classes: unused; the episode's shape gives the number of ways.
        penalty: initial value of the learnt penalty.

    Returns:
        A Method over params {'backbone', 'head': {'penalty' (its logarithm), 'scale'}} on batches
        of episodes (`episodes`).

    >>> import jax
    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> examples = {
    ...     'input': jnp.eye(2).reshape(1, 2, 1, 2),
    ...     'label': jnp.arange(2).reshape(1, 2, 1),
    ... }
    >>> episode = {'support': examples, 'query': examples}
    >>> for penalty in (100.0, 1.0, 0.01):  # logits 1 / (1 + penalty) for the right class, or 0
    ...     method = ridge(identity(2), 2, penalty)
    ...     params, state = jax.jit(method.init)(jax.random.key(0), episode)
    ...     value, _ = jax.jit(method.loss)(params, state, episode, Tick(0, jax.random.key(0)))
    ...     print(round(float(value), 2))
    0.69
    0.47
    0.32
    """

    def compare(head, support, query):
        ways, shots, dim = support.shape
        x, y = support.reshape(-1, dim), jnp.repeat(jnp.eye(ways), shots, 0)
        dual = jnp.linalg.solve(x @ x.T + jnp.exp(head['penalty']) * jnp.eye(len(x)), y)
        return head['scale'] * (query @ x.T @ dual)

    def head(key, embedding):
        return {'penalty': jnp.log(jnp.asarray(penalty)), 'scale': jnp.ones(())}

    return metric(net, compare, head)
