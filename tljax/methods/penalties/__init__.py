"""Penalties on parameters. Each file holds one paper's penalty: a factory with the name of the
file, which returns a `combinators.Penalty`."""
