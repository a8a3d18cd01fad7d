"""Augmentations of pictures with boxes: (key, input, boxes) -> (input, boxes), on one example.

`input` is float32 (h, w, c) in [0, 1]. `boxes` are (g, 5): top, left, bottom, right in shares, and
the class, negative where there is no box to be found. The deterministic parts (`mirrored`,
`windowed`) have tests of their own. All random numbers come from the example's own key.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from tljax.core import PADDING, UserError
from tljax.nn.boxes.geometry import area as area_of
from tljax.nn.boxes.geometry import clip, covered, relative
from tljax.protocols import Augmentation, Prepare

BoxAugmentation = Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]

NAMES = ('flip_boxes', 'ssd_crop', 'scale_jitter', 'unmoved')  # what a config may name
COVERED = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)  # the API's defaults


def prepare_boxes(functions: Sequence[BoxAugmentation]) -> Prepare:
    """Makes the function that augments the batches of a `core.Stream`, each example by its own key.

    Args:
        functions: the augmentations, first to last; the i-th one gets the key with i folded in.

    Returns:
        `prepare(batch) -> batch`. It takes {'input': (n, h, w, c), 'label': (n, g, 5), 'key': (n,
        2) uint32, ...}, as `augment.prepare_batch` does.

    >>> prepare = jax.jit(prepare_boxes([flip_boxes(probability=1.0)]))
    >>> picture, key = jnp.arange(4.0).reshape(1, 1, 4, 1), jnp.zeros((1, 2), jnp.uint32)
    >>> batch = {'input': picture, 'label': jnp.array([[[0.0, 0.0, 1.0, 0.25, 7.0]]]), 'key': key}
    >>> prepare(batch)['label'].tolist()
    [[[0.0, 0.75, 1.0, 1.0, 7.0]]]
    """

    def augment(key, input, boxes):
        for i, function in enumerate(functions):
            input, boxes = function(jax.random.fold_in(key, i), input, boxes)
        return input, boxes

    def prepare(batch):
        keys = jax.random.wrap_key_data(batch['key'], impl='threefry2x32')
        batch = {name: value for name, value in batch.items() if name != 'key'}
        input, label = jax.vmap(augment)(keys, batch['input'], batch['label'])
        return {**batch, 'input': input, 'label': label}

    return prepare


def unmoved(picture: Augmentation) -> BoxAugmentation:
    """Makes an augmentation of pictures that moves nothing, such as `augment.colour`, take boxes.

    Args:
        picture: the augmentation.

    >>> darken = unmoved(lambda key, input: input / 2)
    >>> picture, box = darken(jax.random.key(0), jnp.ones((1, 1, 1)), jnp.zeros((1, 5)))
    >>> picture.item(), box.shape
    (0.5, (1, 5))
    """
    return lambda key, input, boxes: (picture(key, input), boxes)


def flip_boxes(probability: float = 0.5) -> BoxAugmentation:
    """Mirrors a picture and its boxes left to right at random.

    Args:
        probability: of a flip, in [0, 1].

    Raises:
        UserError: a probability outside [0, 1].

    >>> flip, box = flip_boxes(probability=1.0), jnp.array([[0.0, 0.0, 1.0, 0.25, 7.0]])
    >>> jax.jit(flip)(jax.random.key(0), jnp.zeros((1, 4, 1)), box)[1].tolist()
    [[0.0, 0.75, 1.0, 1.0, 7.0]]
    """
    _refuse_share('flip_boxes.probability', probability)

    def function(key, input, boxes):
        is_flipped = jax.random.uniform(key) < probability
        flipped, turned = mirrored(input, boxes)
        return jnp.where(is_flipped, flipped, input), jnp.where(is_flipped, turned, boxes)

    return function


def mirrored(input: jax.Array, boxes: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mirrors a picture and its boxes left to right. Rows that are no box stay as they are.

    Args:
        input: (h, w, c).
        boxes: (g, 5).

    >>> jax.jit(mirrored)(jnp.zeros((1, 4, 1)), jnp.array([[0.0, 0.5, 1.0, 0.75, 7.0]]))[1].tolist()
    [[0.0, 0.25, 1.0, 0.5, 7.0]]
    """
    top, left, bottom, right, label = jnp.moveaxis(boxes, -1, 0)
    turned = jnp.stack([top, 1 - right, bottom, 1 - left, label], -1)
    return input[:, ::-1], jnp.where((label == PADDING)[:, None], boxes, turned)


