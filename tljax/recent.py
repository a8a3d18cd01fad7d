"""Objects that configs described, kept for a while."""

from collections.abc import Callable
from typing import Any


class Recent:
    """The objects that the last few configs described, so that equal configs share one object.

    Args:
        most: how many are kept.

    >>> numbers = Recent(most=2)
    >>> numbers.get({'a': [1]}, lambda: object()) is numbers.get({'a': [1]}, lambda: object())
    True
    """

    def __init__(self, most: int) -> None:
        self.most, self.kept = most, {}

    def get(self, config: Any, make: Callable) -> Any:
        """The object of this config: the one that is kept, or else what `make()` gives."""
        key = frozen(config)
        if key not in self.kept:
            while len(self.kept) >= self.most:
                del self.kept[next(iter(self.kept))]
            self.kept[key] = make()
        self.kept[key] = found = self.kept.pop(key)  # the latest is kept longest
        return found


def frozen(config: Any) -> Any:
    """A config as nested tuples, which can be a key. Lists and tuples are alike, as they are in a
    JSON file.

    >>> frozen({'b': [1, 2], 'a': None})
    (('a', None), ('b', (1, 2)))
    """
    if isinstance(config, dict):
        return tuple((key, frozen(value)) for key, value in sorted(config.items()))
    return tuple(map(frozen, config)) if isinstance(config, list | tuple) else config
