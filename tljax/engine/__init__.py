"""The step, the ways to compile it, the loop, and what it writes."""
