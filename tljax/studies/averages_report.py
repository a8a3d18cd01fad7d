"""Tables and page of a study of weight averages."""

import json

import numpy as np

from tljax.paths import flatten
from tljax.protocols import Record
from tljax.studies.tables import Table, section
from tljax.when.gain import share_interval


def tables(results: Record) -> list[Table]:
    """Returns the tables that are printed: models, weights of WiSE-FT, and members.

    Args:
        results: as `averages.compare_averages` returns them.
    """
    return [_models(results), _curve(results), _members(results)]


def reading(results: Record) -> str:
    """Explains the tables, and compares the soups with the best member.

    Args:
        results: as `averages.compare_averages` returns them.

    >>> gain = {'mean': 0.02, 'low': 0.01, 'high': 0.03, 'verdict': 'positive'}
    >>> results = dict(
    ...     over_best={'greedy soup': gain},
    ...     seeds=[0, 1, 2],
    ...     config={'study': {'baseline': 'slow'}},
    ... )
    >>> print(reading(results))
    Trainings are those after the linear probe, from which all members start. ...
    Over the best member, for as many trainings: greedy soup +2.0 [+1.0, +3.0], positive.
    """
    base = results['config']['study']['baseline']
    rivals = '; '.join(
        f'{name} {_gain(gain)}, {gain["verdict"]}' for name, gain in results['over_best'].items()
    )
    return (
        'Trainings are those after the linear probe, from which all members start. Fine-tuning is '
        f'the member {base}. The best member, the greedy soup and the weight of WiSE-FT are chosen '
        'on the validation split, for each draw of labels. '
        f'Intervals are 95 % t intervals over {len(results["seeds"])} draws, gains are paired by '
        'draw, and verdicts are corrected (Holm, 5 %).\n'
        f'Over the best member, for as many trainings: {rivals}.'
    )


def sections(results: Record) -> list[Record]:
    """Returns the sections of the page.

    Args:
        results: as `averages.compare_averages` returns them.
    """
    # imported late, for a quick start
    from tljax.report.drawing import svg
    from tljax.report.figures import training_curves

    models, curve, members = tables(results)
    points = [
        {'step': point['weight'], 'kind': split, results['metric']: point[split]}
        for point in results['curve']
        for split in ('validation', 'test')
    ]
    figure = svg(training_curves(points, 'weight of the fine-tuned network'))
    return [
        section('Averages and their members', models, text=reading(results)),
        section('WiSE-FT', curve, text=curve.title, svg=figure),
        section('Members', members, text=members.title),
        section('How it was run', code=json.dumps(results['config'], indent=1)),
    ]


def _models(results: Record) -> Table:
    """A row for each model, with its cost and its gain."""
    body = []
    for row in results['rows']:
        gain = row['gain']
        cells = [row['model'], str(row['trainings']), _percent(row['test'])]
        body.append([*cells, *((_gain(gain), gain['verdict']) if gain else ('', ''))])
    columns = [
        'model',
        'trainings',
        f'{results["metric"]} %',
        'gain over fine-tuning, points',
        'verdict',
    ]
    title = f'{len(results["seeds"])} draws of labels; {results["metric"]} on the test split'
    return Table(columns, body, title)


def _curve(results: Record) -> Table:
    """A row for each weight of WiSE-FT."""
    body = [
        [
            f'{point["weight"]:g}',
            _percent(point['validation']),
            _percent(point['test']),
            str(results['weights'].count(point['weight'])),
        ]
        for point in results['curve']
    ]
    columns = ['weight', 'validation %', 'test %', 'chosen in draws']
    return Table(
        columns, body, 'WiSE-FT: from the linear probe (weight 0) to the fine-tuned network (1)'
    )


def _members(results: Record) -> Table:
    """A row for each member, with the settings in which it differs."""
    body = []
    for row in results['members']:
        changes = flatten(row['changes']).items()
        settings = ', '.join(f'{path.replace("/", ".")}={value}' for path, value in changes)
        scores = _percent(row['validation']), _percent(row['test'])
        body.append([row['member'], settings, *scores, str(sum(row['chosen']))])
    columns = ['member', 'settings', 'validation %', 'test %', 'in greedy soups']
    return Table(columns, body, 'Members: each has an order of batches of its own')


def _percent(values: list[float]) -> str:
    """Mean and half the width of the interval, if there is one: '50.0 ± 10.0'."""
    mean, half = share_interval(np.array(values))
    return f'{100 * mean:.1f}' + ('' if half is None else f' ± {100 * half:.1f}')


def _gain(gain: Record) -> str:
    """A gain in points, with its interval: '+2.0 [+1.0, +3.0]'."""
    mean, low, high = (f'{100 * gain[key]:+.1f}' for key in ('mean', 'low', 'high'))
    return f'{mean} [{low}, {high}]'
