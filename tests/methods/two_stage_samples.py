"""Variables, pictures and boxes that our detectors of two stages and those of the TensorFlow Object
Detection API are both given."""

import re
import zlib
from typing import NamedTuple

import numpy as np


class Row(NamedTuple):
    """A detector.

    Attributes:
        extractor: the API's name of its network; 'made' is the small one of the reference.
        pool: as `two_stage` takes it.
        size: height and width of the pictures, pixels.
        classes: number of classes.
        proposals: most regions of a picture.
        sides: of a square anchor, pixels.
        width: channels of the first stage's own layer.
        reduced: channels before the position-sensitive maps.
    """

    extractor: str
    pool: str = 'crop'
    size: tuple[int, int] = (128, 160)
    classes: int = 90
    proposals: int = 24
    sides: tuple[int, ...] = (64, 128, 256, 512)
    width: int = 512
    reduced: int = 1024


# names of variables whose shapes tests/zoo/slim.json has
NETWORK = '(First|Second)StageFeatureExtractor/(Inception|resnet)'
SCALES = {
    '^FirstStageBoxPredictor/ClassPredictor/weights$': 0.1,  # scores near 1 are hard to rank
    'bottleneck_v1/conv3/BatchNorm/gamma$': 0.2,
    r'expanded_conv_\d+/project/BatchNorm/gamma$': 0.2,
    r'resnet_v1_\d+/conv1/weights$': 1 / 64,
}
MADE = dict(size=(96, 128), classes=3, sides=(32, 64), width=16, reduced=8)
ROWS = {
    'made_crop': Row('made', 'crop', **MADE),
    'made_position': Row('made', 'position_sensitive', **MADE),
    'faster_rcnn_inception_v2': Row('faster_rcnn_inception_v2'),
    'faster_rcnn_resnet50': Row('faster_rcnn_resnet50'),
    'faster_rcnn_resnet101': Row('faster_rcnn_resnet101'),
    'rfcn_resnet101': Row('faster_rcnn_resnet101', 'position_sensitive'),
}
# Top, left, bottom, right and class of the boxes of each picture; the last picture has none.
BOXES = [
    [[0.05, 0.1, 0.65, 0.5, 0], [0.3, 0.45, 0.7, 0.75, 2], [0.5, 0.05, 0.85, 0.4, 1]],
    [[0.15, 0.3, 0.8, 0.9, 1]],
    [],
]
# The same for the published rows: each box has one nearest anchor, which rounding cannot change.
PUBLISHED = [
    [[0.14, 0.0, 0.63, 0.43, 0], [0.31, 0.39, 0.8, 0.87, 2], [0.42, 0.03, 0.96, 0.32, 1]],
    [[0.33, 0.22, 0.89, 0.62, 1]],
    [],
]


def variable(name, shape):
    """A variable of a network by its name in TensorFlow, float32.

    Residual branches, and ResNet's first layer, whose pictures are in [-124, 152], are scaled so
    that values neither grow nor vanish with depth.
    """
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    leaf = name.rpartition('/')[2]
    if leaf in ('gamma', 'moving_variance'):
        values = rng.uniform(0.5, 1.5, shape)
    elif leaf in ('beta', 'biases', 'moving_mean'):
        values = 0.1 * rng.normal(size=shape)
    else:
        inputs = shape[:2] if leaf == 'depthwise_weights' else shape[:-1]
        values = rng.normal(size=shape) * np.sqrt(2 / np.prod(inputs))
    for pattern, scale in SCALES.items():
        if re.search(pattern, name):
            values = scale * values
    return values.astype(np.float32)


def pictures(row):
    """Random pictures in [0, 1], (3, height, width, 3) float32."""
    rng = np.random.default_rng(zlib.crc32(row.encode()))
    return rng.uniform(size=(len(BOXES), *ROWS[row].size, 3)).astype(np.float32)


def boxes_of(row):
    """The boxes of a row's pictures."""
    return BOXES if ROWS[row].extractor == 'made' else PUBLISHED


def regions(row):
    """Regions of a row's pictures, (3, proposals, 4) float32. They lie inside of the pictures, and
    the first ones of a picture hold its objects."""
    rng = np.random.default_rng(zlib.crc32(f'regions of {row}'.encode()))
    count = ROWS[row].proposals
    corners = rng.uniform(0.05, 0.55, (len(BOXES), count, 2))
    found = np.concatenate([corners, corners + rng.uniform(0.2, 0.4, corners.shape)], -1)
    for picture, boxes in zip(found, boxes_of(row), strict=True):
        for place, box in enumerate(boxes):
            picture[place] = np.clip(np.array(box[:4]) + rng.uniform(-0.02, 0.02, 4), 0.02, 0.98)
    return found.astype(np.float32)


def labels(boxes=BOXES):
    """The boxes of the pictures, padded: (n, g, 5) float32."""
    most = max(len(rows) for rows in boxes)
    padded = [rows + [[0, 0, 0, 0, -1]] * (most - len(rows)) for rows in boxes]
    return np.array(padded, np.float32).reshape(len(boxes), most, 5)


def picked(array, count=24):
    """Some values of an array, and their mean and deviation over all of it."""
    values = np.asarray(array, np.float64).ravel()
    places = np.random.default_rng(values.size).integers(0, values.size, count)
    return [*values[places].tolist(), float(values.mean()), float(values.std())]
