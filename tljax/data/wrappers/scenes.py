"""Scenes: several pictures of a classification set in one, each with its box. A detection task
that needs no download."""

import hashlib

import numpy as np

from tljax.core import PADDING, Dataset, Task, UserError
from tljax.data.purposes import Purpose
from tljax.data.splits import each_split

TRIALS = 10  # places that are tried for a picture before it is left out


def scenes(
    splits: dict[str, Dataset],
    size: int = 64,
    most: int = 3,
    count: int = 200,
    channels: int = 3,
    seed: int = 0,
) -> dict[str, Dataset]:
    """Places pictures of a set side by side on black scenes, and labels them with boxes.

    A scene has 1 to `most` pictures, at places where their boxes do not overlap. A box is the
    smallest that holds all pixels above a tenth of the picture's brightest. Pictures of a split
    stand in scenes of that split alone.

    Args:
        splits: splits of a set of square pictures with classes, light on dark, such as `glyphs`.
        size: side of a scene in pixels, at least that of the pictures.
        most: largest number of pictures in a scene.
        count: number of scenes of train; the other splits have a quarter as many.
        channels: 3 repeats the channel of grey pictures; 1 keeps it.
        seed: seed of pictures and places.

    Returns:
        Sets of pictures with boxes, as `tljax.data.boxes` makes them.

    Raises:
        UserError: the set has no square pictures with one class each, scenes are smaller than
            pictures, or a number is below 1.

    >>> from tljax.data import glyphs
    >>> train = scenes(glyphs('digits', size=16, per_class=10), size=32, most=1, count=4)['train']
    >>> train.take(np.arange(4))['input'].shape, train.label.shape, train.task.kind
    ((4, 32, 32, 3), (4, 1, 5), 'boxes')
    """
    if most < 1 or count < 1 or channels not in (1, 3):
        raise UserError(
            f'data.most={most}, data.count={count}, data.channels={channels}: give 1 or more '
            'pictures and scenes, and 1 or 3 channels'
        )
    names = list(splits)

    def make(split):
        number = next(i for i, name in enumerate(names) if splits[name] is split)
        amount = count if names[number] == 'train' else max(count // 4, 1)
        return _made(split, size, most, amount, channels, [Purpose.SCENES, seed, number])

    return each_split(splits, make)


def _made(split, size, most, count, channels, seed):
    """A set of scenes of the pictures of a split."""
    shape = np.shape(split.take(np.arange(1)).get('input'))[1:]
    if split.task.kind != 'classes' or len(shape) != 3 or shape[0] != shape[1]:
        raise UserError(
            f'data.of has inputs {shape} and asks for {split.task.kind}: give square pictures with '
            'one class each, such as glyphs'
        )
    if shape[0] > size or shape[2] not in (1, channels):
        raise UserError(
            f'data.size={size}, data.channels={channels}: the pictures are {shape}: scenes are at '
            'least as large, and have as many channels'
        )
    label = np.zeros((count, most, 5), np.float32)
    label[..., 4] = PADDING
    draws = []
    for place, number in zip(label, range(count), strict=True):
        rng = np.random.default_rng([*seed, number])
        rows = rng.integers(split.size, size=rng.integers(1, most + 1))
        pictures = split.take(rows)['input']
        draws.append(_placed(rng, rows, pictures, split.label[rows], size, place))

    def take(index):
        input = np.zeros((len(index), size, size, channels), np.float32)
        for scene, number in zip(input, np.asarray(index), strict=True):
            rows, corners = draws[number]
            for picture, (top, left) in zip(split.take(rows)['input'], corners, strict=True):
                part = scene[top : top + shape[0], left : left + shape[1]]
                np.maximum(part, picture, out=part)
        return {'input': input, 'label': label[index]}

    content = repr((split.fingerprint, size, most, count, channels, *seed))
    fingerprint = hashlib.sha256(content.encode()).hexdigest()
    return Dataset(take, label, Task('boxes', split.classes), fingerprint)


def _placed(rng, rows, pictures, classes, size, label):
    """The pictures that have found a place, and their top left corners. Writes their labels."""
    kept, corners, boxes = [], [], []
    side = pictures.shape[1]
    for row, picture, c in zip(rows, pictures, classes, strict=True):
        bright = picture.max(-1) > picture.max() / 10
        if not bright.any():
            continue
        spans = [np.flatnonzero(bright.any(axis)) for axis in (1, 0)]
        inner = np.array([spans[0][0], spans[1][0], spans[0][-1] + 1, spans[1][-1] + 1])
        for _ in range(TRIALS):
            corner = rng.integers(size - side + 1, size=2)
            box = inner + [*corner, *corner]
            if not any(_overlap(box, other) for other in boxes):
                label[len(kept)] = [*(box / size), c]
                kept.append(row)
                corners.append(corner)
                boxes.append(box)
                break
    return np.array(kept, int), corners


def _overlap(first, second):
    return (np.maximum(first[:2], second[:2]) < np.minimum(first[2:], second[2:])).all()
