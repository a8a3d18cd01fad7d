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
        form: unused; there is no convolution.
        stored: unused; there is no BatchNorm.
        dtype: unused; the features keep the input's type.

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