def ssd_crop(
    thresholds: Sequence[float] = COVERED,
    keep: float = 0.15,
    area: Sequence[float] = (0.1, 1.0),
    ratio: Sequence[float] = (0.5, 2.0),
    attempts: int = 100,
) -> BoxAugmentation:
    """Crops a random window that covers some box well enough, and scales it to the picture's size.

    One of the thresholds is drawn. A window must cover at least that share of some box, or of the
    picture if there are no boxes. Of several random windows the first such is taken; if there is
    none, the picture stays whole. Boxes of which the window covers a smaller share than the
    threshold, or nothing, are dropped, and the others are clipped. With a threshold of 0, no box
    may be left.

    Args:
        thresholds: shares of a box's area, each as likely as the others.
        keep: probability that the picture stays whole.
        area: smallest and largest area of a window, as a share of the picture's area.
        ratio: smallest and largest width over height of a window, in pixels.
        attempts: number of windows that are drawn.

    Raises:
        UserError: a share outside [0, 1], a reversed range, or no attempts.

    Source:
        Liu et al. 2016, section 2.2, https://arxiv.org/abs/1512.02325, as the API's
        `ssd_random_crop` has it by `tf.image.sample_distorted_bounding_box`, whose windows are
        whole pixels.

    >>> crop = jax.jit(ssd_crop(thresholds=[1.0], keep=0.0))
    >>> boxes = jnp.array([[0.4, 0.4, 0.5, 0.5, 7.0]])
    >>> _, found = crop(jax.random.key(0), jnp.zeros((8, 8, 1)), boxes)
    >>> int(found[0, 4]), bool(((found[0, 2:4] - found[0, :2]) > 0.0999).all())  # it is not cut
    (7, True)
    """
    for share in (keep, *thresholds):
        _refuse_share('ssd_crop', share)
    if not thresholds or attempts < 1:
        raise UserError(
            f'ssd_crop.thresholds={list(thresholds)}, ssd_crop.attempts={attempts}: give at least '
            'one of each'
        )
    if not 0 < area[0] <= area[1] <= 1 or not 0 < ratio[0] <= ratio[1]:
        raise UserError(
            f'ssd_crop.area={tuple(area)}, ssd_crop.ratio={tuple(ratio)}: give low and high, above '
            '0, and an area of at most 1'
        )

    def function(key, input, boxes):
        kept_key, choice_key, window_key = jax.random.split(key, 3)
        threshold = jnp.array(thresholds)[jax.random.randint(choice_key, (), 0, len(thresholds))]
        windows, fits = _windows(window_key, input.shape, attempts, area, ratio)
        is_box = (boxes[:, 4] >= 0) & (area_of(boxes[:, :4]) > 0)
        share = jnp.where(is_box[:, None], covered(boxes[:, :4], windows), -1)  # (g, attempts)
        best = jnp.where(is_box.any(), share.max(0, initial=-1), area_of(windows))
        fits &= best >= threshold
        is_cropped = (jax.random.uniform(kept_key) >= keep) & fits.any()
        window = jnp.where(is_cropped, windows[fits.argmax()], jnp.array([0.0, 0.0, 1.0, 1.0]))
        cropped, found = windowed(input, boxes, window, threshold)
        return (
            jnp.where(is_cropped, cropped, input),
            jnp.where(is_cropped, found, boxes),
        )

    return function


def _windows(key, shape, count, area, ratio):
    """Random windows in the picture, (count, 4), and which of them are large enough.

    A ratio is drawn first, then a height among those that the areas and the picture allow.
    """
    draws = jax.random.uniform(key, (4, count))
    ratio = ratio[0] + draws[0] * (ratio[1] - ratio[0])
    ratio *= shape[0] / shape[1]  # width over height in shares
    low, high = jnp.sqrt(area[0] / ratio), jnp.minimum(jnp.sqrt(area[1] / ratio), 1 / ratio)
    high = jnp.minimum(high, 1)
    height = jnp.minimum(low, high) + draws[1] * jnp.maximum(high - low, 0)
    width = height * ratio
    top, left = draws[2] * (1 - height), draws[3] * (1 - width)
    # one window of the smallest area has it to rounding only
    fits = height * width >= area[0] * (1 - 1e-6)
    return jnp.stack([top, left, top + height, left + width], -1), fits


