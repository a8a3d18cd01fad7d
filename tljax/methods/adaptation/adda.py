"""Adversarial discriminative domain adaptation: Tzeng, Hoffman, Saenko and Darrell 2017,
https://arxiv.org/abs/1702.05464, equation 9."""

import jax
import optax

from tljax.core import Method, Net
from tljax.losses import accuracy, linear
from tljax.methods.adaptation.critic import Critic, domain_error
from tljax.methods.adaptation.two_domains import target_input
from tljax.methods.fine_tuning.finetune import finetune

BATCHES = 'domains'
FROZEN = '(head|source)/.*'  # the first stage's
CACHED = False  # the source has a second encoder


def adda(net: Net, classes: int, width: int = 500) -> Method:
    """An encoder of the target learns to be taken for the source's: its second stage, after one
    that learns the source (`finetune`).

    Args:
        net: both encoders, M_s ('source', frozen) and M_t ('backbone'). Graft the first stage onto
            both encoders and the head, and freeze 'source' and 'head', as configs/adapt.py does.
        classes: number of classes.
        width: of the critic's two hidden layers.

    Returns:
        A Method over params {'backbone', 'critic', 'head', 'source'} on batches of two domains
        (`two_domains`); predict classifies by the target's encoder. The source's labels are not
        looked at but for the accuracy that is shown.

    >>> import jax.numpy as jnp
    >>> from tljax.zoo.families.identity import identity
    >>> batch = {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])}
    >>> sorted(jax.eval_shape(adda(identity(2), 3).init, jax.random.key(0), batch)[0])
    ['backbone', 'critic', 'head', 'source']
    """
    alone, critic, still = finetune(net, classes), Critic((width, width)), jax.lax.stop_gradient

    def init(key, batch):
        params, state = alone.init(key, batch)
        return (
            {
                **params,
                **critic.start(jax.random.fold_in(key, 1), net.dim),
                'source': params['backbone'],
            },
            {**state, 'source': state['backbone']},
        )

    def loss(params, state, batch, tick):
        # in the mode of the other's
        source = net.features(params['source'], state['source'], batch['input'], tick.key)[0][
            'features'
        ]
        taps, moved = net.features(
            params['backbone'], state['backbone'], target_input(batch), tick.key
        )
        learning = domain_error(
            critic.tell(params, still(source)), critic.tell(params, still(taps['features']))
        )
        fooling = optax.sigmoid_binary_cross_entropy(
            critic.tell(still(params), taps['features']), 1.0
        ).mean()
        told = accuracy(linear(params['head'], source), batch['label'])
        return learning + fooling, (
            {**state, 'backbone': moved},
            {'loss': fooling, 'accuracy': told, 'critic': learning},
        )

    return Method(init, loss, alone.predict)
