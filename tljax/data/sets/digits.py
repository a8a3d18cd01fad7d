"""The 1,797 handwritten digits that scikit-learn ships, 8x8 pixels of 17 grey levels.

They are the test part of Alpaydin and Kaynak's Optical Recognition of Handwritten Digits (1998,
https://doi.org/10.24432/C50P49).
"""

import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image

from tljax.core import Dataset
from tljax.data.formats.arrays import arrays
from tljax.data.splits import cut


def digits(size: int = 16) -> dict[str, Dataset]:
    """Loads handwritten digits, white on black, float32 in [0, 1], (n, size, size, 1).

    Args:
        size: side of the pictures, in pixels; they are enlarged bilinearly.

    Splits: 20 % of each class for validation and 30 % for the test, by the seeded permutation of
        `cut`: 899, 359 and 539 examples. The data does not name the writers, so digits of one
        writer may be in several splits.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    >>> {name: split.size for name, split in digits().items()}
    {'train': 899, 'validation': 359, 'test': 539}
    """
    table = _table()
    grey, label = table[:, :-1], table[:, -1]
    small = np.round(grey.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    large = np.stack(
        [
            np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))
            for image in small
        ]
    )
    dataset = arrays(
        (large / np.float32(255))[..., None], label.astype(np.int32), tuple('0123456789')
    )
    return cut(dataset, {'validation': 0.2, 'test': 0.3})


def _table():
    """Returns 64 grey levels and the label of each digit, (1797, 65).

    The file is read without scikit-learn, which takes half a second to import.
    """
    package = importlib.util.find_spec('sklearn')
    if package is None or package.origin is None:
        raise ModuleNotFoundError('scikit-learn, which ships the digits', name='sklearn')
    path = Path(package.origin).parent / 'datasets' / 'data' / 'digits.csv.gz'
    return np.loadtxt(path, delimiter=',')
