"""Few-shot learning and meta-learning: new classes from a few examples of each."""
