"""Drawing of figures as SVG elements of a page."""

import io
import re
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure

from tljax.report.figures import INK, PAPER


def svg(figure: Figure) -> str:
    """Returns a figure as an <svg> element for a page, and clears the figure.

    Equal figures give equal bytes. Text remains text, in the font of the page. Ink and paper take
    the colours of the page, light or dark.

    Args:
        figure: a matplotlib Figure.

    >>> figure = Figure()
    >>> _ = figure.text(0, 0, 'accuracy')
    >>> element = svg(figure)
    >>> element.startswith('<svg '), '>accuracy</text>' in element
    (True, True)
    """
    buffer = io.BytesIO()
    with matplotlib.rc_context({'svg.hashsalt': 'tljax', 'svg.fonttype': 'none'}):
        figure.savefig(
            buffer,
            format='svg',
            transparent=True,
            metadata=dict.fromkeys(('Creator', 'Date', 'Format', 'Type')),
        )
    figure.clear()
    root = ElementTree.fromstring(buffer.getvalue())
    for element in root.iter():
        _simplify(element)
    return ElementTree.tostring(root, encoding='unicode')


def _simplify(element: ElementTree.Element) -> None:
    """Removes namespaces, ids of groups and fonts of an element, and gives it the page's colours.

    Namespaces look like addresses of other files, and all figures give their groups the same ids.
    """
    element.tag = element.tag.split('}')[-1]
    attributes = {
        name.split('}')[-1]: value
        for name, value in element.items()
        if (element.tag, name) != ('g', 'id')
    }
    if 'style' in attributes:
        style = re.sub(r'font-family: [^;]*(; )?', '', attributes['style'])
        style = style.replace(INK.lower(), 'currentColor')
        attributes['style'] = style.replace(PAPER.lower(), 'var(--paper, white)')
    element.attrib.clear()
    element.attrib.update(attributes)
