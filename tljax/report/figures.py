"""Figures of measured scores, which a page shows as SVG.

Figures of studies are drawn from `rows`, one dict for each strategy and number of labels:
'strategy', 'labels_per_class' (None: all), 'mean', 'ci95' (half width, None for one or two seeds),
'gain_mean', 'gain_low', 'gain_high' and 'verdict' (these four None for the baseline). Accuracies
and gains are fractions in the rows and percent in the figures. The colours of Okabe and Ito (2008,
https://jfly.uni-koeln.de/color/) can be distinguished with every kind of colour vision. Markers
differ as well.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from tljax.core import UserError
from tljax.protocols import Record
from tljax.when.gain import share_interval

COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9')
# 7 markers and 6 colours have no common factor: 42 strategies look different
MARKERS = 'sD^vPX*'
INK = '#1B1C1D'  # text, axes and the baseline; in a page, the page's own ink
PAPER = '#FDFDFC'  # inside of hollow markers; in a page, the page's own paper

Style = tuple[str, str]  # colour and marker
Point = tuple[float, float]


def learning_curves(rows: Sequence[Record], unit: str = 'labels per class') -> Figure:
    """Draws a score against labels per class: a line with a 95 % band for each strategy.

    The score is the 'metric' of the rows. The axis of labels is logarithmic. 'all' is at its end,
    out of scale, with a dashed line to it and a bar as its interval.

    Args:
        rows: rows of a study, as in the module's docstring.
        unit: what 'labels_per_class' counts.

    Returns:
        A matplotlib Figure.

    >>> row = {'strategy': 'scratch', 'mean': 0.5, 'ci95': 0.1, 'gain_mean': None}
    >>> figure = learning_curves([{'labels_per_class': k, **row} for k in (1, 10, None)])
    >>> [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    ['1', '10', 'all']
    """
    figure, axes = _figure(f'{rows[0].get("metric", "score")} (%)', unit)
    budgets = _budgets(rows)
    largest = max((k for k in budgets if k is not None), default=0)
    place = {k: 2.5 * max(largest, 1) if k is None else k for k in budgets}
    axes.set_xscale('log')
    axes.set_xticks(list(place.values()), [_budget_text(k) for k in budgets])
    axes.xaxis.set_minor_locator(NullLocator())
    ends, styles = {}, _strategy_styles(rows)
    for strategy, style in styles.items():
        points = sorted(
            (place[row['labels_per_class']], row['mean'], row['ci95'] or 0)
            for row in rows
            if row['strategy'] == strategy
        )
        x, mean, half = np.array(points).T
        _draw_curve(axes, x, mean, half, x <= largest, style)
        ends[strategy] = x[-1], mean[-1]
    _name_ends(axes, ends, styles)
    return figure


def _draw_curve(
    axes: Axes,
    x: np.ndarray,
    mean: np.ndarray,
    half: np.ndarray,
    in_scale: np.ndarray,
    style: Style,
) -> None:
    """Draws a learning curve: a solid line with a band in scale, a dashed line and a bar beyond."""
    colour, marker = style
    axes.plot(x, mean, color=colour, linewidth=1.2, linestyle=(0, (3, 2)))
    axes.plot(x[in_scale], mean[in_scale], color=colour, linewidth=1.8)
    axes.plot(x, mean, color=colour, marker=marker, markersize=5.5, linestyle='none')
    low, high = _interval_ends(mean, half)
    axes.fill_between(
        x[in_scale], low[in_scale], high[in_scale], color=colour, alpha=0.13, linewidth=0
    )
    has_band = in_scale.sum() > 1  # a band needs two points
    bars = ~in_scale if has_band else np.full(len(x), True)
    axes.vlines(x[bars], low[bars], high[bars], color=colour, linewidth=1.8)


def gains(rows: Sequence[Record], unit: str = 'labels per class') -> Figure:
    """Draws the paired gains over the baseline with 95 % intervals, by number of labels.

    A marker is hollow if no gain was detected.

    Args:
        rows: rows of a study, as in the module's docstring.
        unit: as in `learning_curves`.

    Returns:
        A matplotlib Figure.

    Raises:
        UserError: if no row has a gain.

    >>> row = {'labels_per_class': 5, 'mean': 0.5, 'ci95': 0.1, 'gain_mean': None}
    >>> gain = {'gain_mean': 0.2, 'gain_low': 0.1, 'gain_high': 0.3, 'verdict': 'positive'}
    >>> figure = gains([{**row, 'strategy': 'scratch'}, {**row, 'strategy': 'frozen', **gain}])
    >>> figure.axes[0].get_ylabel()
    'gain over scratch (points)'
    """
    gain_rows = [row for row in rows if row['gain_mean'] is not None]
    if not gain_rows:
        raise UserError(
            'no row has a gain: this figure compares strategies with a baseline, over two or more '
            'seeds'
        )
    baseline = next((row['strategy'] for row in rows if row['gain_mean'] is None), 'the baseline')
    figure, axes = _figure(f'gain over {baseline} (points)', unit)
    budgets = _budgets(gain_rows)
    strategies = list(dict.fromkeys(row['strategy'] for row in gain_rows))
    styles = {
        strategy: style
        for strategy, style in _strategy_styles(rows).items()
        if strategy in strategies
    }
    axes.axhline(0, color=INK, linewidth=1)
    for i in range(0, len(budgets), 2):
        axes.axvspan(i - 0.5, i + 0.5, color=INK, alpha=0.05, linewidth=0)
    for row in gain_rows:
        colour, marker = styles[row['strategy']]
        offset = (strategies.index(row['strategy']) + 0.5) / len(strategies) - 0.5
        x = budgets.index(row['labels_per_class']) + 0.75 * offset
        hollow = row['verdict'] == 'none detected'
        axes.plot([x, x], [row['gain_low'], row['gain_high']], color=colour, linewidth=1.8)
        axes.plot(x, row['gain_mean'], **_marker(colour, marker, hollow=hollow))
    axes.set_xticks(range(len(budgets)), [_budget_text(k) for k in budgets])
    axes.set_xlim(-0.5, len(budgets) - 0.5)
    _draw_gain_legend(figure, styles)
    return figure


def _draw_gain_legend(figure: Figure, styles: dict[str, Style]) -> None:
    """Draws a legend of the strategies, and of filled and hollow markers."""
    markers = {name: _marker(*style) for name, style in styles.items()}
    names = [*markers, 'detected', 'none detected']
    keywords = [*markers.values(), _marker(INK, 'o'), _marker(INK, 'o', hollow=True)]
    legend = figure.legend(
        [Line2D([], [], **marker) for marker in keywords],
        names,
        loc='outside right upper',
        frameon=False,
        labelcolor=INK,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def training_curves(records: Sequence[Record], x_label: str = 'step') -> Figure:
    """Draws the score of every evaluated split against the step: mean and 95 % band over seeds.

    Args:
        records: records of a log (`log.read`), with at least two evaluations. The score is the
            first number of the first record; records of tasks that have another are left out.
        x_label: what 'step' of the records counts.

    Returns:
        A matplotlib Figure.

    >>> records = [{'step': step, 'kind': 'test', 'accuracy': [0.5, 0.6]} for step in (10, 20)]
    >>> axes = training_curves(records).axes[0]
    >>> axes.get_ylabel(), axes.lines[0].get_ydata().tolist()
    ('accuracy (%)', [0.55, 0.55])
    """
    evaluations = [record for record in records if record['kind'] != 'training']
    metric = next(name for name in evaluations[0] if name not in ('step', 'kind'))
    evaluations = [record for record in evaluations if metric in record]
    figure, axes = _figure(f'{metric} (%)', x_label)
    styles = _styles(dict.fromkeys(record['kind'] for record in evaluations))
    ends = {}
    for split, (colour, marker) in styles.items():
        split_records = [record for record in evaluations if record['kind'] == split]
        x = np.array([record['step'] for record in split_records])
        intervals = [share_interval(record[metric]) for record in split_records]
        mean, half = np.array([[mean, half or 0.0] for mean, half in intervals]).T
        low, high = _interval_ends(mean, half)
        axes.plot(x, mean, color=colour, linewidth=1.8, marker=marker, markersize=4)
        axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)
        ends[split] = x[-1], mean[-1]
    _name_ends(axes, ends, styles)
    return figure


def precision_curves(curves: dict[str, np.ndarray]) -> Figure:
    """Draws precision against recall, a line for each class.

    Args:
        curves: {class: precision at recalls from 0 to 1 in equal steps}.

    >>> figure = precision_curves({'cat': np.array([1.0, 0.5, 0.0])})
    >>> figure.axes[0].lines[0].get_xdata().tolist()
    [0.0, 0.5, 1.0]
    """
    figure, axes = _figure('precision (%)', 'recall (%)')
    axes.xaxis.set_major_formatter(lambda value, _: f'{100 * value:g}')
    for name, (colour, _) in _styles(curves).items():
        x = np.linspace(0, 1, len(curves[name]))
        axes.plot(x, curves[name], color=colour, linewidth=1.8, label=name)
    if curves:
        legend = axes.legend(frameon=False, loc='lower left')
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure


def _interval_ends(mean: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ends of intervals of accuracies, clipped to 0 and 1."""
    return np.clip(mean - half, 0, 1), np.clip(mean + half, 0, 1)


def two_domains(
    pairs: dict[str, tuple[np.ndarray, np.ndarray]], label: np.ndarray, points: int = 300
) -> Figure:
    """Draws source and target in the plane of their two principal components.

    Several pairs are drawn side by side, such as features before and after adaptation.

    Args:
        pairs: {title: (zs (ns, d), zt (nt, d))}.
        label: labels of the source, (ns,) integers, which colour it. The target is drawn in ink.
        points: maximal number of points of a domain, drawn at random.

    Returns:
        A matplotlib Figure.

    >>> rng = np.random.default_rng(0)
    >>> zs, zt = rng.normal(size=(5, 3)), rng.normal(size=(4, 3))
    >>> figure = two_domains({'before': (zs, zt), 'after': (zs, zs)}, np.zeros(5, int))
    >>> [axes.get_title() for axes in figure.axes]
    ['before', 'after']
    """
    from sklearn.decomposition import PCA  # imported late, for a quick start

    columns = min(len(pairs), 4)
    rows = -(-len(pairs) // columns)
    figure = Figure(figsize=(9, 2.5 * rows), layout='constrained')
    for i, (title, (zs, zt)) in enumerate(pairs.items(), 1):
        axes = figure.add_subplot(rows, columns, i)
        pca = PCA(min(2, zs.shape[1])).fit(np.concatenate([zs, zt]))
        rng = np.random.default_rng(0)
        source = rng.permutation(len(zs))[:points]
        target = rng.permutation(len(zt))[:points]
        colours = [COLOURS[c % len(COLOURS)] for c in label[source]]
        plane = pca.transform(zs[source])
        axes.scatter(plane[:, 0], plane[:, -1], s=7, alpha=0.6, c=colours)
        plane = pca.transform(zt[target])
        axes.scatter(
            plane[:, 0], plane[:, -1], s=7, alpha=0.6, color=INK, marker='+', linewidths=0.6
        )
        axes.set_title(title, color=INK, fontsize='medium', parse_math=False)
        axes.set_axis_off()
    return figure


def rankings(values: dict[str, dict[str, float]]) -> Figure:
    """Draws the rank of each source by every score: a line for each source, the best on top.

    Args:
        values: {source: {score: number, larger is better}}. The first source has all scores, in the
            order of the columns. A source without a score is not ranked by it.

    Returns:
        A matplotlib Figure.

    >>> figure = rankings(
    ...     {'letters': {'logme': 0.5, 'measured': 0.9}, 'nothing': {'logme': 0.1, 'measured': 0.4}}
    ... )
    >>> figure.axes[0].lines[0].get_ydata().tolist()
    [-1.0, -1.0]
    """
    scores = list(next(iter(values.values())))
    figure, axes = _figure('rank')
    axes.set_xlabel('')
    ends, styles = {}, _styles(values)
    for source, (colour, marker) in styles.items():
        heights = np.array([_height(values, source, score) for score in scores])
        look = _marker(colour, marker) | {'linestyle': '-', 'linewidth': 1.2}
        axes.plot(range(len(scores)), heights, **look)
        ends[source] = len(scores) - 1, heights[~np.isnan(heights)][-1]
    axes.set_xticks(range(len(scores)), scores, rotation=30, ha='right')
    axes.set_yticks(range(-len(values), 0))
    axes.yaxis.set_major_formatter(lambda height, _: f'{-height:.0f}')
    _name_ends(axes, ends, styles)
    return figure


def _height(values: dict[str, dict[str, float]], source: str, score: str) -> float:
    """Minus the rank of a source by a score, so that the best is on top; NaN without the score."""
    if score not in values[source]:
        return np.nan
    better = [
        other
        for other, scores in values.items()
        if score in scores and scores[score] > values[source][score]
    ]
    return -1.0 - len(better)


def matrix(values: np.ndarray, rows: Sequence[str], columns: Sequence[str]) -> Figure:
    """Draws numbers from 0 to 1 as percent in shaded cells; the best of each column is framed.

    Args:
        values: (rows, columns), such as the accuracy of every source on every target. A NaN cell is
            empty.
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
            ink = 'white' if value < 0.5 else 'black'  # cividis is dark below 0.5
            text = axes.text(j, i, f'{100 * value:.0f}', ha='center', va='center', color=ink)
            if value == np.nanmax(values[:, j]):
                text.set_fontweight('bold')
                text.set_bbox(dict(fill=False, edgecolor=ink, linewidth=1.2))
    axes.set_xticks(range(len(columns)), columns, rotation=30, ha='right', color=INK)
    axes.set_yticks(range(len(rows)), rows, color=INK)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_parse_math(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def matched_names(matches: Mapping[str, str], left: Sequence[str], right: Sequence[str]) -> Figure:
    """Draws names in two columns, and a line between those that match.

    Args:
        matches: {name on the left: name on the right}.
        left: all names on the left.
        right: all names on the right.

    Returns:
        A matplotlib Figure.

    >>> figure = matched_names({'actor': 'student'}, ['actor', 'genre'], ['professor', 'student'])
    >>> [line.get_ydata().tolist() for line in figure.axes[0].lines]
    [[0.0, 0.0]]
    """
    # matching names lie opposite each other, and the others below
    left = [*matches, *(name for name in left if name not in matches)]
    right = [*matches.values(), *(name for name in right if name not in matches.values())]
    height = max(len(left), len(right))
    figure = Figure(figsize=(5.0, 0.6 + 0.28 * height), layout='constrained')
    axes = figure.add_subplot()
    for names, x, side in ((left, 0.0, 'right'), (right, 1.0, 'left')):
        for i, name in enumerate(names):
            ink = INK if i < len(matches) else '0.6'
            shift = -0.04 if side == 'right' else 0.04
            axes.text(x + shift, -i, name, ha=side, va='center', color=ink, parse_math=False)
    for i in range(len(matches)):
        axes.plot([0.0, 1.0], [0.0 - i, 0.0 - i], color=INK, linewidth=1.2)
    axes.set_xlim(-1.0, 2.0)
    axes.set_ylim(-height + 0.5, 0.5)
    axes.set_axis_off()
    return figure


def _budgets(rows: Sequence[Record]) -> list[int | None]:
    """The numbers of labels per class in increasing order, None (all labels) last."""
    return sorted(
        {row['labels_per_class'] for row in rows}, key=lambda k: np.inf if k is None else k
    )


def _budget_text(k: int | None) -> str:
    return 'all' if k is None else str(k)


def _styles(names: Iterable[str]) -> dict[str, Style]:
    """{name: (colour, marker)}, different for each name."""
    return {
        name: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, name in enumerate(names)
    }


def _strategy_styles(rows: Sequence[Record]) -> dict[str, Style]:
    """{strategy: (colour, marker)} in the order of the rows; the baseline is drawn in ink."""
    # with one seed there are no gains, which would tell the baseline from the others
    gain_rows = [row for row in rows if row['gain_mean'] is not None] or rows
    styles = _styles(dict.fromkeys(row['strategy'] for row in gain_rows))
    return {row['strategy']: styles.get(row['strategy'], (INK, 'o')) for row in rows}


def _marker(colour: str, marker: str, hollow: bool = False) -> Record:
    """Keywords of a line that draw a marker without a line."""
    return {
        'color': colour,
        'marker': marker,
        'markersize': 6.5,
        'markeredgewidth': 1.5,
        'linestyle': 'none',
        'markerfacecolor': PAPER if hollow else colour,
    }


def _figure(ylabel: str, xlabel: str = 'labels per class') -> tuple[Figure, Axes]:
    """An empty figure whose vertical axis shows fractions as percent."""
    figure = Figure(figsize=(9, 4.6), layout='constrained')
    axes = figure.add_subplot()
    axes.spines[['top', 'right']].set_visible(False)
    axes.spines[['left', 'bottom']].set_color(INK)
    axes.tick_params(colors=INK)
    axes.grid(axis='y', color=INK, alpha=0.12, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel(xlabel, color=INK)
    axes.set_ylabel(ylabel, color=INK, parse_math=False)
    axes.yaxis.set_major_formatter(
        lambda value, _: f'{round(100 * value, 2) + 0:g}'
    )  # + 0: no '-0'
    return figure, axes


def _name_ends(axes: Axes, ends: dict[str, Point], styles: dict[str, Style]) -> None:
    """Writes the name of each line to the right of the axes, at the height of its end.

    Names that would overlap are moved apart.
    """
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
