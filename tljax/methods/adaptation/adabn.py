"""Adaptive batch normalisation: Li et al. 2016, https://arxiv.org/abs/1603.04779, algorithm 1."""

from tljax.core import Method, Net
from tljax.methods.adaptation.two_domains import target_input
from tljax.methods.fine_tuning.finetune import finetune

BATCHES = 'domains'


def adabn(net: Net, classes: int) -> Method:
    """AdaBN: trains on the source's labels, and predicts with the target's BatchNorm statistics.

    The loss is CE(source), where the source batch is normalised by its own statistics. The
    statistics that BatchNorm stores for prediction come from the target's inputs.

    Args:
        net: the backbone. Without BatchNorm the method equals `finetune`.
        classes: number of classes (0 for regression).

    Returns:
        A Method over params {'backbone', 'head'} on batches of two domains (`two_domains`). Its
        accuracy on the source's validation split is measured with the target's statistics, too.

    >>> import jax, jax.numpy as jnp
    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.mlp import mlp
    >>> method = adabn(mlp((2,), norm='batch'), 2)
    >>> xs = jnp.array([[-1.0], [1.0]])
    >>> batch = {'input': xs, 'label': jnp.arange(2), 'target': {'input': xs + 3}}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> params['backbone']['dense1']['kernel'] = jnp.ones((1, 2))
    >>> _, (new_state, _) = jax.jit(method.loss)(params, state, batch, Tick(0, jax.random.key(0)))
    >>> mean = new_state['backbone']['norm1']['mean']
    >>> round(float(mean[0]), 2)  # a tenth of the way from 0 to the target's mean, 3
    0.3
    """
    base_method = finetune(net, classes)

    def loss(params, state, batch, tick):
        value, (_, metrics) = base_method.loss(params, state, batch, tick)
        _, target_statistics = net.features(
            params['backbone'], state['backbone'], target_input(batch), tick.key
        )
        return value, ({**state, 'backbone': target_statistics}, metrics)

    return Method(base_method.init, loss, base_method.predict)
