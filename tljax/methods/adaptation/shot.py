"""Source-free adaptation by hypothesis transfer: Liang, Hu and Feng 2020,
https://arxiv.org/abs/2002.08546, equations 3 to 7.

The source's data may stay where it is: what travels is its network. First stage: `finetune`, in the
paper with smoothed labels.
"""

import jax
import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.losses import accuracy, cross_entropy, linear, weighted_mean
from tljax.methods.fine_tuning.finetune import finetune

BATCHES = 'labelled'
PSEUDO = True  # its labels are never the data's own
FROZEN = 'head/.*'  # the source's hypothesis


def shot(net: Net, classes: int, weight: float = 0.3) -> Method:
    """Entropy of each prediction - entropy of their mean + weight * CE(pseudo-label), on the target
    alone.

    Args:
        net: the encoder. The head on it is frozen by the config.
        classes: number of classes.
        weight: the paper's beta. The labels of the batch are pseudo-labels, which
            `pseudo=dict(name='centroids')` in a config makes once a phase, by the run that it
            starts from (the paper: every epoch; give several phases).

    Returns:
        A Method over params {'backbone', 'head'} on labelled sets.

    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> batch = {'input': jnp.eye(2), 'label': jnp.arange(2)}
    >>> method = shot(identity(2), 2)
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> sure = {**params, 'head': {'kernel': 50 * jnp.eye(2), 'bias': jnp.zeros(2)}}
    >>> round(
    ...     float(jax.jit(method.loss)(sure, state, batch, Tick(0, jax.random.key(0)))[0]), 4
    ... )  # sure, and both classes: -log 2
    -0.6931
    """
    alone = finetune(net, classes)

    def entropy(probability):
        return -jnp.sum(probability * jnp.log(probability + 1e-12), -1)

    def loss(params, state, batch, tick):
        taps, moved = net.features(params['backbone'], state['backbone'], batch['input'], tick.key)
        logits = linear(params['head'], taps['features'])
        probability = jax.nn.softmax(logits)
        information = entropy(probability).mean() - entropy(probability.mean(0))
        error = weighted_mean(cross_entropy(logits, batch['label']), batch)
        metrics = {
            'loss': information,
            'accuracy': accuracy(logits, batch['label']),
            'pseudo': error,
        }
        return information + weight * error, ({**state, 'backbone': moved}, metrics)

    return Method(alone.init, loss, alone.predict)
