"""The predictors of single-shot detectors, by the names of their variables in the TensorFlow Object
Detection API.

'BoxPredictor_0/ClassPredictor/weights' there is 'class/map1/kernel' here.
"""

from collections.abc import Mapping

import numpy as np

from tljax.zoo.weights.names import new_name
from tljax.zoo.weights.slim import LEAVES, slim_arrays

SHARED = 'WeightSharedConvolutionalBoxPredictor'
BRANCH = {'BoxEncoding': 'box', 'Box': 'box', 'Class': 'class'}
LAYERS = (
    # a predictor of each map; TensorFlow counts maps from 0
    (
        r'BoxPredictor_(?P<i>\d+)/(?P<branch>\w+)Predictor_depthwise/BatchNorm',
        '{branch}/map{i+1}_bn',
    ),
    (r'BoxPredictor_(?P<i>\d+)/(?P<branch>\w+)Predictor_depthwise', '{branch}/map{i+1}_depthwise'),
    (r'BoxPredictor_(?P<i>\d+)/(?P<branch>\w+)Predictor', '{branch}/map{i+1}'),
    (r'(?P<branch>\w+)Predictor/joined', '{branch}/joined'),
    # one for all maps
    (
        rf'{SHARED}/(?P<branch>\w*)PredictionTower/conv2d_(?P<k>\d+)/BatchNorm/feature_(?P<i>\d+)',
        '{branch}/tower/layer{k+1}_map{i+1}_bn',
    ),
    (
        rf'{SHARED}/(?P<branch>\w*)PredictionTower/conv2d_(?P<k>\d+)',
        '{branch}/tower/layer{k+1}',
    ),
    (rf'{SHARED}/(?P<branch>\w+)Predictor', '{branch}/last'),
)


def head_path(name: str) -> str:
    """Returns the path of a predictor's variable in the head here, or '' where no rule knows it.

    Args:
        name: of the variable.

    >>> head_path('BoxPredictor_0/BoxEncodingPredictor_depthwise/BatchNorm/gamma')
    'box/map1_bn/scale'
    >>> head_path('WeightSharedConvolutionalBoxPredictor/PredictionTower/conv2d_0/weights')
    'tower/layer1/kernel'
    """
    layer, _, leaf = name.rpartition('/')
    path = new_name(layer, LAYERS)
    if path == layer or leaf not in LEAVES:
        return ''
    branch, _, rest = path.partition('/')
    return '/'.join(part for part in (BRANCH.get(branch, branch), rest, LEAVES[leaf]) if part)


def head_arrays(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the predictors' variables among a detector's, {path in the head: values}.

    Args:
        tensors: {name of a variable: its values}.

    >>> weights = np.zeros((1, 1, 8, 6))
    >>> head_arrays({'BoxPredictor_0/ClassPredictor/weights': weights})['class/map1/kernel'].shape
    (1, 1, 8, 6)
    """
    return {
        path: slim_arrays(name, array)
        for name, array in tensors.items()
        if (path := head_path(name))
    }
