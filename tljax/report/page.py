"""Reports: tables in the terminal, and self-contained HTML pages."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined
from rich import box
from rich.table import Table

from tljax.core import UserError
from tljax.files.console import plain_console
from tljax.files.text import write
from tljax.protocols import Cell, Record

# verdict in a cell -> CSS class
VERDICTS = {'positive': 'positive', 'none detected': 'none', 'negative': 'negative'}
PARTS = {'heading', 'text', 'svg', 'table', 'pictures', 'code'}
StyledCell = tuple[str, str]  # text and CSS class of a cell


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], title: str = '') -> None:
    """Prints a table, with rules on a terminal and as aligned text elsewhere. No text is cut off.

    Args:
        columns: names of the columns.
        rows: a sequence of cells for each row, one for each column. Columns of numbers are aligned
            to the right.
        title: line above the table; '' for none.

    >>> table(['strategy', 'accuracy'], [['scratch', 0.5], ['finetune', 0.875]], title='Digits')
    <BLANKLINE>
    Digits
    strategy  accuracy
    scratch      0.500
    finetune     0.875
    """
    console = plain_console()
    rules = box.SIMPLE_HEAD if console.is_terminal else None
    grid = Table(box=rules, show_edge=False, pad_edge=False)
    if not console.is_terminal:
        console.width = 10_000  # one line a row, so that text can be searched for
    for i, column in enumerate(columns):
        justify = 'right' if _is_numeric([row[i] for row in rows]) else 'left'
        grid.add_column(str(column), justify=justify, overflow='fold')
    for row in rows:
        grid.add_row(*map(_text, row))
    with console.capture() as capture:
        console.print(grid)
    if title:
        print(f'\n{title}')
    print('\n'.join(line.rstrip() for line in capture.get().splitlines()))


def page(path: str | Path, title: str, sections: Sequence[Record]) -> None:
    """Writes an HTML page that needs no other file and no network.

    The file is replaced at once: a failure leaves the old page as it was.

    Args:
        path: path of the page.
        title: heading of the page.
        sections: dicts with 'heading' and any of 'text' (blank lines separate paragraphs), 'svg'
            (an element of `drawing.svg`), 'table' (columns, rows), 'pictures' (pairs of a data: URL
            of `mistakes.png` and a text) and 'code' (preformatted, folded). Everything except
            'svg' is escaped. A cell with a verdict, or with a number and a verdict, is coloured.

    Raises:
        UserError: if a section has another key.

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
    page_sections = []
    for section in sections:
        if unknown := set(section) - PARTS:
            raise UserError(
                f'a section of the page has {", ".join(sorted(unknown))}; it may have '
                f'{", ".join(sorted(PARTS))}'
            )
        page_section = dict.fromkeys(PARTS) | section
        if page_section['table']:
            page_section['table'] = _table_cells(*page_section['table'])
        page_sections.append(page_section)
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = Path(__file__).with_name('report.html').read_text(encoding='utf-8')
    write(path, environment.from_string(source).render(title=title, sections=page_sections))


def _table_cells(
    columns: Sequence[str], rows: Sequence[Sequence[Cell]]
) -> tuple[list[StyledCell], list[list[StyledCell]]]:
    """Columns and rows of (text, CSS class)."""
    kinds = [
        'number' if _is_numeric([row[i] for row in rows]) else 'text' for i in range(len(columns))
    ]
    header = [(str(column), kind) for column, kind in zip(columns, kinds, strict=True)]
    body = [
        [_styled_cell(_text(cell), kind) for cell, kind in zip(row, kinds, strict=True)]
        for row in rows
    ]
    return header, body


def _styled_cell(text: str, kind: str) -> StyledCell:
    """A cell's text and CSS class, with the class of the verdict at its end."""
    verdict = re.fullmatch(rf'(?:.*\d\S*\s+)?({"|".join(VERDICTS)})', text)
    if verdict:
        kind = f'{kind} {VERDICTS[verdict[1]]}'
    return text, kind


def _text(cell: Cell) -> str:
    if cell is None:
        return ''
    if isinstance(cell, (float, np.floating)):
        return f'{cell:.3f}' if cell == 0 or 1e-3 <= abs(cell) < 1e4 else f'{cell:.3g}'
    return str(cell)


def _is_numeric(cells: Sequence[Cell]) -> bool:
    """Whether most of a column's cells with text begin with a number."""
    texts = [text for text in map(_text, cells) if text]
    number = re.compile(r'[+−-]?\d[\d.,]*(e[+-]?\d+)?(\s|%|$)')
    numbers = [text for text in texts if number.match(text)]
    return 2 * len(numbers) > len(texts)
