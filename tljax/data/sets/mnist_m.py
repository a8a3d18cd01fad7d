"""MNIST-M: published test pictures, and training pictures made by the published recipe."""

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
    """Loads MNIST's digits on photographs, float32 in [0, 1], (n, 28, 28, 3).

    The test pictures come from the file, without their border of two pixels. A training picture is
    the absolute difference, in each channel, of an MNIST digit and a random window of a random
    photograph. A pixel of a digit with any ink counts as full ink. The paper does not say so, but
    its pictures show it: 151 pixels of a picture are inverted on average, and 150.5 have ink.

    Args:
        path: ZIP of test pictures, 32x32 pixels, and a text file of lines "name label".
        mnist: folder of MNIST's four files, whose 60,000 training digits are blended; `~` is
            expanded.
        photographs: folder of photographs, BSDS500 in the paper; `~` is expanded.
        validation: share of each class that is cut from train.
        seed: seed of the windows and of that cut.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        UserError: a file is missing or damaged, or a photograph is smaller than a digit.

    Source: Ganin and Lempitsky 2015, section 4 (https://arxiv.org/abs/1409.7495).

    >>> mnist_m('nowhere.zip', 'mnist', 'BSDS500')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere.zip does not exist: give data.path a ZIP of MNIST-M's test ...
    """
    remedy = "give data.path a ZIP of MNIST-M's test pictures and their labels"
    with reading(path, remedy) as path, zipfile.ZipFile(path) as file:
        names = {Path(name).name: name for name in file.namelist()}
        table = next(name for name in names if name.endswith('.txt'))
        rows = [line.split() for line in file.read(names[table]).decode().splitlines() if line]
        label = np.array([int(digit) for _, digit in rows])
        test = np.stack([_rgb(io.BytesIO(file.read(names[name]))) for name, _ in rows])
        if test.shape[1:3] != (PATCH + 2 * EDGE,) * 2:
            raise ValueError(f'pictures of {test.shape[1]}x{test.shape[2]} pixels')
    digits, digit_label = read_idx(Path(mnist).expanduser(), 'train')
    blends = _blend(digits, _photographs(Path(photographs).expanduser()), seed)
    splits = {
        'train': pixels(blends, digit_label, DIGITS),
        'test': pixels(test[:, EDGE:-EDGE, EDGE:-EDGE], label, DIGITS),
    }
    return cut_missing(splits, validation, 0, seed, path)


def _rgb(file):
    """A picture file as (height, width, 3) uint8."""
    return np.asarray(Image.open(file).convert('RGB'))


def _photographs(folder):
    """All photographs below a folder, (height, width, 3) uint8, in the order of their paths."""
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
            photographs.append(_rgb(path))
            if min(photographs[-1].shape[:2]) < PATCH:
                raise ValueError(f'fewer than {PATCH} pixels a side')
    return photographs


def _blend(digits, photographs, seed):
    """The absolute differences of digits and random windows of photographs."""
    rng = np.random.default_rng([Purpose.BACKGROUNDS, seed])
    blends = np.empty((len(digits), PATCH, PATCH, 3), np.uint8)
    for i, digit in enumerate(digits):
        photograph = photographs[rng.integers(len(photographs))]
        top, left = (rng.integers(side - PATCH + 1) for side in photograph.shape[:2])
        window = photograph[top : top + PATCH, left : left + PATCH].astype(np.int16)
        blends[i] = np.abs(window - 255 * (digit[..., None] > 0))
    return blends
