"""Layers, convolutions, augmentations and preprocessing that many networks share."""
