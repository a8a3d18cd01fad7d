"""Figure of decisions for the shape or the texture, by category: figure 4 of Geirhos et al. 2019
(https://arxiv.org/abs/1811.12231)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tljax.protocols import Record
from tljax.report.figures import COLOURS, INK, MARKERS, PAPER


def shape_and_texture(rows: Sequence[Record], categories: Sequence[str]) -> Figure:
    """Draws the share of texture decisions of each observer and category, and what was decided.

    Categories are sorted by the shape bias of the last row, the largest on top. A vertical line is
    an observer's mean over all pictures. Bars on the right show the share of pictures for which the
    shape or the texture was chosen. Markers of published answers are hollow.

    Args:
        rows: rows of `studies.shape_bias.summarise`. The last one is drawn in ink.
        categories: names of the categories.

    Returns:
        A matplotlib Figure.

    >>> row = dict(name='people', kind='people', bias=0.9, decided=0.8)
    >>> row |= dict(by_category=[0.8, 1.0], decided_by_category=[0.9, 0.7])
    >>> axes = shape_and_texture([row], ['bear', 'cat']).axes
    >>> [tick.get_text() for tick in axes[0].get_yticklabels()]  # from below
    ['bear', 'cat']
    """
    order = np.argsort(np.nan_to_num(np.array(rows[-1]['by_category'], float)), kind='stable')
    figure = Figure(figsize=(9, 1.9 + 0.34 * len(categories)), layout='constrained')
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(4, 1))
    heights, thickness = np.arange(len(categories)), 0.8 / len(rows)
    handles = []
    for i, row in enumerate(rows):
        is_last = i == len(rows) - 1
        colour = INK if is_last and len(rows) > 1 else COLOURS[i % len(COLOURS)]
        hollow = row['kind'] != 'model'
        look = {
            'color': colour,
            'marker': 'o' if is_last else MARKERS[i % len(MARKERS)],
            'markersize': 6.5,
            'markeredgewidth': 1.5,
            'linestyle': 'none',
            'markerfacecolor': PAPER if hollow else colour,
        }
        share = 1 - np.array(row['by_category'], float)[order]
        left.axvline(1 - np.array(row['bias'], float), color=colour, linewidth=1, alpha=0.7)
        left.plot(share, heights, **look)
        offset = (i + 0.5) * thickness - 0.4
        decided = np.array(row['decided_by_category'], float)[order]
        right.barh(heights - offset, decided, thickness, color=colour, alpha=0.4 if hollow else 1)
        handles.append(Line2D([], [], **look))
    left.set_yticks(heights, [categories[i] for i in order])
    left.set_xlim(-0.02, 1.02)
    left.set_xlabel('decisions for the texture (%)', color=INK)
    upper = left.secondary_xaxis('top', functions=(lambda x: 1 - x, lambda x: 1 - x))
    upper.set_xlabel('decisions for the shape (%)', color=INK)
    right.set_xlim(0, 1)
    right.set_xlabel('decided (%)', color=INK)
    for axis in (left.xaxis, right.xaxis, upper.xaxis):
        axis.set_major_formatter(lambda value, _: f'{100 * value:.0f}')
    for axes in (left, right):
        axes.spines[['top', 'right']].set_visible(False)
        axes.spines[['left', 'bottom']].set_color(INK)
        axes.tick_params(colors=INK)
        axes.grid(axis='y', color=INK, alpha=0.12, linewidth=0.8)
        axes.set_axisbelow(True)
    right.tick_params(left=False, labelleft=False)
    upper.tick_params(colors=INK)
    legend = figure.legend(
        handles,
        [row['name'] for row in rows],
        loc='outside lower center',
        ncols=3,
        frameon=False,
        labelcolor=INK,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure
