"""Tables that a study prints, and sections of its page."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tljax.engine.log import COLUMNS, transferred_rows
from tljax.paths import Group
from tljax.protocols import Cell, Record

SIGNS = {'positive': ' +', 'negative': ' −'}  # of verdicts; nothing where none was detected


class Table(NamedTuple):
    """A table, as `report.page.table` takes it.

    Attributes:
        columns: names of the columns.
        rows: rows of as many cells as there are columns.
        title: line above the table when it is printed.

    >>> Table(['strategy', 'accuracy'], [['scratch', 0.5]]).title
    ''
    """

    columns: list[str]
    rows: Sequence[Sequence[Cell]]
    title: str = ''


def percent(mean: float, half: float | None) -> str:
    """Returns a mean in percent, ± half the width of its interval.

    Args:
        mean: a share.
        half: half the width of its interval; None for one value, which has none.

    >>> percent(0.878, 0.011), percent(0.5, None)
    ('87.8 ± 1.1', '50.0')
    """
    return f'{100 * mean:.1f}' + ('' if half is None else f' ± {100 * half:.1f}')


def points(gain: Record, mean: str = 'mean') -> str:
    """Returns a gain in percentage points with its interval and the sign of its verdict.

    Args:
        gain: a difference of shares, the ends of its interval 'low' and 'high', and 'verdict'.
        mean: key of the difference.

    >>> points(dict(mean=0.1, low=0.05, high=0.15, verdict='positive'))
    '+10.0 [+5.0, +15.0] +'
    """
    middle, low, high = (100 * gain[key] for key in (mean, 'low', 'high'))
    return f'{middle:+.1f} [{low:+.1f}, {high:+.1f}]{SIGNS.get(gain["verdict"], "")}'


def transfer_table(strategies: dict[str, list[Record]]) -> Table:
    """Returns a table of what each strategy transfers.

    It has a row for each group of parameters, with its donor and its learning rate.

    Args:
        strategies: {strategy: `paths.Group`s as dicts}; with a single strategy the table has no
            column of strategies.

    >>> group = {'name': 'head', 'numbers': 30, 'donor': 'fresh', 'rate': 0.001}
    >>> transfer_table({'finetune': [group]}).rows
    [['head', '30', 'fresh', 'rate 0.001']]
    """
    several = len(strategies) > 1
    columns: list[str] = ['strategy', *COLUMNS] if several else [*COLUMNS]
    rows = []
    for strategy, groups in strategies.items():
        for row in transferred_rows([Group(**group) for group in groups]):
            rows.append([strategy, *row] if several else row)
    return Table(columns, rows, 'What is transferred')


def section(
    heading: str, table: Table | None = None, **parts: str | Sequence[tuple[str, str]] | None
) -> Record:
    """Returns a section of a page, as `report.page.page` takes it.

    Args:
        heading: heading of the section.
        table: table of the section, shown without its title.
        **parts: 'text', 'svg', 'pictures' or 'code'.

    >>> section('Scores', Table(['a'], [[1]]), text='One score.')
    {'heading': 'Scores', 'table': (['a'], [[1]]), 'text': 'One score.'}
    """
    content = {} if table is None else {'table': (table.columns, table.rows)}
    return {'heading': heading, **content, **parts}


def data(folders: Iterable[Path]) -> list[Record]:
    """Returns sections that describe the data of fits, one for each data set.

    Args:
        folders: folders of the fits with their `data.json`; a folder without it is skipped.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / 'data.json').write_text('[["train", "899 examples"], ["steps", "5"]]')
    >>> data([folder, Path('nowhere')])
    [{'heading': 'The data', 'text': 'train: 899 examples'}]
    """
    rows_by_folder = {}
    for folder in folders:
        path = folder / 'data.json'
        facts = json.loads(path.read_text()) if path.exists() else []
        rows = [fact for fact in facts if fact[0] not in ('statistics', 'steps')]  # of the fit
        if rows and rows not in rows_by_folder.values():
            rows_by_folder[folder.name] = rows
    return [
        section(
            'The data' if len(rows_by_folder) == 1 else f'The data of {name}',
            text='\n'.join(f'{word}: {text}' for word, text in rows),
        )
        for name, rows in rows_by_folder.items()
    ]


def budget(k: int | None) -> str:
    """Returns a number of labels per class as a cell; None stands for all labels.

    Args:
        k: labels per class.

    >>> budget(5), budget(None)
    ('5', 'all')
    """
    return 'all' if k is None else str(k)


def budget_text(k: int | None) -> str:
    """Returns a number of labels per class in words; None stands for all labels.

    Args:
        k: labels per class.

    >>> budget_text(1), budget_text(None)
    ('1 label per class', 'all labels')
    """
    if k is None:
        return 'all labels'
    return f'{k} label per class' if k == 1 else f'{k} labels per class'
