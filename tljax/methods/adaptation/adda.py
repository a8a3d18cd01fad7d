"""Adversarial discriminative domain adaptation: Tzeng, Hoffman, Saenko and Darrell 2017,
https://arxiv.org/abs/1702.05464, equation 9."""

import jax
import optax
from jax.lax import stop_gradient

from tljax.core import Method, Net
from tljax.losses import accuracy, linear
from tljax.methods.adaptation.critic import Critic, domain_error
from tljax.methods.adaptation.two_domains import target_input
from tljax.methods.fine_tuning.finetune import finetune

BATCHES = 'domains'
FROZEN = '(head|source)/.*'  # trained in the first stage
CACHED = False  # the source has a second encoder


def adda(net: Net, classes: int, width: int = 500) -> Method:
    """ADDA, second stage: trains an encoder of the target to fool a critic of domains.

    The source's encoder and the classifier come from a first stage, which is `finetune` on the
    source, and stay fixed. The critic learns to tell source features from target features.

    Args:
        net: both encoders, M_s ('source', frozen) and M_t ('backbone'). Graft the first stage onto
            both encoders and the head, and freeze 'source' and 'head', as configs/adapt.py does.
        classes: number of classes.
        width: of the critic's two hidden layers.

    Returns:
        A Method over params {'backbone', 'critic', 'head', 'source'} on batches of two domains
        (`two_domains`). Its predict classifies by the target's encoder. The source's labels serve
        the accuracy in the metrics alone. The metric 'loss' is the target encoder's term, and
        'critic' is the critic's error.

    >>> import jax.numpy as jnp
    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> method = adda(identity(1), 2, width=1)
    >>> xs = jnp.array([[0.0], [1.0]])
    >>> batch = {'input': xs, 'label': jnp.arange(2), 'target': {'input': xs + 2}}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> for layer in ('dense1', 'dense2'):
    ...     params['critic'][layer]['kernel'] = jnp.ones((1, 1))
    >>> params['critic']['out'] = {'kernel': -2 * jnp.ones((1, 1)), 'bias': 3 * jnp.ones(1)}
    >>> for shift in (0, 1, 2):  # the better the critic, the larger the error of fooling it
    ...     shifted = {**batch, 'target': {'input': xs + shift}}
    ...     metrics = jax.jit(method.loss)(params, state, shifted, Tick(0, jax.random.key(0)))[1][1]
    ...     print(round(float(metrics['critic']), 2), round(float(metrics['loss']), 2))
    1.18 0.18
    0.5 0.81
    0.18 2.18
    """
    base_method = finetune(net, classes)
    critic = Critic((width, width))

    def init(key, batch):
        params, state = base_method.init(key, batch)
        players = critic.start(jax.random.fold_in(key, 1), net.dim)
        return (
            {**params, **players, 'source': params['backbone']},
            {**state, 'source': state['backbone']},
        )

    def loss(params, state, batch, tick):
        # the source's encoder runs in training mode, as the target's does
        source_taps, _ = net.features(params['source'], state['source'], batch['input'], tick.key)
        target_taps, target_state = net.features(
            params['backbone'], state['backbone'], target_input(batch), tick.key
        )
        source, target = source_taps['features'], target_taps['features']
        critic_error = domain_error(
            critic.logits(params, stop_gradient(source)),
            critic.logits(params, stop_gradient(target)),
        )
        # the target's encoder lowers this where the critic takes the target for the source
        fooling_error = optax.sigmoid_binary_cross_entropy(
            critic.logits(stop_gradient(params), target), 1.0
        ).mean()
        metrics = {
            'loss': fooling_error,
            'accuracy': accuracy(linear(params['head'], source), batch['label']),
            'critic': critic_error,
        }
        return critic_error + fooling_error, ({**state, 'backbone': target_state}, metrics)

    return Method(init, loss, base_method.predict)
