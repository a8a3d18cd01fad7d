"""Pages that are made of the code: a chapter for each folder of methods, and the API."""

import ast
import re
from pathlib import Path

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
FROM_README = re.compile(r'<!-- README: (.+) -->')
PYTHON_BLOCK = re.compile(r'^```python$.*?^```$', re.MULTILINE | re.DOTALL)
CHAPTERS = {
    'fine_tuning': 'Fine-tuning',
    'adaptation': 'Domain adaptation',
    'few_shot': 'Few-shot and meta-learning',
    'multitask': 'Multitask learning',
    'detection': 'Detection',
    'zero_shot': 'Zero-shot learning',
    'semi_supervised_learning': 'Semi-supervised learning',
    'self_supervised': 'Self-supervised learning',
    'penalties': 'Penalties',
}
ROOMS = {'shallow': 'Transfer in closed form', 'when': 'When to transfer'}
API = (
    ('Training', ('tljax.trained', 'tljax.averages', 'tljax.exported')),
    ('Types', ('tljax.core', 'tljax.protocols')),
    (
        'Data',
        (
            'tljax.data.formats',
            'tljax.data.wrappers',
            'tljax.data.sets',
            'tljax.data.knowledge',
            'tljax.knowledge',
        ),
    ),
    ('Networks', ('tljax.zoo.families', 'tljax.zoo.wrappers')),
    ('The engine', ('tljax.engine.optim', 'tljax.engine.step', 'tljax.engine.train')),
    (
        'Parts of methods',
        (
            'tljax.methods.adaptation.two_domains',
            'tljax.methods.adaptation.critic',
            'tljax.methods.few_shot.episodes',
            'tljax.methods.fine_tuning.source_network',
            'tljax.methods.multitask.joint_model',
            'tljax.methods.detection.anchoring',
            'tljax.methods.detection.predictors',
            'tljax.methods.detection.criteria',
            'tljax.methods.zero_shot.compatibility',
            'tljax.methods.combinators',
        ),
    ),
    ('Convolutions and layers', ('tljax.nn.convolution', 'tljax.nn.layers')),
    ('Boxes', ('tljax.nn.boxes', 'tljax.nn.augment_boxes')),
)


def on_files(files: Files, config: dict) -> Files:
    """Adds the pages that are made of the code.

    Args:
        files: of the site.
        config: of mkdocs.
    """
    for name, title in CHAPTERS.items():
        content = _chapter(f'methods/{name}', title)
        files.append(File.generated(config, f'chapters/{name}.md', content=content))
    for name, title in ROOMS.items():
        files.append(File.generated(config, f'chapters/{name}.md', content=_room(name, title)))
    files.append(File.generated(config, 'api.md', content=_api()))
    return files


def on_page_markdown(markdown: str, page: Page, config: dict, files: Files) -> str:
    """Inserts a section of README, up to its last block of Python, where a page asks for it.

    README's Python is run by the tests, so that pages need no copy of it.

    Args:
        markdown: text of the page.
        page: the page.
        config: settings of mkdocs.
        files: files of the site.
    """
    return FROM_README.sub(lambda match: _readme_section(match[1]), markdown)


def _readme_section(heading: str) -> str:
    """A section of README, from its heading to the end of its last block of Python."""
    readme = (ROOT / 'README.md').read_text(encoding='utf-8')
    section = readme.partition(f'\n## {heading}\n')[2].partition('\n## ')[0]
    last_block = list(PYTHON_BLOCK.finditer(section))[-1]
    return section[: last_block.end()].strip()


def _chapter(folder: str, title: str) -> str:
    """A chapter: its introduction, and each method with its paper, arguments and configs."""
    place = ROOT / 'tljax' / folder
    parts = [f'# {title}', _docstring(place / '__init__.py'), _introduction(place.name)]
    for path in _modules(place):
        if path.stem not in _functions(path):
            continue  # what methods share is none
        dotted = f'tljax.{folder.replace("/", ".")}.{path.stem}'
        parts += [f'::: {dotted}.{path.stem}\n    options: {{heading_level: 2}}']
        parts += _commands(path.stem)
    return '\n\n'.join(filter(None, parts)) + '\n'


def _room(name: str, title: str) -> str:
    """A chapter of functions, module by module."""
    place = ROOT / 'tljax' / name
    parts = [f'# {title}', _docstring(place / '__init__.py'), _introduction(name)]
    for path in _modules(place):
        parts.append(f'::: tljax.{name}.{path.stem}\n    options: {{heading_level: 2}}')
    return '\n\n'.join(filter(None, parts)) + '\n'


def _api() -> str:
    parts = ['# The API']
    for title, names in API:
        parts.append(f'## {title}')
        for name in names:
            place = ROOT / name.replace('.', '/')
            modules = _modules(place) if place.is_dir() else [place.with_suffix('.py')]
            parts += [f'::: {_dotted(path)}' for path in modules]
    return '\n\n'.join(parts) + '\n'


def _introduction(name: str) -> str:
    path = ROOT / 'docs' / 'chapters' / f'{name}.txt'
    return path.read_text(encoding='utf-8') if path.exists() else ''


def _commands(method: str) -> list[str]:
    """The commands of the configs that train a method, as their docstrings give them."""
    found = []
    for path in _modules(ROOT / 'configs'):
        text = path.read_text(encoding='utf-8')
        if path.stem == method or re.search(rf"name='{method}'", text):
            lines = [line.strip() for line in _docstring(path).splitlines()]
            commands = [line for line in lines if line.startswith(('python -m', '#'))]
            found += ['```\n' + '\n'.join(commands) + '\n```'] if commands else []
    return found[:1]


def _docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or ''


def _functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding='utf-8'))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def _modules(place: Path) -> list[Path]:
    return sorted(path for path in place.glob('*.py') if not path.stem.startswith('_'))


def _dotted(path: Path) -> str:
    return '.'.join(path.relative_to(ROOT).with_suffix('').parts)
