"""Prototypical networks: Snell, Swersky and Zemel 2017, https://arxiv.org/abs/1703.05175.

A class is the mean of its embedded examples, and a query belongs to the nearest: equations 1 and 2.
"""

from tljax.core import Method, Net, UserError
from tljax.kernels import cosines, squared_distances
from tljax.methods.few_shot.episodes import metric

BATCHES = 'episodes'
CACHED = False  # an episode is no labelled set


def protonet(net: Net, classes: int, distance: str = 'euclidean', scale: float = 1.0) -> Method:
    """p(class | query) = softmax over classes of -scale * d(f(query), mean of f(support of the
    class)).

    Args:
        net: the embedding f.
        classes: taken as by every method, for nothing: an episode's shape tells its ways.
        distance: 'euclidean', squared, or 'cosine'.
        scale: what distances are multiplied by.

    Returns:
        A Method over params {'backbone'} on batches of episodes (`episodes`).

    >>> import jax, jax.numpy as jnp
    >>> from tljax.zoo.families.identity import identity
    >>> one = {'input': jnp.array([[[[0.0]], [[4.0]]]]), 'label': jnp.array([[[0], [1]]])}
    >>> protonet(identity(1), 2).predict(
    ...     {'backbone': {}}, {'backbone': {}}, {'support': one, 'query': one}
    ... )['output'].tolist()
    [[[-0.0, -16.0], [-16.0, -0.0]]]
    """
    if distance not in ('euclidean', 'cosine'):
        raise UserError(f'method.distance={distance!r} is not euclidean or cosine')
    compare = (
        cosines
        if distance == 'cosine'
        else lambda query, centres: -squared_distances(query, centres)
    )
    return metric(net, lambda _, support, query: scale * compare(query, support.mean(1)))
