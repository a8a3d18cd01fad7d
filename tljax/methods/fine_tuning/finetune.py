"""Fine-tuning: a network and a new linear head are trained on the target's labels.

Training from scratch, feature extraction, fine-tuning and layer-wise rates are this one method.
They differ in where the parameters start (copied from a source network or not: the graft) and in
which parameters are trained, and how fast (the partition). Source: Yosinski et al., How
transferable are features in deep neural networks?, 2014, https://arxiv.org/abs/1411.1792.
"""

import jax
import jax.numpy as jnp

from tljax.core import Batch, Method, Net
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
    """Fine-tuning: minimises the mean over examples of CE(label, head(net(input))).

    For regression the loss is the squared error instead. With several labels per example it is the
    mean of their sigmoid cross-entropies. The head starts at zero, so that no gradient reaches the
    backbone in the first step: a random head would disturb what the backbone has learnt.

    Args:
        net: the backbone.
        classes: number of classes (0 for regression; the head then has one output for each number
            of a label).
        smoothing: share of the uniform distribution in the labels, in [0, 1).
        several: whether an example may have several labels; labels are then (n, classes) of 0 and
            1.

    Returns:
        A Method with params {'backbone', 'head'}. Its predict returns logits, (n, classes).

    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> method = finetune(identity(2), classes=2)
    >>> batch = {'input': jnp.eye(2), 'label': jnp.arange(2)}
    >>> params, state = method.init(jax.random.key(0), batch)
    >>> value_and_grad = jax.jit(jax.value_and_grad(method.loss, has_aux=True))
    >>> for i in range(3):  # gradient descent; the zero head has the loss log 2 = 0.69
    ...     (value, _), grads = value_and_grad(params, state, batch, Tick(i, jax.random.key(i)))
    ...     params = jax.tree.map(lambda leaf, grad: leaf - grad, params, grads)
    ...     print(round(float(value), 2))
    0.69
    0.47
    0.35
    """

    def init(key, batch):
        backbone, state = net.init(key, batch['input'])
        width = classes or batch['label'].reshape(len(batch['label']), -1).shape[1]
        head = {'kernel': jnp.zeros((net.dim, width)), 'bias': jnp.zeros(width)}
        return {'backbone': backbone, 'head': head}, {'backbone': state}

    def output(params, state, batch, key=None):
        taps, backbone_state = net.features(
            params['backbone'], state['backbone'], batch['input'], key
        )
        return linear(params['head'], taps['features']), {**state, 'backbone': backbone_state}

    def loss(params, state, batch, tick):
        outputs, new_state = output(params, state, batch, tick.key)
        value, metrics = label_error(outputs, batch, classes, smoothing, several)
        return value, (new_state, metrics)

    def predict(params, state, batch):
        return {'output': output(params, state, batch)[0], 'label': batch['label']}

    return Method(init, loss, predict)


def label_error(
    outputs: jax.Array, batch: Batch, classes: int, smoothing: float = 0.0, several: bool = False
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Computes the loss of a batch's labels, and its metrics.

    Args:
        outputs: of the head, (n, width).
        batch: with 'label', and with 'weight' where examples have weights.
        classes: as in `finetune`.
        smoothing: as in `finetune`.
        several: as in `finetune`.

    Returns:
        The loss, and {'loss', 'accuracy'}; there is no accuracy of numbers or several labels.

    >>> batch = {'label': jnp.array([0, 1])}
    >>> value, metrics = label_error(jnp.zeros((2, 2)), batch, classes=2)
    >>> round(float(value), 4), float(metrics['accuracy'])  # log 2
    (0.6931, 0.5)
    """
    label = batch['label']
    if several:
        values = sigmoid_cross_entropy(outputs, label)
    elif classes:
        values = cross_entropy(outputs, label, smoothing)
    else:
        values = squared_error(outputs, label)
    value = weighted_mean(values, batch)
    if several or not classes:
        return value, {'loss': value}
    return value, {'loss': value, 'accuracy': accuracy(outputs, label)}
