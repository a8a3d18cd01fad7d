"""Adapters: Houlsby et al. 2019, https://arxiv.org/abs/1902.00751, section 2.1; in convolutional
networks, Rebuffi et al. 2017, https://arxiv.org/abs/1705.08045.

    y + up(relu(down(y)))

in place of a layer's output y, where `down` is a dense layer to a few units, and `up` one back to
the channels of y. Over maps both are 1x1 convolutions.
"""

import math
import re

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import unflatten_dict

from tljax.core import Net, UserError, abbreviated
from tljax.losses import linear
from tljax.paths import flatten, refuse_rules


def with_adapters(net: Net, width: int = 8, layers: str = '.*') -> Net:
    """Returns a network with an adapter after each of its layers, or after some of them.

    `up` starts at zero, so that the features are those of the network before the first step. The
    parameters of the adapters stand under `adapters`; the rules
    `(('backbone/adapters/.*', 'adapters'), ('backbone/.*', 'frozen'))` of the partition `by_path`
    train them alone, and `init.rules=(('backbone/(?!adapters/).*', None),)` takes all others from a
    donor.

    Args:
        net: the network, which takes its weights from the same files as before.
        width: number of units of an adapter.
        layers: regex over the network's own paths of layers; those that it matches get an adapter,
            if they mix channels (dense layers and convolutions, but no depthwise ones).

    Raises:
        UserError: `width` is below 1, or `layers` matches no layer.

    >>> from tljax.zoo import mlp
    >>> net, x = with_adapters(mlp((20, 20)), width=2, layers='dense2'), jnp.ones((1, 30))
    >>> params, state = jax.jit(net.init)(jax.random.key(0), x)
    >>> jax.tree.map(lambda leaf: leaf.shape, params['adapters']['dense2']['down'])
    {'bias': (2,), 'kernel': (20, 2)}
    >>> taps, _ = net.features({**params, 'adapters': {}}, state, x)  # the network without adapters
    >>> bool((net.features(params, state, x)[0]['features'] == taps['features']).all())
    True
    """
    if width < 1:
        raise UserError(f'net.width={width}: give 1 or more')
    refuse_rules([(layers, None)], 'net.layers')

    def init(key, input):
        params, state = net.init(key, input)
        adapters = {}
        for i, (layer, channels) in enumerate(_channels(net, params, state, input, layers).items()):
            down = jax.random.normal(jax.random.fold_in(key, i), (channels, width))
            adapters[f'{layer}/down'] = {
                'kernel': down * math.sqrt(2 / channels),
                'bias': jnp.zeros(width),
            }
            adapters[f'{layer}/up'] = {
                'kernel': jnp.zeros((width, channels)),
                'bias': jnp.zeros(channels),
            }
        return {**params, 'adapters': unflatten_dict(adapters, sep='/')}, state

    def features(params, state, input, key=None):
        own = {name: leaves for name, leaves in params.items() if name != 'adapters'}

        def adapt(layer, args, kwargs, context):
            y, adapter = layer(*args, **kwargs), params['adapters']
            for name in context.module.path:
                adapter = adapter.get(name, {})
            if context.method_name != '__call__' or 'up' not in adapter:
                return y
            return y + linear(adapter['up'], nn.relu(linear(adapter['down'], y))).astype(y.dtype)

        with nn.intercept_methods(adapt):
            return net.features(own, state, input, key)

    return Net(
        init,
        features,
        net.dim,
        {**net.groups, 'adapters': 'adapters/.*'},
        f'with_adapters({net.fingerprint}, {width}, {layers})',
        net.published,
        net.whole or net,
    )


def _channels(net, params, state, input, pattern):
    """The number of output channels of each layer that gets an adapter, {path: channels}."""
    called = set()

    def note(layer, args, kwargs, context):
        called.add('/'.join(context.module.path))
        return layer(*args, **kwargs)

    with nn.intercept_methods(note):  # a new function, since JAX remembers the shapes of known ones
        jax.eval_shape(lambda *arguments: net.features(*arguments), params, state, input)
    channels = {}
    for path, leaf in flatten(params).items():
        layer, _, name = path.rpartition('/')
        is_kernel = name in ('kernel', 'pointwise_kernel')
        if layer in called and is_kernel and (leaf.ndim == 2 or leaf.shape[-2] > 1):
            channels[layer] = leaf.shape[-1]
    chosen = {layer: c for layer, c in channels.items() if re.fullmatch(pattern, layer)}
    if not chosen:
        raise UserError(
            f'net.layers={pattern!r} matches no layer that mixes channels; these are '
            f'{abbreviated(channels)}'
        )
    return chosen
