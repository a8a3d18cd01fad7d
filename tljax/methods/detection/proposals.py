"""The first stage of a two-stage detector: it says which regions of a picture hold an object.

Ren et al. 2015 (Faster R-CNN), section 3.1, https://arxiv.org/abs/1506.01497. Constants are those
of the TensorFlow Object Detection API. All boxes are in shares of the picture.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from tljax.core import Tree, UserError
from tljax.losses import cross_entropy
from tljax.nn.boxes.anchors import grid_anchors
from tljax.nn.boxes.codes import decode
from tljax.nn.boxes.losses import smooth_l1
from tljax.nn.boxes.matching import excused, targets
from tljax.nn.boxes.mining import balanced_sample
from tljax.nn.boxes.suppression import detections
from tljax.nn.convolution import convolve

MATCHED, UNMATCHED = 0.7, 0.3  # overlaps of an anchor that finds a box, and of background
REPEATED = 0.7  # overlap of a region with a better one that it repeats
DEVIATION = 0.01  # of the weights at the start


def region_anchors(
    picture: tuple[int, int],
    grid: tuple[int, int],
    stride: int,
    sides: Sequence[float],
    ratios: Sequence[float],
) -> np.ndarray:
    """Returns the anchors of a map, (n, 4) float32, in shares of the picture and not clipped.

    Args:
        picture: height and width, pixels.
        grid: height and width of the map, cells.
        stride: distance of two cells, pixels. The first cell's anchors are centred on the corner of
            the picture.
        sides: of a square anchor, pixels.
        ratios: width over height.

    Raises:
        UserError: the stride does not lead from the picture to the map.

    >>> region_anchors((32, 64), (2, 4), 16, sides=[16], ratios=[1.0])[1].tolist()
    [-0.25, 0.125, 0.25, 0.375]
    """
    if any(abs(side / stride - cells) >= 1 for side, cells in zip(picture, grid, strict=True)):
        raise UserError(
            f'method.stride={stride}: pictures {picture} have a map of {grid} cells: give the '
            'distance of two cells in pixels'
        )
    anchors = grid_anchors(grid, stride, base=1.0, scales=sides, ratios=ratios)
    return anchors / np.array([*picture, *picture], np.float32)


def inside(anchors: np.ndarray) -> np.ndarray:
    """Returns the numbers of the anchors that lie in the picture entirely.

    Training leaves out the others, which can hardly find an object.

    Args:
        anchors: (n, 4).

    Raises:
        UserError: there are none.

    >>> inside(np.array([[-0.1, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]])).tolist()
    [1]
    """
    numbers = np.flatnonzero((anchors >= 0).all(-1) & (anchors <= 1).all(-1))
    if not numbers.size:
        raise UserError('method.sides: no anchor lies in the picture: give smaller ones')
    return numbers


def convolution(key: jax.Array, size: int, channels: int, width: int) -> Tree:
    """Starts a convolution with a bias: {'kernel', 'bias'}.

    Args:
        key: of the random weights.
        size: side of the kernel.
        channels: of the map that it takes.
        width: channels of the map that it makes.

    >>> jax.eval_shape(lambda key: convolution(key, 1, 8, 4), jax.random.key(0))['kernel'].shape
    (1, 1, 8, 4)
    """
    start = jax.nn.initializers.truncated_normal(DEVIATION)
    return {'kernel': start(key, (size, size, channels, width)), 'bias': jnp.zeros(width)}


def convolved(layer: Tree, maps: jax.Array) -> jax.Array:
    """Returns the maps that a convolution makes, (n, h, w, width).

    Args:
        layer: as `convolution` started it.
        maps: (n, h, w, channels).

    >>> layer = {'kernel': 2 * jnp.ones((1, 1, 1, 1)), 'bias': jnp.ones(1)}
    >>> convolved(layer, 3 * jnp.ones((1, 1, 1, 1))).item()
    7.0
    """
    return convolve(maps, layer['kernel']) + layer['bias']


def start_rpn(key: jax.Array, channels: int, width: int, shapes: int) -> Tree:
    """Starts the region proposal network: {'conv', 'objectness', 'box'}.

    Args:
        key: of the random weights.
        channels: of the map.
        width: channels of the layer between.
        shapes: number of anchors of a cell.

    >>> params = jax.eval_shape(lambda key: start_rpn(key, 8, 4, shapes=3), jax.random.key(0))
    >>> params['conv']['kernel'].shape, params['box']['bias'].shape
    ((3, 3, 8, 4), (12,))
    """
    keys = jax.random.split(key, 3)
    return {
        'conv': convolution(keys[0], 3, channels, width),
        'objectness': convolution(keys[1], 1, width, 2 * shapes),
        'box': convolution(keys[2], 1, width, 4 * shapes),
    }


def rpn(params: Tree, maps: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns what the region proposal network says of each anchor.

    Args:
        params: as `start_rpn` returns them.
        maps: (n, h, w, c).

    Returns:
        Logits of 'background' and 'object', (n, anchors, 2), and codes of the object's box,
        (n, anchors, 4).

    >>> params, maps = start_rpn(jax.random.key(0), 8, 4, shapes=3), jnp.ones((1, 2, 5, 8))
    >>> [part.shape for part in jax.eval_shape(rpn, params, maps)]
    [(1, 30, 2), (1, 30, 4)]
    """
    hidden = jax.nn.relu6(convolved(params['conv'], maps))
    logits, codes = convolved(params['objectness'], hidden), convolved(params['box'], hidden)
    return logits.reshape(maps.shape[0], -1, 2), codes.reshape(maps.shape[0], -1, 4)


