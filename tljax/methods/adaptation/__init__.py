"""Domain adaptation: the source domain has labels, the target domain has none."""
