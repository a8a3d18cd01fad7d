"""The network that does nothing: its features are its input. Heads on cached features, and methods
on feature files, use it."""

from jax.typing import DTypeLike

from tljax.core import Net
from tljax.protocols import StoredStatistics


def identity(
    dim: int,
    form: str = 'plain',
    stored: StoredStatistics | None = None,
    dtype: DTypeLike | None = None,
) -> Net:
    """Features = input, (n, dim); no parameters.

    Args:
        dim: width of the inputs.
        form: taken as by every network, for nothing.
        stored: taken as by every network, for nothing.
        dtype: taken as by every network, for nothing.

    >>> identity(3).features({}, {}, 'x')
    ({'features': 'x'}, {})
    """
    return Net(
        lambda key, input: ({}, {}),
        lambda params, state, input, key=None: ({'features': input}, state),
        dim,
        {},
        f'identity({dim})',
    )
