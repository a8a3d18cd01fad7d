"""Ridge regression as the learner within an episode: R2-D2 of Bertinetto et al. 2019,
https://arxiv.org/abs/1805.08136.

The support is solved in closed form, and its gradient reaches the embedding through the solve:
equations 3 to 5 (without their common offset of all logits, which the softmax takes out).
"""

import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.methods.few_shot.episodes import metric

BATCHES = 'episodes'
CACHED = False  # an episode is no labelled set


def ridge(net: Net, classes: int, penalty: float = 50.0) -> Method:
    """logits = a * f(query) W with W = X' (X X' + penalty I)^-1 Y, X the embedded support, Y its
    one-hot labels.

    Args:
        net: the embedding f.
        classes: taken as by every method, for nothing.
        penalty: where the learnt penalty starts.

    Returns:
        A Method over params {'backbone', 'head': {'penalty' (its log), 'scale'}} on batches of
        episodes (`episodes`).

    >>> import jax
    >>> from tljax.zoo.families.identity import identity
    >>> one = {'input': jnp.array([[[[1.0, 0.0]], [[0.0, 1.0]]]]), 'label': jnp.array([[[0], [1]]])}
    >>> method = ridge(identity(2), 2, penalty=1.0)
    >>> params, state = method.init(jax.random.key(0), {'support': one, 'query': one})
    >>> method.predict(params, state, {'support': one, 'query': one})['output'].tolist()
    [[[0.5, 0.0], [0.0, 0.5]]]
    """

    def compare(head, support, query):
        ways, shots, dim = support.shape
        x, y = support.reshape(-1, dim), jnp.repeat(jnp.eye(ways), shots, 0)
        dual = jnp.linalg.solve(x @ x.T + jnp.exp(head['penalty']) * jnp.eye(len(x)), y)
        return head['scale'] * (query @ x.T @ dual)

    def head(key, embedding):
        return {'penalty': jnp.log(jnp.asarray(penalty)), 'scale': jnp.ones(())}

    return metric(net, compare, head)
