"""Weights drawn from the names of tensors, so that two libraries draw the same ones.

PyTorch's side has no other part of tljax than this file, which needs NumPy alone.
"""

import zlib

import numpy as np


def tensor(name, shape):
    """A tensor of a network in PyTorch's names and order of axes."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    leaf = name.rsplit('.', 1)[-1]
    if leaf == 'running_var':
        values = rng.uniform(0.5, 1.5, shape)
    elif leaf in ('running_mean', 'bias', 'in_proj_bias'):
        values = 0.1 * rng.normal(size=shape)
    elif leaf in ('gamma', 'layer_scale') or leaf == 'weight' and len(shape) == 1:
        values = rng.uniform(0.8, 1.2, shape)
    elif len(shape) < 2 or leaf in ('cls_token', 'reg_token', 'pos_embed'):
        values = rng.normal(size=shape)
    else:
        values = rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
    return values.astype(np.float32)


def pictures(height, width, count=2):
    """Random smooth pictures (count, height, width, 3) in [0, 1]."""
    rng = np.random.default_rng(height * 1000 + width)
    noise = rng.uniform(size=(count, height, width, 3))
    return ((noise + np.roll(noise, 1, 1) + np.roll(noise, 1, 2)) / 3).astype(np.float32)
