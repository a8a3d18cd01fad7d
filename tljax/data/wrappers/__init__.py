"""Data sets made of data sets: one module each."""
