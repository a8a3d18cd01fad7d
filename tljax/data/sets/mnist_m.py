"""MNIST-M: test pictures from a file, training pictures made by the published recipe."""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from tljax.core import Dataset, UserError
from tljax.data.purposes import Purpose
from tljax.data.reading import DIGITS, EDGE, PATCH, pixels, reading
from tljax.data.sets.mnist import read_idx
from tljax.data.splits import cut_missing


def mnist_m(
    path: str | Path,
    mnist: str | Path,
    photographs: str | Path,
    validation: float = 0.05,
    seed: int = 0,
) -> dict[str, Dataset]:
    """MNIST's digits on photographs (Ganin and Lempitsky 2015, https://arxiv.org/abs/1409.7495,
    section 4), (n, 28, 28, 3) in [0, 1].

    The test pictures are those of the file, without their edge of two pixels. Those to train on are
    made by the published recipe: the absolute difference, in each channel, of a digit and a random
    window of a random photograph. Every pixel of a digit with any ink counts as full, which the
    paper does not say but its pictures show: 151 pixels of one are inverted on average, and 150.5
    have ink.

    Args:
        path: a ZIP of pictures of 32 pixels, with a text file of lines "name label".
        mnist: folder of MNIST's four files, whose 60,000 are blended.
        photographs: a folder of photographs, BSDS500 in the paper.
        validation: as `mnist`.
        seed: of windows and cut.

    >>> mnist_m('nowhere.zip', 'mnist', 'BSDS500')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere.zip does not exist: give data.path a ZIP of MNIST-M's test ...
    """
    remedy = "give data.path a ZIP of MNIST-M's test pictures and their labels"
    with reading(path, remedy) as path, zipfile.ZipFile(path) as file:
        names = {Path(name).name: name for name in file.namelist()}
        table = next(name for name in names if name.endswith('.txt'))
        listed = [line.split() for line in file.read(names[table]).decode().splitlines() if line]
        label = np.array([int(digit) for _, digit in listed])
        test = np.stack(
            [
                np.asarray(Image.open(io.BytesIO(file.read(names[name]))).convert('RGB'))
                for name, _ in listed
            ]
        )
        if test.shape[1:3] != (PATCH + 2 * EDGE,) * 2:
            raise ValueError(f'pictures of {test.shape[1]}x{test.shape[2]} pixels')
    digits, known = read_idx(Path(mnist).expanduser(), 'train')
    splits = {
        'train': pixels(_blended(digits, Path(photographs).expanduser(), seed), known, DIGITS),
        'test': pixels(test[:, EDGE:-EDGE, EDGE:-EDGE], label, DIGITS),
    }
    return cut_missing(splits, validation, 0, seed, path)


def _blended(digits, folder, seed):
    files = sorted(
        path for path in folder.rglob('*') if path.suffix.lower() in ('.jpg', '.jpeg', '.png')
    )
    if not files:
        raise UserError(
            f'{folder} holds no photographs: give data.photographs a folder of them, such as '
            'BSDS500'
        )
    photographs = []
    for file in files:
        with reading(file, 'remove it from data.photographs') as path:
            photographs.append(np.asarray(Image.open(path).convert('RGB')))
            if min(photographs[-1].shape[:2]) < PATCH:
                raise ValueError(f'fewer than {PATCH} pixels a side')
    rng, blended = (
        np.random.default_rng([Purpose.BACKGROUNDS, seed]),
        np.empty((len(digits), PATCH, PATCH, 3), np.uint8),
    )
    for i, digit in enumerate(digits):
        photograph = photographs[rng.integers(len(photographs))]
        top, left = (rng.integers(side - PATCH + 1) for side in photograph.shape[:2])
        blended[i] = np.abs(
            photograph[top : top + PATCH, left : left + PATCH].astype(np.int16)
            - 255 * (digit[..., None] > 0)
        )
    return blended