def rpn_errors(
    logits: jax.Array,
    codes: jax.Array,
    anchors: jax.Array | np.ndarray,
    label: jax.Array,
    keys: jax.Array,
    drawn: int,
) -> tuple[jax.Array, jax.Array]:
    """Returns two errors of each picture, (n,): of objectness, and of the boxes' codes.

    Both are sums over the drawn anchors, the second over those that have a box, divided by the
    number of drawn anchors: equation 1, where the paper divides the second by the number of cells.

    Args:
        logits: (n, anchors, 2).
        codes: (n, anchors, 4).
        anchors: (anchors, 4).
        label: top, left, bottom, right and class of the boxes, (n, g, 5).
        keys: a key for each picture, (n,).
        drawn: number of anchors that are drawn, at most half of them with a box.

    Without knowledge the error of objectness is log 2, and that of perfect codes 0:

    >>> anchors, box = jnp.array([[0.0, 0.0, 1.0, 1.0]]), jnp.array([[[0.0, 0.0, 1.0, 1.0, 5.0]]])
    >>> logits, codes, keys = jnp.zeros((1, 1, 2)), jnp.zeros((1, 1, 4)), jax.random.key(0)[None]
    >>> errors = jax.jit(rpn_errors, static_argnames='drawn')
    >>> objectness, location = errors(logits, codes, anchors, box, keys, drawn=2)
    >>> round(objectness.item(), 4), location.item()
    (0.6931, 0.0)
    """
    target = targets(label, jnp.asarray(anchors), MATCHED, UNMATCHED)
    box = excused(target.box, label, anchors)
    sample = jax.vmap(lambda key, box: balanced_sample(key, box, drawn))(keys, box)
    count = jnp.maximum(sample.sum(-1), 1)
    has_box = box >= 0
    objectness = cross_entropy(logits, has_box.astype(jnp.int32))
    location = jnp.where(has_box, smooth_l1(codes, target.codes), 0)
    return (sample * objectness).sum(-1) / count, (sample * location).sum(-1) / count


def propose(
    logits: jax.Array, codes: jax.Array, anchors: jax.Array | np.ndarray, limit: int
) -> tuple[jax.Array, jax.Array]:
    """Returns the regions that most likely hold an object, best first. They carry no gradient.

    The first k of them do not depend on how many follow.

    Args:
        logits: (n, anchors, 2).
        codes: (n, anchors, 4).
        anchors: (anchors, 4).
        limit: most regions of a picture.

    Returns:
        boxes, (n, limit, 4), clipped to the picture, and which of them there are, (n, limit); the
        others are 0.

    >>> anchors = jnp.array([[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.5]])
    >>> logits, codes = jnp.array([[[0.0, 1.0], [0.0, 2.0]]]), jnp.zeros((1, 2, 4))
    >>> boxes, mask = jax.jit(propose, static_argnames='limit')(logits, codes, anchors, limit=3)
    >>> boxes[0, :2].tolist(), mask.tolist()
    ([[0.5, 0.5, 1.0, 1.0], [0.0, 0.0, 0.5, 0.5]], [[True, True, False]])
    """
    logits, codes = jax.lax.stop_gradient((logits, codes))
    boxes = decode(codes, jnp.asarray(anchors))
    scores = jax.nn.softmax(logits)[..., 1:]
    found = detections(boxes, scores, REPEATED, lowest=0.0, per_class=limit, total=limit)
    return found[..., :4], found[..., 4] >= 0
