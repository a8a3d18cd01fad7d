"""Functions that make data sets of other data sets: one module each."""
