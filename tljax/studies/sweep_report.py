"""Table and page of a sweep."""

import json
from collections.abc import Iterable

from tljax.protocols import Record, Setting
from tljax.studies.tables import Table, section

TITLE = 'Members of the sweep'


def tables(results: Record) -> list[Table]:
    """Returns the table that is printed: a row for each member.

    Args:
        results: as `sweep.sweep` returns them.

    >>> def score(split, mean):
    ...     return dict(split=split, metric='accuracy', mean=mean, low=None, high=None)
    >>> members = [
    ...     dict(
    ...         name=f'lr={lr}',
    ...         settings={'optim.lr': lr, 'batch': 8},
    ...         seeds=[0],
    ...         rows=[score('validation', lr), score('test', 0.5)],
    ...         error=None,
    ...     )
    ...     for lr in (0.1, 0.2)
    ... ]
    >>> table = tables(dict(by='validation', metric='accuracy', best='lr=0.2', members=members))[0]
    >>> table.columns[:3], table.rows[1][:3], table.rows[1][-1]
    (['optim.lr', 'seeds', 'validation accuracy'], ['0.2', '1', '0.2000'], 'best')
    """
    members, metric = results['members'], results['metric']
    keys = [
        key
        for key in members[0]['settings']
        if len({_text(each['settings'][key]) for each in members}) > 1
    ]
    splits = [results['by'], *_tests(members)] if metric else []
    columns = [*(keys or ['member']), 'seeds']
    for split in splits:
        columns += [f'{split} {metric}', '95 % interval']
    rows = []
    for each in members:
        cells = [_text(each['settings'][key]) for key in keys] or [each['name']]
        cells.append(str(len(each['seeds'])) if each['seeds'] else '')
        for split in splits:
            cells += _score(each['rows'], split, metric)
        note = 'best' if each['name'] == results['best'] else 'failed' if each['error'] else ''
        rows.append([*cells, note])
    return [Table([*columns, ''], rows, TITLE)]


def reading(results: Record) -> str:
    """Returns the best member and the failed ones in words.

    Args:
        results: as `sweep.sweep` returns them.

    >>> member = dict(name='lr=1', folder='runs/a/members/lr=1', error='error: no data')
    >>> print(reading(dict(by='validation', metric=None, best=None, members=[member])))
    No member is finished.
    1 of 1 members failed, and the same command tries them again:
    runs/a/members/lr=1: error: no data
    """
    members = results['members']
    best = next((each for each in members if each['name'] == results['best']), None)
    lines = ['No member is finished.']
    if best:
        lines = [
            f'Best by {results["metric"]} on the {results["by"]} split: {best["folder"]}. As the '
            'best of several, that score is too good on average; test scores chose nothing.'
        ]
        if results['tied']:
            lines.append(f'As good, and listed later: {", ".join(results["tied"])}.')
    failed = [each for each in members if each['error']]
    if failed:
        lines.append(
            f'{len(failed)} of {len(members)} members failed, and the same command tries them '
            'again:'
        )
        lines += [f'{each["folder"]}: {each["error"]}' for each in failed]
    return '\n'.join(lines)


def sections(results: Record) -> list[Record]:
    """Returns the sections of the page.

    Args:
        results: as `sweep.sweep` returns them.
    """
    text = reading(results).replace('\n', '\n\n')
    changes = {each['name']: each['changes'] for each in results['members']}
    return [
        section('Scores', tables(results)[0], text=text),
        section('What the members change', code=json.dumps(changes, indent=1)),
        section('How it was run', code=json.dumps(results['config'], indent=1)),
    ]


def _tests(members: Iterable[Record]) -> list[str]:
    splits = dict.fromkeys(row['split'] for each in members for row in each['rows'])
    return [split for split in splits if split.split(' ')[0] == 'test']


def _text(value: Setting) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _score(rows: list[Record], split: str, metric: str) -> list[str]:
    """Returns two cells: the mean of a score and its interval."""
    for row in rows:
        if (row['split'], row['metric']) == (split, metric):
            low, high = row['low'], row['high']
            return [f'{row["mean"]:.4f}', '' if low is None else f'{low:.4f} to {high:.4f}']
    return ['', '']
