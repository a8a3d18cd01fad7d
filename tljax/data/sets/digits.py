"""The 1,797 handwritten digits that scikit-learn ships: the test part of Alpaydin and Kaynak's
Optical Recognition of Handwritten Digits (1998, https://doi.org/10.24432/C50P49), 8x8 pixels of 17
grey levels."""

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from tljax.core import Dataset
from tljax.data.formats.arrays import arrays
from tljax.data.splits import cut


def digits(size: int = 16) -> dict[str, Dataset]:
    """Handwritten digits, enlarged bilinearly to `size` x `size`, white on black, float32 in [0,
    1], (n, size, size, 1).

    Splits: of each class, by the seeded permutation of `cut`, 20 % validation and 30 % test; 899 /
    359 / 539 examples. Writers are not named in the data, so that one writer's digits may stand on
    both sides of a cut.

    Args:
        size: side of the pictures, pixels.

    >>> {name: split.size for name, split in digits().items()}
    {'train': 899, 'validation': 359, 'test': 539}
    """
    grey, label = load_digits(return_X_y=True)
    small = np.round(grey.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    large = np.stack(
        [
            np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))
            for image in small
        ]
    )
    everything = arrays(
        (large / np.float32(255))[..., None], label.astype(np.int32), tuple('0123456789')
    )
    return cut(everything, {'validation': 0.2, 'test': 0.3})
