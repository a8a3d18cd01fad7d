"""Maximum classifier discrepancy: Saito, Watanabe, Ushiku and Harada 2018,
https://arxiv.org/abs/1712.02560, section 3.3, steps A to C."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from tljax.core import Method, Net, Tree
from tljax.losses import accuracy, cross_entropy, linear, weighted_mean
from tljax.methods.adaptation.critic import hidden_layers, scale_gradient
from tljax.methods.adaptation.two_domains import both_domains, refuse_regression
from tljax.nn.layers import apply_stateless

BATCHES = 'domains'


class _Hidden(nn.Module):
    """The hidden layers of a head, below its linear layer."""

    widths: tuple

    @nn.compact
    def __call__(self, x):
        return hidden_layers(x, self.widths)


def mcd(
    net: Net, classes: int, widths: Sequence[int] = (), repeats: int = 4, weight: float = 1.0
) -> Method:
    """MCD: two heads increase their discrepancy on the target, and the backbone reduces it.

    The paper's three steps are:

        A  the backbone and both heads minimise the error on the source
        B  the heads minimise the error on the source, and maximise their discrepancy on the target
        C  the backbone minimises the discrepancy on the target

    Each step of training is one of these, on a new batch: A, B, then `repeats` times C. A player
    (backbone or head) that does not learn in a step has gradient 0. Its optimiser should not update
    in that step either: give each of the groups `backbone`, `head` and `second` the period 2 +
    repeats, and as its phase the steps within the period in which it learns. configs/adapt.py does
    so for 4 repeats.

    Args:
        net: the backbone (the paper's generator).
        classes: number of classes.
        widths: widths of the hidden layers of each head; the paper has such layers where the
            generator consists of the convolutions alone.
        repeats: number of times that step C is repeated, the paper's n.
        weight: weight of the discrepancy.

    Returns:
        A Method with params {'backbone', 'head', 'second'}, for batches of two domains
        (`two_domains`). `second` is the second head. The output of its predict is the sum of the
        heads' logits. The metric 'gap' is the discrepancy: the mean absolute difference of the
        heads' probabilities on the target.

    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> method = mcd(identity(1), 2)
    >>> batch = {'input': jnp.zeros((1, 1)), 'label': jnp.array([0])}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> params['head']['kernel'] = jnp.array([[1.0, 0.0]])
    >>> params['second']['kernel'] = jnp.array([[0.0, 1.0]])
    >>> for shift in (0, 1, 2):  # the heads agree on the input 0, and disagree more on larger ones
    ...     shifted = {**batch, 'target': {'input': jnp.full((1, 1), shift)}}
    ...     metrics = jax.jit(method.loss)(params, state, shifted, Tick(0, jax.random.key(0)))[1][1]
    ...     print(round(float(metrics['gap']), 2))
    0.0
    0.46
    0.76
    """
    refuse_regression('mcd', classes)
    hidden = _Hidden(tuple(widths))
    # factors of: the backbone's gradient, the heads' gradients, the source error, the discrepancy
    step_a = (1.0, 1.0, 1.0, 0.0)
    step_b = (0.0, 1.0, 1.0, -weight)
    step_c = (1.0, 0.0, 0.0, weight)

    def answer(head, features):
        return linear(head, apply_stateless(hidden, head, features))

    def init_head(key):  # each head has its own key, because equal heads would never disagree
        output, variables = hidden.init_with_output(key, jnp.zeros((1, net.dim)))
        layers: Tree = variables.get('params', {})
        kernel = jax.nn.initializers.lecun_normal()(key, (output.shape[1], classes))
        return {**layers, 'kernel': kernel, 'bias': jnp.zeros(classes)}

    def init(key, batch):
        backbone, state = net.init(key, batch['input'])
        first_key, second_key = jax.random.split(key)
        params = {
            'backbone': backbone,
            'head': init_head(first_key),
            'second': init_head(second_key),
        }
        return params, {'backbone': state}

    def loss(params, state, batch, tick):
        step = jnp.minimum(tick.step % (2 + repeats), 2)  # 0 for A, 1 for B, 2 for C
        factors = jnp.array([step_a, step_b, step_c])[step]
        backbone_factor, head_factor, error_factor, gap_factor = factors
        params = {
            'backbone': scale_gradient(params['backbone'], backbone_factor),
            'head': scale_gradient(params['head'], head_factor),
            'second': scale_gradient(params['second'], head_factor),
        }
        source, target, backbone_state = both_domains(net, params, state, batch, tick.key, answer)
        source_logits = source['logits'], answer(params['second'], source['features'])
        target_logits = target['logits'], answer(params['second'], target['features'])
        error = sum(
            weighted_mean(cross_entropy(logits, batch['label']), batch) for logits in source_logits
        )
        first, second = (jax.nn.softmax(logits) for logits in target_logits)
        gap = jnp.mean(jnp.abs(first - second))
        metrics = {
            'loss': error / 2,
            'accuracy': accuracy(source_logits[0] + source_logits[1], batch['label']),
            'gap': gap,
        }
        value = error_factor * error + gap_factor * gap
        return value, ({**state, 'backbone': backbone_state}, metrics)

    def predict(params, state, batch):
        taps, _ = net.features(params['backbone'], state['backbone'], batch['input'])
        features = taps['features']
        return {
            'output': answer(params['head'], features) + answer(params['second'], features),
            'label': batch['label'],
        }

    return Method(init, loss, predict)
