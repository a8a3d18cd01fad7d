"""Tables and page of what a source network ignores."""

from tljax.protocols import Record
from tljax.report.depth import invariances
from tljax.report.drawing import svg
from tljax.report.page import page
from tljax.studies.tables import Table, section

INVARIANCE = (
    'Invariance of the features of each layer: 1 if a picture and its transformation have the same '
    'features, 0 if these differ as those of unrelated pictures do. In brackets the 95 % interval '
    'over {} pictures.'
)
NEED = (
    'Accuracy of linear probes on each layer, percent. "ignoring X": the change, in points, for a '
    'probe that is also trained on pictures transformed by X and tested on pictures as they are. A '
    'loss means that the target needs what X changes.'
)
CHANGED = (
    'Accuracy on transformed validation pictures, percent: of the plain probe → of the probe that '
    'was also trained on transformed pictures.'
)


def tables(results: Record) -> list[Table]:
    """Returns the tables that are printed: invariance, and with probes the need and the accuracy.

    Args:
        results: as `invariance.measure` returns them.

    >>> row = dict(layer='a', transformation='flip', invariance=0.5, low=0.4, high=0.6)
    >>> results = dict(layers=['a'], transformations=['flip'], pictures=9, rows=[row])
    >>> tables(results)[0].rows
    [['a', '0.50 [0.40, 0.60]']]
    """
    parts = [_table(results, _interval, INVARIANCE.format(results['pictures']))]
    if 'probes' in results:
        parts.append(_need_table(results))
        parts.append(_table(results, _on_changed, CHANGED))
    return parts


def sections(results: Record, model: str) -> list[Record]:
    """Returns the sections of the page.

    Args:
        results: as `invariance.measure` returns them.
        model: what was measured, in words.

    >>> row = dict(layer='a', transformation='flip', invariance=0.5, low=0.4, high=0.6)
    >>> results = dict(layers=['a'], transformations=['flip'], pictures=9, rows=[row])
    >>> [part['heading'] for part in sections(results, 'runs/mine')]
    ['What the network ignores', 'Invariance']
    """
    first, *others = tables(results)
    figure = svg(invariances(results['layers'], results['rows']))
    parts = [
        section('What the network ignores', svg=figure, text=f'The network: {model}.'),
        section('Invariance', first, text=first.title),
    ]
    if not others:
        return parts
    advice = section('Which layers to fine-tune', text=results['advice']['sentence'])
    headings = ('What the target needs', 'On transformed pictures')
    return [
        advice,
        *parts,
        *(
            section(head, part, text=part.title)
            for head, part in zip(headings, others, strict=True)
        ),
    ]


def write_page(path: str, results: Record, model: str) -> None:
    """Writes the page.

    Args:
        path: path of the page.
        results: as `invariance.measure` returns them.
        model: what was measured, in words.

    >>> import tempfile
    >>> from pathlib import Path
    >>> row = dict(layer='a', transformation='flip', invariance=0.5, low=0.4, high=0.6)
    >>> results = dict(layers=['a'], transformations=['flip'], pictures=9, rows=[row])
    >>> write_page(path := tempfile.mktemp(), results, 'runs/mine')
    >>> '0.50 [0.40, 0.60]' in Path(path).read_text()
    True
    """
    page(path, 'What a source network ignores', sections(results, model))


def _need_table(results: Record) -> Table:
    """The accuracy of the plain probe, and its change by each transformation."""
    table = _table(results, lambda row: f'{-100 * row["need"]:+.1f}', NEED)
    columns = ['layer', 'as it is', *(f'ignoring {name}' for name in results['transformations'])]
    rows = [
        [layer, f'{100 * results["probes"][layer]:.1f}', *cells] for layer, *cells in table.rows
    ]
    return Table(columns, rows, NEED)


def _table(results, cell, title):
    """A row for each layer and a column for each transformation."""
    cells = {(row['layer'], row['transformation']): cell(row) for row in results['rows']}
    names = results['transformations']
    rows = [[layer, *(cells[layer, name] for name in names)] for layer in results['layers']]
    return Table(['layer', *names], rows, title)


def _interval(row):
    if row['invariance'] is None:
        return 'dead'
    return f'{row["invariance"]:.2f} [{row["low"]:.2f}, {row["high"]:.2f}]'


def _on_changed(row):
    return f'{100 * row["plain_on_changed"]:.1f} → {100 * row["trained_on_changed"]:.1f}'
