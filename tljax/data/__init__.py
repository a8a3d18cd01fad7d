"""Data sets: `tljax.data.digits` loads one.

A loader returns `{'train': Dataset, 'validation': Dataset, 'test': Dataset}`; its docstring says
how the splits were cut. `formats/` read files of any set, `sets/` are the sets of the literature,
`wrappers/` make sets of sets.
"""

from tljax.doors import door

__getattr__, __dir__ = door(__name__, 'formats', 'sets', 'wrappers')
