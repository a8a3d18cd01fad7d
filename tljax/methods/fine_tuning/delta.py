"""DELTA: Li, Xiong, Wang, Rao, Liu, Chen and Huan, DEep Learning Transfer using feature map with
Attention, 2019, https://arxiv.org/abs/1901.09229, section 3.

What the paper leaves open follows the authors' code (https://github.com/lixingjian/DELTA): the
layers, the scale of a distance, the number of examples that are evaluated, and the softmax.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from tljax.core import Method, Net, Tree, UserError, abbreviated
from tljax.losses import cross_entropy, linear, weighted_mean
from tljax.methods.fine_tuning.source_network import (
    batches_of,
    frozen_copy,
    linear_classifier,
    refuse_numbers,
    regularised,
    source_taps,
)
from tljax.nn.gates import gated

BATCHES = 'labelled'
CACHED = False  # it compares maps below the features
SOURCE = 'backbone'
EVALUATED = 256  # examples that the attention is computed from, 4 batches of 64
SOFTNESS = 5.0  # temperature of the softmax over standardised increases of the loss


def delta(net: Net, classes: int, weight: float = 0.64, layers: Sequence[str] = ()) -> Method:
    """DELTA: keeps the feature maps of the source network, those channels most that the target
    needs.

    The loss is that of the labels + weight * the mean over examples x of the sum over layers of
    c / (2 positions) * sum over j of W_j |FM_j(w, x) - FM_j(w*, x)|^2. FM_j is channel j of a
    layer's map with c channels. w* is the source network, at inference. W sums to 1 over the
    channels of a layer. The paper's second term, a penalty on the new head, is weight decay: set
    `groups.head.weight_decay`.

    The attention W_j is a softmax of the increase of the loss where channel j is switched off in
    the source network. The loss is that of a linear classifier, which is fitted to the source's
    features of the training examples. The authors switch one filter off after the other. Here one
    gradient gives all increases, to first order: minus the slope of the loss at the channels'
    gates (`nn.gates`). Increases are so small that their softmax would be uniform: they are
    standardised within a layer and divided by 5, as in the authors' code.

    Args:
        net: the backbone.
        classes: number of classes.
        weight: the paper's alpha. The authors' 0.01 is per example of a batch of 64.
        layers: names of the network's intermediates that are compared. (): the last one of each
            map size, at most of the four smallest sizes; those are a ResNet's four stages, which
            the authors take.

    Returns:
        A Method as `source_network.regularised` makes it.

    Raises:
        UserError: the data has no classes, or the network has no such layers.

    >>> from tljax.core import Start, Tick
    >>> from tljax.data import arrays
    >>> from tljax.zoo.families.mlp import mlp
    >>> method = delta(mlp((2,)), 2, weight=1.0)
    >>> train = arrays(np.array([[2.0], [-1.0]], 'f'), np.arange(2), ('a', 'b'))
    >>> batch = train.take(np.arange(2))
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> params['backbone']['dense1']['kernel'] = jnp.array([[1.0, 0.0]])
    >>> state = method.remember(params, state, Start(train))
    >>> state['attention']['layer1'].round(2)  # the second unit is 0: it is worth less
    array([0.6, 0.4], dtype=float32)
    >>> for kernel in ([1.0, 0.0], [0.0, 0.0]):
    ...     params['backbone']['dense1']['kernel'] = jnp.array([kernel])
    ...     metrics = jax.jit(method.loss)(params, state, batch, Tick(0, jax.random.key(0)))[1][1]
    ...     print(round(float(metrics['term']), 2))  # then 2 / 2 * .6 * 2^2 for one of two examples
    0.0
    1.2
    """
    refuse_numbers('delta', classes)

    @jax.jit
    def features(source, input):
        return source_taps(net, source, input)['features']

    @jax.jit
    @jax.grad
    def slopes(gates, source, head, batch):
        taps = gated(net, source['params'], source['state'], batch['input'], gates)
        return cross_entropy(linear(head, taps['features']), batch['label']).mean()

    def remember(params, state, start):
        source, batches = frozen_copy(params, state), [*batches_of(start.train, EVALUATED)]
        rows = np.concatenate([features(source, batch['input']) for batch in batches])
        label = np.concatenate([batch['label'] for batch in batches])
        head = linear_classifier(rows, label, classes)
        taps = jax.eval_shape(lambda: source_taps(net, source, batches[0]['input']))
        gates = {name: jnp.ones(taps[name].shape[-1]) for name in _layers(net, taps, layers)}
        increases = {name: np.zeros(len(gate)) for name, gate in gates.items()}
        for batch in batches:
            for name, slope in slopes(gates, source, head, batch).items():
                increases[name] -= len(batch['label']) * np.asarray(slope)
        attention = {name: _attention(values) for name, values in increases.items()}
        return {**state, 'source': source, 'attention': attention}

    def term(params, state, taps, batch):
        source = source_taps(net, state['source'], batch['input'])
        distances = [
            _distance(taps[name], source[name], attention)
            for name, attention in state['attention'].items()
        ]
        return weight * weighted_mean(jnp.stack(distances).sum(0), batch)

    return regularised(net, classes, term, remember)


def _layers(net: Net, taps: Tree, layers: Sequence[str]) -> list[str]:
    """The layers that are compared, among the intermediates of a network."""
    names = [name for name in net.groups if name in taps]
    if not names:
        raise UserError("method.name='delta' compares feature maps, and this network has none")
    if unknown := sorted({*layers} - {*names}):
        raise UserError(
            f'method.layers: the network has no intermediate {abbreviated(unknown)}; it has '
            f'{abbreviated(names)}'
        )
    last_of_size = {taps[name].shape[1:-1]: name for name in names}
    return [*layers] or [*last_of_size.values()][-4:]


def _attention(increases: np.ndarray) -> np.ndarray:
    """The weights of a layer's channels, from the increases of the loss without them."""
    deviation = max(increases.std(), np.finfo(np.float32).tiny)
    weights = np.exp((increases - increases.mean()) / deviation / SOFTNESS)
    return (weights / weights.sum()).astype(np.float32)


def _distance(maps: jax.Array, source: jax.Array, attention: jax.Array) -> jax.Array:
    """The weighted distance of two maps of one layer, for each example: (n,)."""
    count, channels = len(maps), maps.shape[-1]
    difference = (maps - source).reshape(count, -1, channels)
    squares = jnp.square(difference.astype(jnp.promote_types(maps.dtype, jnp.float32)))
    return channels / 2 * squares.mean(1) @ attention
