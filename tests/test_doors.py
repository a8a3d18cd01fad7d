"""Doors: each gives the function that it names, whatever else was imported before."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAM = """
import importlib, inspect, json, sys
from absl.testing import flagsaver

doors, names = json.loads(sys.argv[1])
first = {(door, name): getattr(importlib.import_module(door), name) for door in doors
         for name in dir(importlib.import_module(door))}
for name in names:
    with flagsaver.flagsaver():   # commands have flags of the same names
        importlib.import_module(name)
for (door, name), given in first.items():
    assert callable(given) and not inspect.ismodule(given), f"{door}.{name} is {given}"
    for _ in range(2):
        now = getattr(sys.modules[door], name)
        assert now is given, f"{door}.{name} is {now} after all was imported"
print(*doors)
"""


NAMES = ('data', 'data.knowledge', 'methods', 'shallow', 'when', 'zoo')
DOORS = [f'tljax.{name}' for name in NAMES]


def modules() -> list[str]:
    """The dotted names of all modules of the project; benchmarks want packages of other people."""
    paths = [
        path.relative_to(ROOT)
        for folder in ('tljax', 'configs', 'experiments')
        for path in sorted((ROOT / folder).rglob('*.py'))
    ]
    return [
        '.'.join(path.parent.parts if path.stem == '__init__' else path.with_suffix('').parts)
        for path in paths
    ]


def test_a_door_gives_the_same_function_before_and_after_all_modules_were_imported():
    done = subprocess.run(
        [sys.executable, '-c', PROGRAM, json.dumps([DOORS, modules()])],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == DOORS
