"""A picture set at the shape that a network takes, and cut down to fewer examples."""

import hashlib

import numpy as np
from PIL import Image

from tljax.core import Dataset, UserError
from tljax.data.purposes import Purpose
from tljax.data.splits import restrict

LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue, ITU-R BT.601


def resampled(
    splits: dict[str, Dataset], size: int, channels: int = 3, most: int | None = None, seed: int = 0
) -> dict[str, Dataset]:
    """Scales the pictures of a set to `size` x `size`, and gives them 1 or 3 channels.

    The pictures are scaled bilinearly and stay float32, in [0, 1] if they were.

    Args:
        splits: splits of a set of square pictures.
        size: side of the pictures, in pixels.
        channels: 3 repeats the channel of grey pictures; 1 turns colour into luma (ITU-R BT.601).
        most: number of examples to keep of a split, drawn at random; None keeps all.
        seed: seed of that draw.

    Returns:
        The splits, with the names that they had.

    Raises:
        UserError: the set has no square pictures of 1 or 3 channels, or a number is too small.

    >>> from tljax.data import digits
    >>> splits = resampled(digits(size=8), size=12, most=100)
    >>> splits['test'].take(np.arange(2))['input'].shape, splits['train'].size
    ((2, 12, 12, 3), 100)
    """
    if channels not in (1, 3) or size < 1 or (most is not None and most < 1):
        raise UserError(
            f'data.size={size}, data.channels={channels}, data.most={most}: give one pixel or '
            'more, 1 or 3 channels, one example or more'
        )
    datasets = {}
    for number, (name, split) in enumerate(splits.items()):
        shape = (1, 1, 1)  # of an empty split
        if split.size:
            shape = np.shape(split.take(np.arange(1)).get('input'))[1:]
        if len(shape) != 3 or shape[0] != shape[1] or shape[2] not in (1, 3):
            raise UserError(
                f'data.of has inputs {shape} in its {name} split, which are no square pictures of '
                '1 or 3 channels'
            )
        if most is not None and split.size > most:
            order = np.random.default_rng([Purpose.MOST, seed, number]).permutation(split.size)
            split = restrict(split, np.sort(order[:most]))
        datasets[name] = _with_shape(split, size, channels)
    return datasets


def _with_shape(split, size, channels):
    """The split with pictures (size, size, channels)."""

    def take(index):
        batch = split.take(index)
        input = np.asarray(batch['input'], np.float32)
        pictures = _scale(input.reshape(-1, *input.shape[-3:]), size)
        if channels < pictures.shape[-1]:
            pictures = pictures @ np.array(LUMA, np.float32)[:, None]
        pictures = np.broadcast_to(pictures, (*pictures.shape[:3], channels))
        return {**batch, 'input': pictures.reshape(*input.shape[:-3], size, size, channels)}

    digest = hashlib.sha256(repr((split.fingerprint, size, channels)).encode()).hexdigest()
    return split._replace(take=take, fingerprint=digest)


def _scale(pictures, size):
    """Pictures (n, side, side, channels) scaled bilinearly to (n, size, size, channels)."""
    if pictures.shape[1] == size:
        return pictures
    # planes are float32, Pillow's mode F, which does not round to bytes
    planes = [
        np.asarray(Image.fromarray(plane).resize((size, size), Image.Resampling.BILINEAR))
        for plane in np.moveaxis(pictures, -1, 1).reshape(-1, *pictures.shape[1:3])
    ]
    return np.moveaxis(np.stack(planes).reshape(len(pictures), -1, size, size), 1, -1)
