"""Kernels with an update of low rank, which layers apply without making it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike


class LowRank(NamedTuple):
    """The kernel `kernel + a b`, in three parts that stand in its place among the parameters.

    `convolve` and `multiply` add x a b to what they make of x and `kernel`. No gradient of the size
    of the kernel is then computed, or averaged over devices, if the kernel is frozen. To all other
    functions of JAX it is an array, the sum.

    Attributes:
        kernel: (fan_in, d), or (kh, kw, c, d) of a convolution.
        a: (fan_in, rank) or (kh, kw, c, rank).
        b: (rank, d).

    >>> kernel = LowRank(jnp.zeros((2, 3)), jnp.ones((2, 1)), jnp.array([[1.0, 2.0, 3.0]]))
    >>> (jnp.ones((1, 2)) @ kernel).tolist() == multiply(jnp.ones((1, 2)), kernel).tolist()
    True
    """

    kernel: jax.Array
    a: jax.Array
    b: jax.Array

    def __jax_array__(self) -> jax.Array:
        return self.kernel + jnp.matmul(self.a, self.b, precision='highest')

    def astype(self, dtype: DTypeLike) -> 'LowRank':
        """Returns the same with parts of another type.

        Args:
            dtype: the type.
        """
        return LowRank(*(part.astype(dtype) for part in self))


def multiply(x: jax.Array, kernel: jax.Array | LowRank) -> jax.Array:
    """Multiplies inputs by a matrix, which may have an update of low rank.

    Args:
        x: inputs, (..., fan_in).
        kernel: (fan_in, d).

    Returns:
        Outputs, (..., d).

    >>> multiply(jnp.array([[1.0, 2.0]]), jnp.eye(2)).tolist()
    [[1.0, 2.0]]
    """
    if isinstance(kernel, LowRank):
        return x @ kernel.kernel + (x @ kernel.a) @ kernel.b
    return x @ kernel
