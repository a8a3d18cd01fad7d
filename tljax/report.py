"""What a person reads: tables in the terminal, two figures, and one page of HTML that needs nothing but itself.

Figures and cells come from `rows`, one dict per strategy and number of labels: 'strategy', 'labels_per_class' (None: all),
'accuracy_mean', 'accuracy_ci95' (half width, None for one seed) and, but for the baseline, whose are None, 'gain_mean', 'gain_low',
'gain_high' and 'verdict'. Accuracies and gains are fractions there and percent on paper. Colours are those of Okabe and Ito (2008,
https://jfly.uni-koeln.de/color/), told apart by all kinds of colour vision; markers differ too, so that colour is never alone.
"""
import io
import os
import re
from pathlib import Path

import matplotlib
import numpy as np
from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, NullLocator, PercentFormatter
from rich import box
from rich.console import Console
from rich.table import Table

from tljax.core import Refused

COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#F0E442')
MARKERS = 'osD^vP'        # their number and that of the colours have no common factor: 42 strategies differ
INK = '#1B1C1D'           # text, axes and the baseline; in a page it becomes the page's own text colour
PAPER="white"
VERDICTS = {'positive': 'positive', 'none detected': 'none', 'negative': 'negative'}   # as written -> CSS class


def table(columns, rows, title=''):
    """Prints a table: drawn on a terminal, plain aligned text elsewhere; nothing is ever cut off.

    Args:
        columns: names. rows: sequences of cells, as many as columns; numbers are aligned to the right.

    >>> table(['strategy', 'accuracy'], [['scratch', .5], ['finetune', .875]])
    strategy  accuracy
    scratch      0.500
    finetune     0.875
    """
    console = Console(markup=False, emoji=False, highlight=False)
    drawn = Table(title=title or None, title_justify='left', box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False,
                  padding=(0, 2, 0, 0) if not console.is_terminal else (0, 1))
    for i, column in enumerate(columns):
        drawn.add_column(str(column), justify='right' if _numeric([row[i] for row in rows]) else 'left', overflow='fold')
    for row in rows:
        drawn.add_row(*(_text(cell) for cell in row))
    if console.is_terminal:
        return console.print(drawn)
    console.width = 10_000
    with console.capture() as captured:
        console.print(drawn)
    print('\n'.join(line.rstrip() for line in captured.get().splitlines()))


def learning_curves(rows):
    """Accuracy against labels per class, a line with a 95 % band per strategy.

    The axis is logarithmic; 'all' stands at its end, out of scale, behind a dashed line.

    Returns:
        A matplotlib Figure.

    >>> rows = [dict(strategy='scratch', labels_per_class=k, accuracy_mean=.5, accuracy_ci95=.1, gain_mean=None) for k in (1, 10, None)]
    >>> [tick.get_text() for tick in learning_curves(rows).axes[0].get_xticklabels()]
    ['1', '10', 'all']
    """
    figure, axes, styles = _figure(rows)
    budgets = _budgets(rows)
    place = dict(zip(budgets, _log_places(budgets), strict=True))
    ends = {}
    for strategy, (colour, marker) in styles.items():
        mine = sorted((row for row in rows if row['strategy'] == strategy), key=lambda row: place[row['labels_per_class']])
        x = np.array([place[row['labels_per_class']] for row in mine])
        y = np.array([row['accuracy_mean'] for row in mine])
        half = np.array([row['accuracy_ci95'] or 0 for row in mine])
        scaled = np.array([row['labels_per_class'] is not None for row in mine])
        axes.plot(x, y, color=colour, linewidth=1.2, linestyle=(0, (2, 2)))
        axes.plot(x[scaled], y[scaled], color=colour, linewidth=1.8)
        axes.plot(x, y, color=colour, marker=marker, markersize=5, linestyle='none')
        axes.fill_between(x, y - half, y + half, color=colour, alpha=.15, linewidth=0)
        ends[strategy] = x[-1], y[-1]
    axes.set_xscale('log')
    axes.set_xticks(list(place.values()), [_count(k) for k in budgets])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel('accuracy (%)')
    _name_ends(axes, ends, styles)
    return figure


def gains(rows):
    """Paired gain over the baseline with its 95 % interval, for every number of labels and strategy; hollow where none was detected.

    Returns:
        A matplotlib Figure.

    Raises:
        Refused: where no row has a gain.

    >>> row = dict(labels_per_class=5, accuracy_mean=.5, accuracy_ci95=.1)
    >>> figure = gains([dict(strategy='scratch', gain_mean=None, **row),
    ...                 dict(strategy='frozen', gain_mean=.2, gain_low=.1, gain_high=.3, verdict='positive', **row)])
    >>> figure.axes[0].get_ylabel()
    'gain over scratch (points)'
    """
    gained = [row for row in rows if row['gain_mean'] is not None]
    if not gained:
        raise Refused('no row has a gain: the figure compares strategies with a baseline, over two or more seeds')
    figure, axes, styles = _figure(rows)
    budgets = _budgets(gained)
    strategies = [strategy for strategy in styles if any(row['strategy'] == strategy for row in gained)]
    for row in gained:
        colour, marker = styles[row['strategy']]
        x = budgets.index(row['labels_per_class']) + (strategies.index(row['strategy']) + .5) / len(strategies) * .7 - .35
        axes.plot([x, x], [row['gain_low'], row['gain_high']], color=colour, linewidth=1.5, zorder=2)
        axes.plot(x, row['gain_mean'], marker=marker, color=colour, markersize=6, markeredgewidth=1.5, zorder=3,
                  markerfacecolor=PAPER if row['verdict'] == 'none detected' else colour)
    for i in range(0, len(budgets), 2):
        axes.axvspan(i - .5, i + .5, color=INK, alpha=.05, linewidth=0)
    axes.axhline(0, color=INK, linewidth=1)
    axes.set_xticks(range(len(budgets)), [_count(k) for k in budgets])
    axes.set_xlim(-.5, len(budgets) - .5)
    baseline = next((row['strategy'] for row in rows if row['gain_mean'] is None), 'the baseline')
    axes.set_ylabel(f'gain over {baseline} (points)', parse_math=False)
    _legend(figure, {strategy: styles[strategy] for strategy in strategies})
    return figure


def svg(figure):
    """The figure as an <svg> element to stand in a page, the same bytes for the same figure; the figure is cleared.

    Text stays text, in the page's own colour.

    >>> svg(Figure()).startswith('<svg ')
    True
    """
    written = io.StringIO()
    with matplotlib.rc_context({'svg.hashsalt': 'tljax', 'svg.fonttype': 'none'}):
        figure.savefig(written, format='svg', transparent=True, metadata=dict.fromkeys(('Creator', 'Date', 'Format', 'Type')))
    figure.clear()
    element = re.sub(r'<\?xml.*?(?=<svg )', '', written.getvalue(), flags=re.DOTALL)
    return element
def _numeric(c): return True
def _text(c): return str(c)
