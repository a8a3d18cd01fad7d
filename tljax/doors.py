"""Lazy doors: a package gives the functions of the files in its folders, and imports a file when
one of them is first asked for.

`tljax.zoo.resnet50` is the function `resnet50` of `tljax/zoo/families/resnet.py`. Nothing lists the
functions: a door reads the text of the files. What a config names is found by the same door, so
that a new file needs no second edit.
"""

import functools
import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

DEFINITION = re.compile(r'^(?:def|class) ([A-Za-z]\w*)', re.MULTILINE)
Give = Callable[[str], Callable[..., Any]]  # name of a function -> the function


@functools.cache
def contents(package: str, folders: tuple[str, ...] = (), own: bool = True) -> dict[str, str]:
    """The functions that a package gives.

    Args:
        package: dotted name of the package, 'tljax.methods'.
        folders: which of its folders are searched, '.' for the package itself; empty for all
            folders in it.
        own: whether only functions count whose name begins with the name of their file. Others are
            helpers of that file.

    Returns:
        {function: dotted name of the module that defines it}.

    >>> contents('tljax.methods')['dann']
    'tljax.methods.adaptation.dann'
    """
    file = importlib.import_module(package).__file__
    assert file is not None  # a door is a file
    root = Path(file).parent
    found = {}
    for path in sorted(
        path for folder in folders or ('*',) for path in root.glob(f'{folder}/[a-z]*.py')
    ):
        module = '.'.join([package, *path.relative_to(root).with_suffix('').parts])
        for name in DEFINITION.findall(path.read_text(encoding='utf-8')):
            if not own or name.startswith(path.stem):
                found.setdefault(name, module)
    return found


def door(package: str, *folders: str, own: bool = True) -> tuple[Give, Callable[[], list[str]]]:
    """The functions `__getattr__` and `__dir__` of a package (PEP 562).

    Args:
        package: its `__name__`.
        folders: as `contents` takes them.
        own: as `contents` takes it.

    Returns:
        A function name -> function, which raises AttributeError for a name that the package does
        not give, and a function of all names.

    >>> give, names = door('tljax.methods')
    >>> give('dann').__name__, 'dann' in names()
    ('dann', True)
    """

    def give(name: str) -> Callable[..., Any]:
        if name.startswith('_') or name not in contents(package, folders, own):
            raise AttributeError(f'{package} has no {name!r}')
        return getattr(importlib.import_module(contents(package, folders, own)[name]), name)

    return give, lambda: sorted(contents(package, folders, own))
