"""Readers of Keras weights, and the addresses of published weights."""
