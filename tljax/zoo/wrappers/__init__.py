"""Networks made of networks: one module each."""
