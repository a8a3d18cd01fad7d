"""The mark of compiled loops, by which layers know that they are traced inside of one."""

import functools
from collections.abc import Callable
from typing import TypeVar

import jax

Out = TypeVar('Out')

_inside = jax.make_user_context(False)  # part of the key of every compiled function


def in_loop(body: Callable[..., Out]) -> Callable[..., Out]:
    """Marks the body of a compiled loop (`lax.scan`, `lax.map`).

    Layers that are traced in it take the form that is fastest inside a loop.

    Args:
        body: the body.

    >>> inside_loop(), in_loop(inside_loop)()
    (False, True)
    """

    @functools.wraps(body)
    def marked(*arguments):
        with _inside(True):
            return body(*arguments)

    return marked


def inside_loop() -> bool:
    """Returns whether the function that asks is traced inside a marked loop.

    >>> jax.lax.map(in_loop(lambda x: x * inside_loop()), jax.numpy.arange(3)).tolist()
    [0, 1, 2]
    """
    return _inside.value
