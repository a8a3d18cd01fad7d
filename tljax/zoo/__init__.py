"""Networks: `tljax.zoo.resnet50` makes one. Each family has a module in `families/`; `wrappers/`
make networks of networks."""

from tljax.doors import door

__getattr__, __dir__ = door(__name__, 'families', 'wrappers')
