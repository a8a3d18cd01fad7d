"""Who may import whom: the house stays a house."""
import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {   # module or folder -> what it may import of this repository
    'core': '', 'log': '', 'losses': '', 'kernels': 'core', 'paths': 'core', 'layers': 'core', 'augment': 'configuration core',
    'gain': 'core', 'label_efficiency': 'core', 'distances': 'core kernels',
    'labelled': 'core', 'evidence': 'core labelled', 'transferability': 'core evidence labelled', 'probes': 'core',
    'relatedness': 'core labelled paths', 'advice': 'core gain',
    'report': 'core log', 'figures': 'core gain',
    'configuration': 'core',
    'zoo': 'core configuration paths layers data zoo', 'data': 'core configuration log data',
    'methods': 'core augment layers losses kernels episodic meta adaptation methods', 'episodic': 'core losses', 'meta': 'core paths',
    'adaptation': 'core losses methods', 'shallow': 'core kernels shallow', 'pseudo': 'core kernels', 'selection': 'core kernels',
    'combinators': 'core paths', 'optim': 'core paths',
    'step': 'core', 'evaluate': 'core log step', 'checkpoint': 'core log',
    'features': 'core configuration data zoo step evaluate checkpoint', 'train': 'core step evaluate checkpoint log',
    'build':
        'core configuration paths optim combinators augment zoo data step evaluate checkpoint log layers train features',
    'studies':
        'core configuration paths log data zoo build train report figures advice gain distances transferability relatedness probes '
        'label_efficiency selection checkpoint evaluate features shallow studies',
    'configs': 'configuration configs',
    'experiments': 'core configuration log report studies train experiments',
    'benchmarks':
        'core configuration data build train report evaluate evidence features kernels layers log methods probes shallow step zoo '
        'experiments configs benchmarks'}
FILES = [path for folder in ('tljax', 'configs', 'experiments', 'benchmarks') for path in sorted((ROOT / folder).rglob('*.py'))]


@pytest.mark.parametrize('path', FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    parts = path.relative_to(ROOT).with_suffix('').parts
    if parts == ('tljax', '__init__'):
        return
    part = parts[1] if parts[0] == 'tljax' else parts[0]
    for node in ast.walk(ast.parse(path.read_text())):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module] if isinstance(
            node, ast.ImportFrom) and node.module != 'tljax' else [f'tljax.{alias.name}' for alias in node.names] if isinstance(
            node, ast.ImportFrom) else []
        for name in (module.split('.') for module in modules):
            if name[0] in ('tljax', 'configs', 'experiments', 'benchmarks'):
                assert (name[1] if name[0] == 'tljax' else name[0]) in ALLOWED[part].split(), f'{part} may not import {".".join(name)}'
            peer = parts[0] == 'benchmarks' and path.stem.startswith(name[0])
            assert peer or name[0] not in ('tensorflow', 'torch', 'pickle', 'keras'), f'{path} imports {name[0]}'
