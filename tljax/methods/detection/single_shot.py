"""Single-shot detection: SSD, Liu et al. 2016, https://arxiv.org/abs/1512.02325, and RetinaNet, Lin
et al. 2017, https://arxiv.org/abs/1708.02002.

A network makes maps of several resolutions. At every cell stand anchors, boxes of fixed shapes. A
predictor says for each anchor which class its object has, and how its box differs from the anchor.
"""

import jax
import jax.numpy as jnp

from tljax.core import Batch, Method, Net, Tree, UserError
from tljax.methods.detection import anchoring, criteria, predictors
from tljax.methods.detection.anchoring import Anchors
from tljax.methods.detection.criteria import Criterion
from tljax.methods.detection.predictors import Predictor
from tljax.nn.boxes.codes import decode
from tljax.nn.boxes.matching import IGNORED, excused, targets
from tljax.nn.boxes.suppression import detections
from tljax.protocols import StoredStatistics

BATCHES = 'boxes'
CACHED = False


def single_shot(
    net: Net,
    classes: int,
    anchors: Anchors = anchoring.ssd(),  # noqa: B008
    predictor: Predictor = predictors.by_map(bias=-4.6),  # noqa: B008
    criterion: Criterion = criteria.focal(),  # noqa: B008
    matched: float = 0.5,
    unmatched: float = 0.5,
    overlap: float = 0.6,
    lowest: float = 1e-8,
    total: int = 100,
    by_class: bool = True,
    stored: StoredStatistics | None = None,
) -> Method:
    """SSD: minimises (errors of classes + errors of boxes) / number of anchors that have a box.

    The sums are over the anchors of the whole batch, and so is their number; under pmap both are
    over a device's part of it. Background in an ignored region (`nn.boxes.matching.excused`) counts
    for nothing.

    Args:
        net: backbone and neck. Its taps `map1`, `map2`, ... are the maps, finest first
            (`zoo.with_extras`).
        classes: number of classes, without the background.
        anchors: of the maps, from `detection.anchoring`.
        predictor: from `detection.predictors`.
        criterion: from `detection.criteria`.
        matched: smallest overlap of an anchor with its box.
        unmatched: smallest overlap at which an anchor is not background.
        overlap: of two detections of a class, above which the weaker one is dropped.
        lowest: score below which nothing is detected.
        total: most detections of a picture, and of a class.
        by_class: whether boxes of different classes leave each other alone; False as in TensorFlow
            Lite, where each anchor has its best class alone.
        stored: says which BatchNorm layers of the predictor use stored statistics in training.

    Returns:
        A Method with params {'backbone', 'head'}. Its predict returns boxes, (n, total, 6), as
        `nn.boxes.suppression.detections` does: top, left, bottom, right in shares, class and score.

    Raises:
        UserError: the network has no maps.

    >>> from tljax.core import Tick
    >>> from tljax.zoo import conv4
    >>> net = conv4(width=8, blocks=1, size=8)
    >>> def features(params, state, input, key=None):  # its only map
    ...     taps, state = net.features(params, state, input, key)
    ...     return {**taps, 'map1': taps['block1']}, state
    >>> method = single_shot(net._replace(features=features), classes=1)
    >>> picture = jnp.zeros((1, 8, 8, 1)).at[:, 4:, 4:].set(1)  # a white square
    >>> batch = {'input': picture, 'label': jnp.array([[[0.5, 0.5, 1.0, 1.0, 0.0]]])}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> step = jax.jit(jax.value_and_grad(method.loss, has_aux=True))
    >>> values = []
    >>> for i in range(60):  # gradient descent
    ...     (value, (state, _)), grads = step(params, state, batch, Tick(i, jax.random.key(i)))
    ...     params = jax.tree.map(lambda leaf, grad: leaf - 0.3 * grad, params, grads)
    ...     values.append(float(value))
    >>> values[-1] < values[0] / 4
    True
    """

    def init(key, batch):
        backbone_key, head_key = jax.random.split(key)
        backbone, backbone_state = net.init(backbone_key, batch['input'])
        maps, _ = _maps(net, backbone, backbone_state, batch['input'])
        variables = _head(maps, batch).init(head_key, maps, False)
        return (
            {'backbone': backbone, 'head': variables['params']},
            {'backbone': backbone_state, 'head': variables.get('batch_stats', {})},
        )

    def _grid(maps, batch):
        return anchors([x.shape[1:3] for x in maps], batch['input'].shape[1:3])

    def _head(maps, batch):
        return predictor(_grid(maps, batch).per_cell, 1 + classes, stored)

    def outputs(params, state, batch, key=None):
        """Codes (n, anchors, 4), logits (n, anchors, 1 + classes), anchors, and the new state."""
        maps, backbone = _maps(net, params['backbone'], state['backbone'], batch['input'], key)
        variables = {'params': params['head'], 'batch_stats': state.get('head', {})}
        (codes, logits), new = _head(maps, batch).apply(
            variables, maps, key is not None, mutable=['batch_stats']
        )
        state = {'backbone': backbone, 'head': new.get('batch_stats', {})}
        return codes, logits, jnp.asarray(_grid(maps, batch).boxes), state

    def loss(params, state, batch, tick):
        codes, logits, boxes, new_state = outputs(params, state, batch, tick.key)
        found = targets(batch['label'], boxes, matched, unmatched)
        box = excused(found.box, batch['label'], boxes)
        found = found._replace(box=box, label=jnp.where(box == IGNORED, IGNORED, found.label))
        weight = batch.get('weight', 1.0)
        matches = (found.box >= 0).sum()
        class_error, box_error = (
            (weight * errors).sum() / jnp.maximum(matches, 1)
            for errors in criterion(codes, logits, found, boxes)
        )
        value = class_error + box_error
        metrics = {'loss': value, 'class_error': class_error, 'box_error': box_error}
        return value, (new_state, metrics)

    def predict(params, state, batch):
        codes, logits, boxes, _ = outputs(params, state, batch)
        scores = jax.nn.sigmoid(logits)[..., 1:]
        output = detections(
            decode(codes, boxes), scores, overlap, lowest, total, total, by_class=by_class
        )
        return {'output': output, 'label': batch['label']}

    return Method(init, loss, predict)


def _maps(
    net: Net, params: Tree, state: Tree, input: Batch, key: jax.Array | None = None
) -> tuple[list[jax.Array], Tree]:
    """The maps of a network, finest first, and its new state."""
    taps, state = net.features(params, state, input, key)
    names = [f'map{i}' for i in range(1, len(taps) + 1)]
    maps = [taps[name] for name in names if name in taps]
    if not maps:
        raise UserError(
            'this network has no maps for a detector: lay net.name=with_extras around it'
        )
    return maps, state
