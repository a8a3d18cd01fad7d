"""Fake quantisation in training: Jacob et al. 2018, section 3,
https://arxiv.org/abs/1712.05877, for any method.

Kernels and outputs of layers are rounded to 8 bits in the forward pass, and gradients pass through
the rounding. Ranges of outputs are moving averages, which the state keeps.
"""

import jax.numpy as jnp

from tljax.core import Method, UserError
from tljax.nn.fake_quantisation import quantised_layers

CACHED = False  # the features change with the ranges


def with_fake_quantisation(
    method: Method, delay: int = 48_000, decay: float = 0.999, bits: int = 8
) -> Method:
    """Trains a method with rounded numbers, after a delay in which ranges settle.

    What is rounded stands in `nn.fake_quantisation.quantised_layers`: the kernels and outputs of
    layers with BatchNorm, and of convolutions with a bias. Shortcuts are not.

    Args:
        method: the method.
        delay: number of steps before numbers are rounded; predictions round from then on, too.
        decay: share of the old range in an update.
        bits: of a number, 2 to 16.

    Returns:
        A Method whose state also has `quantised`, 1 once numbers are rounded, and `low` and `high`
        beside the statistics of each layer.

    Raises:
        UserError: a delay below 0, bits or a decay out of their range.

    >>> import jax
    >>> from tljax.core import Tick
    >>> from tljax.methods.fine_tuning.finetune import finetune
    >>> from tljax.zoo import conv4
    >>> method = with_fake_quantisation(finetune(conv4(width=4, blocks=1, size=4), 2), delay=1)
    >>> batch = {'input': jnp.ones((2, 4, 4, 1)), 'label': jnp.array([0, 1])}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> for step in (0, 1):
    ...     _, (new, _) = jax.jit(method.loss)(params, state, batch, Tick(step, jax.random.key(0)))
    ...     print(float(new['quantised']))
    0.0
    1.0
    """
    if delay < 0:
        raise UserError(f'method.delay={delay}: give 0 or more steps')
    if not 2 <= bits <= 16:
        raise UserError(f'method.bits={bits}: give 2 to 16')
    if not 0 <= decay <= 1:
        raise UserError(f'method.decay={decay}: give a number from 0 to 1, such as 0.999')

    def init(key, batch):
        with quantised_layers(False, bits=bits):
            params, state = method.init(key, batch)
        return params, {**state, 'quantised': jnp.zeros(())}

    def loss(params, state, batch, tick):
        active = jnp.asarray(tick.step >= delay)
        with quantised_layers(active, decay, bits):
            value, (new, metrics) = method.loss(params, _without(state), batch, tick)
        return value, ({**new, 'quantised': active.astype(jnp.float32)}, metrics)

    def predict(params, state, batch):
        with quantised_layers(state['quantised'] > 0, bits=bits):
            return method.predict(params, _without(state), batch)

    def remember(params, state, start):
        return {**method.remember(params, _without(state), start), 'quantised': state['quantised']}

    return method._replace(init=init, loss=loss, predict=predict, remember=remember)


def _without(state):
    return {key: value for key, value in state.items() if key != 'quantised'}
