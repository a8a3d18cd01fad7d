"""MultiMNIST: two of MNIST's digits in one picture, and a task for each of them."""

from pathlib import Path

import numpy as np

from tljax.core import Dataset, Task
from tljax.data.purposes import Purpose
from tljax.data.reading import PATCH, pixels, resize
from tljax.data.sets.mnist import mnist
from tljax.data.several_tasks import structured, with_tasks

SHIFT = 8  # pixels between the two digits, down and to the right


def multi_mnist(
    path: str | Path,
    size: int = 28,
    most: int | None = None,
    validation: float = 0.05,
    seed: int = 0,
) -> dict[str, Dataset]:
    """Makes pictures of two overlapping digits: one at the upper left, one at the lower right.

    Every digit of MNIST is the left one of a picture once. The right one is drawn at random from
    the other digits of the same split. A pixel of 36x36 is the brighter one of both digits, and the
    picture is then scaled to `size`. The tasks are 'left' and 'right'.

    Args:
        path: folder of MNIST, as `mnist` takes it.
        size: side of the pictures, in pixels.
        most: number of training pictures; None for one for each of MNIST's training digits.
        validation: share of each digit that is cut from MNIST's training digits, before pictures
            are made of them.
        seed: seed of that cut and of the draw.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}; no digit is in two of them.

    Raises:
        UserError: a file is missing or damaged.

    Sources:
        overlaid digits, shifted on 36x36 pixels: Sabour, Frosst and Hinton 2017
        (https://arxiv.org/abs/1710.09829).
        one task for each of two fixed places: Sener and Koltun 2018
        (https://arxiv.org/abs/1810.04650).

    >>> multi_mnist('nowhere')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere/train-images-idx3-ubyte.gz does not exist: give data.path the ...
    """
    splits = {}
    for number, (split, digits) in enumerate(mnist(path, validation=validation, seed=seed).items()):
        rng = np.random.default_rng([Purpose.OVERLAY, seed, number])
        # any other digit: from 1 to size - 1 places further on
        partner = (np.arange(digits.size) + rng.integers(1, digits.size, digits.size)) % digits.size
        left = np.arange(digits.size)
        if split == 'train' and most:
            left = np.sort(rng.permutation(digits.size)[:most])
        stored = digits.packed(np.arange(digits.size))['input'].values[..., 0]
        pictures = overlay(stored[left], stored[partner[left]])
        labels = {'left': digits.label[left], 'right': digits.label[partner[left]]}
        inputs = pixels(resize(pictures, size, 1), labels['left'], digits.classes)
        task = Task.several(dict.fromkeys(labels, digits.task))
        splits[split] = with_tasks(inputs, structured(labels), task)
    return splits


def overlay(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Lays two sets of digits over each other, pixel by pixel the brighter one.

    Args:
        left: digits at the upper left, uint8 (n, 28, 28).
        right: digits at the lower right, uint8 (n, 28, 28).

    Returns:
        uint8 (n, 36, 36).

    >>> white = np.full((1, 28, 28), 255, np.uint8)
    >>> picture = overlay(white, 0 * white)[0]
    >>> picture.shape, int(picture[0, 0]), int(picture[35, 35])
    ((36, 36), 255, 0)
    """
    pictures = np.zeros((len(left), PATCH + SHIFT, PATCH + SHIFT), np.uint8)
    pictures[:, :PATCH, :PATCH] = left
    lower = pictures[:, SHIFT:, SHIFT:]
    np.maximum(lower, right, out=lower)
    return pictures
