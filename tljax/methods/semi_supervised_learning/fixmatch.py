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
    """FixMatch: confident predictions on weakly augmented pictures label strongly augmented ones.

    The loss is CE(weak(x), y) + weight * mean over u of CE(strong(u), predicted class of weak(u)),
    with labelled pictures x and unlabelled pictures u. A u counts in the second term if the
    probability of its class is `threshold` or more.

    Args:
        net: the backbone.
        classes: number of classes.
        threshold: tau, of the probability of the class.
        weight: lambda_u.
        weak: functions of `tljax.nn.augment`.
        strong: functions of `tljax.nn.augment`. The default is our choice; the paper uses
            RandAugment and Cutout.

    Returns:
        A Method over params {'backbone', 'head'} on batches whose `target` is unlabelled
        (`tljax.data.semi_supervised`, or another domain). A batch has as many unlabelled pictures
        as labelled ones (seven times as many in the paper). All go through the network in one
        batch. The metric 'unlabelled' is the second mean, and 'sure' the share of the u that count.

    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> method = fixmatch(identity(1), 2, weak=(), strong=(lambda key, x: x / 2,))
    >>> batch = {'input': jnp.zeros((1, 1)), 'label': jnp.array([0])}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> params['head']['kernel'] = jnp.array([[1.0, 0.0]])
    >>> for u in (2.0, 4.0, 8.0):  # probabilities .88, .98 and 1
    ...     example = {**batch, 'target': {'input': jnp.full((1, 1), u)}}
    ...     metrics = jax.jit(method.loss)(params, state, example, Tick(0, jax.random.key(0)))[1][1]
    ...     print(float(metrics['sure']), round(float(metrics['unlabelled']), 3))
    0.0 0.0
    1.0 0.127
    1.0 0.018
    """
    base_method = finetune(net, classes)
    weaken = jax.vmap(chain(weak))
    strengthen = jax.vmap(chain(strong))

    def loss(params, state, batch, tick):
        unlabelled = target_input(batch)
        keys = jax.random.split(tick.key, (4, len(unlabelled)))
        inputs = [
            weaken(keys[0], batch['input']),
            weaken(keys[1], unlabelled),
            strengthen(keys[2], unlabelled),
        ]
        taps, backbone_state = in_one_batch(net, params, state, inputs, keys[3, 0])
        labelled_logits, weak_logits, strong_logits = (tap['logits'] for tap in taps)
        error = weighted_mean(cross_entropy(labelled_logits, batch['label']), batch)
        weak_logits = jax.lax.stop_gradient(weak_logits)
        confident = jax.nn.softmax(weak_logits).max(-1) >= threshold
        unlabelled_loss = jnp.mean(confident * cross_entropy(strong_logits, weak_logits.argmax(-1)))
        metrics = {
            'loss': error,
            'accuracy': accuracy(labelled_logits, batch['label']),
            'unlabelled': unlabelled_loss,
            'sure': jnp.mean(confident),
        }
        return error + weight * unlabelled_loss, ({**state, 'backbone': backbone_state}, metrics)

    return Method(base_method.init, loss, base_method.predict)
