"""Batch spectral shrinkage: Chen, Wang, Fu, Long and Wang, Catastrophic forgetting meets negative
transfer, 2019, https://proceedings.neurips.cc/paper/2019/hash/c6bff625bdb0393992c9d4db0c6bbe45-Abstract.html
"""

import jax.numpy as jnp

from tljax.core import Method, Net, UserError
from tljax.methods.fine_tuning.source_network import regularised

BATCHES = 'labelled'
SEVERAL = True
CACHED = False  # it shapes the features, which are fixed where they are cached


def bss(net: Net, classes: int, k: int = 1, weight: float = 1e-3, several: bool = False) -> Method:
    """BSS: shrinks the directions of the features that transfer worst.

    The loss is that of the labels + weight * the sum of the k smallest sigma_i^2, where sigma_i are
    the singular values of the batch's features, (n, dim). There are min(n, dim) of them.

    A batch with fewer different examples than rows and columns has singular values of 0, and if k
    of them are 0 the term is 0: with few labels, batches must be as small as the number of labels,
    or augmented. Under pmap the features are those of each device's own rows.

    Args:
        net: the backbone.
        classes: number of classes; 0 for regression.
        k: number of singular values that shrink.
        weight: the paper's eta.
        several: as in `finetune`.

    Returns:
        A Method as `source_network.regularised` makes it.

    Raises:
        UserError: k is below 1, or (in the first step) above the number of singular values.

    >>> import jax
    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> batch = {'input': jnp.diag(jnp.array([3.0, 2.0])), 'label': jnp.arange(2)}
    >>> for k in (1, 2):  # singular values 3 and 2
    ...     method = bss(identity(2), 2, k, weight=1.0)
    ...     params, state = jax.jit(method.init)(jax.random.key(0), batch)
    ...     metrics = jax.jit(method.loss)(params, state, batch, Tick(0, jax.random.key(0)))[1][1]
    ...     print(float(metrics['term']))
    4.0
    13.0
    """
    if k < 1:
        raise UserError(f'method.k={k}: give 1 or more')

    def term(params, state, taps, batch):
        rows = taps['features']
        if k > min(rows.shape):
            raise UserError(
                f'method.k={k}: {rows.shape[0]} features of width {rows.shape[1]} have '
                f'{min(rows.shape)} singular values: give fewer, or a larger batch'
            )
        singular_values = jnp.linalg.svd(rows, compute_uv=False)  # largest first
        return weight * jnp.sum(singular_values[-k:] ** 2)

    return regularised(net, classes, term, several=several)
