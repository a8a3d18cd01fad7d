"""Prototypical networks: Snell, Swersky and Zemel 2017, https://arxiv.org/abs/1703.05175.

A class is represented by the mean of its embedded support, its prototype. A query belongs to the
class of the nearest prototype (equations 1 and 2).
"""

from tljax.core import Method, Net, UserError
from tljax.kernels import cosines, squared_distances
from tljax.methods.few_shot.episodes import metric

BATCHES = 'episodes'
CACHED = False  # an episode is no labelled set


def protonet(net: Net, classes: int, distance: str = 'euclidean', scale: float = 1.0) -> Method:
    """ProtoNet: classifies queries by their distances to the classes' prototypes.

    p(class | query) = softmax over classes of -scale * d(f(query), mean of f(support of the
    class)).

    Args:
        net: the embedding f.
        classes: unused; the episode's shape gives the number of ways.
        distance: 'euclidean' for the squared Euclidean distance, or 'cosine'.
        scale: factor of the distances.

    Returns:
        A Method over params {'backbone'} on batches of episodes (`episodes`).

    >>> import jax, jax.numpy as jnp
    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> examples = {
    ...     'input': jnp.eye(2).reshape(1, 2, 1, 2),
    ...     'label': jnp.arange(2).reshape(1, 2, 1),
    ... }
    >>> episode = {'support': examples, 'query': examples}
    >>> params = state = {'backbone': {}}
    >>> for scale in (0, 1, 2):  # log(1 + exp(-2 scale)): the prototypes are sqrt(2) apart
    ...     loss = jax.jit(protonet(identity(2), 2, scale=scale).loss)
    ...     print(round(float(loss(params, state, episode, Tick(0, jax.random.key(0)))[0]), 3))
    0.693
    0.127
    0.018
    """
    if distance not in ('euclidean', 'cosine'):
        raise UserError(f'method.distance={distance!r} is not euclidean or cosine')

    def compare(head, support, query):
        prototypes = support.mean(1)
        if distance == 'cosine':
            return scale * cosines(query, prototypes)
        return scale * -squared_distances(query, prototypes)

    return metric(net, compare)
