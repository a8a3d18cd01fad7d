"""A figure as an element of a page."""

import io
import re
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure

from tljax.report.figures import INK, PAPER


def svg(figure: Figure) -> str:
    """The figure as an <svg> element to stand in a page: the same bytes for the same figure, which
    is cleared.

    Text stays text, in the page's own font, and ink and paper are the page's own colours, light or
    dark.

    Args:
        figure: a matplotlib Figure.

    >>> svg(Figure()).startswith('<svg ')
    True
    """
    written = io.BytesIO()
    with matplotlib.rc_context({'svg.hashsalt': 'tljax', 'svg.fonttype': 'none'}):
        figure.savefig(
            written,
            format='svg',
            transparent=True,
            metadata=dict.fromkeys(('Creator', 'Date', 'Format', 'Type')),
        )
    figure.clear()
    root = ElementTree.fromstring(written.getvalue())
    # no namespaces, which look like addresses, and no ids that every figure gives its groups
    for element in root.iter():
        element.tag = element.tag.split('}')[-1]
        kept = {
            name.split('}')[-1]: value
            for name, value in element.items()
            if (element.tag, name) != ('g', 'id')
        }
        if 'style' in kept:
            style = re.sub(r'font-family: [^;]*(; )?', '', kept['style'])
            kept['style'] = style.replace(INK.lower(), 'currentColor').replace(
                PAPER.lower(), 'var(--paper, white)'
            )
        element.attrib.clear()
        element.attrib.update(kept)
    return ElementTree.tostring(root, encoding='unicode')
