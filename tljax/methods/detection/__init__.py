"""Detection: which objects are in a picture, and where. Detectors learn from boxes, and start from
the weights of a classifier or of another detector."""
