"""Tables: what a study prints, and what stands in its page."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tljax.engine.log import COLUMNS, transferred_rows
from tljax.paths import Group
from tljax.protocols import Cell, Record


class Table(NamedTuple):
    """A table, as `report.table` takes it.

    Attributes:
        columns: names of the columns.
        rows: as many cells a row as there are columns.
        title: line above the table when it is printed.

    >>> Table(['strategy', 'accuracy'], [['scratch', 0.5]]).title
    ''
    """

    columns: list[str]
    rows: Sequence[Sequence[Cell]]
    title: str = ''


def transfer_table(strategies: dict[str, list[Record]]) -> Table:
    """What each strategy transfers: groups of parameters, where they come from, and how fast they
    move.

    Args:
        strategies: {strategy: `paths.Group`s as dicts}; a single strategy is not named.

    >>> group = {'name': 'head', 'numbers': 30, 'donor': 'fresh', 'rate': 0.001}
    >>> transfer_table({'finetune': [group]}).rows
    [['head', '30', 'fresh', 'rate 0.001']]
    """
    named = len(strategies) > 1
    rows = [
        ([strategy] if named else []) + row
        for strategy, groups in strategies.items()
        for row in transferred_rows([Group(**group) for group in groups])
    ]
    return Table((['strategy'] if named else []) + list(COLUMNS), rows, 'What is transferred')


def section(
    heading: str, table: Table | None = None, **parts: str | Sequence[tuple[str, str]] | None
) -> Record:
    """A section of a page.

    Args:
        heading: of the section.
        table: its columns and rows are shown; its title is not.
        **parts: 'text', 'svg', 'pictures' or 'code', as `report.page` takes them.

    >>> section('Scores', Table(['a'], [[1]]), text='One score.')
    {'heading': 'Scores', 'table': (['a'], [[1]]), 'text': 'One score.'}
    """
    shown = {} if table is None else {'table': (table.columns, table.rows)}
    return {'heading': heading, **shown, **parts}


def data(folders: Iterable[Path]) -> list[Record]:
    """Sections of what fits have understood of their data, each data set once.

    Args:
        folders: of the fits, which hold `data.json`; one that holds none is passed over.

    >>> data([Path('nowhere')])
    []
    """
    found = {}
    for folder in folders:
        path = folder / 'data.json'
        facts = json.loads(path.read_text()) if path.exists() else []
        rows = [fact for fact in facts if fact[0] not in ('statistics', 'steps')]  # of the fit
        if rows and rows not in found.values():
            found[folder.name] = rows
    return [
        section(
            'The data' if len(found) == 1 else f'The data of {name}',
            text='\n'.join(f'{word}: {text}' for word, text in rows),
        )
        for name, rows in found.items()
    ]


def budget(k: int | None) -> str:
    """A number of labels per class as a cell; None stands for all labels.

    Args:
        k: labels per class.

    >>> budget(5), budget(None)
    ('5', 'all')
    """
    return 'all' if k is None else str(k)


def budget_text(k: int | None) -> str:
    """A number of labels per class in words; None stands for all labels.

    Args:
        k: labels per class.

    >>> budget_text(1), budget_text(None)
    ('1 label per class', 'all labels')
    """
    if k is None:
        return 'all labels'
    return f'{k} label per class' if k == 1 else f'{k} labels per class'
