"""Tables and page of a study of shape bias."""

from tljax.data.sets.cue_conflict import FIGURE_4
from tljax.protocols import Cell, Record
from tljax.studies.tables import Table, section

READING = (
    'Shape bias: of the decisions for the category of the shape or of the texture, the share for '
    'the shape. Only pictures count whose shape and texture are of different categories; decided: '
    'the share of them for which one of the two was chosen. Agreeing: how often the category is '
    'found where both are of one category. An interval is a 95 % percentile bootstrap over '
    'pictures, for the same seeds and networks.'
)
MEASURES = {
    'outputs': 'By outputs: the category with the largest mean probability over its classes.',
    'features': (
        'By features: the category whose pictures with agreeing cues have the most similar '
        'features. Pictures that share a photograph with the one to decide are left out. A bias by '
        'features is compared with others by features, not with the published answers.'
    ),
}


def tables(results: Record) -> list[Table]:
    """Returns the tables that are printed: the shape bias of each observer, and by category.

    Args:
        results: as `shape_bias.summarise` returns them.

    >>> row = dict(name='mobilenet', kind='model', measure='outputs', bias=0.25, low=0.2, high=0.3)
    >>> row |= dict(decided=0.6, agreeing=0.9, by_seed=[0.25], by_category=[0.2, 0.3], change=None)
    >>> results = dict(rows=[row], categories=['bear', 'cat'], pictures=1200, size=224)
    >>> [table.rows[0] for table in tables(results)]
    [['mobilenet', 'outputs', '25.00', '20.0 to 30.0', '60.0', '90.0'], ['bear', '20.0']]
    """
    return [_bias_table(results), _category_table(results)]


def sections(results: Record) -> list[Record]:
    """Returns the sections of the page.

    Args:
        results: as `shape_bias.summarise` returns them.

    >>> row = dict(name='people (2)', kind='people', measure='answers', bias=0.9, low=0.8, high=1.0)
    >>> row |= dict(decided=0.6, agreeing=0.9, by_seed=[0.8, 1.0], change=None)
    >>> row |= dict(by_category=[0.8, 1.0], decided_by_category=[0.6, 0.6])
    >>> results = dict(rows=[row], categories=['bear', 'cat'], pictures=1200, size=None, seed=0)
    >>> [part['heading'] for part in sections(results)]
    ['Shape bias', 'By category of the shape', 'Every category', 'Over seeds and people']
    """
    # imported late, for a quick start
    from tljax.report.cue_figure import shape_and_texture
    from tljax.report.drawing import svg

    measures = {row['measure'] for row in results['rows']}
    text = '\n\n'.join([READING, *(MEASURES[name] for name in MEASURES if name in measures)])
    if 'right' in results:
        text += (
            '\n\nThis is a demonstration: the pictures were drawn, and what a network prefers in '
            'them says nothing about photographs.'
        )
    bias = _bias_table(results)
    figure = shape_and_texture(_drawn(results), results['categories'])
    return [
        section('Shape bias', bias, text=f'{bias.title}.\n\n{text}'),
        section(
            'By category of the shape',
            svg=svg(figure),
            text='A marker is one category, a line the mean of all pictures. Hollow markers and '
            'pale bars are published answers.',
        ),
        section('Every category', _category_table(results), text='Shape bias, percent.'),
        section('Over seeds and people', _seed_table(results), text='Shape bias, percent.'),
    ]


def _bias_table(results: Record) -> Table:
    """Shape bias of each observer, and its change from the first model."""
    rows = results['rows']
    has_change = any(row['change'] for row in rows)
    columns = ['', 'by', 'shape bias %', '95 % interval', 'decided %', 'agreeing %']
    if has_change:
        columns += ['change, points', '95 % interval of the change']
    body: list[list[Cell]] = []
    for row in rows:
        cells: list[Cell] = [
            row['name'],
            row['measure'],
            _percent(row['bias'], 2),
            _range(row['low'], row['high']),
            _percent(row['decided']),
            _percent(row['agreeing']),
        ]
        if has_change and row['change']:
            mean, low, high = row['change']
            cells += ['' if mean is None else f'{100 * mean:+.1f}', _range(low, high, '+.1f')]
        elif has_change:
            cells += ['', '']
        body.append(cells)
    title = f'{results["pictures"]:,} pictures whose shape and texture conflict'
    if results['size']:
        title += f', at {results["size"]} pixels'
    return Table(columns, body, title)


def _category_table(results: Record) -> Table:
    """Shape bias of the drawn observers for each category."""
    rows = _drawn(results)
    body: list[list[Cell]] = [
        [category, *(_percent(row['by_category'][i]) for row in rows)]
        for i, category in enumerate(results['categories'])
    ]
    columns = ['category of the shape', *(row['name'] for row in rows)]
    return Table(columns, body, 'Shape bias % by category')


def _seed_table(results: Record) -> Table:
    """Shape bias of each seed, or of each person."""
    body: list[list[Cell]] = [
        [row['name'], ', '.join(_percent(value, 2) for value in row['by_seed'])]
        for row in results['rows']
        if len(row['by_seed']) > 1
    ]
    return Table(['', 'each seed or person'], body)


def _drawn(results: Record) -> list[Record]:
    """The observers that a figure shows: models, the networks of the paper's figure 4, people."""
    rows = results['rows']
    networks = [row for row in rows if row['name'] in FIGURE_4]
    models = [row for row in rows if row['kind'] == 'model']
    return [*models, *networks, *(row for row in rows if row['kind'] == 'people')]


def _percent(share: float | None, digits: int = 1) -> str:
    return '' if share is None else f'{100 * share:.{digits}f}'


def _range(low: float | None, high: float | None, form: str = '.1f') -> str:
    if low is None or high is None:
        return ''
    return f'{100 * low:{form}} to {100 * high:{form}}'
