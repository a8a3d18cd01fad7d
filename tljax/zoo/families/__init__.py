"""Families of networks: one module each."""
