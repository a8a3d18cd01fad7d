"""Two-stage detection: Faster R-CNN (Ren et al. 2015, https://arxiv.org/abs/1506.01497) and R-FCN
(Dai et al. 2016, https://arxiv.org/abs/1605.06409), as the TensorFlow Object Detection API has them
(Huang et al. 2017, https://arxiv.org/abs/1611.10012)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from tljax.core import Method, Net, UserError, nearest_name
from tljax.losses import weighted_mean
from tljax.methods.detection import proposals as first
from tljax.methods.detection import second_stage as second

BATCHES = 'boxes'
CACHED = False  # it reads a map of the network

POOLS = ('crop', 'position_sensitive')
LOCATION = 2.0  # weight of the errors of codes


def two_stage(
    net: Net,
    tail: Net,
    classes: int,
    proposals: int = 300,
    pool: str = 'crop',
    layer: str = 'map1',
    stride: int = 16,
    sides: Sequence[float] = (64.0, 128.0, 256.0, 512.0),
    ratios: Sequence[float] = (0.5, 1.0, 2.0),
    width: int = 512,
    reduced: int = 1024,
    drawn_anchors: int = 256,
    drawn_regions: int = 64,
) -> Method:
    """Faster R-CNN and R-FCN: regions are proposed first, then classified and moved.

    The first stage says of each anchor on the network's map whether it holds an object, and where
    exactly. The best of these boxes are the regions. The second stage says which object a region
    holds, and where exactly. All four errors are minimised together,

        objectness + 2 * location of anchors + class + 2 * location of regions,

    each a mean over pictures. Regions carry no gradient.

    At inference the 300 crops of a map of 1024 channels take 0.24 GB a picture, and more while they
    are made: `eval_batch` should be small.

    Args:
        net: gives the map of the picture.
        tail: the layers of the second stage. With pool='crop' it takes crops of the map,
            (n, 7, 7, c), and its features are used. With pool='position_sensitive' it takes the
            whole map, and its own map is used.
        classes: number of classes.
        proposals: most regions of a picture. The regions of a smaller number are the first ones of
            a larger number, so that a trained detector may use fewer. The released "lowproposals"
            detectors do; 20 is said to be their number, which is unverified.
        pool: 'crop' is Faster R-CNN, 'position_sensitive' is R-FCN.
        layer: name of the map among the intermediate outputs of `net`, and of `tail`.
        stride: distance of two cells of the map, pixels of the picture.
        sides: of a square anchor, pixels.
        ratios: of an anchor, width over height.
        width: channels of the first stage's own layer.
        reduced: channels before the position-sensitive maps.
        drawn_anchors: number of anchors of a picture that the first stage is trained on.
        drawn_regions: number of regions of a picture that the second stage is trained on.

    Returns:
        A Method with params {'backbone', 'rpn', 'tail', 'head'}, for batches of pictures,
        (n, h, w, c), and boxes, (n, g, 5), as `data.boxes` gives them. Its predict returns the 100
        best boxes of a picture, (n, 100, 6), as `suppression.detections` does. The metrics are the
        four terms of the loss.

    Raises:
        UserError: an unknown pool or layer, numbers below 1, a stride that is not the map's, labels
            that are no boxes.

    Here the map is the picture itself, and the features of a region are its pixels. A bright square
    of class 1 is found:

    >>> from tljax.core import Tick
    >>> def look(params, state, input, key=None):
    ...     return {'map1': input, 'features': input.reshape(len(input), -1)}, state
    >>> pixels = Net(lambda key, input: ({}, {}), look, dim=7 * 7, groups={})
    >>> keywords = dict(proposals=8, stride=1, sides=[6.0], ratios=[1.0], width=8)
    >>> method = two_stage(pixels, pixels, classes=2, **keywords)
    >>> picture = jnp.zeros((1, 12, 12, 1)).at[:, 2:8, 4:10].set(1.0)
    >>> batch = {'input': picture, 'label': jnp.array([[[2, 4, 8, 10, 12.0]]]) / 12}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> value_and_grad = jax.jit(jax.value_and_grad(method.loss, has_aux=True))
    >>> for i in range(401):  # gradient descent
    ...     (value, _), grads = value_and_grad(params, state, batch, Tick(i, jax.random.key(i)))
    ...     params = jax.tree.map(lambda leaf, grad: leaf - 0.02 * grad, params, grads)
    ...     if i % 400 == 0:
    ...         print(f'{value:.1f}')
    2.0
    0.9
    >>> best = jax.jit(method.predict)(params, state, batch)['output'][0, 0]
    >>> (12 * best[:4]).round().tolist(), int(best[4])
    ([2.0, 4.0, 8.0, 10.0], 1)
    """
    if pool not in POOLS:
        raise UserError(f'method.pool={pool!r} is unknown: {nearest_name(pool, POOLS)}')
    for name, number in (('classes', classes), ('proposals', proposals)):
        if number < 1:
            raise UserError(f'method.{name}={number}: a detector needs 1 or more')
    if pool == 'crop':
        stage = second.by_crops(tail, classes)
    else:
        stage = second.by_position(tail, classes, layer, reduced)

    def map_of(taps):
        if layer not in taps:
            raise UserError(f'method.layer={layer!r} is unknown: {nearest_name(layer, taps)}')
        return taps[layer]

    def init(key, batch):
        keys = jax.random.split(key, 3)
        backbone, backbone_state = net.init(keys[0], batch['input'])
        taps, _ = jax.eval_shape(net.features, backbone, backbone_state, batch['input'])
        shape = map_of(taps).shape
        rpn = first.start_rpn(keys[1], shape[-1], width, len(sides) * len(ratios))
        params, state = stage.init(keys[2], jnp.zeros((1, *shape[1:])))
        return (
            {'backbone': backbone, 'rpn': rpn, **params},
            {'backbone': backbone_state, **state},
        )

    def look(params, state, batch, key=None):
        """The map, the anchors, and what the first stage says of them."""
        taps, backbone = net.features(params['backbone'], state['backbone'], batch['input'], key)
        maps = map_of(taps)
        cells = maps.shape[1], maps.shape[2]
        anchors = first.region_anchors(batch['input'].shape[1:3], cells, stride, sides, ratios)
        return maps, anchors, *first.rpn(params['rpn'], maps), backbone

    def loss(params, state, batch, tick):
        label = _boxes(batch)
        net_key, tail_key, anchor_key, region_key = jax.random.split(tick.key, 4)
        maps, anchors, logits, codes, backbone = look(params, state, batch, net_key)
        kept = first.inside(anchors)
        anchors, logits, codes = anchors[kept], logits[:, kept], codes[:, kept]
        objectness, anchor_location = first.rpn_errors(
            logits, codes, anchors, label, jax.random.split(anchor_key, len(label)), drawn_anchors
        )
        regions, mask = second.draw_regions(
            jax.random.split(region_key, len(label)),
            *first.propose(logits, codes, anchors, proposals),
            label,
            drawn_regions,
        )
        logits, codes, tail_state = stage.answer(params, state, maps, regions, tail_key)
        errors, location = second.region_errors(logits, codes, regions, mask, label)
        terms = {
            'objectness': objectness,
            'anchor_location': LOCATION * anchor_location,
            'class': errors,
            'location': LOCATION * location,
        }
        terms = {name: weighted_mean(values, batch) for name, values in terms.items()}
        value = sum(terms.values(), jnp.zeros(()))
        return value, ({**state, 'backbone': backbone, **tail_state}, {'loss': value, **terms})

    def predict(params, state, batch):
        maps, anchors, logits, codes, _ = look(params, state, batch)
        regions, mask = first.propose(logits, codes, np.clip(anchors, 0, 1), proposals)
        logits, codes, _ = stage.answer(params, state, maps, regions, None)
        return {
            'output': second.detected(logits, codes, regions, mask),
            'label': batch['label'],
        }

    return Method(init, loss, predict)


def _boxes(batch):
    """The labels of a batch, if they are boxes."""
    label = batch['label']
    if label.ndim != 3 or label.shape[-1] != 5:
        raise UserError(
            f'method.name=two_stage takes boxes (n, g, 5), and the labels are {label.shape}: give '
            'data of boxes, such as data.name=boxes'
        )
    return label
