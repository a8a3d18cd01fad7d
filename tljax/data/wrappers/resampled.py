"""Another picture set at the shape that a network takes, and no more of it than one wants to pay
for."""

import hashlib

import numpy as np
from PIL import Image

from tljax.core import Dataset, UserError
from tljax.data.purposes import Purpose
from tljax.data.splits import restrict


def resampled(
    splits: dict[str, Dataset], size: int, channels: int = 3, most: int | None = None, seed: int = 0
) -> dict[str, Dataset]:
    """The splits of a picture set, each picture `size` x `size` with 1 or 3 channels, float32 in
    [0, 1].

    Args:
        splits: of a set of square pictures.
        size: side, pixels; pictures are scaled bilinearly.
        channels: 3 repeats grey, 1 weighs red, green and blue as luma (ITU-R BT.601).
        most: examples that are kept of a split, drawn by the seed; None for all.
        seed: of that draw.

    Raises:
        UserError: the set has no square pictures of 1 or 3 channels.

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
    found = {}
    for number, (name, split) in enumerate(splits.items()):
        shape = (
            np.shape(split.take(np.arange(min(1, split.size))).get('input'))[1:]
            if split.size
            else (1, 1, 1)
        )
        if len(shape) != 3 or shape[0] != shape[1] or shape[2] not in (1, 3):
            raise UserError(
                f'data.of has inputs {shape} in its {name} split, which are no square pictures of '
                '1 or 3 channels'
            )
        if most is not None and split.size > most:
            split = restrict(
                split,
                np.sort(
                    np.random.default_rng([Purpose.MOST, seed, number]).permutation(split.size)[
                        :most
                    ]
                ),
            )
        found[name] = _shaped(split, size, channels)
    return found


def _shaped(split, size, channels):
    def take(index):
        batch = split.take(index)
        flat = np.asarray(batch['input'], np.float32)
        scaled = _scaled(flat.reshape(-1, *flat.shape[-3:]), size)
        if channels < scaled.shape[-1]:
            scaled = scaled @ np.array([[0.299], [0.587], [0.114]], np.float32)
        return {
            **batch,
            'input': np.broadcast_to(scaled, (*scaled.shape[:3], channels)).reshape(
                *flat.shape[:-3], size, size, channels
            ),
        }

    held = hashlib.sha256(repr((split.fingerprint, size, channels)).encode()).hexdigest()
    return split._replace(take=take, fingerprint=held)


def _scaled(pictures, size):
    if pictures.shape[1] == size:
        return pictures
    # mode F: no rounding to bytes
    planes = [
        np.asarray(Image.fromarray(plane).resize((size, size), Image.Resampling.BILINEAR))
        for plane in np.moveaxis(pictures, -1, 1).reshape(-1, *pictures.shape[1:3])
    ]
    return np.moveaxis(np.stack(planes).reshape(len(pictures), -1, size, size), 1, -1)
