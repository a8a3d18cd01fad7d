"""Networks: `tljax.zoo.resnet50()` makes one.

Each family has a module in `families/`. The functions of `wrappers/` make a network from another.
A row of `table` with keywords is a network, too: `tljax.zoo.efficientnet_lite0()` is
`tljax.zoo.efficientnet(size='lite0')`.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from tljax.core import Net
from tljax.doors import door

_look_up, _names = door(__name__, 'families', 'wrappers')


def __getattr__(name: str) -> Callable[..., Net]:
    from tljax.zoo.table import ROWS  # imported late: it reads a file

    return _preset(name) if name in ROWS and ROWS[name].function else _look_up(name)


def __dir__() -> list[str]:
    from tljax.zoo.table import ROWS

    return sorted({*_names(), *ROWS})


@functools.cache
def _preset(name: str) -> Callable[..., Net]:
    """Returns the function that makes the network of a row with keywords."""
    from tljax.zoo.table import ROWS

    row = ROWS[name]
    family = _look_up(row.function)

    def preset(**keywords: Any) -> Net:
        return family(**{**row.keywords, **keywords})._replace(published={'name': name})

    preset.__name__ = preset.__qualname__ = name
    preset.__doc__ = f'{row.title}: the arguments of `{row.function}`, with others as defaults.'
    # what help and configs see: the family's keywords with the row's defaults
    signature = inspect.signature(functools.partial(family, **row.keywords))
    preset.__dict__['__signature__'] = signature
    return preset
