"""The lower part of another network: its features are one of the layers in between, averaged over positions."""
import re

import jax
import jax.numpy as jnp
from flax.traverse_util import unflatten_dict

from tljax.configuration import named, near
from tljax.core import Net, Refused
from tljax.paths import flatten


def truncated(of, tap, size=224, channels=3, form='plain', stored=None, dtype=jnp.float32):
    """A network that ends at one of another's groups. Lower layers are more general than upper ones: Yosinski et al. 2014
    (https://arxiv.org/abs/1411.1792).

    Args:
        of: config of the whole network, {'name': 'mobilenet', 'alpha': .25}, whose weights it takes. tap: the group that it ends at, which
            the network tells among its intermediates. size, channels: of inputs.

    Raises:
        Refused: for a tap that the network does not have.

    >>> net = truncated({'name': 'mobilenet', 'alpha': .25}, tap='block3', size=32)
    >>> net.dim, list(net.groups)
    (32, ['conv1', 'block1', 'block2', 'block3'])
    """
    whole = named('tljax.zoo', of, 'net.of', form=form, stored=stored, dtype=dtype)
    picture = jax.ShapeDtypeStruct((1, size, size, channels), jnp.float32)
    shapes = jax.eval_shape(whole.init, jax.random.key(0), picture)
    taps = jax.eval_shape(whole.features, *shapes, picture)[0]
    names = [name for name in whole.groups if name in taps]
    if tap not in names:
        raise Refused(f'net.tap={tap!r} is no group of {of["name"]} among its intermediates: {near(tap, names)}')
    groups = {name: whole.groups[name] for name in list(whole.groups)[:list(whole.groups).index(tap) + 1]}

    def below(tree):
        return unflatten_dict({path: leaf for path, leaf in flatten(tree).items()
                               if any(re.fullmatch(pattern, path) for pattern in groups.values())}, sep='/')

    def filled(tree, shape):   # the layers above want parameters; nothing is computed from them
        return unflatten_dict({**{path: jnp.zeros(leaf.shape) for path, leaf in flatten(shape).items()}, **flatten(tree)}, sep='/')

    def init(key, input):
        return tuple(map(below, whole.init(key, input)))

    def features(params, state, input, key=None):
        found, moved = whole.features(filled(params, shapes[0]), filled(state, shapes[1]), input, key)
        end = found[tap].astype(jnp.promote_types(dtype, jnp.float32))
        mean = end.mean(tuple(range(1, end.ndim - 1)))
        return {**{name: found[name] for name in groups if name in found}, 'features': mean}, below(moved)

    return Net(init, features, taps[tap].shape[-1], groups)
