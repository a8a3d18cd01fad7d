"""Reads files of named tensors, as PyTorch's networks have them, into parameters of the zoo's
networks: `.safetensors`, and `.npz`.

The networks have timm's layer names: `blocks.0.0/conv_dw/kernel` here is
`blocks.0.0.conv_dw.weight` there. Files with the names of torchvision, Hugging Face's transformers
or Google are renamed first (`names`, and `clip` for both of CLIP's towers). Every tensor must be
used, or be the linear layer above the network.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes  # noqa: F401  NumPy's bfloat16, which safetensors needs
import numpy as np
from flax.traverse_util import unflatten_dict

from tljax.core import Net, UserError, abbreviated
from tljax.paths import flatten
from tljax.zoo.table import ROWS
from tljax.zoo.weights import clip, foreign, names
from tljax.zoo.weights.above import Above
from tljax.zoo.weights.loaded import Loaded

Tensors = Mapping[str, np.ndarray]
# a leaf's name here: its name in PyTorch
LEAVES = {
    'kernel': 'weight',
    'scale': 'weight',
    'bias': 'bias',
    'mean': 'running_mean',
    'var': 'running_var',
}
# types of safetensors that NumPy has, too
PLAIN = {'F64', 'F32', 'F16', 'BF16', 'I64', 'I32', 'I16', 'I8', 'U64', 'U32', 'U16', 'U8', 'BOOL'}
LARGEST = 2**34  # bytes of the arrays of an .npz file, at most


def read(path: str | Path) -> dict[str, np.ndarray]:
    """Returns the tensors of a file by name, as float32; tensors of integers are left out.

    Args:
        path: path of a `.safetensors` or `.npz` file. Its ending does not matter.

    Raises:
        UserError: for a damaged file, and for tensors of a type that holds no plain numbers.

    >>> import tempfile
    >>> from safetensors.numpy import save_file
    >>> path = Path(tempfile.mkdtemp(), 'toy.safetensors')
    >>> save_file({'fc.weight': np.ones((2, 3), np.float16)}, path)
    >>> {name: (tensor.shape, str(tensor.dtype)) for name, tensor in read(path).items()}
    {'fc.weight': ((2, 3), 'float32')}
    """
    reader = _read_npz if zipfile.is_zipfile(path) else _read_safetensors
    try:
        tensors = reader(path)
    except UserError as error:
        raise UserError(f'{path} {error}') from None
    except Exception as error:  # damage raises errors of any kind
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f'{path} is cut off or damaged ({line[:100]}): copy or download it again'
        ) from error
    return {
        name: np.asarray(tensor, np.float32)
        for name, tensor in tensors.items()
        if not np.issubdtype(tensor.dtype, np.integer)
    }


def _read_safetensors(path):
    from safetensors import safe_open  # imported late, for a quick start

    with safe_open(path, 'np') as file:
        kinds = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
        if unknown := kinds - PLAIN:
            raise UserError(
                f'holds tensors in {abbreviated(sorted(unknown))}: save them as F32, F16 or BF16'
            )
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _read_npz(path):
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > LARGEST:
            raise UserError(f'unpacks to more than {LARGEST:,} bytes: save its arrays as .npy')
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays}


def load(path: str | Path, net: Net, size: int) -> Loaded:
    """Reads parameters and statistics of a network from a file of tensors.

    Args:
        path: path of the file.
        net: a network of the zoo, with timm's names.
        size: side of the inputs that set the shapes of the parameters, pixels.

    Raises:
        UserError: as `read`; for weights of another network, with the tensors that the file lacks,
            those that the network does not have, and the shapes that differ; for numbers that are
            not finite.

    >>> from tljax.zoo import convnext
    >>> load('nowhere.safetensors', convnext(), size=224)
    Traceback (most recent call last):
    tljax.core.UserError: nowhere.safetensors does not exist: name a file of weights ...
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(f'{path} does not exist: name a file of weights (.safetensors, .npz)')
    shapes = jax.eval_shape(
        net.init, jax.random.key(0), jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    )
    family, blocks = ROWS[net.published['name']].module, list(shapes[0])
    if family == 'clip':
        tensors = clip.as_in_timm(read(path))
        text = flatten(clip.text_shapes(tensors, net.dim))
    else:
        tensors, text = names.as_in_timm(read(path), family, blocks), {}
    params, state = (flatten(tree) for tree in shapes)
    leaves = {**params, **state, **text}
    expected = {leaf: tensor_name(leaf) for leaf in leaves}
    head = _head(tensors, set(expected.values()), net.dim)
    arrays, differing = {}, []
    for leaf, name in expected.items():
        if name not in tensors:
            continue
        shape = leaves[leaf].shape
        array = as_in_flax(tensors[name], leaf, len(shape))
        arrays[leaf] = array
        if array.shape != shape:
            differing.append(f'{name} {_text(array.shape)} for {_text(shape)}')
    reasons = {
        'it lacks': [name for name in expected.values() if name not in tensors],
        'it has, unasked for,': [
            name for name in tensors if name not in {*expected.values(), *head}
        ],
        'shapes differ at': differing,
        'not finite at': [name for name in tensors if not np.isfinite(tensors[name]).all()],
    }
    texts = [f'{reason} {abbreviated(found, 8)}' for reason, found in reasons.items() if found]
    if texts:
        raise UserError(
            f'{path} holds the weights of another network or is damaged ({"; ".join(texts)}): name '
            'the network it was made for'
        )
    above = _above(tensors, head) if head or family != 'clip' else Above(why=clip.WHY)
    return Loaded(
        params={
            'backbone': unflatten_dict({leaf: arrays[leaf] for leaf in params}, sep='/'),
            **({'head': above.head} if above.head else {}),
        },
        state={'backbone': unflatten_dict({leaf: arrays[leaf] for leaf in state}, sep='/')},
        above=above,
        spare=above.names,
        shape=(),
        prepared=(),
        before=(),
        text=unflatten_dict({leaf: arrays[leaf] for leaf in text}, sep='/').get('text', {}),
    )


