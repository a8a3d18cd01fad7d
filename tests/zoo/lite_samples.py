"""What tests/zoo/lite_reference.py and tests/zoo/test_lite_detectors.py share; NumPy alone."""

import numpy as np

QUANTISED = 'ssd_mobilenet_v1_0.75_quantized_coco/detect.tflite'
HALF = 'ssd_mobilenet_v2_oidv4/oid_v2_fp16.tflite'


def pictures():
    """A picture of coloured squares, uint8 (1, 300, 300, 3)."""
    colours = np.random.default_rng(0).integers(0, 256, (10, 10, 3))
    return colours.repeat(30, 0).repeat(30, 1)[None].astype(np.uint8)


def picked(array, count=120):
    """Some values of an array."""
    places = np.random.default_rng(array.size).integers(0, array.size, count)
    return array.ravel()[places].tolist()
