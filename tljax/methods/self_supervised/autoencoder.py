"""Self-taught learning by an autoencoder: Raina, Battle, Lee, Packer and Ng, Self-taught learning,
2007 (https://doi.org/10.1145/1273496.1273592), with a network in place of sparse codes: Hinton and
Salakhutdinov 2006 (https://doi.org/10.1126/science.1127647), equation 1 of Vincent et al. 2008
(https://doi.org/10.1145/1390156.1390294) where inputs are corrupted.
"""

import math

import jax
import jax.numpy as jnp

from tljax.core import Method, Net, UserError
from tljax.losses import weighted_mean
from tljax.methods.self_supervised.perceptron import Perceptron

BATCHES = 'unlabelled'
CACHED = False  # the decoder makes the inputs, which a cache of features does not hold


def autoencoder(net: Net, width: int = 256, dropped: float = 0.0) -> Method:
    """Autoencoder: the features of an input must be enough to make the input again.

    The loss is the mean over examples of |decoder(net(corrupted x)) - x|^2 / d, where d is the
    number of values of an input.

    Args:
        net: the network whose features are learnt.
        width: of the decoder's hidden layer; 0 for a linear decoder.
        dropped: share of the values of an input that are set to 0 before the network sees them
            (the paper's masking noise, nu); the decoder must restore them.

    Returns:
        A Method over params {'backbone', 'decoder'} on unlabelled sets. Its predict returns the
        made inputs, (n, d). A run with labels takes over the backbone.

    Raises:
        UserError: for a share that is not from 0 to below 1.

    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> method = autoencoder(identity(2), width=0)
    >>> batch = {'input': jnp.array([[1.0, 2.0]]), 'label': jnp.array([0])}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> for scale in (0.0, 0.5, 1.0):
    ...     params['decoder']['out']['kernel'] = scale * jnp.eye(2)
    ...     value = jax.jit(method.loss)(params, state, batch, Tick(0, jax.random.key(0)))[0]
    ...     print(float(value))
    2.5
    0.625
    0.0
    """
    if not 0 <= dropped < 1:
        raise UserError(f'method.dropped={dropped}: give a share from 0 to below 1')

    def init(key, batch):
        backbone, state = net.init(key, batch['input'])
        decoder = _decoder(batch).start(jax.random.fold_in(key, 1), net.dim)
        return {'backbone': backbone, 'decoder': decoder}, {'backbone': state}

    def _decoder(batch):
        return Perceptron(width, math.prod(batch['input'].shape[1:]))

    def made(params, state, batch, input, key=None):
        taps, backbone_state = net.features(params['backbone'], state['backbone'], input, key)
        outputs = _decoder(batch).outputs_of(params['decoder'], taps['features'])
        return outputs, {**state, 'backbone': backbone_state}

    def loss(params, state, batch, tick):
        input = batch['input']
        if dropped:
            kept = jax.random.bernoulli(jax.random.fold_in(tick.key, 1), 1 - dropped, input.shape)
            input = input * kept
        outputs, new_state = made(params, state, batch, input, tick.key)
        errors = jnp.square(outputs - batch['input'].reshape(outputs.shape)).mean(-1)
        value = weighted_mean(errors, batch)
        return value, (new_state, {'loss': value})

    def predict(params, state, batch):
        return {'output': made(params, state, batch, batch['input'])[0], 'label': batch['label']}

    return Method(init, loss, predict)
