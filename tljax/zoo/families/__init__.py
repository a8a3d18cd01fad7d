"""Families of networks, one module for each."""
