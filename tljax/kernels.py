"""Comparisons of the rows of two arrays: distances, kernels, and the discrepancy of two samples."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from tljax.core import Tree, UserError

Array = jax.Array | np.ndarray


def squared_distances(a: Array, b: Array) -> jax.Array:
    """Squared Euclidean distances between the rows of a and those of b: (m, n).

    Args:
        a: rows, (m, d).
        b: rows, (n, d).

    >>> squared_distances(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]])).tolist()
    [[25.0]]
    """
    # at their default precision accelerators round products to a few digits, and the subtraction
    # would lose these
    product = jnp.matmul(a, b.T, precision='highest')
    return (a**2).sum(-1)[:, None] - 2 * product + (b**2).sum(-1)


def cosines(a: Array, b: Array) -> jax.Array:
    """Cosines of the angles between the rows of a and those of b: (m, n).

    Args:
        a: rows, (m, d).
        b: rows, (n, d).

    >>> cosines(np.array([[2.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 5.0]])).tolist()
    [[1.0, 0.0]]
    """
    return unit(a) @ unit(b).T


def unit(x: Array) -> jax.Array:
    """Divides each row of x by its length.

    Args:
        x: rows, (..., d).

    >>> [round(value, 3) for value in unit(np.array([3.0, 4.0])).tolist()]
    [0.6, 0.8]
    """
    return jax.lax.rsqrt(jnp.maximum((x**2).sum(-1, keepdims=True), 1e-12)) * x


def linear(a: Array, b: Array) -> jax.Array:
    """Inner products of the rows of a with those of b: (m, n).

    Args:
        a: rows, (m, d).
        b: rows, (n, d).

    >>> linear(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])).tolist()
    [[11.0]]
    """
    return jnp.asarray(a) @ jnp.asarray(b).T


def gaussian(a: Array, b: Array, width: ArrayLike = 1.0) -> jax.Array:
    """Gaussian kernel exp(-|x - y|^2 / (2 width^2)) of the rows x of a and y of b: (m, n).

    Args:
        a: rows, (m, d).
        b: rows, (n, d).
        width: standard deviation of the kernel, a scalar in the units of the rows.

    >>> kernel = gaussian(np.array([[0.0]]), np.array([[0.0], [1.0]]))
    >>> [round(value, 4) for value in kernel[0].tolist()]
    [1.0, 0.6065]
    """
    return jnp.exp(-jnp.maximum(squared_distances(a, b), 0) / (2 * width**2))


def median_width(*samples: Array) -> jax.Array:
    """Returns the median distance between the rows of all samples, a common kernel width: a scalar.

    Args:
        *samples: rows of each sample, (n, d).

    Source: Gretton et al., A kernel two-sample test, 2012, section 8
        (https://jmlr.org/papers/v13/gretton12a.html).

    >>> float(median_width(np.array([[0.0], [1.0]]), np.array([[3.0]])))
    2.0
    """
    x = jnp.concatenate(samples)
    return jnp.sqrt(jnp.median(jnp.maximum(squared_distances(x, x), 0)[np.triu_indices(len(x), 1)]))


def in_float64(function: Callable[..., Tree]) -> Callable[..., Tree]:
    """Returns a function that computes the same in float64, whatever JAX's default precision is.

    It takes NumPy arrays and returns NumPy arrays. Symmetric eigenproblems and small kernel systems
    lose half of their digits in float32.

    Args:
        function: takes arrays or trees of arrays, and returns a tree of arrays.

    >>> in_float64(lambda x: x / 3)(np.float32(1)).dtype
    dtype('float64')
    """

    def widen(leaf):
        if hasattr(leaf, 'dtype') and jnp.issubdtype(leaf.dtype, jnp.floating):
            return np.asarray(leaf, np.float64)
        return leaf

    @functools.wraps(function)
    def wrapper(*arguments, **keywords):
        with jax.enable_x64(True):
            arguments, keywords = jax.tree.map(widen, (arguments, keywords))
            return jax.tree.map(np.asarray, function(*arguments, **keywords))

    return wrapper


def mixture(
    xs: Array, xt: Array, scales: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0)
) -> jax.Array:
    """Mean of several Gaussian kernels of all rows of two samples: (ns + nt, ns + nt).

    The kernels are exp(-|x - y|^2 / (scale * s)), where s is the mean squared distance of all
    pairs. No gradient passes through s.

    Args:
        xs: rows of one sample, (ns, d).
        xt: rows of the other sample, (nt, d).
        scales: one per kernel, in mean squared distances.

    >>> kernel = mixture(np.array([[0.0]]), np.array([[1.0]]), scales=(1.0,))
    >>> [round(value, 4) for value in kernel[0].tolist()]  # s = 1/2
    [1.0, 0.1353]
    """
    x = jnp.concatenate([xs, xt])
    distances = jnp.maximum(squared_distances(x, x), 0)
    mean = jax.lax.stop_gradient(distances.mean()) + 1e-12
    kernels = [jnp.exp(-distances / (scale * mean)) for scale in scales]
    return sum(kernels[1:], kernels[0]) / len(scales)


def mmd(kernel: Array) -> jax.Array:
    """Squared maximum mean discrepancy of two samples of n rows each: a scalar.

    This is the unbiased estimate, which can be negative.

    Args:
        kernel: of all rows, (2n, 2n). The first n rows and columns belong to one sample, the last n
            to the other.

    Source: Gretton et al. 2012, equation 3.

    >>> xs, xt = np.array([[0.0], [1.0]]), np.array([[3.0], [4.0]])
    >>> round(float(mmd(mixture(xs, xt))), 3)
    0.983
    """
    n = len(kernel) // 2
    if n < 2:
        raise UserError(
            f'{n} row of a domain on a device has no discrepancy: give batches of two rows or more '
            'for each'
        )
    within = kernel[:n, :n] + kernel[n:, n:]
    return (within.sum() - jnp.trace(within)) / (n * (n - 1)) - 2 * kernel[:n, n:].mean()
