"""Studies: the science that the commands print. Each is a function of a config and a folder.

A module is imported when it is first asked for, so that the `--help` of a command is quick.
"""

import importlib
from pathlib import Path
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    if name not in __dir__():
        raise AttributeError(f'tljax.studies has no {name!r}')
    return importlib.import_module(f'tljax.studies.{name}')


def __dir__() -> list[str]:
    return sorted(path.stem for path in Path(__file__).parent.glob('[a-z]*.py'))
