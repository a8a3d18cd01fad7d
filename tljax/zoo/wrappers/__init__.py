"""Networks that are made from another network, one module for each kind."""
