"""What compares the rows of two arrays: distances, kernels, and how far two samples lie apart in
them."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from tljax.core import Tree, UserError

Array = jax.Array | np.ndarray


def squared_distances(a: Array, b: Array) -> jax.Array:
    """Squared Euclidean distances of the rows of a (m, d) to those of b (n, d): (m, n).

    Args:
        a: rows, (m, d).
        b: rows, (n, d).

    >>> squared_distances(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]])).tolist()
    [[25.0]]
    """
    # accelerators would round what is subtracted here to a few digits
    product = jnp.matmul(a, b.T, precision='highest')
    return (a**2).sum(-1)[:, None] - 2 * product + (b**2).sum(-1)


def cosines(a: Array, b: Array) -> jax.Array:
    """Cosines of the angles between the rows of a (m, d) and those of b (n, d): (m, n).

    Args:
        a: rows, (m, d).
        b: rows, (n, d).

    >>> cosines(np.array([[2.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 5.0]])).tolist()
    [[1.0, 0.0]]
    """
    return unit(a) @ unit(b).T


def unit(x: Array) -> jax.Array:
    """Rows of x divided by their lengths.

    Args:
        x: rows, (..., d).

    >>> unit(np.array([[3.0, 4.0]])).round(3).tolist()
    [[0.6000000238418579, 0.800000011920929]]
    """
    return jax.lax.rsqrt(jnp.maximum((x**2).sum(-1, keepdims=True), 1e-12)) * x


def linear(a: Array, b: Array) -> jax.Array:
    """Inner products of the rows of a (m, d) and b (n, d): (m, n).

    Args:
        a: rows, (m, d).
        b: rows, (n, d).

    >>> linear(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])).tolist()
    [[11.0]]
    """
    return jnp.asarray(a) @ jnp.asarray(b).T


def gaussian(a: Array, b: Array, width: ArrayLike = 1.0) -> jax.Array:
    """exp(-|x - y|^2 / (2 width^2)) of the rows of a (m, d) and b (n, d): (m, n).

    Args:
        a: rows, (m, d).
        b: rows, (n, d).
        width: scalar, in the units of the rows.

    >>> [
    ...     round(value, 4)
    ...     for value in gaussian(np.array([[0.0]]), np.array([[0.0], [1.0]]))[0].tolist()
    ... ]
    [1.0, 0.6065]
    """
    return jnp.exp(-jnp.maximum(squared_distances(a, b), 0) / (2 * width**2))


def median_width(*samples: Array) -> jax.Array:
    """The median distance between distinct rows of the samples together, a usual width of a
    Gaussian kernel: a scalar.

    Args:
        *samples: rows, (n, d) each.

    Source: Gretton et al., A kernel two-sample test, 2012, section 8
        (https://jmlr.org/papers/v13/gretton12a.html).

    >>> float(median_width(np.array([[0.0], [1.0]]), np.array([[3.0]])))
    2.0
    """
    x = jnp.concatenate(samples)
    return jnp.sqrt(jnp.median(jnp.maximum(squared_distances(x, x), 0)[np.triu_indices(len(x), 1)]))


def in_float64(function: Callable[..., Tree]) -> Callable[..., Tree]:
    """The same function of arrays, computed in float64 whatever JAX's default is: NumPy in, NumPy
    out.

    Symmetric eigenproblems and small kernel systems lose half their digits in float32.

    Args:
        function: of arrays, or trees of them, to a tree of arrays.

    >>> in_float64(lambda x: x / 3)(np.float32(1)).dtype
    dtype('float64')
    """

    def widened(leaf):
        return (
            np.asarray(leaf, np.float64)
            if hasattr(leaf, 'dtype') and jnp.issubdtype(leaf.dtype, jnp.floating)
            else leaf
        )

    @functools.wraps(function)
    def wrapped(*arguments, **keywords):
        with jax.enable_x64(True):
            arguments, keywords = jax.tree.map(widened, (arguments, keywords))
            return jax.tree.map(np.asarray, function(*arguments, **keywords))

    return wrapped


def mixture(
    xs: Array, xt: Array, scales: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0)
) -> jax.Array:
    """The mean of Gaussian kernels exp(-|x - y|^2 / (scale * m)) of the rows of xs (n, d) and xt
    (m, d) together: (n + m, n + m).

    m is the mean squared distance of all pairs, which is taken as a constant.

    Args:
        xs: rows, (n, d).
        xt: rows, (m, d).
        scales: of the kernels, in mean squared distances.

    >>> [
    ...     round(value, 4)
    ...     for value in mixture(np.array([[0.0]]), np.array([[1.0]]), (1.0,))[0].tolist()
    ... ]
    [1.0, 0.1353]
    """
    x = jnp.concatenate([xs, xt])
    distances = jnp.maximum(squared_distances(x, x), 0)
    mean = jax.lax.stop_gradient(distances.mean()) + 1e-12
    kernels = [jnp.exp(-distances / (scale * mean)) for scale in scales]
    return sum(kernels[1:], kernels[0]) / len(scales)


def mmd(kernel: Array) -> jax.Array:
    """Maximum mean discrepancy, squared, without bias, of two samples of n rows each, from the
    kernel of all of them (2n, 2n): a scalar.

    Args:
        kernel: (2n, 2n), the first n rows and columns of one sample, the others of the
            other.

    Source: Gretton et al. 2012, equation 3. It can be negative.

    >>> float(mmd(np.eye(4)))
    0.0
    """
    n = len(kernel) // 2
    if n < 2:
        raise UserError(
            f'{n} row of a domain on a device has no discrepancy: give batches of two rows or more '
            'for each'
        )
    within = kernel[:n, :n] + kernel[n:, n:]
    return (within.sum() - jnp.trace(within)) / (n * (n - 1)) - 2 * kernel[:n, n:].mean()
