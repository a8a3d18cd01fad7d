"""Fine-tuning: a network and a new linear head, trained on the target's labels.

Training from scratch, feature extraction, fine-tuning and layer-wise rates are this one method;
they differ in what the parameters start from (graft) and in which of them move (partition). Source:
Yosinski et al., How transferable are features in deep neural networks?, 2014,
https://arxiv.org/abs/1411.1792.
"""

import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.losses import (
    accuracy,
    cross_entropy,
    linear,
    sigmoid_cross_entropy,
    squared_error,
    weighted_mean,
)

BATCHES = 'labelled'
SEVERAL = True


def finetune(net: Net, classes: int, smoothing: float = 0.0, several: bool = False) -> Method:
    """Minimises the mean over examples of CE(label, head(net(input))), or of the squared error
    where there are no classes.

    Several labels of an example have a sigmoid each, and the mean of their cross-entropies.

    The head starts at zero, so that its first, uninformed gradients do not disturb what the
    backbone has learnt.

    Args:
        net: the backbone.
        classes: number of classes; 0 means regression on the label's own width.
        smoothing: of the labels of classes, in [0, 1).
        several: whether labels are (n, classes) of 0 and 1.

    Returns:
        A Method over params {'backbone', 'head'}; predict's output is (n, classes) logits.

    >>> import jax
    >>> from tljax.zoo.families.conv4 import conv4
    >>> method = finetune(conv4(width=4, blocks=1), classes=3)
    >>> batch = {'input': jnp.zeros((2, 16, 16, 1)), 'label': jnp.array([0, 2])}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> jax.jit(method.predict)(params, state, batch)['output'].shape
    (2, 3)
    """

    def init(key, batch):
        backbone, state = net.init(key, batch['input'])
        width = classes or batch['label'].reshape(len(batch['label']), -1).shape[1]
        head = {'kernel': jnp.zeros((net.dim, width)), 'bias': jnp.zeros(width)}
        return {'backbone': backbone, 'head': head}, {'backbone': state}

    def output(params, state, batch, key=None):
        taps, moved = net.features(params['backbone'], state['backbone'], batch['input'], key)
        return linear(params['head'], taps['features']), {**state, 'backbone': moved}

    def loss(params, state, batch, tick):
        out, state = output(params, state, batch, tick.key)
        if several:
            values = sigmoid_cross_entropy(out, batch['label'])
        else:
            values = (
                cross_entropy(out, batch['label'], smoothing)
                if classes
                else squared_error(out, batch['label'])
            )
        value = weighted_mean(values, batch)
        metrics = {'loss': value}
        if classes and not several:
            metrics['accuracy'] = accuracy(out, batch['label'])
        return value, (state, metrics)

    def predict(params, state, batch):
        return {'output': output(params, state, batch)[0], 'label': batch['label']}

    return Method(init, loss, predict)