def windowed(
    input: jax.Array, boxes: jax.Array, window: jax.Array, threshold: float | jax.Array = 0.0
) -> tuple[jax.Array, jax.Array]:
    """Resizes a window of a picture to the picture's own shape, and moves its boxes along.

    Args:
        input: (h, w, c); outside of it is black.
        boxes: (g, 5).
        window: top, left, bottom, right, (4,), in shares; it may be larger than the picture.
        threshold: share of a box that the window must cover; other boxes become padding, as do
            those that it does not cover at all.

    Where the window is larger than the picture, pixels are averaged (jax.image, antialias).

    >>> boxes = jnp.array([[0.5, 0.5, 1.0, 1.0, 7.0], [0.0, 0.0, 0.25, 0.25, 3.0]])
    >>> window = jnp.array([0.5, 0.5, 1.5, 1.5])
    >>> jax.jit(windowed)(jnp.ones((2, 2, 1)), boxes, window)[1].tolist()
    [[0.0, 0.0, 0.5, 0.5, 7.0], [0.0, 0.0, 0.0, 0.0, -1.0]]
    """
    sides = jnp.array(input.shape[:2], input.dtype)
    zoom = 1 / (window[2:] - window[:2])
    output = jax.image.scale_and_translate(
        input,
        input.shape,
        (0, 1),
        zoom,
        -window[:2] * sides * zoom,
        method='linear',
        precision=jax.lax.Precision.HIGHEST,
    )
    share = covered(boxes[:, :4], window[None])[:, 0]
    kept = (share > 0) & (share >= threshold) & (boxes[:, 4] != PADDING)
    corners = clip(relative(boxes[:, :4], window))
    kept &= area_of(corners) > 0
    moved = jnp.concatenate([corners, boxes[:, 4:]], -1)
    nothing = jnp.array([0.0, 0.0, 0.0, 0.0, PADDING], boxes.dtype)
    return output, jnp.where(kept[:, None], moved, nothing)


def scale_jitter(scale: Sequence[float] = (0.5, 1.5)) -> BoxAugmentation:
    """Enlarges or reduces a picture about a random point, at its own size.

    A reduced picture stands at a random place on black; of an enlarged one a random part is seen.
    Boxes of which no part is seen are dropped.

    Args:
        scale: smallest and largest factor, drawn uniformly.

    Raises:
        UserError: a reversed range, or a factor that is not positive.

    Source:
        Ghiasi et al. 2021, section 3, https://arxiv.org/abs/2012.07177, whose standard jitter is
        0.8 to 1.25 and whose large jitter 0.1 to 2.

    >>> reduce = jax.jit(scale_jitter((0.5, 0.5)))
    >>> boxes = jnp.array([[0.0, 0.0, 1.0, 1.0, 7.0]])
    >>> _, found = reduce(jax.random.key(0), jnp.ones((8, 8, 1)), boxes)
    >>> [round(side, 4) for side in (found[0, 2:4] - found[0, :2]).tolist()]
    [0.5, 0.5]
    """
    if not 0 < scale[0] <= scale[1]:
        raise UserError(f'scale_jitter.scale={tuple(scale)}: give low and high, 0 < low <= high')

    def function(key, input, boxes):
        draws = jax.random.uniform(key, (3,))
        side = 1 / (scale[0] + draws[0] * (scale[1] - scale[0]))  # of the window that is seen
        corner = draws[1:] * (1 - side)  # negative where the window is larger than the picture
        return windowed(input, boxes, jnp.concatenate([corner, corner + side]))

    return function


def _refuse_share(name, value):
    if not 0 <= value <= 1:
        raise UserError(f'{name}={value}: give 0 to 1')
