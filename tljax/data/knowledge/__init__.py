"""Knowledge bases of zero-shot learning: each file reads, or makes, a `tljax.knowledge.Knowledge`.

A config names one as `knowledge=dict(name='attributes', path='attributes.csv')`.
"""

from tljax.doors import door

__getattr__, __dir__ = door(__name__, '.', own=False)
