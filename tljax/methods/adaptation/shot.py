"""Source-free adaptation by hypothesis transfer: Liang, Hu and Feng 2020,
https://arxiv.org/abs/2002.08546, equations 3 to 7.

The method needs the network that was trained on the source, and not the source's data. The first
stage is `finetune` on the source, in the paper with smoothed labels.
"""

import jax
import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.losses import accuracy, cross_entropy, linear, weighted_mean
from tljax.methods.fine_tuning.finetune import finetune

BATCHES = 'labelled'
PSEUDO = True  # it never uses the data's own labels
FROZEN = 'head/.*'  # the source's hypothesis


def shot(net: Net, classes: int, weight: float = 0.3) -> Method:
    """SHOT, second stage: adapts the encoder to the target without the source's data.

    The loss is mean entropy of the predictions - entropy of the mean prediction + weight *
    CE(pseudo-label), over the target's examples. Predictions become confident, and classes stay
    balanced.

    Args:
        net: the encoder. The config freezes the head on it.
        classes: number of classes.
        weight: the paper's beta. The labels of the batch are pseudo-labels. With
            `pseudo=dict(name='centroids')` in a config, the run that a phase starts from makes them
            once for that phase. The paper makes them every epoch; give several phases for that.

    Returns:
        A Method over params {'backbone', 'head'} on labelled sets. The metric 'loss' is the
        difference of entropies, and 'pseudo' is the cross-entropy of the pseudo-labels.

    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> batch = {'input': jnp.eye(2), 'label': jnp.arange(2)}
    >>> method = shot(identity(2), 2)
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> for scale in (0.0, 2.0, 50.0):  # more and more confident; in the end -log 2
    ...     params['head']['kernel'] = scale * jnp.eye(2)
    ...     value = jax.jit(method.loss)(params, state, batch, Tick(0, jax.random.key(0)))[0]
    ...     print(round(float(value), 2))
    0.21
    -0.29
    -0.69
    """
    base_method = finetune(net, classes)

    def entropy(probability):
        return -jnp.sum(probability * jnp.log(probability + 1e-12), -1)

    def loss(params, state, batch, tick):
        taps, backbone_state = net.features(
            params['backbone'], state['backbone'], batch['input'], tick.key
        )
        logits = linear(params['head'], taps['features'])
        probability = jax.nn.softmax(logits)
        information = entropy(probability).mean() - entropy(probability.mean(0))
        pseudo_error = weighted_mean(cross_entropy(logits, batch['label']), batch)
        metrics = {
            'loss': information,
            'accuracy': accuracy(logits, batch['label']),
            'pseudo': pseudo_error,
        }
        return information + weight * pseudo_error, (
            {**state, 'backbone': backbone_state},
            metrics,
        )

    return Method(base_method.init, loss, base_method.predict)
