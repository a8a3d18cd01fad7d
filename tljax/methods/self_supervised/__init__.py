"""Methods that learn from inputs alone."""
