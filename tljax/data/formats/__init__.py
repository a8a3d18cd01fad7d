"""Loaders of file formats: one module each."""
