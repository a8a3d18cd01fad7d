"""Criteria of single-shot detectors: what is summed over the anchors of a picture."""

from typing import Protocol

import jax
import optax

from tljax.nn.boxes.codes import decode
from tljax.nn.boxes.losses import focal as focal_loss
from tljax.nn.boxes.losses import smooth_l1
from tljax.nn.boxes.matching import IGNORED, Targets
from tljax.nn.boxes.mining import hard_examples

NAMES = ('focal', 'mined')  # what a config may name
CODE = 4  # numbers of a code


class Criterion(Protocol):
    """Sums the errors of a picture.

    >>> focal().__name__
    'errors'
    """

    def __call__(
        self, codes: jax.Array, logits: jax.Array, targets: Targets, anchors: jax.Array, /
    ) -> tuple[jax.Array, jax.Array]:
        """Sums the errors over the anchors of each picture: of classes and of boxes, (n,) each.

        Args:
            codes: predicted, (n, anchors, 4).
            logits: predicted, (n, anchors, 1 + classes), the background first.
            targets: what the anchors are to say.
            anchors: (anchors, 4).
        """
        ...


def focal(alpha: float = 0.25, gamma: float = 2.0, box_weight: float = 1.0) -> Criterion:
    """The focal loss of all anchors, and a quarter of the smooth L1 loss of those that have a box.

    No logit is to find the background: its column has targets of 0 alone.

    Args:
        alpha: weight of the right classes; that of the others is 1 - alpha.
        gamma: strength of the focus on logits that are wrong.
        box_weight: weight of the boxes' error.

    Source:
        Lin et al. 2017, equation 5, https://arxiv.org/abs/1708.02002; the quarter, one over the
        numbers of a code, is that of the Object Detection API's configs.

    >>> from jax import numpy as jnp
    >>> from tljax.nn.boxes.matching import targets
    >>> anchors = jnp.array([[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]])
    >>> found = targets(jnp.array([[[0.5, 0.5, 1.0, 1.0, 0.0]]]), anchors)
    >>> logits = jnp.array([[[-9.0, -9.0], [-9.0, 9.0]]])  # right
    >>> classes, boxes = focal()(jnp.zeros((1, 2, 4)), logits, found, anchors)
    >>> bool(classes[0] < 1e-6), float(boxes[0])
    (True, 0.0)
    """

    def errors(codes, logits, targets, anchors):
        wanted = _one_hot(targets.label, logits)
        class_errors = focal_loss(logits, wanted, alpha, gamma).sum(-1)
        class_errors *= targets.label != IGNORED
        box_errors = smooth_l1(codes, targets.codes) * (targets.box >= 0)
        return class_errors.sum(-1), box_weight / CODE * box_errors.sum(-1)

    return errors


def mined(
    negatives: float = 3.0,
    fewest: int = 0,
    limit: int = 3000,
    overlap: float = 0.99,
    box_weight: float = 1.0,
) -> Criterion:
    """The errors of the hardest anchors: sigmoid cross-entropy, and smooth L1 of the boxes.

    The background is a class like others: its logit is to find the anchors without a box.

    Args:
        negatives: as `nn.boxes.mining.hard_examples` takes it.
        fewest: as `nn.boxes.mining.hard_examples` takes it.
        limit: as `nn.boxes.mining.hard_examples` takes it.
        overlap: as `nn.boxes.mining.hard_examples` takes it.
        box_weight: weight of the boxes' error.

    Source:
        Liu et al. 2016, section 2.2, https://arxiv.org/abs/1512.02325

    One anchor has a box, so that one of the other three counts, the hardest:

    >>> from jax import numpy as jnp
    >>> from tljax.nn.boxes.matching import targets
    >>> corner = jnp.arange(4.0)[:, None] / 4
    >>> anchors = jnp.concatenate([corner, corner, corner + 0.25, corner + 0.25], -1)
    >>> found = targets(jnp.array([[[0.0, 0.0, 0.25, 0.25, 0.0]]]), anchors)
    >>> logits = jnp.array([[[-9.0, 9.0], [9.0, -9.0], [9.0, -9.0], [0.0, 0.0]]])
    >>> classes, _ = mined(negatives=1)(jnp.zeros((1, 4, 4)), logits, found, anchors)
    >>> round(float(classes[0]), 3)  # 2 log 2
    1.387
    """

    def errors(codes, logits, targets, anchors):
        background = jax.nn.one_hot(0, logits.shape[-1]) * (targets.label < 0)[..., None]
        wanted = _one_hot(targets.label, logits) + background
        class_errors = optax.sigmoid_binary_cross_entropy(logits, wanted).sum(-1)
        class_errors *= targets.label != IGNORED
        box_errors = smooth_l1(codes, targets.codes) * (targets.box >= 0)
        chosen = hard_examples(
            class_errors, decode(codes, anchors), targets.box, limit, overlap, negatives, fewest
        )
        return (class_errors * chosen).sum(-1), box_weight * (box_errors * chosen).sum(-1)

    return errors


def _one_hot(label, logits):
    """1 in the column of each anchor's class, (n, anchors, columns); column 0 is the background."""
    wanted = jax.nn.one_hot(label + 1, logits.shape[-1], dtype=logits.dtype)
    return wanted * (label >= 0)[..., None]
