"""Intermediate values of a network, which a method may replace while the network computes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax

Replace = Callable[[str, jax.Array], jax.Array]  # (name of an intermediate, its value) -> value

_replace: ContextVar[Replace] = ContextVar('replace', default=lambda name, x: x)


def tap(name: str, x: jax.Array) -> jax.Array:
    """Returns an intermediate value, or what stands in its place (`replacing`).

    A network calls it where it has computed a value that is among its intermediates.

    Args:
        name: name of the intermediate.
        x: its value.

    >>> float(tap('block1', jax.numpy.float32(2)))
    2.0
    """
    return _replace.get()(name, x)


@contextmanager
def replacing(replace: Replace) -> Iterator[None]:
    """Replaces intermediates of the networks that compute in a `with` block.

    Args:
        replace: (name, value) -> the value with which the network goes on.

    >>> from tljax.zoo import mlp
    >>> net, x = mlp((1, 1)), jax.numpy.ones((1, 1))
    >>> params, state = net.init(jax.random.key(0), x)
    >>> with replacing(lambda name, value: 0 * value if name == 'layer1' else value):
    ...     taps, _ = net.features(params, state, x)
    >>> taps['layer1'].tolist(), taps['features'].tolist()
    ([[0.0]], [[0.0]])
    """
    token = _replace.set(replace)
    try:
        yield
    finally:
        _replace.reset(token)
