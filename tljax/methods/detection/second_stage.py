"""The second stage of a two-stage detector: it says which object a region holds, and where exactly.

Faster R-CNN computes features of each region's crop (Ren et al. 2015,
https://arxiv.org/abs/1506.01497). R-FCN computes maps of the whole picture, and averages each
region's parts in maps of their own (Dai et al. 2016, https://arxiv.org/abs/1605.06409). Constants
are those of the TensorFlow Object Detection API.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from tljax.core import Net, Tree
from tljax.losses import cross_entropy, linear
from tljax.methods.detection.proposals import convolution, convolved
from tljax.nn.boxes.codes import decode
from tljax.nn.boxes.crops import crop_and_resize, position_sensitive_crop
from tljax.nn.boxes.losses import smooth_l1
from tljax.nn.boxes.matching import IGNORED, excused, targets
from tljax.nn.boxes.mining import balanced_sample
from tljax.nn.boxes.suppression import detections
from tljax.nn.layers import max_pool

CROP = (14, 14)  # samples of a region, which are pooled to half as many
SAMPLES, BINS = (18, 18), (3, 3)  # samples of a region, and its parts, in position-sensitive maps
MATCHED = 0.5  # overlap of a region that holds an object
POSITIVE = 0.25  # largest share of drawn regions that hold one
REPEATED, DETECTIONS = 0.6, 100  # overlap with a better box of the class, and boxes of a picture


class SecondStage(NamedTuple):
    """How regions are pooled and described.

    Attributes:
        init: (key, maps) -> params and state, {'tail', 'head'} and {'tail'}, for maps of the given
            shape, (n, h, w, c).
        answer: (params, state, maps, boxes, key) -> logits, codes, state. For boxes (n, k, 4) these
            are logits of the background and all classes, (n, k, classes + 1), and a code for each
            class, (n, k, classes, 4). `key` is None at inference.

    >>> from tljax.zoo.families.conv4 import conv4
    >>> stage, maps = by_crops(conv4(2, size=7, blocks=1), classes=3), jnp.ones((1, 4, 4, 8))
    >>> params, state = jax.eval_shape(stage.init, jax.random.key(0), maps)
    >>> boxes = jnp.zeros((1, 5, 4))
    >>> answers = jax.eval_shape(stage.answer, params, state, maps, boxes, None)
    >>> [part.shape for part in answers[:2]]
    [(1, 5, 4), (1, 5, 3, 4)]
    """

    init: Callable[..., tuple[Tree, Tree]]
    answer: Callable[..., tuple[jax.Array, jax.Array, Tree]]


def by_crops(tail: Net, classes: int) -> SecondStage:
    """Faster R-CNN: the tail computes features of a crop of each region.

    Args:
        tail: takes crops of the map, (n, 7, 7, c).
        classes: number of classes.
    """

    def init(key, maps):
        keys = jax.random.split(key, 3)
        crop = jnp.zeros((1, CROP[0] // 2, CROP[1] // 2, maps.shape[-1]))
        params, state = tail.init(keys[0], crop)
        start = jax.nn.initializers.glorot_uniform()
        head = {
            name: {'kernel': start(key, (tail.dim, width)), 'bias': jnp.zeros(width)}
            for key, name, width in zip(
                keys[1:], ('class', 'box'), (classes + 1, 4 * classes), strict=True
            )
        }
        return {'tail': params, 'head': head}, {'tail': state}

    def answer(params, state, maps, boxes, key):
        crops = crop_and_resize(maps, boxes, CROP)
        crops = max_pool(crops.reshape(-1, *crops.shape[2:]))
        taps, new = tail.features(params['tail'], state['tail'], crops, key)
        features = taps['features'].reshape(*boxes.shape[:2], -1)
        logits, codes = (linear(params['head'][name], features) for name in ('class', 'box'))
        return logits, codes.reshape(*boxes.shape[:2], classes, 4), {'tail': new}

    return SecondStage(init, answer)


def by_position(tail: Net, classes: int, layer: str, width: int) -> SecondStage:
    """R-FCN: the tail computes a map of the whole picture, and the regions only average.

    Args:
        tail: takes whole maps.
        classes: number of classes.
        layer: name of the tail's map among its intermediate outputs.
        width: channels that the tail's map is reduced to, before the position-sensitive maps.
    """
    parts = BINS[0] * BINS[1]

    def init(key, maps):
        keys = jax.random.split(key, 4)
        params, state = tail.init(keys[0], maps)
        taps, _ = jax.eval_shape(tail.features, params, state, maps)
        head = {
            'reduce': convolution(keys[1], 1, taps[layer].shape[-1], width),
            'class': convolution(keys[2], 1, width, parts * (classes + 1)),
            'box': convolution(keys[3], 1, width, parts * classes * 4),
        }
        return {'tail': params, 'head': head}, {'tail': state}

    def answer(params, state, maps, boxes, key):
        taps, new = tail.features(params['tail'], state['tail'], maps, key)
        reduced = jax.nn.relu(convolved(params['head']['reduce'], taps[layer]))
        logits, codes = (
            position_sensitive_crop(convolved(params['head'][name], reduced), boxes, SAMPLES, BINS)
            for name in ('class', 'box')
        )
        return logits, codes.reshape(*boxes.shape[:2], classes, 4), {'tail': new}

    return SecondStage(init, answer)


def draw_regions(
    keys: jax.Array, boxes: jax.Array, mask: jax.Array, label: jax.Array, drawn: int
) -> tuple[jax.Array, jax.Array]:
    """Draws the regions of each picture that the second stage is trained on.

    Args:
        keys: a key for each picture, (n,).
        boxes: regions, (n, k, 4).
        mask: which of them there are, (n, k).
        label: boxes of the objects, (n, g, 5).
        drawn: number of regions, at most a quarter of which hold an object.

    Returns:
        boxes, (n, m, 4), in their order, and which of them there are, (n, m), where m is the
        smaller of `drawn` and k.

    >>> boxes = jnp.array([[[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.1, 0.1], [0.0, 0.0, 0.0, 0.0]]])
    >>> mask, label = jnp.array([[True, True, False]]), jnp.array([[[0.0, 0.0, 1.0, 1.0, 2.0]]])
    >>> draw = jax.jit(draw_regions, static_argnames='drawn')
    >>> draw(jax.random.key(0)[None], boxes, mask, label, drawn=4)[1].tolist()
    [[True, True, False]]
    """
    box = excused(targets(label, boxes, MATCHED, MATCHED, force=False).box, label, boxes)
    box = jnp.where(mask, box, IGNORED)
    sample = jax.vmap(lambda key, box: balanced_sample(key, box, drawn, POSITIVE))(keys, box)
    order = jnp.argsort(~sample, axis=-1, stable=True)[:, : min(drawn, mask.shape[-1])]
    mask = jnp.take_along_axis(sample, order, -1)
    boxes = jnp.take_along_axis(boxes, order[..., None], -2)
    return jnp.where(mask[..., None], boxes, 0), mask


def region_errors(
    logits: jax.Array, codes: jax.Array, boxes: jax.Array, mask: jax.Array, label: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns two errors of each picture, (n,): of the classes, and of the boxes' codes.

    Both are sums over the regions, the second over those that hold an object and of the code of its
    class, divided by the number of regions.

    Args:
        logits: (n, k, classes + 1), the background first.
        codes: (n, k, classes, 4).
        boxes: regions, (n, k, 4).
        mask: which of them there are, (n, k).
        label: boxes of the objects, (n, g, 5).

    >>> boxes, mask = jnp.array([[[0.0, 0.0, 1.0, 1.0]]]), jnp.array([[True]])
    >>> label, codes = jnp.array([[[0.0, 0.0, 1.0, 1.0, 1.0]]]), jnp.zeros((1, 1, 3, 4))
    >>> errors = jax.jit(region_errors)(jnp.zeros((1, 1, 4)), codes, boxes, mask, label)  # log 4
    >>> [round(error.item(), 4) for error in errors]
    [1.3863, 0.0]
    """
    target = targets(label, boxes, MATCHED, MATCHED, force=False)
    count = jnp.maximum(mask.sum(-1), 1)
    holds = mask & (target.label >= 0)
    place = jnp.maximum(target.label, 0)[..., None, None]
    code = jnp.take_along_axis(codes, place, -2)[..., 0, :]
    wrong = jnp.where(mask, cross_entropy(logits, jnp.maximum(target.label, -1) + 1), 0)
    location = jnp.where(holds, smooth_l1(code, target.codes), 0)
    return wrong.sum(-1) / count, location.sum(-1) / count


def detected(logits: jax.Array, codes: jax.Array, boxes: jax.Array, mask: jax.Array) -> jax.Array:
    """Returns the objects of each picture, (n, 100, 6), as `suppression.detections` does.

    Args:
        logits: (n, k, classes + 1), the background first.
        codes: (n, k, classes, 4).
        boxes: regions, (n, k, 4).
        mask: which of them there are, (n, k).

    >>> boxes, mask = jnp.array([[[0.0, 0.0, 0.5, 0.5]]]), jnp.array([[True]])
    >>> found = jax.jit(detected)(
    ...     jnp.array([[[0.0, -9.0, 9.0]]]), jnp.zeros((1, 1, 2, 4)), boxes, mask
    ... )
    >>> found.shape, found[0, 0].round(2).tolist()
    ((1, 100, 6), [0.0, 0.0, 0.5, 0.5, 1.0, 1.0])
    """
    scores = jnp.where(mask[..., None], jax.nn.softmax(logits)[..., 1:], 0)
    places = decode(codes, boxes[..., None, :])
    return detections(places, scores, REPEATED, 0.0, DETECTIONS, DETECTIONS)
