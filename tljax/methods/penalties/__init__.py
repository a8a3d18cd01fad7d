"""Penalties on parameters: one paper, one file, one factory of the same name that returns a
`combinators.Penalty`."""
