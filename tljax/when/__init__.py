"""Does transfer help? Before training: scores, probes, distances and relatedness. After it: gains,
label efficiency and selection."""

from tljax.doors import door

__getattr__, __dir__ = door(__name__, '.', own=False)
