"""Domain adaptation: labels in a source domain, none in the target."""
