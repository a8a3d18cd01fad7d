"""Gives the tensors of a file the names of the variables in training, with BatchNorm unfolded.

Files for inference have BatchNorm's factor multiplied into the kernel before it, and only its
offset left. The same function is computed by that kernel and a BatchNorm with

    gamma = 1, beta = offset, moving_mean = 0, moving_variance = 1 - epsilon,

as `gamma (x - moving_mean) / sqrt(moving_variance + epsilon) + beta`, and it can be trained on.
Where the factor stands beside the kernel, it is gamma.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tljax.core import UserError, abbreviated
from tljax.zoo.weights.tensorflow.facts import POSTPROCESS, Facts, anchors, classes
from tljax.zoo.weights.tensorflow.reading import read
from tljax.zoo.weights.tensorflow.stored import Stored

Tensors = Mapping[str, np.ndarray]
EPSILON = 1e-3  # of BatchNorm in the detectors on MobileNet and Inception
STATISTICS = ('gamma', 'beta', 'moving_mean', 'moving_variance')
LEAVES = ('weights', 'depthwise_weights', 'pointwise_weights', 'biases', *STATISTICS)
# regex of a constant's name, and the name of the variable, in graphs whose constants were merged
MERGED = (
    (r'(.+)/Conv2D(?:/merged_input|_weights)', r'\1/weights'),
    (r'(.+)/BatchNorm/(?:batchnorm/sub|FusedBatchNorm/Offset)', r'\1/BatchNorm/beta'),
    (r'(.+)/BatchNorm/(?:batchnorm/mul|FusedBatchNorm/Scaled)', r'\1/BatchNorm/gamma'),
    (r'(.+)/(?:Conv2D|depthwise|convolution)_bn_offset', r'\1/BatchNorm/beta'),
    (rf'(.+)/({"|".join(LEAVES)})', r'\1/\2'),
)
COUNTERS = r'(?:.+/)?(?:global_step|beta[12]_power)'  # of optimisers
AVERAGE = '/ExponentialMovingAverage'
LOGISTIC = '14'
CONVOLUTIONS = {'3': 'weights', '4': 'depthwise_weights'}  # operations of TensorFlow Lite
# what TensorFlow Lite adds to the name of a layer, in the names of its kernel and its bias
LITE = (
    r'/(?:weights_quant/FakeQuantWithMinMaxVars|(?:Conv2D|depthwise)(?:_Fold_bias|_bias)?|'
    r'BatchNorm/FusedBatchNorm(?:V\d)?|BiasAdd|weights|depthwise_weights|biases)'
)
FOLDED = '_Fold_bias|BatchNorm'  # in the name of a bias that was BatchNorm's offset
# a scope of variables that is entered anew gives its operations its name twice
TWICE = r'(?<![^/])([^/]+)/\1(?=/)'


def read_variables(
    path: str | Path, epsilon: float = EPSILON
) -> tuple[dict[str, np.ndarray], Facts]:
    """Reads the variables of a network from a file of TensorFlow.

    Args:
        path: path of the file or folder, as in `reading.read_tensors`.
        epsilon: epsilon of the network's BatchNorm.

    Returns:
        As `variables`.

    Raises:
        UserError: as `reading.read_tensors` and `variables`.

    >>> read_variables('nowhere.pb')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere.pb does not exist: name a frozen graph (.pb), a checkpoint ...
    """
    stored = read(path)
    try:
        return variables(stored, epsilon)
    except UserError as error:
        raise UserError(f'{path} {error}') from None


def variables(stored: Stored, epsilon: float = EPSILON) -> tuple[dict[str, np.ndarray], Facts]:
    """Returns the variables of a network by the names that they have in training, and facts.

    - A frozen graph: the constants that an operation `NAME/read` reads. If there are none, they are
      found by the ends of their names, as in the next form.
    - TensorFlow.js: constants with the name of a variable, or of one that was merged.
    - TensorFlow Lite: kernels and biases of convolutions, with TensorFlow's axes.
    - A checkpoint: all variables but those of the optimiser. Of a variable and its moving average
      the variable is taken, as the detection API does for fine-tuning; of an average alone, that.

    Args:
        stored: content of a file (`reading.read`).
        epsilon: epsilon of the network's BatchNorm.

    Returns:
        {name: array} in float32, such as 'FeatureExtractor/MobilenetV2/Conv/weights' of shape
        (height, width, in, out), sorted by name; and the facts.

    Raises:
        UserError: the file has no variables, a BatchNorm lacks some, or numbers are not finite. The
            message lacks the file's name.

    >>> tensors = {
    ...     'Conv/Conv2D/merged_input': np.ones((1, 1, 2, 3), np.float32),
    ...     'Conv/BatchNorm/batchnorm/sub': np.zeros(3, np.float32),
    ...     'stack/1': np.int32(1),
    ... }
    >>> found, facts = variables(Stored('tfjs', tensors))
    >>> [name.removeprefix('Conv/') for name in found]
    ['BatchNorm/beta', 'BatchNorm/gamma', 'BatchNorm/moving_mean', 'BatchNorm/moving_variance', ...]
    >>> facts.folded, facts.left
    (('Conv',), ('stack/1',))
    """
    sources = _SOURCES[stored.form](stored)
    found, used = {}, set()
    for name, (old, array) in sources.items():
        if array.dtype.kind in 'fV':  # V is bfloat16
            used.add(old)
            with np.errstate(over='ignore'):  # what is not finite is refused
                found[name] = np.asarray(array, np.float32, order='C')
    if not found:
        raise UserError('holds no variables of a network: name the file of a detector')
    if broken := [name for name, array in found.items() if not np.isfinite(array).all()]:
        raise UserError(f'is not finite at {abbreviated(broken, 8)}: copy or download it again')
    folded = _unfold(found, epsilon)
    left = tuple(name for name in stored.tensors if name not in used)
    found = dict(sorted(found.items()))
    return found, Facts(anchors(stored), classes(found), folded, left, _ranges(stored))


Sources = dict[str, tuple[str, np.ndarray]]  # variable -> name of the tensor, array


def _of_graph(stored: Stored) -> Sources:
    read = {
        operation.inputs[0]
        for operation in stored.operations
        if operation.kind == 'Identity'
        and operation.inputs
        and operation.name == f'{operation.inputs[0]}/read'
    }
    found = {name: (name, array) for name, array in stored.tensors.items() if name in read}
    return found or _of_constants(stored)


def _of_constants(stored: Stored) -> Sources:
    found: Sources = {}
    for old, array in stored.tensors.items():
        for pattern, name in MERGED:
            if match := re.fullmatch(pattern, old):
                _add(found, re.sub(TWICE, r'\1', match.expand(name)), old, array)
                break
    return found


def _of_checkpoint(stored: Stored) -> Sources:
    tensors, found = stored.tensors, {}
    for old, array in stored.tensors.items():
        name = old.removesuffix(AVERAGE)
        is_average_alone = name != old and name not in tensors
        # a variable of an optimiser is named after its variable: NAME/Momentum
        of_optimiser = old.rpartition('/')[0] in tensors or re.fullmatch(COUNTERS, old)
        if is_average_alone or not of_optimiser:
            _add(found, name, old, array)
    return found


def _of_lite(stored: Stored) -> Sources:
    found: Sources = {}
    for operation in stored.operations:
        kernel, bias = (*operation.inputs, '', '', '')[1:3]
        if operation.kind not in CONVOLUTIONS or kernel not in stored.tensors:
            continue
        leaf, array = CONVOLUTIONS[operation.kind], stored.tensors[kernel]
        layer = _layer(kernel)
        if array.ndim != 4:
            raise UserError(f'has a kernel {kernel!r} of {array.ndim} axes: convert the model anew')
        if leaf == 'weights':  # (out, height, width, in)
            array = array.transpose(1, 2, 3, 0)
        else:  # (1, height, width, channels)
            array = array.reshape(*array.shape[1:3], -1, 1)
        _add(found, f'{layer}/{leaf}', kernel, array)
        if bias in stored.tensors:
            leaf = 'BatchNorm/beta' if re.search(FOLDED, bias) else 'biases'
            _add(found, f'{layer}/{leaf}', bias, stored.tensors[bias])
    return found


def _ranges(stored: Stored) -> dict[str, np.ndarray]:
    """The ranges of layers' outputs and kernels, by names of variables of the layers."""
    places: dict[str, str] = {}  # name of a tensor: layer, and what the tensor is to it
    for operation in stored.operations:
        kernel, bias = (*operation.inputs, '', '', '')[1:3]
        if operation.kind in CONVOLUTIONS and kernel in stored.tensors:
            norm = '/BatchNorm' if re.search(FOLDED, bias) else ''
            places[operation.name] = f'{_layer(kernel)}{norm}/'
            places[kernel] = f'{_layer(kernel)}{norm}/kernel_'
        elif operation.kind == LOGISTIC:
            places[operation.inputs[0]] = 'ClassPredictor/joined/'
        elif operation.kind == POSTPROCESS:
            places[operation.inputs[0]] = 'BoxEncodingPredictor/joined/'
    return {
        f'{place}{end}': np.array(number, np.float32)
        for name, place in places.items()
        for end, number in zip(('low', 'high'), stored.ranges.get(name, ()), strict=False)
    }


