"""Figures of what was measured, which stand in a page as SVG.

Those of studies are drawn from `rows`, one dict per strategy and number of labels:
'strategy', 'labels_per_class' (None: all), 'mean', 'ci95' (half width, None for one or two seeds),
'gain_mean', 'gain_low', 'gain_high' and 'verdict' (these four None for the baseline). Accuracies
and gains are fractions there and percent in the figures. Colours are those of Okabe and Ito (2008,
https://jfly.uni-koeln.de/color/), which all kinds of colour vision tell apart; markers differ, too.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from sklearn.decomposition import PCA

from tljax.core import UserError
from tljax.protocols import Record
from tljax.when.gain import share_interval

COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9')
# as many as have no common factor with the colours: 42 strategies look different
MARKERS = 'sD^vPX*'
# text, axes and the baseline; the inside of hollow markers: in a page, the page's own colours
INK, PAPER = '#1B1C1D', '#FDFDFC'


def learning_curves(rows: Sequence[Record]) -> Figure:
    """A score (the rows' 'metric') against labels per class: a line with a 95 % band per strategy,
    named at its end.

    The axis is logarithmic; 'all' stands at its end out of scale, behind a dashed line, with its
    interval as a bar.

    Args:
        rows: as in the module.

    Returns:
        A matplotlib Figure.

    >>> row = {'strategy': 'scratch', 'mean': 0.5, 'ci95': 0.1, 'gain_mean': None}
    >>> figure = learning_curves([{'labels_per_class': k, **row} for k in (1, 10, None)])
    >>> [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    ['1', '10', 'all']
    """
    figure, axes = _figure(f'{rows[0].get("metric", "score")} (%)')
    budgets = _budgets(rows)
    counted = [k for k in budgets if k is not None]
    place = {k: k or 2.5 * max(counted, default=1) for k in budgets}
    axes.set_xscale('log')
    axes.set_xticks(list(place.values()), [_count(k) for k in budgets])
    axes.xaxis.set_minor_locator(NullLocator())
    ends = {}
    for strategy, (colour, marker) in _styles(rows).items():
        mine = sorted(
            (row for row in rows if row['strategy'] == strategy),
            key=lambda row: place[row['labels_per_class']],
        )
        x, mean, half = (
            np.array(column)
            for column in zip(
                *((place[row['labels_per_class']], row['mean'], row['ci95'] or 0) for row in mine),
                strict=True,
            )
        )
        solid = x <= max(counted, default=0)
        axes.plot(x, mean, color=colour, linewidth=1.2, linestyle=(0, (3, 2)))
        axes.plot(x[solid], mean[solid], color=colour, linewidth=1.8)
        axes.plot(x, mean, color=colour, marker=marker, markersize=5.5, linestyle='none')
        low, high = _ends(mean, half)
        axes.fill_between(x[solid], low[solid], high[solid], color=colour, alpha=0.13, linewidth=0)
        alone = ~solid if solid.sum() > 1 else slice(None)  # a band needs two points
        axes.vlines(x[alone], low[alone], high[alone], color=colour, linewidth=1.8)
        ends[strategy] = x[-1], mean[-1]
    _name_ends(axes, ends, _styles(rows))
    return figure


def gains(rows: Sequence[Record]) -> Figure:
    """Paired gain over the baseline with its 95 % interval, per number of labels and strategy;
    hollow where none was detected.

    Args:
        rows: as in the module.

    Returns:
        A matplotlib Figure.

    Raises:
        UserError: where no row has a gain.

    >>> row = {'labels_per_class': 5, 'mean': 0.5, 'ci95': 0.1, 'gain_mean': None}
    >>> gain = {'gain_mean': 0.2, 'gain_low': 0.1, 'gain_high': 0.3, 'verdict': 'positive'}
    >>> gains([{**row, 'strategy': 'scratch'}, {**row, 'strategy': 'frozen', **gain}]).axes[
    ...     0
    ... ].get_ylabel()
    'gain over scratch (points)'
    """
    gained = [row for row in rows if row['gain_mean'] is not None]
    if not gained:
        raise UserError(
            'no row has a gain: this figure compares strategies with a baseline, over two or more '
            'seeds'
        )
    baseline = next((row['strategy'] for row in rows if row['gain_mean'] is None), 'the baseline')
    figure, axes = _figure(f'gain over {baseline} (points)')
    budgets, strategies = _budgets(gained), list(dict.fromkeys(row['strategy'] for row in gained))
    styles = {
        strategy: style for strategy, style in _styles(rows).items() if strategy in strategies
    }
    axes.axhline(0, color=INK, linewidth=1)
    for i in range(0, len(budgets), 2):
        axes.axvspan(i - 0.5, i + 0.5, color=INK, alpha=0.05, linewidth=0)
    for row in gained:
        colour, marker = styles[row['strategy']]
        x = budgets.index(row['labels_per_class']) + 0.75 * (
            (strategies.index(row['strategy']) + 0.5) / len(strategies) - 0.5
        )
        axes.plot([x, x], [row['gain_low'], row['gain_high']], color=colour, linewidth=1.8)
        axes.plot(
            x, row['gain_mean'], **_marker(colour, marker, hollow=row['verdict'] == 'none detected')
        )
    axes.set_xticks(range(len(budgets)), [_count(k) for k in budgets])
    axes.set_xlim(-0.5, len(budgets) - 0.5)
    looks = [
        *(_marker(*style) for style in styles.values()),
        _marker(INK, 'o'),
        _marker(INK, 'o', hollow=True),
    ]
    legend = figure.legend(
        [Line2D([], [], **look) for look in looks],
        [*styles, 'detected', 'none detected'],
        loc='outside right upper',
        frameon=False,
        labelcolor=INK,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def training_curves(records: Sequence[Record]) -> Figure:
    """The score of every evaluated split over the steps of a run, the mean with a 95 % band over
    seeds.

    Args:
        records: of a log (`log.read`); at least two evaluations. The first number of a record is
            the score that is drawn.

    Returns:
        A matplotlib Figure.

    >>> records = [{'step': step, 'kind': 'test', 'accuracy': [0.5, 0.6]} for step in (10, 20)]
    >>> training_curves(records).axes[0].get_xlabel()
    'step'
    """
    measured = [record for record in records if record['kind'] != 'training']
    metric = next(name for name in measured[0] if name not in ('step', 'kind'))
    figure, axes = _figure(f'{metric} (%)', 'step')
    styles = {
        kind: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)])
        for i, kind in enumerate(dict.fromkeys(record['kind'] for record in measured))
    }
    ends = {}
    for kind, (colour, marker) in styles.items():
        mine = [record for record in measured if record['kind'] == kind]
        x = np.array([record['step'] for record in mine])
        intervals = [share_interval(record[metric]) for record in mine]
        mean, half = np.array([[mean, half or 0.0] for mean, half in intervals]).T
        axes.plot(x, mean, color=colour, linewidth=1.8, marker=marker, markersize=4)
        axes.fill_between(x, *_ends(mean, half), color=colour, alpha=0.13, linewidth=0)
        ends[kind] = x[-1], mean[-1]
    _name_ends(axes, ends, styles)
    return figure


def _ends(mean, half):
    """The ends of intervals of shares, which lie between 0 and 1."""
    return np.clip(mean - half, 0, 1), np.clip(mean + half, 0, 1)


def two_domains(
    pairs: dict[str, tuple[np.ndarray, np.ndarray]], label: np.ndarray, points: int = 300
) -> Figure:
    """Source and target side by side in the plane of their two principal components: how far apart,
    before and after.

    Args:
        pairs: {title: (zs (ns, d), zt (nt, d))}.
        label: (ns,) integers, of the source, which colour it; the target is drawn in ink.
        points: of each domain that are drawn, at random.

    Returns:
        A matplotlib Figure.

    >>> rng = np.random.default_rng(0)
    >>> len(
    ...     two_domains(
    ...         {'before': (rng.normal(size=(5, 3)), rng.normal(size=(4, 3)))}, np.zeros(5, int)
    ...     ).axes
    ... )
    1
    """
    columns = min(len(pairs), 4)
    rows = -(-len(pairs) // columns)
    figure = Figure(figsize=(9, 2.5 * rows), layout='constrained')
    for i, (title, (zs, zt)) in enumerate(pairs.items(), 1):
        axes = figure.add_subplot(rows, columns, i)
        plane, rng = (
            PCA(min(2, zs.shape[1])).fit(np.concatenate([zs, zt])),
            np.random.default_rng(0),
        )
        some, others = (rng.permutation(len(domain))[:points] for domain in (zs, zt))
        looks: list[tuple[np.ndarray, dict[str, Any]]] = [
            (zs[some], dict(c=[COLOURS[each % len(COLOURS)] for each in label[some]])),
            (zt[others], dict(color=INK, marker='+', linewidths=0.6)),
        ]
        for drawn, look in looks:
            at = plane.transform(drawn)
            axes.scatter(at[:, 0], at[:, -1], s=7, alpha=0.6, **look)
        axes.set_title(title, color=INK, fontsize='medium', parse_math=False)
        axes.set_axis_off()
    return figure


def rankings(values: dict[str, dict[str, float]]) -> Figure:
    """Each source's rank by every score, and by what was measured where that is among them: a line
    for each, the best on top.

    Args:
        values: {source: {column: number, larger is better}}, the columns in the order of the first;
            a source that lacks one is not ranked by it.

    Returns:
        A matplotlib Figure.

    >>> figure = rankings(
    ...     {'letters': {'logme': 0.5, 'measured': 0.9}, 'nothing': {'logme': 0.1, 'measured': 0.4}}
    ... )
    >>> figure.axes[0].lines[0].get_ydata().tolist()
    [-1.0, -1.0]
    """
    columns = list(next(iter(values.values())))
    figure, axes = _figure('rank')
    axes.set_xlabel('')
    ends = {}
    styles = {
        name: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)])
        for i, name in enumerate(values)
    }
    for name, (colour, marker) in styles.items():
        ranks = np.array(
            [
                -1.0
                - sum(
                    other[column] > values[name][column]
                    for other in values.values()
                    if column in other
                )
                if column in values[name]
                else np.nan
                for column in columns
            ]
        )
        axes.plot(
            range(len(columns)),
            ranks,
            linewidth=1.2,
            **{**_marker(colour, marker), 'linestyle': '-'},
        )
        ends[name] = len(columns) - 1, ranks[~np.isnan(ranks)][-1]
    axes.set_xticks(range(len(columns)), columns, rotation=30, ha='right')
    axes.set_yticks(range(-len(values), 0))
    axes.yaxis.set_major_formatter(lambda value, _: f'{-value:.0f}')
    _name_ends(axes, ends, styles)
    return figure


def matrix(values: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> Figure:
    """Numbers from 0 to 1, such as accuracies of every source on every target, as percent on
    shades; the best of a column is framed.

    Args:
        values: (rows, columns), NaN where nothing was measured.
        rows: names of the rows.
        columns: names of the columns.

    Returns:
        A matplotlib Figure.

    >>> figure = matrix(
    ...     np.array([[0.5, np.nan], [0.9, 0.2]]), ['letters', 'nothing'], ['digits', 'usps']
    ... )
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['50', '90', '20']
    """
    values = np.asarray(values, float)
    figure = Figure(
        figsize=(1.6 + 0.75 * len(columns), 0.9 + 0.34 * len(rows)), layout='constrained'
    )
    axes = figure.add_subplot()
    axes.imshow(values, cmap='cividis', vmin=0, vmax=1, aspect='auto')
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            # of the shades of cividis
            best, ink = value == np.nanmax(values[:, j]), 'white' if value < 0.5 else 'black'
            axes.text(
                j,
                i,
                f'{100 * value:.0f}',
                ha='center',
                va='center',
                color=ink,
                fontweight='bold' if best else 'normal',
                bbox=dict(fill=False, edgecolor=ink, linewidth=1.2) if best else None,
            )
    axes.set_xticks(range(len(columns)), columns, rotation=30, ha='right', color=INK)
    axes.set_yticks(range(len(rows)), rows, color=INK)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_parse_math(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def _budgets(rows):
    return sorted(
        {row['labels_per_class'] for row in rows}, key=lambda k: np.inf if k is None else k
    )


def _count(k):
    return 'all' if k is None else str(k)


def _styles(rows):
    """{strategy: (colour, marker)} in the order of the rows; the baseline is drawn in ink."""
    # one seed: no gains, and no telling the baseline
    gained = [row for row in rows if row['gain_mean'] is not None] or rows
    styles = {
        name: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)])
        for i, name in enumerate(dict.fromkeys(row['strategy'] for row in gained))
    }
    return {row['strategy']: styles.get(row['strategy'], (INK, 'o')) for row in rows}


def _marker(colour, marker, hollow=False):
    return {
        'color': colour,
        'marker': marker,
        'markersize': 6.5,
        'markeredgewidth': 1.5,
        'linestyle': 'none',
        'markerfacecolor': PAPER if hollow else colour,
    }


def _figure(ylabel, xlabel='labels per class'):
    figure = Figure(figsize=(9, 4.6), layout='constrained')
    axes = figure.add_subplot()
    axes.spines[['top', 'right']].set_visible(False)
    axes.spines[['left', 'bottom']].set_color(INK)
    axes.tick_params(colors=INK)
    axes.grid(axis='y', color=INK, alpha=0.12, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel(xlabel, color=INK)
    axes.set_ylabel(ylabel, color=INK, parse_math=False)
    axes.yaxis.set_major_formatter(lambda value, _: f'{round(100 * value, 2) + 0:g}')  # + 0: no -0
    return figure, axes


def _name_ends(axes, ends, styles):
    """Each line's name to the right of the axes, as high as the line ends, moved apart where names
    would overlap."""
    low, high = axes.get_ylim()
    names = sorted(ends, key=lambda name: ends[name][1])
    heights = [(ends[name][1] - low) / (high - low) for name in names]
    gap = min(0.065, 1 / len(names))
    for i in range(1, len(names)):
        heights[i] = max(heights[i], heights[i - 1] + gap)
    for i in reversed(range(len(names))):
        heights[i] = min(heights[i], 1 - gap * (len(names) - 1 - i))
    for name, height in zip(names, heights, strict=True):
        colour, marker = styles[name]
        axes.annotate(
            '',
            ends[name],
            (1.05, height),
            textcoords='axes fraction',
            arrowprops={'arrowstyle': '-', 'color': colour, 'shrinkA': 0, 'shrinkB': 5},
        )
        axes.plot(1.05, height, **_marker(colour, marker), transform=axes.transAxes, clip_on=False)
        axes.text(
            1.07, height, name, transform=axes.transAxes, va='center', color=INK, parse_math=False
        )
    axes.set_ylim(low, high)
