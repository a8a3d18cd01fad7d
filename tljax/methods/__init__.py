"""Gradient methods: one paper, one file, one factory of the same name that returns a `Method`."""
