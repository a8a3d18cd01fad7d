"""Products with a sparse matrix that never changes, such as the links of a graph."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import csr_array

WIDEST = 16  # entries of a row that are summed by one program


class _Pieces(NamedTuple):
    """Pieces of rows with the same number of entries.

    Attributes:
        row: (m,), of each piece.
        columns: (m, width), of its entries.
        values: (m, width), its entries.
    """

    row: np.ndarray
    columns: np.ndarray
    values: np.ndarray


def times(matrix: csr_array) -> Callable[[jax.Array], jax.Array]:
    """Returns x -> matrix @ x, whose gradient is a product with the transposed matrix.

    Rows are cut into pieces of at most `WIDEST` entries, and all pieces of a width are summed at
    once. Both directions gather rows, which compilers do faster than they scatter them.

    Args:
        matrix: (n, m) CSR.

    Returns:
        A function of arrays (m, d), which returns (n, d) float32.

    >>> product = times(csr_array([[0.0, 2.0], [1.0, 1.0], [0.0, 0.0]]))
    >>> product(jnp.array([[1.0], [3.0]])).ravel().tolist()
    [6.0, 4.0, 0.0]
    >>> jax.grad(lambda x: product(x)[1].sum())(jnp.ones((2, 1))).ravel().tolist()
    [1.0, 1.0]
    """
    forward, backward = _pieces(matrix), _pieces(matrix.T.tocsr())

    @jax.custom_vjp
    def product(x):
        return _sums(forward, x)

    def pull_back(_, slope):
        return (_sums(backward, slope),)

    product.defvjp(lambda x: (product(x), None), pull_back)
    return product


def _pieces(matrix: csr_array) -> tuple[int, list[_Pieces]]:
    """The number of rows of a matrix, and the rows, cut into pieces and grouped by width."""
    counts = np.diff(matrix.indptr)
    pieces = -(-counts // WIDEST)
    row = np.repeat(np.arange(len(counts)), pieces)
    number = np.arange(len(row)) - np.repeat(np.cumsum(pieces) - pieces, pieces)  # in its row
    start = matrix.indptr[row] + WIDEST * number
    width = np.minimum(WIDEST, matrix.indptr[row + 1] - start)
    found = []
    for size in np.unique(width):
        kept = width == size
        place = start[kept][:, None] + np.arange(size)
        columns, values = matrix.indices[place], matrix.data[place]
        found.append(
            _Pieces(row[kept].astype(np.int32), columns.astype(np.int32), values.astype(np.float32))
        )
    return len(counts), found


def _sums(matrix: tuple[int, list[_Pieces]], x: jax.Array) -> jax.Array:
    """The product of a matrix that is cut into pieces."""
    rows, pieces = matrix
    x = jnp.asarray(x)
    total = jnp.zeros((rows, x.shape[1]), jnp.float32)
    for row, columns, values in pieces:
        terms = [
            values[:, k, None] * x.at[columns[:, k]].get(mode='promise_in_bounds')
            for k in range(columns.shape[1])
        ]
        total = total.at[row].add(sum(terms), mode='promise_in_bounds')
    return total
