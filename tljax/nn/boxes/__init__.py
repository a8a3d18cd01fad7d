"""Boxes in pictures: geometry, codes, anchors, matching, mining, losses, suppression and crops.

A box is (top, left, bottom, right), in shares of the picture's height and width unless a docstring
says pixels. Axes before those that a docstring names are batches. Shapes never depend on values:
where there are fewer boxes than places, the rest is marked, by class -1 or by a mask. All functions
run under `jit`, `vmap` and `pmap`.

Where the field has several conventions, these are the ones of the TensorFlow Object Detection API
(Huang et al. 2017, https://arxiv.org/abs/1611.10012), whose published weights expect them.
"""
