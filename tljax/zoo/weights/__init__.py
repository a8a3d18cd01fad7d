"""Readers of weights: one module for each format, and where published weights are."""
