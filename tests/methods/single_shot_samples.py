"""Variables, pictures and boxes that our detectors of one stage and those of the TensorFlow Object
Detection API are both given. The boxes are those of two_stage_samples.py."""

import zlib

import numpy as np
import two_stage_samples
from two_stage_samples import BOXES

SIZES = {  # height and width of each row's pictures, pixels
    'ssd_mobilenet_v1': (128, 160),
    'ssd_mobilenet_v1_0.75_depth': (128, 160),
    'ssd_mobilenet_v1_quantized': (128, 160),
    'ssd_mobilenet_v1_ppn': (128, 160),
    'ssd_mobilenet_v1_fpn': (128, 160),
    'ssd_resnet50_fpn': (160, 192),
    'ssd_mobilenet_v2': (128, 160),
    'ssd_mobilenet_v2_quantized': (128, 160),
    'ssdlite_mobilenet_v2': (128, 160),
    'ssd_inception_v2': (128, 160),
}
FOLLOWING = ('ssd_mobilenet_v1',)  # rows that are trained with the batch's statistics, too
CLASSES = 90
TOP = 20  # detections that are compared


def variable(name, shape):
    """A variable by its name in TensorFlow, float32. Classes have small weights: scores near 1 are
    too close to each other to be ranked."""
    factor = 0.2 if name.endswith('ClassPredictor/weights') else 1
    return np.float32(factor) * two_stage_samples.variable(name, shape)


def pictures(row):
    """Random pictures in [0, 1], (3, height, width, 3) float32."""
    rng = np.random.default_rng(zlib.crc32(row.encode()))
    return rng.uniform(size=(len(BOXES), *SIZES[row], 3)).astype(np.float32)
