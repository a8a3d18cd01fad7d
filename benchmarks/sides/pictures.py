"""What the sides that decode a folder of pictures have in common.

The environment of another library need not have tljax: this module wants NumPy and Pillow only.
"""

from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageOps


def load(path: str, size: int) -> np.ndarray:
    """Decodes a picture as PyTorch's tutorials do: to RGB, scaled by the short side, cropped.

    Args:
        path: of the file.
        size: side of the result, pixels.

    Returns:
        (size, size, 3) uint8.
    """
    with Image.open(path) as file:
        image = file.convert('RGB')
    return np.array(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR))


def total(batches: Iterable[np.ndarray]) -> int:
    """Makes all batches, and returns the sum of their bytes.

    Two sides with the same sum have, almost certainly, the same pictures.

    Args:
        batches: arrays of uint8.
    """
    return sum(int(np.asarray(batch).sum(dtype=np.int64)) for batch in batches)
