"""Learning without forgetting: Li and Hoiem 2016, https://arxiv.org/abs/1606.09282, section 3."""

from tljax.core import Method, Net
from tljax.losses import linear, weighted_mean
from tljax.methods.fine_tuning.source_network import (
    frozen_copy,
    refuse_temperature,
    regularised,
    softened_cross_entropy,
    source_taps,
)

BATCHES = 'labelled'
SEVERAL = True
SOURCE = 'head'


def lwf(
    net: Net,
    classes: int,
    source_classes: int = 1000,
    weight: float = 1.0,
    temperature: float = 2.0,
    several: bool = False,
) -> Method:
    """LwF: learns the target's labels, and still answers its inputs as the source network did.

    The loss is that of the labels + weight * the mean over examples of H(y_o', y_o''). y_o are the
    source network's predictions for the new examples, y_o'' those of the network that is trained,
    through the source's classifier, which is trained as well; both are softened by the temperature.
    The source network answers at inference, with its stored statistics and without dropout.

    Args:
        net: the backbone.
        classes: number of the target's classes; 0 for regression.
        source_classes: number of the source's classes.
        weight: the paper's lambda_o.
        temperature: the paper's T.
        several: as in `finetune`.

    Returns:
        A Method as `source_network.regularised` makes it. The paper first trains the new head alone
        ('warm-up'): that is a phase before, with a frozen backbone and
        `groups.source_head.scale=0`.

    Raises:
        UserError: the temperature is not above 0.

    >>> import jax, jax.numpy as jnp
    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> method = lwf(identity(2), 2, source_classes=2, temperature=1.0)
    >>> batch = {'input': jnp.eye(2), 'label': jnp.arange(2)}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> params['source_head']['kernel'] = 2 * jnp.eye(2)
    >>> state = method.remember(params, state, None)
    >>> for scale in (2.0, 0.0, -2.0):  # as the source; then its head is forgotten, and reversed
    ...     params['source_head']['kernel'] = scale * jnp.eye(2)
    ...     metrics = jax.jit(method.loss)(params, state, batch, Tick(0, jax.random.key(0)))[1][1]
    ...     print(round(float(metrics['term']), 4))
    0.3653
    0.6931
    1.8885
    """
    refuse_temperature(temperature)

    def remember(params, state, start):
        return {**state, 'source': frozen_copy(params, state)}

    def term(params, state, taps, batch):
        old = source_taps(net, state['source'], batch['input'])['logits']
        new = linear(params['source_head'], taps['features'])
        return weight * weighted_mean(softened_cross_entropy(new, old, temperature), batch)

    return regularised(net, classes, term, remember, source_classes, several)
