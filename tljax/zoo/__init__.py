"""Networks: one module per family, each a factory of the same name that returns a `Net`."""
