"""What a person reads: tables in the terminal, and one page of HTML that needs nothing but
itself."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined
from rich import box
from rich.console import Console
from rich.table import Table

from tljax.core import UserError
from tljax.files.text import write
from tljax.protocols import Cell, Record

# as written -> CSS class
VERDICTS = {'positive': 'positive', 'none detected': 'none', 'negative': 'negative'}
PARTS = {'heading', 'text', 'svg', 'table', 'pictures', 'code'}


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], title: str = '') -> None:
    """Prints a table, drawn on a terminal and as plain aligned text elsewhere; nothing is ever cut
    off.

    Args:
        columns: names of the columns.
        rows: sequences of as many cells; columns of numbers are aligned to the right.
        title: what stands above the table; '' for nothing.

    >>> table(['strategy', 'accuracy'], [['scratch', 0.5], ['finetune', 0.875]], title='Digits')
    <BLANKLINE>
    Digits
    strategy  accuracy
    scratch      0.500
    finetune     0.875
    """
    console = Console(markup=False, emoji=False, highlight=False)
    drawn = Table(
        box=box.SIMPLE_HEAD if console.is_terminal else None, show_edge=False, pad_edge=False
    )
    if not console.is_terminal:
        # whatever reads it may scroll; a cell in two lines could not be searched for
        console.width = 10_000
    for i, column in enumerate(columns):
        drawn.add_column(
            str(column),
            justify='right' if _numeric([row[i] for row in rows]) else 'left',
            overflow='fold',
        )
    for row in rows:
        drawn.add_row(*map(_text, row))
    with console.capture() as captured:
        console.print(drawn)
    print(
        f'\n{title}\n' * bool(title)
        + '\n'.join(line.rstrip() for line in captured.get().splitlines())
    )


def page(path: str | Path, title: str, sections: Sequence[Record]) -> None:
    """Writes one HTML page that needs no other file and no network, whole or not at all.

    Args:
        path: the file.
        title: heading of the page.
        sections: dicts with 'heading' and, as there are, 'text' (blank lines part paragraphs),
            'svg' (an element made by `drawing.svg`, taken as it is), 'table' (columns, rows),
            'pictures' (pairs of a data address, as `mistakes.png` makes it, and a text) and 'code'
            (shown as it stands, folded). All but 'svg' is escaped. A cell that is a verdict, or a
            number and a verdict, is coloured by it.

    Raises:
        UserError: for a section with another key.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'report.html')
    >>> page(
    ...     path,
    ...     'Digits',
    ...     [{'heading': 'Scores', 'table': (['strategy', 'accuracy'], [['scratch', 0.875]])}],
    ... )
    >>> '<td class="number">0.875</td>' in path.read_text()
    True
    """
    for section in sections:
        if unknown := set(section) - PARTS:
            raise UserError(
                f'a section of the page has {", ".join(sorted(unknown))}; it may have '
                f'{", ".join(sorted(PARTS))}'
            )
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(
        Path(__file__).with_name('report.html').read_text(encoding='utf-8')
    )
    text = template.render(
        title=title,
        sections=[
            {
                **dict.fromkeys(PARTS),
                **section,
                'table': section.get('table') and _cells(*section['table']),
            }
            for section in sections
        ],
    )
    write(path, text)


def _cells(columns, rows):
    """Columns and rows of (text, CSS class)."""
    kinds = [
        'number' if _numeric([row[i] for row in rows]) else 'text' for i in range(len(columns))
    ]

    def kind(text, otherwise):
        verdict = re.fullmatch(rf'(?:.*\d\S*\s+)?({"|".join(VERDICTS)})', text)
        return f'{otherwise} {VERDICTS[verdict[1]]}' if verdict else otherwise

    return (
        list(zip(map(str, columns), kinds, strict=True)),
        [
            [(_text(cell), kind(_text(cell), kinds[i])) for i, cell in enumerate(row)]
            for row in rows
        ],
    )


def _text(cell):
    if cell is None:
        return ''
    if isinstance(cell, (float, np.floating)):
        return f'{cell:.3f}' if cell == 0 or 1e-3 <= abs(cell) < 1e4 else f'{cell:.3g}'
    return str(cell)


def _numeric(cells):
    """Whether most of a column's cells that are not empty begin with a number."""
    texts = [text for text in map(_text, cells) if text]
    return 2 * sum(
        bool(re.match(r'[+−-]?\d[\d.,]*(e[+-]?\d+)?(\s|%|$)', text)) for text in texts
    ) > len(texts)
