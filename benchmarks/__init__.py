"""Measurements of tljax, most of them beside other libraries: `python -m benchmarks.<name> --help`.

They are for developers, and are no commands of tljax.
"""
