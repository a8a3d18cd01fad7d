"""FixMatch: Sohn et al. 2020, https://arxiv.org/abs/2001.07685, equations 3 and 4."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from tljax.core import Method, Net
from tljax.losses import accuracy, cross_entropy, weighted_mean
from tljax.methods.adaptation.two_domains import in_one_batch, target_input
from tljax.methods.fine_tuning.finetune import finetune
from tljax.nn.augment import affine, chain, colour, crop
from tljax.protocols import Augmentation

BATCHES = 'domains'
CACHED = False  # it augments the inputs itself
WEAK, STRONG = (crop(),), (affine(degrees=30.0, shear=0.3, scale=0.3, translate=0.125), colour())


def fixmatch(
    net: Net,
    classes: int,
    threshold: float = 0.95,
    weight: float = 1.0,
    weak: Sequence[Augmentation] = WEAK,
    strong: Sequence[Augmentation] = STRONG,
) -> Method:
    """CE(weak(x), y) + weight * mean of CE(strong(u), the class of weak(u)) over the unlabelled u
    where that class is sure.

    Args:
        net: the backbone.
        classes: number of classes.
        threshold: tau, of the probability of the class.
        weight: lambda_u.
        weak: functions of `tljax.nn.augment`.
        strong: functions of `tljax.nn.augment`; the default's are ours, the paper's are RandAugment
            and Cutout.

    Returns:
        A Method over params {'backbone', 'head'} on batches whose `target` is unlabelled
        (`tljax.data.semi_supervised`, or another domain), as many as there are labelled ones (the
        paper: seven times as many). All go through the network in one batch.

    >>> from tljax.zoo.families.identity import identity
    >>> sorted(
    ...     fixmatch(identity(2), 3).init(
    ...         jax.random.key(0), {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])}
    ...     )[0]
    ... )
    ['backbone', 'head']
    """
    alone, weaken, strengthen = finetune(net, classes), chain(weak), chain(strong)

    def loss(params, state, batch, tick):
        unlabelled = target_input(batch)
        keys = jax.random.split(tick.key, (4, len(unlabelled)))
        inputs = [
            jax.vmap(function)(*pair)
            for function, *pair in (
                (weaken, keys[0], batch['input']),
                (weaken, keys[1], unlabelled),
                (strengthen, keys[2], unlabelled),
            )
        ]
        (labelled, guess, hard), moved = in_one_batch(net, params, state, inputs, keys[3, 0])
        error = weighted_mean(cross_entropy(labelled['logits'], batch['label']), batch)
        told = jax.lax.stop_gradient(guess['logits'])
        sure = jax.nn.softmax(told).max(-1) >= threshold
        unsure = jnp.mean(sure * cross_entropy(hard['logits'], told.argmax(-1)))
        metrics = {
            'loss': error,
            'accuracy': accuracy(labelled['logits'], batch['label']),
            'unlabelled': unsure,
            'sure': jnp.mean(sure),
        }
        return error + weight * unsure, ({**state, 'backbone': moved}, metrics)

    return Method(alone.init, loss, alone.predict)
