"""Maps by pooling: Jin et al. 2018, Pooling Pyramid Network, section 3
(https://arxiv.org/abs/1807.03284).

All maps have the same channels, so that one predictor can serve them all.
"""

from collections.abc import Callable

from tljax.core import Net, UserError
from tljax.nn.layers import max_pool
from tljax.protocols import StoredStatistics
from tljax.zoo.necks import Neck, with_neck


class _Pools(Neck):
    count: int = 1

    def __call__(self, maps, train):
        maps = list(maps)
        while len(maps) < self.count:
            maps.append(max_pool(maps[-1], padding='SAME'))
        return maps


def with_pools(
    net: Net | Callable[..., Net],
    tap: str,
    count: int = 6,
    stored: StoredStatistics | None = None,
) -> Net:
    """Returns a network with a pyramid of max-pooled maps, which has no parameters of its own.

    Its intermediates 'map1', 'map2', ... are the maps of a detector, finest first. Each is the
    maximum over 2x2 windows of the one before.

    Args:
        net: the network. Layers above the map are of no use: `truncated` leaves them out.
        tap: name of the intermediate that is the finest map; 'block11' of `mobilenet` in the
            paper.
        count: number of maps.
        stored: predicate on a layer's path that says which BatchNorm layers use stored statistics
            in training; None: none of them.

    Raises:
        UserError: for fewer than 1 map, and for a map that the network does not have.

    >>> import jax
    >>> from tljax.zoo import mobilenet, truncated
    >>> net = with_pools(truncated(mobilenet(0.25, padding='same'), 'block11'), 'block11')
    >>> x = jax.ShapeDtypeStruct((1, 300, 300, 3), 'float32')
    >>> params, state = jax.eval_shape(net.init, jax.random.key(0), x)
    >>> taps, _ = jax.eval_shape(net.features, params, state, x)
    >>> [taps[f'map{i}'].shape[1] for i in range(1, 7)]
    [19, 10, 5, 3, 2, 1]
    """
    if count < 1:
        raise UserError(f'net.count={count}: give 1 or more')
    return with_neck(net, _Pools(stored=stored, count=count), 'pools', [tap], {})
