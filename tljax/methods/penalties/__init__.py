"""Penalties on parameters: one paper, one file, one factory of the same name that returns a `combinators.Penalty`."""
from tljax.doors import door

__getattr__, __dir__ = door(__name__, '.')
