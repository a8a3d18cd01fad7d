"""Detection: the boxes of the objects in a picture, and their classes."""
