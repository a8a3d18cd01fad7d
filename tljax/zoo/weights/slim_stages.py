"""The layers of detectors of two stages, by the names of their variables in the TensorFlow Object
Detection API.

'FirstStageBoxPredictor/ClassPredictor/weights' there is 'rpn/objectness/kernel' here. The network's
two parts are read by `slim.from_slim`.
"""

from collections.abc import Mapping

import jax
import numpy as np

from tljax.core import Net, Tree
from tljax.zoo.weights.slim import LEAVES, from_slim

FIRST, SECOND = 'FirstStageFeatureExtractor', 'SecondStageFeatureExtractor'
LAYERS = {
    'Conv': 'rpn/conv',
    'FirstStageBoxPredictor/BoxEncodingPredictor': 'rpn/box',
    'FirstStageBoxPredictor/ClassPredictor': 'rpn/objectness',
    # Faster R-CNN
    'SecondStageBoxPredictor/BoxEncodingPredictor': 'head/box',
    'SecondStageBoxPredictor/ClassPredictor': 'head/class',
    # R-FCN
    'SecondStageBoxPredictor/reduce_depth': 'head/reduce',
    'SecondStageBoxPredictor/refined_locations': 'head/box',
    'SecondStageBoxPredictor/class_predictions': 'head/class',
}


def stage_path(name: str) -> str:
    """Returns the path of a variable of either stage's own layers, or '' for any other variable.

    Args:
        name: of the variable.

    >>> stage_path('Conv/weights'), stage_path('SecondStageBoxPredictor/reduce_depth/biases')
    ('rpn/conv/kernel', 'head/reduce/bias')
    """
    layer, _, leaf = name.rpartition('/')
    return f'{LAYERS[layer]}/{LEAVES[leaf]}' if layer in LAYERS and leaf in LEAVES else ''


def stage_arrays(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the variables of both stages' own layers among a detector's, {path: values}.

    Args:
        tensors: {name of a variable: its values}.

    >>> list(stage_arrays({'Conv/weights': np.zeros((3, 3, 8, 4)), 'global_step': np.zeros(())}))
    ['rpn/conv/kernel']
    """
    return {path: array for name, array in tensors.items() if (path := stage_path(name))}


def parts_from_slim(
    tensors: Mapping[str, np.ndarray], net: Net, tail: Net, shape: tuple[int, int, int]
) -> tuple[Tree, Tree]:
    """Returns the parameters and statistics of both parts of a detector's network.

    Args:
        tensors: {name of a variable: its values}.
        net: the first part.
        tail: the last part.
        shape: of a picture, (height, width, channels).

    Returns:
        (params, state): {'backbone', 'tail'} each.

    Raises:
        UserError: as `from_slim`.

    >>> from tljax.zoo import inception_v2
    >>> parts_from_slim({}, inception_v2('first'), inception_v2('last'), (64, 64, 3))
    Traceback (most recent call last):
    tljax.core.UserError: the variables below 'FirstStageFeatureExtractor' are those of another ...
    """
    first = from_slim(tensors, net, FIRST, shape)
    picture = jax.ShapeDtypeStruct((1, *shape), np.float32)
    maps = jax.eval_shape(net.features, *first, picture)[0]['map1'].shape[1:]
    last = from_slim(tensors, tail, SECOND, maps)
    params, state = ({'backbone': a, 'tail': b} for a, b in zip(first, last, strict=True))
    return params, state
