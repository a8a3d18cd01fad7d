"""Functions that XLA compiles apart from the operations around them."""

from collections.abc import Callable
from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata

from tljax.platforms import is_for_cpu


def apart(function: Callable[..., Any]) -> Callable[..., Any]:
    """Keeps a function, and its gradient, apart from the operations around it on a CPU.

    XLA fuses operations into those that read their results. On a CPU it then computes a result
    again for each place that reads it: a sum of gradients once for each of the places of a pooling
    window. Apart, the arguments of a function are computed once and stored.

    Args:
        function: function of arrays, to an array or several; XLA should find no convolution in
            it, which is slow there.

    >>> import jax.numpy as jnp
    >>> apart(lambda x: x[1:] + x[:-1])(jnp.arange(3.0)).tolist()
    [1.0, 3.0]
    """
    if not is_for_cpu() or not may_stay_apart():
        return function

    def call(*arguments: jax.Array) -> Any:
        # XLA puts the operations of a function in the place of its call, unless the call says no
        with set_xla_metadata(inlineable='false'):
            return jax.jit(function)(*arguments)

    return call


def may_stay_apart() -> bool:
    """Returns whether a call may stay in a compiled program where it is: not if several processes
    compute together.

    XLA on a CPU would run a sum over the devices inside of the call at the same time as another one
    outside, and start them in any order (jaxlib 0.10.2). Two processes that start them in different
    orders wait for each other for ever.

    >>> may_stay_apart()
    True
    """
    return jax.process_count() == 1


def branch(x: jax.Array, count: int = 2) -> tuple[jax.Array, ...]:
    """Returns x several times, for a shortcut and the layers beside it.

    The sum of the branches' gradients is computed once and stored. Otherwise XLA on a CPU computes
    it again for each layer that reads it, from the sums of all blocks above, and a network's cost
    grows with the square of its depth.

    Args:
        x: any shape.
        count: number of branches.

    >>> import jax.numpy as jnp
    >>> shortcut, y = branch(jnp.arange(2.0))
    >>> shortcut.tolist(), y.tolist()
    ([0.0, 1.0], [0.0, 1.0])
    """
    return apart(lambda x: (x,) * count)(x)
