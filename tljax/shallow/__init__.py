"""Transfer in closed form. Functions take arrays and return arrays; a random function takes a seed.
Symmetric problems are computed in float64."""

from tljax.doors import door

__getattr__, __dir__ = door(__name__, '.', own=False)
