"""Loaders of published data sets: one module each."""
