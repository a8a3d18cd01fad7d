"""Whole graphs, as a config names them: `graph=dict(name='citation', path=..., network='acmv9')`.

The names and keywords are those of the data sets of nodes, without what makes examples of nodes.
"""

from tljax.data.formats.nodes import read_graph as nodes
from tljax.data.sets.blocks import block_graph as blocks
from tljax.data.sets.citation import citation_graph as citation

__all__ = ('blocks', 'citation', 'nodes')
NAMES = __all__  # what a config may name
