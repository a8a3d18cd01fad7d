"""Data sets of the literature: one module each."""
