"""Figures of what changes from the shallow to the deep layers of a network."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from tljax.protocols import Record
from tljax.report.figures import INK, _marker, _name_ends, _styles


def invariances(layers: Sequence[str], rows: Sequence[Record]) -> Figure:
    """Draws the invariance to each transformation against the depth, with 95 % intervals.

    Args:
        layers: names of the layers, from shallow to deep.
        rows: {'layer', 'transformation', 'invariance', 'low', 'high'}; a layer without an
            invariance (None) leaves a gap.

    Returns:
        A matplotlib Figure.

    >>> rows = [
    ...     dict(layer=layer, transformation='flip', invariance=value, low=value, high=value)
    ...     for layer, value in (('block1', 0.1), ('block2', 0.8))
    ... ]
    >>> axes = invariances(['block1', 'block2'], rows).axes[0]
    >>> [float(y) for y in axes.lines[1].get_ydata()], axes.get_ylabel()
    ([0.1, 0.8], 'invariance')
    """
    figure = Figure(figsize=(9, 4.6), layout='constrained')
    axes = figure.add_subplot()
    axes.spines[['top', 'right']].set_visible(False)
    axes.spines[['left', 'bottom']].set_color(INK)
    axes.tick_params(colors=INK)
    axes.set_ylabel('invariance', color=INK)
    axes.axhline(0, color=INK, alpha=0.3, linewidth=0.8, zorder=0)
    place, ends = {layer: i for i, layer in enumerate(layers)}, {}
    styles = _styles(dict.fromkeys(row['transformation'] for row in rows))
    for name, (colour, marker) in styles.items():
        points = [
            (place[row['layer']], row['invariance'], row['low'], row['high'])
            for row in rows
            if row['transformation'] == name and row['invariance'] is not None
        ]
        if not points:
            continue
        x, value, low, high = np.array(sorted(points)).T
        axes.plot(x, value, **_marker(colour, marker) | {'linestyle': '-', 'linewidth': 1.2})
        axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)
        ends[name] = x[-1], value[-1]
    axes.set_xticks(range(len(layers)), layers, rotation=30, ha='right')
    for text in axes.get_xticklabels():
        text.set_parse_math(False)
    if ends:
        _name_ends(axes, ends, styles)
    return figure
