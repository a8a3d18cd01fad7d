"""Zero-shot learning: classes that have a description, and no example."""