_SOURCES = {
    'graph': _of_graph,
    'tfjs': _of_constants,
    'tflite': _of_lite,
    'checkpoint': _of_checkpoint,
}


def _add(found: Sources, name: str, old: str, array: np.ndarray) -> None:
    if name in found and found[name][0] != old:
        raise UserError(
            f'has the variable {name!r} twice, as {old!r} and {found[name][0]!r}: name another file'
        )
    found[name] = (old, array)


def _layer(name: str) -> str:
    """The layer of a constant of TensorFlow Lite. The names of merged constants stand in a row."""
    return re.sub(TWICE, r'\1', re.sub(f'{LITE}$', '', name.partition(';')[0]))


def _unfold(found: dict[str, np.ndarray], epsilon: float) -> tuple[str, ...]:
    """Adds what BatchNorms lack, and returns the names of their layers."""
    norms = {name.rpartition('/')[0] for name in found if re.search(r'BatchNorm/\w+$', name)}
    folded = []
    for norm in sorted(norms):
        has = {leaf for leaf in STATISTICS if f'{norm}/{leaf}' in found}
        if 'moving_variance' in has and 'moving_mean' in has:
            continue
        layer = norm.removesuffix('/BatchNorm')
        if has not in ({'beta'}, {'beta', 'gamma'}) or not _has_kernel(found, layer):
            raise UserError(
                f'has {abbreviated(sorted(has))} of {norm} alone, or no kernel before it: name '
                'another file of the same network'
            )
        beta = found[f'{norm}/beta']
        found.setdefault(f'{norm}/gamma', np.ones_like(beta))
        found[f'{norm}/moving_mean'] = np.zeros_like(beta)
        found[f'{norm}/moving_variance'] = np.full_like(beta, 1 - epsilon)
        folded.append(layer)
    return tuple(folded)


def _has_kernel(found: Tensors, layer: str) -> bool:
    return f'{layer}/weights' in found or f'{layer}/depthwise_weights' in found
