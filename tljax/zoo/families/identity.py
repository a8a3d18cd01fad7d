"""The network that does nothing: its features are its input. Heads on cached features, and methods on feature files, use it."""
from tljax.core import Net


def identity(dim, form='plain', stored=None, dtype=None):
    """Features = input, (n, dim); no parameters.

    >>> identity(3).features({}, {}, 'x')
    ({'features': 'x'}, {})
    """
    return Net(lambda key, input: ({}, {}), lambda params, state, input, key=None: ({'features': input}, state), dim, {},
               f'identity({dim})')
