"""Tables and page of a study of several tasks."""

import json

from tljax.engine.scores import score_named
from tljax.protocols import Record
from tljax.studies.tables import Table, section

HOW = {'together': 'with', 'after': 'after'}  # how a task is trained with another, in words


def tables(results: Record) -> list[Table]:
    """Returns the tables that are printed: tasks alone, pairs of tasks, and all tasks together.

    Args:
        results: as `multitask.compare_tasks` returns them.
    """
    return [
        _alone(results),
        *(_pairs(results, how) for how in HOW),
        _joint(results),
    ]


def reading(results: Record) -> str:
    """Returns the findings in words: which tasks hurt which others, and what joint training gains.

    Args:
        results: as `multitask.compare_tasks` returns them.

    >>> gain = {'mean': -0.02, 'low': -0.03, 'high': -0.01, 'verdict': 'negative'}
    >>> pair = {'task': 'a', 'other': 'b', 'how': 'together', 'gain': gain}
    >>> tasks = {'a': {'metric': 'accuracy'}, 'b': {'metric': 'accuracy'}}
    >>> print(reading({'tasks': tasks, 'pairs': [pair], 'joint': [], 'relative': False}))
    Negative transfer: a with b -2.0 [-3.0, -1.0].
    Tasks that another is hurt by: b.
    """
    sentences = []
    for verdict, heading in (('negative', 'Negative transfer'), ('positive', 'Positive transfer')):
        cells = [
            f'{pair["task"]} {HOW[pair["how"]]} {pair["other"]} '
            f'{_gain(pair["gain"], _unit(results, pair["task"]))}'
            for pair in results['pairs']
            if pair['gain']['verdict'] == verdict
        ]
        if cells:
            sentences.append(f'{heading}: {"; ".join(cells)}.')
    hurting = dict.fromkeys(
        pair['other'] for pair in results['pairs'] if pair['gain']['verdict'] == 'negative'
    )
    if hurting:
        sentences.append(f'Tasks that another is hurt by: {", ".join(hurting)}.')
    if not sentences:
        sentences.append('Between pairs of tasks neither gain nor harm is detected.')
    for row in results['joint']:
        if row['mean']['verdict'] != 'none detected':
            verb = 'gains' if row['mean']['verdict'] == 'positive' else 'loses'
            unit = _unit(results)
            sentences.append(f'{row["strategy"]} {verb}: {_gain(row["mean"], unit)} over alone.')
    return '\n'.join(sentences)


def sections(results: Record) -> list[Record]:
    """Returns the sections of the page.

    Args:
        results: as `multitask.compare_tasks` returns them.
    """
    parts = [section('What was found', text=reading(results))]
    for table in tables(results):
        heading, _, text = table.title.partition(': ')
        parts.append(section(heading, table, text=text))
    how = _choices(results)
    return [
        *parts,
        section('How it was run', text=how, code=json.dumps(results['config'], indent=1)),
    ]


def _unit(results: Record, task: str | None = None) -> float:
    """The factor of a score of a task, or of the mean gain: 100 for shares, 1 for errors."""
    if task is None and results['relative']:
        return 100.0
    score = score_named(results['tasks'][task or next(iter(results['tasks']))]['metric'])
    return 100.0 if score.share or score.bounded else 1.0


def _gain(gain: Record, unit: float) -> str:
    digits = 1 if unit == 100 else 3
    mean, low, high = (f'{unit * gain[key]:+.{digits}f}' for key in ('mean', 'low', 'high'))
    return f'{mean} [{low}, {high}]'


def _score(score: Record, unit: float) -> str:
    digits = 1 if unit == 100 else 3
    text = f'{unit * score["mean"]:.{digits}f}'
    return text if score['ci95'] is None else f'{text} ± {unit * score["ci95"]:.{digits}f}'


def _alone(results: Record) -> Table:
    rows = [
        [
            task,
            facts['labels'],
            facts['metric'],
            _score(results['alone'][task], _unit(results, task)),
        ]
        for task, facts in results['tasks'].items()
    ]
    title = f'Every task alone, rate {results["rates"]["alone"]:g}'
    return Table(['task', 'labels', 'score', 'mean ± 95 % interval over seeds'], rows, title)


def _pairs(results: Record, how: str) -> Table:
    """A row for each task whose score is measured, a column for each other task."""
    names = list(results['tasks'])
    cells = {
        (pair['task'], pair['other']): (
            f'{_gain(pair["gain"], _unit(results, pair["task"]))} {pair["gain"]["verdict"]}'
        )
        for pair in results['pairs']
        if pair['how'] == how
    }
    rows = [[task, *(cells.get((task, other), '') for other in names)] for task in names]
    title = {
        'together': 'Gain of learning a task together with another, over alone',
        'after': 'Gain of learning a task after another, over alone',
    }[how]
    columns = ['gain on', *(f'{HOW[how]} {other}' for other in names)]
    return Table(
        columns, rows, f'{title}: 95 % intervals paired by seed, rate {results["rates"][how]:g}'
    )


def _joint(results: Record) -> Table:
    names, rows = list(results['tasks']), []
    for row in results['joint']:
        cells = [
            f'{_score(row["scores"][task], _unit(results, task))}, '
            f'{_gain(row["gains"][task], _unit(results, task))} {row["gains"][task]["verdict"]}'
            for task in names
        ]
        mean = f'{_gain(row["mean"], _unit(results))} {row["mean"]["verdict"]}'
        rows.append([row['strategy'], f'{results["rates"][row["strategy"]]:g}', mean, *cells])
    kind = 'percent of the score alone' if results['relative'] else 'in units of the score'
    columns = [
        'strategy',
        'rate',
        'mean gain over alone',
        *(f'{name}: score, gain' for name in names),
    ]
    return Table(columns, rows, f'All tasks together: mean gain over tasks, {kind}, and every task')


def _choices(results: Record) -> str:
    """How the rates were chosen, in words."""
    choosing = results['config']['study']['choosing']
    if not results['choices']:
        return 'The rate was not chosen among several.'
    return (
        f'Rates were chosen on the validation split, seeds {", ".join(map(str, choosing))}; scores '
        f'are of the test split, seeds {", ".join(map(str, results["seeds"]))}.'
    )
