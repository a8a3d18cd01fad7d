"""Data sets: for example, `tljax.data.digits(size=8)` loads scikit-learn's digits.

A loader returns `{'train': Dataset, 'validation': Dataset, 'test': Dataset}`, and its docstring
says how the splits were cut. `formats/` reads files of any data set, `sets/` has the published data
sets, and `wrappers/` builds data sets from other data sets.
"""

from tljax.doors import door

__getattr__, __dir__ = door(__name__, 'formats', 'sets', 'wrappers')
