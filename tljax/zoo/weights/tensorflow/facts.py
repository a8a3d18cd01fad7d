"""What the file of a detector tells beside the variables of its network."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from tljax.zoo.weights.tensorflow.stored import Stored

POSTPROCESS = 'TFLite_Detection_PostProcess'  # an operation of TensorFlow Lite
CORNERS = 'Postprocessor/ExpandDims'  # the anchors in graphs whose constants were merged


class Facts(NamedTuple):
    """What else the file of a detector tells.

    Attributes:
        anchors: the anchors as top, left, bottom, right in shares of the picture, (k, 4); None
            where the network computes them.
        classes: number of classes without the background; None where the predictors do not tell.
        folded: names of the layers whose BatchNorm was folded, and has been made anew.
        left: names of the tensors that are no variables of the network.
        ranges: least and greatest outputs and kernels of layers, where they have 8 bits, by names
            like those of variables: 'Conv2d_0/BatchNorm/low', 'Conv2d_0/BatchNorm/kernel_low'.
    """

    anchors: np.ndarray | None
    classes: int | None
    folded: tuple[str, ...]
    left: tuple[str, ...]
    ranges: Mapping[str, np.ndarray] = MappingProxyType({})


def anchors(stored: Stored) -> np.ndarray | None:
    """Returns the anchors of a file as top, left, bottom, right, (k, 4) float32; None if it has
    none. TensorFlow Lite has their centre, height and width.

    Args:
        stored: content of the file.

    >>> anchors(Stored('tfjs', {CORNERS: np.float32([[[0, 0, 0.5, 1]]])})).tolist()
    [[0.0, 0.0, 0.5, 1.0]]
    """
    for operation in stored.operations:
        if operation.kind == POSTPROCESS and len(operation.inputs) == 3:
            boxes = stored.tensors.get(operation.inputs[2])
            if boxes is not None and boxes.shape[1:] == (4,):
                centre, size = np.split(boxes.astype(np.float32), 2, 1)
                return np.concatenate([centre - size / 2, centre + size / 2], 1)
    corners = stored.tensors.get(CORNERS)
    if corners is None or corners.ndim != 3 or corners.shape[::2] != (1, 4):
        return None
    return np.asarray(corners[0], np.float32)


def classes(variables: Mapping[str, np.ndarray]) -> int | None:
    """Returns the number of classes, without the background, from the widths of the predictors.

    For each anchor, a single-shot predictor has 4 numbers of a box, and one number of each class
    and of the background. The second stage of a two-stage detector has a box of each class.

    Args:
        variables: {name: array} of the network.

    Returns:
        None where no predictors of boxes and of classes have the same number of anchors.

    >>> boxes, columns = np.zeros(3 * 4), np.zeros(3 * 91)
    >>> classes({'a/BoxEncodingPredictor/biases': boxes, 'a/ClassPredictor/biases': columns})
    90
    """
    for name, columns in variables.items():
        boxes = variables.get(name.replace('/ClassPredictor/', '/BoxEncodingPredictor/'))
        if not name.endswith('/ClassPredictor/biases') or boxes is None:
            continue
        if boxes.size == 4 * (columns.size - 1):
            return columns.size - 1
        count = boxes.size // 4  # of anchors at a position
        if count and columns.size % count == 0:
            return columns.size // count - 1
    return None
