"""Transfer in closed form: arrays in, arrays out. What is random takes a seed, what is symmetric is
computed in float64."""

from tljax.doors import door

__getattr__, __dir__ = door(__name__, '.', own=False)
