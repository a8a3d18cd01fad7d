"""SimpleShot: Wang, Chao, Weinberger and van der Maaten 2019, https://arxiv.org/abs/1911.04623,
section 3.

A network is trained as a classifier of the base classes; a query belongs to the class whose mean
support is nearest.
"""

import jax.numpy as jnp

from tljax.core import Method, Net, UserError
from tljax.kernels import squared_distances, unit
from tljax.methods.few_shot.episodes import on_base_classes

BATCHES = 'labelled'
TRANSFORMS = {
    'UN': lambda x, mean: x,
    'L2N': lambda x, mean: unit(x),
    'CL2N': lambda x, mean: unit(x - mean),
}


def simpleshot(net: Net, classes: int, transform: str = 'CL2N') -> Method:
    """Trains by softmax cross-entropy on base classes; logits of an episode are -|t(f(query)) -
    mean of t(f(support of the class))|^2.

    Args:
        net: the embedding f.
        classes: number of base classes.
        transform: t, as the paper names them: 'UN' none, 'L2N' to unit length, 'CL2N' the same
            after the mean of the base classes' features is taken off. That mean is the running mean
            of training.

    Returns:
        A Method over params {'backbone', 'head'}, trained on labelled sets, measured on those or on
        episodes (`episodes`).

    >>> import jax
    >>> from tljax.zoo.families.identity import identity
    >>> method = simpleshot(identity(2), 3, transform='UN')
    >>> params, state = method.init(
    ...     jax.random.key(0), {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])}
    ... )
    >>> one = {'input': jnp.array([[[[1.0, 0.0]], [[0.0, 1.0]]]]), 'label': jnp.array([[[0], [1]]])}
    >>> method.predict(params, state, {'support': one, 'query': one})['output'].tolist()
    [[[-0.0, -2.0], [-2.0, -0.0]]]
    """
    if transform not in TRANSFORMS:
        raise UserError(f'method.transform={transform!r} is not one of {", ".join(TRANSFORMS)}')
    change = TRANSFORMS[transform]

    def compare(mean, support, query):
        return -squared_distances(change(query, mean), change(support, mean).mean(1))

    def head(key):
        return {'kernel': jnp.zeros((net.dim, classes)), 'bias': jnp.zeros(classes)}

    return on_base_classes(
        net, classes, head, lambda head, x: x @ head['kernel'] + head['bias'], compare
    )
