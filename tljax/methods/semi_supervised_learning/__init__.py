"""Semi-supervised learning: few labelled examples and many unlabelled ones."""
