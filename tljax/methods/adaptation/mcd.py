"""Maximum classifier discrepancy: Saito, Watanabe, Ushiku and Harada 2018,
https://arxiv.org/abs/1712.02560, section 3.3, steps A to C."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from tljax.core import Method, Net, Tree
from tljax.losses import accuracy, cross_entropy, linear, weighted_mean
from tljax.methods.adaptation.critic import hidden_layers, reverse
from tljax.methods.adaptation.two_domains import both_domains, refuse_regression
from tljax.nn.layers import apply_stateless

BATCHES = 'domains'


class _Hidden(nn.Module):
    """What a head has below its linear layer."""

    widths: tuple

    @nn.compact
    def __call__(self, x):
        return hidden_layers(x, self.widths)


def mcd(
    net: Net, classes: int, widths: Sequence[int] = (), repeats: int = 4, weight: float = 1.0
) -> Method:
    """Two heads learn the source (A) and to disagree on the target (B), the features to make them
    agree there (C).

    A step of training is one of the paper's steps, on a batch of its own: A, B, then `repeats`
    times C. A player that rests has no gradient; give the groups `backbone`, `head` and `second`
    the period 2 + repeats and the phases of their turns, so that its optimiser rests, too, as
    configs/adapt.py does for 4 repeats.

    Args:
        net: the generator.
        classes: number of classes.
        widths: of each head's hidden layers, where the generator is but the convolutions.
        repeats: the paper's n.
        weight: of the discrepancy.

    Returns:
        A Method over params {'backbone', 'head', 'second'} on batches of two domains
        (`two_domains`); predict adds the heads.

    >>> from tljax.zoo.families.identity import identity
    >>> sorted(
    ...     mcd(identity(2), 3).init(
    ...         jax.random.key(0), {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])}
    ...     )[0]
    ... )
    ['backbone', 'head', 'second']
    """
    refuse_regression('mcd', classes)
    below = _Hidden(tuple(widths))

    def answer(head, features):
        return linear(head, apply_stateless(below, head, features))

    def head(key):  # heads that start alike would never disagree
        last, layers = below.init_with_output(key, jnp.zeros((1, net.dim)))
        own: Tree = layers.get('params', {})
        kernel = jax.nn.initializers.lecun_normal()(key, (last.shape[1], classes))
        return {**own, 'kernel': kernel, 'bias': jnp.zeros(classes)}

    def init(key, batch):
        backbone, state = net.init(key, batch['input'])
        first, second = jax.random.split(key)
        return {'backbone': backbone, 'head': head(first), 'second': head(second)}, {
            'backbone': state
        }

    def loss(params, state, batch, tick):
        turn = jnp.minimum(tick.step % (2 + repeats), 2)  # A, B, C
        learns, heads_learn = jnp.array([[1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])[turn]
        of_error, of_gap = jnp.array([[1.0, 0.0], [1.0, -weight], [0.0, weight]])[turn]
        params = {
            name: reverse(leaves, -(learns if name == 'backbone' else heads_learn))
            for name, leaves in params.items()
        }
        source, target, moved = both_domains(net, params, state, batch, tick.key, answer)
        second = [answer(params['second'], domain['features']) for domain in (source, target)]
        error = sum(
            weighted_mean(cross_entropy(logits, batch['label']), batch)
            for logits in (source['logits'], second[0])
        )
        gap = jnp.mean(jnp.abs(jax.nn.softmax(target['logits']) - jax.nn.softmax(second[1])))
        told = accuracy(source['logits'] + second[0], batch['label'])
        return of_error * error + of_gap * gap, (
            {**state, 'backbone': moved},
            {'loss': error / 2, 'accuracy': told, 'gap': gap},
        )

    def predict(params, state, batch):
        features = net.features(params['backbone'], state['backbone'], batch['input'])[0][
            'features'
        ]
        return {
            'output': answer(params['head'], features) + answer(params['second'], features),
            'label': batch['label'],
        }

    return Method(init, loss, predict)
