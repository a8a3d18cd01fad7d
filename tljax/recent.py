"""Objects that were made from configs, kept so that equal configs share one object."""

import gc
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from tljax.protocols import Setting

T = TypeVar('T')


class Recent(Generic[T]):
    """The objects of the last few configs.

    Args:
        most: number of objects that are kept.
        is_full: () -> whether the oldest objects must go, before a new one is made, even if there
            are fewer than `most`.

    >>> numbers = Recent(most=2)
    >>> numbers.get({'a': [1]}, lambda: object()) is numbers.get({'a': [1]}, lambda: object())
    True
    """

    def __init__(self, most: int, is_full: Callable[[], bool] = lambda: False) -> None:
        self.most = most
        self.is_full = is_full
        self.objects: dict[Hashable, T] = {}

    def _drop_oldest(self) -> None:
        del self.objects[next(iter(self.objects))]

    def get(self, config: Setting, make: Callable[[], T]) -> T:
        """The object of a config; it is made if no equal config came before.

        Args:
            config: description of the object, as JSON holds it.
            make: () -> object.
        """
        key = hashable(config)
        if key not in self.objects:
            while len(self.objects) >= self.most:
                self._drop_oldest()
            while self.objects and self.is_full():
                self._drop_oldest()
                gc.collect()  # an object may stand in a circle of references
            self.objects[key] = make()
        self.objects[key] = self.objects.pop(key)  # to the end: the oldest use goes first
        return self.objects[key]


def hashable(config: Setting) -> Hashable:
    """A config as nested tuples, which can be a key. A list and a tuple give the same key.

    Args:
        config: as `Recent.get` takes it.

    >>> hashable({'b': [1, 2], 'a': None})
    (('a', None), ('b', (1, 2)))
    """
    if isinstance(config, dict):
        return tuple((key, hashable(value)) for key, value in sorted(config.items()))
    return tuple(map(hashable, config)) if isinstance(config, list | tuple) else config
