"""Side-tuning: Zhang et al. 2020, https://arxiv.org/abs/1912.13503, section 3.

    alpha * base(x) + (1 - alpha) * side(x)

where the base is a frozen network, and a small network beside it learns what the base lacks.
"""

import math

import jax
import jax.numpy as jnp

from tljax.core import Net
from tljax.losses import linear


def side_tuning(net: Net, side: Net) -> Net:
    """Returns a network with a smaller one beside it; its features are a blend of both.

    alpha = sigmoid(alpha') is learnt and starts at 1/2. A dense layer brings the features of the
    side network to the width of the base's. The parameters that are added stand under `side`; the
    rules `(('backbone/side/.*', 'side'), ('backbone/.*', 'frozen'))` of the partition `by_path`
    train them alone, and `init.rules=(('backbone/(?!side/).*', None),)` takes all others from a
    donor. BatchNorm of the side network follows the batches.

    Args:
        net: the base, which takes its weights from the same files as before.
        side: the network beside it, of the same inputs.

    >>> from tljax.zoo import mlp
    >>> net, x = side_tuning(mlp((20,)), mlp((4,))), jnp.ones((3, 5))
    >>> params, state = jax.jit(net.init)(jax.random.key(0), x)
    >>> taps, _ = jax.jit(net.features)(params, state, x)
    >>> base, side, alpha = taps['base'], taps['side'], jax.nn.sigmoid(params['side']['alpha'])
    >>> bool(jnp.allclose(taps['features'], alpha * base + (1 - alpha) * side))
    True
    """

    def init(key, input):
        params, state = net.init(key, input)
        side_key, key = jax.random.split(jax.random.fold_in(key, 1))
        side_params, side_state = side.init(side_key, input)
        kernel = jax.random.normal(key, (side.dim, net.dim)) / math.sqrt(side.dim)
        added = {
            'net': side_params,
            'join': {'kernel': kernel, 'bias': jnp.zeros(net.dim)},
            'alpha': jnp.zeros(()),
        }
        return {**params, 'side': added}, {**state, 'side': side_state}

    def features(params, state, input, key=None):
        base_params, base_state = (
            {name: leaves for name, leaves in tree.items() if name != 'side'}
            for tree in (params, state)
        )
        added = params['side']
        taps, base_state = net.features(base_params, base_state, input, key)
        side_taps, side_state = side.features(added['net'], state['side'], input, key)
        base, beside = taps['features'], linear(added['join'], side_taps['features'])
        alpha = jax.nn.sigmoid(added['alpha'])
        blend = alpha * base + (1 - alpha) * beside
        return {**taps, 'base': base, 'side': beside, 'features': blend}, {
            **base_state,
            'side': side_state,
        }

    return Net(
        init,
        features,
        net.dim,
        {**net.groups, 'side': 'side/.*'},
        f'side_tuning({net.fingerprint}, {side.fingerprint})',
        net.published,
        net.whole or net,
    )
