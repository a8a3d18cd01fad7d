"""Lazy doors: a package offers the functions of the files in its folders, and imports a file when
one of its functions is first used.

`tljax.zoo.resnet50` is the function `resnet50` of `tljax/zoo/families/resnet.py`. There is no list
of functions: a door reads the text of the files. Names in configs are looked up by the same doors.
A new file therefore needs no second edit.
"""

import functools
import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

DEFINITION = re.compile(r'^(?:def|class) ([A-Za-z]\w*)', re.MULTILINE)
Lookup = Callable[[str], Callable[..., Any]]  # name of a function -> the function


@functools.cache
def contents(package: str, folders: tuple[str, ...] = (), own: bool = True) -> dict[str, str]:
    """The functions of a package and their modules.

    Args:
        package: dotted name of the package, 'tljax.methods'.
        folders: the folders to search, '.' for the package itself; empty for all its folders.
        own: whether to list only functions whose name begins with the name of their file. The
            others are helpers of that file.

    Returns:
        {function: dotted name of the module that defines it}.

    >>> contents('tljax.methods')['dann']
    'tljax.methods.adaptation.dann'
    """
    file = importlib.import_module(package).__file__
    assert file is not None  # the package is a folder with an __init__.py
    root = Path(file).parent
    patterns = [f'{folder}/[a-z]*.py' for folder in folders or ('*',)]
    module_of = {}
    for path in sorted(path for pattern in patterns for path in root.glob(pattern)):
        module = '.'.join([package, *path.relative_to(root).with_suffix('').parts])
        for name in DEFINITION.findall(path.read_text(encoding='utf-8')):
            if not own or name.startswith(path.stem):
                module_of.setdefault(name, module)
    return module_of


def door(package: str, *folders: str, own: bool = True) -> tuple[Lookup, Callable[[], list[str]]]:
    """The functions `__getattr__` and `__dir__` of a package (PEP 562).

    Args:
        package: its `__name__`.
        folders: as `contents` takes them.
        own: as `contents` takes it.

    Returns:
        (look_up, names): `look_up` maps a name to a function and raises AttributeError for a name
        that the package does not have; `names` lists all names.

    >>> look_up, names = door('tljax.methods')
    >>> look_up('dann').__name__, 'dann' in names()
    ('dann', True)
    """

    def look_up(name: str) -> Callable[..., Any]:
        if name.startswith('_') or name not in contents(package, folders, own):
            raise AttributeError(f'{package} has no {name!r}')
        return getattr(importlib.import_module(contents(package, folders, own)[name]), name)

    return look_up, lambda: sorted(contents(package, folders, own))
