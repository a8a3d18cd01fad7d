"""Who may import whom: the house stays a house."""

import ast
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VOCABULARY = {
    'core',
    'packing',
    'protocols',
    'paths',
    'kernels',
    'losses',
    'loops',
    'platforms',
    'exported',
    'doors',
    'knowledge',
    'graphs',
}
ALLOWED = {  # room -> rooms that its files may import, beside the vocabulary and their own room
    'files': '',
    'nn': '',
    'zoo': 'nn files',
    'data': 'files nn',
    'shallow': '',
    'when': '',
    'methods': 'nn',
    'engine': 'files',
    'report': 'when files',
    'configuration': '',
    'recent': '',
    'averages': 'nn',
    'keywords': 'configuration',
    'weights': 'configuration files zoo',
    'detector_weights': 'configuration zoo nn',
    'features': 'weights files zoo data engine',
    'epochs': 'data',
    'parts': 'configuration recent features program data files',
    'program': 'configuration recent nn zoo data methods engine files',
    'build': 'configuration epochs features parts program data engine',
    'trained': 'configuration data engine weights features program build',
    'studies': 'configuration files nn data engine shallow when report zoo weights features '
    'averages parts program build trained detector_weights',
    'configs': 'configuration keywords data',
    'experiments': 'configuration keywords files report studies',
    'benchmarks': 'configuration configs data engine experiments features files methods nn build '
    'report shallow studies when zoo',
}
FILES = [
    path
    for folder in ('tljax', 'configs', 'experiments', 'benchmarks')
    for path in sorted((ROOT / folder).rglob('*.py'))
    if path.name != 'tljax_41e505e.py'  # it imports the modules of that commit
]


def room(name: str) -> str:
    """The room of a module: the second part of 'tljax.data.splits'; 'configs' and 'experiments' are
    rooms themselves."""
    parts = name.split('.')
    return (parts[1] if len(parts) > 1 else 'face') if parts[0] == 'tljax' else parts[0]


def imports(path: Path, for_types: bool = True) -> set[str]:
    """Dotted names that a file imports, `importlib.import_module` of a literal among them, and
    those that only type checkers import unless `for_types` is False."""
    names = set()
    tree = ast.parse(path.read_text())
    if not for_types:
        tree.body = [
            node
            for node in tree.body
            if not (isinstance(node, ast.If) and ast.unparse(node.test) == 'TYPE_CHECKING')
        ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= (
                {f'tljax.{alias.name}' for alias in node.names}
                if node.module == 'tljax'
                else {node.module}
            )
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith('import_module'):
            names |= {
                argument.value for argument in node.args if isinstance(argument, ast.Constant)
            }
    return names


def name_of(path: Path) -> str:
    """The dotted name of a file."""
    return '.'.join(
        part for part in path.relative_to(ROOT).with_suffix('').parts if part != '__init__'
    )


OURS = {
    path: {
        name
        for name in imports(path)
        if name.split('.')[0] in ('tljax', 'configs', 'experiments', 'benchmarks')
    }
    for path in FILES
}


@pytest.mark.parametrize('path', FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    here = room(name_of(path))
    for name in imports(path):
        peer = here == 'benchmarks' and path.stem.startswith(name.split('.')[0])
        assert peer or name.split('.')[0] not in ('tensorflow', 'torch', 'pickle', 'keras'), (
            f'{path} imports {name}'
        )
    if here == 'face':  # it imports nothing but for type checkers
        return
    if here in VOCABULARY:
        assert {room(name) for name in OURS[path]} <= VOCABULARY
        return
    for name in OURS[path]:
        assert room(name) in {here, *VOCABULARY, *ALLOWED[here].split()}, (
            f'{here} may not import {name}'
        )


def test_every_permission_is_used():
    used = {(room(name_of(path)), room(name)) for path, names in OURS.items() for name in names}
    assert {
        (here, there) for here, rooms in ALLOWED.items() for there in rooms.split()
    } - used == set()


def test_no_circle_of_modules():
    modules = {name_of(path): path for path in FILES}

    def arrows(path):
        for name in imports(path, for_types=False):
            # a name that is no module is a function of its package
            yield name if name in modules else name.rpartition('.')[0]

    graph = {
        name: {other for other in arrows(path) if other in modules and other != name}
        for name, path in modules.items()
    }
    list(graphlib.TopologicalSorter(graph).static_order())


def test_modules_are_found_by_name_at_two_places_alone():
    finders = {
        str(path.relative_to(ROOT)) for path in FILES if 'import_module(' in path.read_text()
    }
    assert finders <= {
        'tljax/doors.py',
        'tljax/configuration.py',
        'tljax/__init__.py',
        'tljax/studies/__init__.py',
    }


@pytest.mark.parametrize('path', FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_name_is_bound_twice(path):
    names = [
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    ]
    assert len(names) == len(set(names))
