"""Objects that configs described, kept for a while."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from tljax.protocols import Setting

T = TypeVar('T')


class Recent(Generic[T]):
    """The objects that the last few configs described, so that equal configs share one object.

    Args:
        most: how many are kept.

    >>> numbers = Recent(most=2)
    >>> numbers.get({'a': [1]}, lambda: object()) is numbers.get({'a': [1]}, lambda: object())
    True
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.kept: dict[Hashable, T] = {}

    def get(self, config: Setting, make: Callable[[], T]) -> T:
        """The object of this config: the one that is kept, or else what `make()` gives.

        Args:
            config: what describes the object, as it stands in a JSON file.
            make: makes it.
        """
        key = hashable(config)
        if key not in self.kept:
            while len(self.kept) >= self.most:
                del self.kept[next(iter(self.kept))]
            self.kept[key] = make()
        self.kept[key] = found = self.kept.pop(key)  # the latest is kept longest
        return found


def hashable(config: Setting) -> Hashable:
    """A config as nested tuples, which can be a key. Lists and tuples are alike, as they are in a
    JSON file.

    Args:
        config: as `Recent.get` takes it.

    >>> hashable({'b': [1, 2], 'a': None})
    (('a', None), ('b', (1, 2)))
    """
    if isinstance(config, dict):
        return tuple((key, hashable(value)) for key, value in sorted(config.items()))
    return tuple(map(hashable, config)) if isinstance(config, list | tuple) else config
