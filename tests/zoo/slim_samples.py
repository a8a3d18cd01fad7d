"""Variables and pictures that our networks and those of TensorFlow's detectors are both given."""

import zlib

import numpy as np

SIZES = {  # height and width of each row's pictures, pixels
    'ssd_mobilenet_v1': (75, 98),
    'ssd_mobilenet_v1_75': (300, 300),
    'ssd_mobilenet_v1_25': (66, 45),
    'ssd_mobilenet_v1_ppn': (300, 300),
    'ssd_mobilenet_v1_fpn': (96, 64),
    'ssd_resnet50_fpn': (160, 160),
    'ssd_mobilenet_v2': (75, 98),
    'ssdlite_mobilenet_v2': (300, 300),
    'ssd_inception_v2': (107, 90),
    'faster_rcnn_inception_v2': (75, 98),
    'faster_rcnn_resnet50': (75, 98),
    'faster_rcnn_resnet101': (64, 65),
}
SMALLER = {  # of ResNets: their pictures are not scaled, and sums of many units grow
    'resnet_v1_50/conv1/weights': 0.02,
    'resnet_v1_101/conv1/weights': 0.02,
    'bottleneck_v1/conv3/BatchNorm/gamma': 0.3,
}
CROPS = (3, 7, 7)  # number and sides of the maps that second stages take


def variable(name, shape):
    """A variable of a network by its name in TensorFlow, float32."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    leaf = name.rpartition('/')[2]
    if leaf in ('gamma', 'moving_variance'):
        values = rng.uniform(0.5, 1.5, shape)
    elif leaf in ('beta', 'biases', 'moving_mean'):
        values = 0.1 * rng.normal(size=shape)
    else:
        inputs = shape[:2] if leaf == 'depthwise_weights' else shape[:3]
        values = rng.normal(size=shape) * np.sqrt(2 / np.prod(inputs))
    for ending, factor in SMALLER.items():
        values = values * factor if name.endswith(ending) else values
    return values.astype(np.float32)


def pictures(row, count=2):
    """Random pictures in [0, 1], (count, height, width, 3) float32."""
    rng = np.random.default_rng(zlib.crc32(row.encode()))
    return rng.uniform(size=(count, *SIZES[row], 3)).astype(np.float32)


def crops(row, channels):
    """Random maps after a ReLU, as second stages take them, float32."""
    rng = np.random.default_rng(zlib.crc32(row.encode()) + 1)
    return np.maximum(rng.normal(size=(*CROPS, channels)), 0).astype(np.float32)


def picked(array, count=24):
    """Some values of an array, and their mean and deviation over all of it."""
    values = np.asarray(array, np.float64).ravel()
    places = np.random.default_rng(values.size).integers(0, values.size, count)
    return [*values[places].tolist(), float(values.mean()), float(values.std())]
