"""Networks: `tljax.zoo.resnet50()` makes one.

Each family has a module in `families/`. The functions of `wrappers/` make a network from another.
"""

from tljax.doors import door

__getattr__, __dir__ = door(__name__, 'families', 'wrappers')
