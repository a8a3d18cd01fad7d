"""Figure of calibrated stacking: Chao et al. 2016, figure 1 (https://arxiv.org/abs/1605.04253)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from tljax.report.figures import COLOURS, INK

LINES = (('seen', COLOURS[0], '-'), ('unseen', COLOURS[1], '--'), ('harmonic mean', INK, ':'))


def calibration(curves: dict[str, Sequence[Sequence[float]]]) -> Figure:
    """Draws right answers for seen and unseen classes, and their harmonic mean, by the shift.

    Args:
        curves: {target: [[shift, seen, unseen, harmonic mean], ...]} with shares of right answers.

    Returns:
        A matplotlib Figure with a panel for each target.

    >>> figure = calibration({'mnist': [[0.0, 1.0, 0.0, 0.0], [1.0, 0.5, 0.5, 0.5]]})
    >>> [line.get_label() for line in figure.axes[0].lines[:3]]
    ['seen', 'unseen', 'harmonic mean']
    """
    figure = Figure(figsize=(4.5 * len(curves), 3.6), layout='constrained')
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axes, (name, points) in zip(panels, curves.items(), strict=True):
        shift, *lines = np.array(points).T
        for (label, colour, style), values in zip(LINES, lines, strict=True):
            axes.plot(shift, values, color=colour, linestyle=style, label=label)
        axes.axvline(0, color=INK, linewidth=0.6, alpha=0.5)
        axes.set_title(name, color=INK, fontsize='medium', parse_math=False)
        axes.set_xlabel('shift (standard deviations of the scores)', color=INK)
        axes.spines[['top', 'right']].set_visible(False)
        axes.spines[['left', 'bottom']].set_color(INK)
        axes.tick_params(colors=INK)
        axes.yaxis.set_major_formatter(lambda value, _: f'{100 * value:.0f}')
    panels[0].set_ylabel('right answers (%)', color=INK)
    panels[-1].legend(frameon=False, labelcolor=INK)
    return figure
