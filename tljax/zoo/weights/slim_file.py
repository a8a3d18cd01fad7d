"""Weights of a network of TF-slim, or of a single-shot detector, from a file of TensorFlow."""

from pathlib import Path

from flax.traverse_util import unflatten_dict

from tljax.core import Net, Tree, UserError
from tljax.zoo.weights import foreign
from tljax.zoo.weights.slim import from_slim
from tljax.zoo.weights.slim_heads import head_arrays
from tljax.zoo.weights.tensorflow.reading import INDEX, PATTERNS, read
from tljax.zoo.weights.tensorflow.variables import variables

KINDS = ('tflite', 'tfjs', 'graph', 'checkpoint')  # of `foreign.kind_of`
STATISTICS = ('mean', 'var')
SCOPE = 'FeatureExtractor'  # of a detector's network
# networks that are TensorFlow's: necks of detectors, and families that Keras does not have
NETWORKS = ('with_extras(', 'with_pyramid(', 'with_pools(', '_InceptionV2(', '_ResNetSlim(')


def is_for(net: Net, path: str | Path) -> bool:
    """Tells whether a path means a file of TensorFlow, and a network takes its weights from one.

    Args:
        net: the network.
        path: the path.

    >>> from tljax.zoo import mobilenet
    >>> is_for(mobilenet(), 'model.tflite')
    False
    """
    return net.fingerprint.startswith(NETWORKS) and is_tensorflow(path)


def is_tensorflow(path: str | Path) -> bool:
    """Tells whether a path means a file of TensorFlow that can be read, or a folder with one.

    Args:
        path: the path.

    >>> is_tensorflow('runs/mine'), is_tensorflow('weights.h5')
    (False, False)
    """
    path = Path(path).expanduser()
    if path.is_dir():
        is_run = (path / 'final').exists() or any(path.glob('[0-9][0-9]-*'))
        return not is_run and any(True for pattern in PATTERNS for _ in path.glob(pattern))
    if path.with_name(path.name + INDEX).is_file() or path.suffix == INDEX:
        return True
    return path.is_file() and foreign.kind_of(path) in KINDS


def load(path: str | Path, net: Net, top: bool = True) -> tuple[Tree, Tree]:
    """Returns the weights of a network, and of the predictors of its detector.

    Args:
        path: as in `tensorflow.reading.read`.
        net: the network.
        top: whether predictors are read, too.

    Returns:
        (params, state) with 'backbone', and with 'head' if `top` is set and there are predictors.

    Raises:
        UserError: the file cannot be read, or holds another network.
    """
    tensors, _ = variables(read(path))
    scope = SCOPE if any(name.startswith(f'{SCOPE}/') for name in tensors) else ''
    try:
        params, state = ({'backbone': tree} for tree in from_slim(tensors, net, scope))
    except UserError as error:
        raise UserError(f'{path}: {error}') from None
    head = head_arrays(tensors) if top else {}
    if head:
        parts = {False: {}, True: {}}
        for place, array in head.items():
            parts[place.rpartition('/')[2] in STATISTICS][place] = array
        params['head'], state['head'] = (unflatten_dict(part, sep='/') for part in parts.values())
    return params, state
