"""SimpleShot: Wang, Chao, Weinberger and van der Maaten 2019, https://arxiv.org/abs/1911.04623,
section 3.

A network is trained as a classifier of the base classes. In an episode a query belongs to the class
whose mean support is nearest.
"""

import jax.numpy as jnp

from tljax.core import Method, Net, UserError
from tljax.kernels import squared_distances, unit
from tljax.losses import linear
from tljax.methods.few_shot.episodes import on_base_classes

BATCHES = 'labelled'
TRANSFORMS = {
    'UN': lambda x, mean: x,
    'L2N': lambda x, mean: unit(x),
    'CL2N': lambda x, mean: unit(x - mean),
}


def simpleshot(net: Net, classes: int, transform: str = 'CL2N') -> Method:
    """SimpleShot: nearest centroids of features that were trained on base classes.

    Training minimises softmax cross-entropy on the base classes. In an episode the logit of a class
    is -|t(f(query)) - mean of t(f(support of the class))|^2.

    Args:
        net: the embedding f.
        classes: number of base classes.
        transform: t, by its name in the paper. 'UN' changes nothing, 'L2N' scales features to unit
            length, and 'CL2N' first subtracts the mean feature of the base classes, which is the
            running mean of training.

    Returns:
        A Method over params {'backbone', 'head'}. It is trained on labelled sets, and predicts
        labelled sets and episodes (`episodes`).

    >>> import jax
    >>> from tljax.zoo.families.identity import identity
    >>> examples = {
    ...     'input': 3 * jnp.eye(2).reshape(1, 2, 1, 2),
    ...     'label': jnp.arange(2).reshape(1, 2, 1),
    ... }
    >>> episode = {'support': examples, 'query': examples}
    >>> batch = {'input': jnp.eye(2), 'label': jnp.arange(2)}
    >>> for transform in ('UN', 'L2N'):  # squared distances of (3, 0) to the two centroids
    ...     method = simpleshot(identity(2), 2, transform)
    ...     params, state = jax.jit(method.init)(jax.random.key(0), batch)
    ...     logits = jax.jit(method.predict)(params, state, episode)['output']
    ...     print([round(value, 3) for value in logits[0, 0].tolist()])
    [-0.0, -18.0]
    [-0.0, -2.0]
    """
    if transform not in TRANSFORMS:
        raise UserError(f'method.transform={transform!r} is not one of {", ".join(TRANSFORMS)}')
    apply_transform = TRANSFORMS[transform]

    def compare(mean, support, query):
        centroids = apply_transform(support, mean).mean(1)
        return -squared_distances(apply_transform(query, mean), centroids)

    def head(key):
        return {'kernel': jnp.zeros((net.dim, classes)), 'bias': jnp.zeros(classes)}

    return on_base_classes(net, classes, head, linear, compare)