def tensor_name(path: str) -> str:
    """Returns PyTorch's name of a parameter or statistic.

    Args:
        path: path of the parameter or statistic here.

    >>> tensor_name('blocks.0.0/bn1/scale'), tensor_name('pos_embed')
    ('blocks.0.0.bn1.weight', 'pos_embed')
    """
    *layer, leaf = path.split('/')
    return '.'.join([*layer, LEAVES.get(leaf, leaf)])


def as_in_flax(array: np.ndarray, leaf: str, axes: int) -> np.ndarray:
    """Returns a tensor of PyTorch in Flax's order of axes.

    Kernels of dense layers are (out, in) there, and those of convolutions (out, in, height, width).
    A dense layer may be a 1x1 convolution on either side.

    Args:
        array: the tensor.
        leaf: path of the parameter here.
        axes: number of axes of the parameter here.

    >>> as_in_flax(np.zeros((8, 3, 5, 5)), 'stem/kernel', 4).shape
    (5, 5, 3, 8)
    >>> as_in_flax(np.zeros((8, 3)), 'fc/kernel', 4).shape
    (1, 1, 3, 8)
    """
    if leaf.rsplit('/', 1)[-1] != 'kernel' or array.ndim not in (2, 4):
        return array
    if array.ndim == 2:
        return array.T if axes == 2 else array.T[None, None]
    kernel = array.transpose(2, 3, 1, 0)
    return kernel[0, 0] if axes == 2 and kernel.shape[:2] == (1, 1) else kernel


def _head(tensors: Tensors, used: set[str], dim: int) -> tuple[str, ...]:
    """Names of the tensors of the one linear layer above the network, kernel first; () if none."""
    spare = [name for name in tensors if name not in used]
    kernels = [
        name
        for name in spare
        if name.endswith('.weight') and np.squeeze(tensors[name]).shape[1:] == (dim,)
    ]
    if len(kernels) != 1:
        return ()
    bias = kernels[0].removesuffix('weight') + 'bias'
    return (kernels[0], bias) if bias in spare else (kernels[0],)


def _above(tensors: Tensors, head: tuple[str, ...]) -> Above:
    if not head:
        return Above()
    kernel, *bias = (tensors[name] for name in head)
    kernel = kernel.reshape(len(kernel), -1).T
    return Above(
        {'kernel': kernel, 'bias': bias[0] if bias else np.zeros(len(kernel.T), np.float32)},
        names=(head[0].removesuffix('.weight'),),
    )


def _text(shape):
    return 'x'.join(map(str, shape)) or 'scalar'


def is_tensors(path: str | Path) -> bool:
    """Tells whether a file holds named tensors: safetensors, or arrays of NumPy.

    Args:
        path: path of the file. Where none exists, the ending of the name decides.

    >>> is_tensors('efficientnet_lite0.safetensors'), is_tensors('mobilenet.h5')
    (True, False)
    """
    path = Path(path).expanduser()
    return foreign.kind_of(path) in ('safetensors', 'numpy') and path.suffix != '.npy'
