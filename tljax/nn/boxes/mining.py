"""Which anchors a loss is summed over: the hardest ones, or a balanced sample."""

import jax
import jax.numpy as jnp

from tljax.nn.boxes.matching import BACKGROUND
from tljax.nn.boxes.suppression import suppress


def hard_examples(
    loss: jax.Array,
    boxes: jax.Array,
    box: jax.Array,
    limit: int = 3000,
    overlap: float = 0.99,
    negatives: float = 3.0,
    fewest: int = 0,
) -> jax.Array:
    """Returns which anchors are hard examples, (..., n) booleans. No gradient flows through it.

    These are the `limit` anchors of the largest losses, without those whose decoded boxes overlap a
    harder one's. Of the background among them, the hardest are kept: `negatives` for each anchor
    among them that has a box, but at least `fewest`. Ignored anchors are none of either.

    Args:
        loss: classification loss of each anchor, (..., n).
        boxes: decoded box of each anchor, (..., n, 4).
        box: number of each anchor's box, (..., n), as `matching.match` returns it.
        limit: most anchors.
        overlap: intersection over union above which a box repeats a harder one.
        negatives: most background anchors for each anchor that has a box.
        fewest: background anchors that are kept in any case.

    Source:
        Liu et al. 2016, section 2.2, https://arxiv.org/abs/1512.02325, and Shrivastava et al. 2016,
        https://arxiv.org/abs/1604.03540, as the API's `HardExampleMiner` has them.

    One anchor has a box, so the hardest background is kept alone:

    >>> corner = jnp.arange(4.0)[:, None]
    >>> boxes = jnp.concatenate([corner, corner, corner + 1, corner + 1], -1)
    >>> loss, box = jnp.array([0.1, 0.2, 0.9, 0.8]), jnp.array([0, -1, -1, -1])
    >>> jax.jit(hard_examples)(loss, boxes, box, negatives=1.0).tolist()
    [True, False, True, False]
    """
    loss, boxes = jax.lax.stop_gradient((loss, boxes))
    order = jnp.argsort(loss, axis=-1, descending=True, stable=True)
    ranked = jnp.take_along_axis(boxes, order[..., None], -2)
    kept = suppress(ranked, overlap)
    kept &= jnp.cumsum(kept, -1) <= limit
    ranked_box = jnp.take_along_axis(box, order, -1)
    positive, negative = kept & (ranked_box >= 0), kept & (ranked_box == BACKGROUND)
    most = jnp.maximum(fewest, jnp.floor(negatives * positive.sum(-1, keepdims=True)))
    chosen = positive | (negative & (jnp.cumsum(negative, -1) <= most))
    return jnp.take_along_axis(chosen, jnp.argsort(order, axis=-1), -1)


def balanced_sample(key: jax.Array, box: jax.Array, size: int, positive: float = 0.5) -> jax.Array:
    """Draws anchors at random, (n,) booleans: some that have a box, and background for the rest.

    Args:
        key: key of the picture.
        box: number of each anchor's box, (n,), as `matching.match` returns it. Ignored anchors are
            never drawn.
        size: number of anchors drawn; fewer if there are not enough.
        positive: largest share of anchors that have a box; missing ones are made up by background.

    Source:
        Ren et al. 2015, section 3.1.3, https://arxiv.org/abs/1506.01497

    >>> box = jnp.array([0, 0, 0, -1, -1, -1, -2])
    >>> draw = jax.jit(balanced_sample, static_argnames='size')
    >>> drawn = draw(jax.random.key(0), box, size=4).tolist()
    >>> sum(drawn[:3]), sum(drawn[3:6]), drawn[6]
    (2, 2, False)
    """
    order = jax.random.permutation(key, box.size)
    shuffled = jnp.take(box, order)
    is_positive, is_negative = shuffled >= 0, shuffled == BACKGROUND
    drawn = is_positive & (jnp.cumsum(is_positive) <= int(positive * size))
    drawn |= is_negative & (jnp.cumsum(is_negative) <= size - drawn.sum())
    return jnp.zeros(box.shape, bool).at[order].set(drawn)
