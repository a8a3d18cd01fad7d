"""Sides of comparisons: programs that prepare calls of one library, and run them on request.

Each runs in a process of its own, because it may need another Python, other packages, or an older
commit of tljax. `benchmarks.processes` starts them.
"""
