"""Weights of TF-slim's networks and of the TensorFlow Object Detection API's detectors, by the
names of their variables.

'FeatureExtractor/MobilenetV1/Conv2d_3_depthwise/BatchNorm/gamma' there is 'conv_dw_3_bn/scale'
here: a scope, the network, the layer and the variable. The rules below are for the layers of
networks and of necks. The variables of a detector's own layers, such as 'BoxPredictor_0/...', lie
outside the scope of the network.
"""

import re
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from tljax.core import Net, Tree, UserError, abbreviated
from tljax.paths import flatten
from tljax.zoo.weights.names import new_name

Tensors = Mapping[str, np.ndarray]
NETWORK = r'(MobilenetV[12]|InceptionV2|resnet_v1_\d+)/'
TOP = r'\w+/logits/.*'  # the layer above the features
# what optimisers and fake quantisation keep beside the weights
UNUSED = r'.*/(RMSProp|Momentum|Adam|Adagrad)(_\d+)?|.*_quant/.*|(.*/)?global_step'
AVERAGE = '/ExponentialMovingAverage'
LAYERS = (
    # MobileNet
    ('Conv2d_0', 'conv1'),
    (r'Conv2d_(?P<i>\d+)_depthwise', 'conv_dw_{i}'),
    (r'Conv2d_(?P<i>\d+)_pointwise', 'conv_pw_{i}'),
    # MobileNetV2
    ('Conv', 'Conv1'),
    (r'expanded_conv/(?P<layer>\w+)', 'expanded_conv_{layer}'),
    (r'expanded_conv_(?P<i>\d+)/(?P<layer>\w+)', 'block_{i}_{layer}'),
    # Inception
    (
        r'(?P<block>Mixed_\w+)/(?P<branch>Branch_\d)/(?P<layer>\w+)',
        '{block}_{branch}_{layer}',
    ),
    # ResNet
    (
        r'(?P<block>block\d)/unit_(?P<i>\d+)/bottleneck_v1/(?P<layer>\w+)',
        '{block}_unit{i}_{layer}',
    ),
    # extra layers of SSD; TensorFlow counts maps from 0
    (r'\w+_1_Conv2d_(?P<i>\d+)_1x1_\d+', 'extras/map{i+1}_reduce'),
    (r'\w+_2_Conv2d_(?P<i>\d+)_3x3_s2_\d+_depthwise', 'extras/map{i+1}_depthwise'),
    (r'\w+_2_Conv2d_(?P<i>\d+)_3x3_s2_\d+', 'extras/map{i+1}_conv'),
    # feature pyramids
    (r'fpn/projection_(?P<i>\d+)', 'pyramid/map{i}_project'),
    (r'fpn/smoothing_(?P<i>\d+)', 'pyramid/map{i}_smooth'),
    (r'fpn/bottom_up_Conv2d_(?P<i>\d+)', 'pyramid/map{i-10}_conv'),
    (r'fpn/bottom_up_block(?P<i>\d+)', 'pyramid/map{i-1}_conv'),
)
NORMS = (  # a convolution's layer here: its BatchNorm's
    ('Conv1', 'bn_Conv1'),
    (r'(?P<layer>(expanded_conv|block_\d+)_\w+)', '{layer}_BN'),
    ('(?P<layer>.*)', '{layer}_bn'),
)
LEAVES = {
    'weights': 'kernel',
    'depthwise_weights': 'kernel',
    'pointwise_weights': 'pointwise_kernel',
    'biases': 'bias',
    'gamma': 'scale',
    'beta': 'bias',
    'moving_mean': 'mean',
    'moving_variance': 'var',
    # ranges of a layer's outputs and kernel
    **{name: name for name in ('low', 'high', 'kernel_low', 'kernel_high')},
}
SEPARABLE = {'Conv2d_1a_7x7/kernel': 'Conv2d_1a_7x7/depthwise_kernel'}


def slim_path(name: str) -> str:
    """Returns the path of a variable here, or '' where no rule knows it.

    Args:
        name: of the variable, without the scopes before the network's.

    >>> slim_path('MobilenetV1/Conv2d_13_pointwise_2_Conv2d_2_3x3_s2_512/weights')
    'extras/map3_conv/kernel'
    >>> slim_path('resnet_v1_50/block4/unit_3/bottleneck_v1/conv2/BatchNorm/moving_variance')
    'block4_unit3_conv2_bn/var'
    """
    if not (network := re.match(NETWORK, name)):
        return ''
    layer, _, leaf = name[network.end() :].rpartition('/')
    is_norm = layer.endswith('/BatchNorm')
    layer = new_name(layer.removesuffix('/BatchNorm'), LAYERS)
    if leaf not in LEAVES:
        return ''
    path = f'{new_name(layer, NORMS) if is_norm else layer}/{LEAVES[leaf]}'
    return SEPARABLE.get(path, path)


