"""Measurements side by side: `python -m benchmarks.<name> --help`. They are no commands of
tljax."""
