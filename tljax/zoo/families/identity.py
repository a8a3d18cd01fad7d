"""The network that does nothing: its features are its input.

Heads on cached features use it, and so do methods on files of features.
"""

from jax.typing import DTypeLike

from tljax.core import Net
from tljax.protocols import StoredStatistics


def identity(
    dim: int,
    stored: StoredStatistics | None = None,
    dtype: DTypeLike | None = None,
) -> Net:
    """Identity network: its features are its inputs, (n, dim), and it has no parameters.

    Args:
        dim: number of features of an input.
        stored: unused; there is no BatchNorm.
        dtype: unused; the features keep the input's type.

    >>> net = identity(dim=3)
    >>> taps, state = net.features({}, {}, [[1.0, 2.0, 3.0]])
    >>> taps['features']
    [[1.0, 2.0, 3.0]]
    """
    return Net(
        lambda key, input: ({}, {}),
        lambda params, state, input, key=None: ({'features': input}, state),
        dim,
        {},
        f'identity({dim})',
    )