def slim_arrays(name: str, array: np.ndarray) -> np.ndarray:
    """Returns a variable in the order of axes that it has here.

    A depthwise kernel is (height, width, inputs, outputs of each) there and (height, width, 1, all
    outputs) here.

    Args:
        name: of the variable.
        array: its values.

    >>> slim_arrays('Conv2d_1_depthwise/depthwise_weights', np.zeros((3, 3, 32, 1))).shape
    (3, 3, 1, 32)
    """
    is_depthwise = name.endswith('/depthwise_weights')
    return array.reshape(*array.shape[:2], 1, -1) if is_depthwise else array


def from_slim(
    tensors: Tensors,
    net: Net,
    scope: str = 'FeatureExtractor',
    shape: tuple[int, ...] = (64, 64, 3),
) -> tuple[Tree, Tree]:
    """Returns the parameters and statistics of a network from TensorFlow's variables.

    Variables of optimisers are left out, those of layers above a part of a network, too. Where
    there is a moving average of a variable, it takes the variable's place, as in the API's
    evaluations. Where no BatchNorm has a scale, as in TF-slim's own Inception, all scales are 1.

    Args:
        tensors: {name of a variable: its values}.
        net: `mobilenet`, `mobilenet_v2`, `inception_v2` or `resnet_slim`, or a detector's network
            made from one (`with_extras`, `with_pyramid`, `with_pools`).
        scope: only variables below it are read: 'FeatureExtractor' of a detector of one stage,
            'FirstStageFeatureExtractor' and 'SecondStageFeatureExtractor' of one of two; '' for a
            classifier.
        shape: of an input, (height, width, channels): a picture, or a map for the last part of a
            network.

    Returns:
        (params, state): trees of float32 arrays.

    Raises:
        UserError: the variables are those of another network: names those that are missing, those
            that are spare, and the shapes that differ.

    >>> from tljax.zoo import mobilenet
    >>> from_slim({'FeatureExtractor/MobilenetV1/Conv2d_0/gamma': np.ones(3)}, mobilenet())
    Traceback (most recent call last):
    tljax.core.UserError: the variables below 'FeatureExtractor' are those of another network ...
    """
    params, state = (flatten(tree) for tree in _shapes(net, shape))
    shapes = {**params, **state}
    whole = set() if net.whole is None else {*_paths(net.whole)}
    found, spare, differing = {}, [], []
    for name, array in _below(tensors, scope).items():
        path = slim_path(name)
        if path not in shapes:
            is_above = path in whole or re.fullmatch(TOP, name, re.IGNORECASE)
            spare += [] if is_above else [name]
            continue
        found[path] = np.asarray(slim_arrays(name, array), np.float32)
        if found[path].shape != shapes[path].shape:
            differing.append(f'{name} {found[path].shape} for {shapes[path].shape}')
    if not any(path.endswith('/scale') for path in found):
        scales = [path for path in params if path.endswith('/scale')]
        found |= {path: np.ones(params[path].shape, np.float32) for path in scales}
    reasons = {
        'missing are': [path for path in shapes if path not in found],
        'spare are': spare,
        'shapes differ at': differing,
        'not finite are': [path for path, array in found.items() if not np.isfinite(array).all()],
    }
    texts = [f'{reason} {abbreviated(names, 6)}' for reason, names in reasons.items() if names]
    if texts:
        raise UserError(
            f'the variables below {scope!r} are those of another network or damaged '
            f'({"; ".join(texts)}): take the network that they were made for'
        )
    named = ({path: found[path] for path in paths} for paths in (params, state))
    trees = [unflatten_dict(part, sep='/') for part in named]
    return trees[0], trees[1]


def _below(tensors, scope):
    """The variables below a scope by the rest of the name, averages in the place of what they
    average."""
    prefix = f'{scope}/' if scope else ''
    chosen = {
        name.removeprefix(prefix): array
        for name, array in tensors.items()
        if name.startswith(prefix) and not re.fullmatch(UNUSED, name)
    }
    averages = {
        name.removesuffix(AVERAGE): array
        for name, array in chosen.items()
        if name.endswith(AVERAGE)
    }
    return {
        name: averages.get(name, array)
        for name, array in chosen.items()
        if not name.endswith(AVERAGE)
    }


def _shapes(net, shape):
    return jax.eval_shape(
        net.init, jax.random.key(0), jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    )


def _paths(net):
    """The paths of a network that takes pictures."""
    return [path for tree in _shapes(net, (64, 64, 3)) for path in flatten(tree)]
