"""The platforms that a function is traced for: this machine's, or any.

Layers choose the form that is fastest on the machine's platform. A program that other machines are
to run as well must not be made of forms for this one.
"""

import functools
from collections.abc import Callable
from typing import TypeVar

import jax

Out = TypeVar('Out')

_any = jax.make_user_context(False)  # part of the key of every compiled function


def for_any(function: Callable[..., Out]) -> Callable[..., Out]:
    """Marks a function that is traced for several platforms.

    Args:
        function: the function.

    >>> is_for_any(), for_any(is_for_any)()
    (False, True)
    """

    @functools.wraps(function)
    def marked(*arguments):
        with _any(True):
            return function(*arguments)

    return marked


def is_for_any() -> bool:
    """Returns whether the function that asks is traced for several platforms.

    >>> is_for_any()
    False
    """
    return _any.value


def is_for_cpu() -> bool:
    """Returns whether the function that asks is traced for the CPU of this machine alone.

    >>> is_for_cpu() == (jax.default_backend() == 'cpu')
    True
    """
    return jax.default_backend() == 'cpu' and not is_for_any()
