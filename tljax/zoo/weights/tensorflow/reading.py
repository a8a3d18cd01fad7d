"""Reads the tensors of a file of TensorFlow, whichever of four formats it has."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tljax.core import UserError, abbreviated
from tljax.zoo.weights import foreign
from tljax.zoo.weights.tensorflow import checkpoint, frozen, javascript, lite, table
from tljax.zoo.weights.tensorflow.stored import Stored, damaged

REMEDY = (
    'name a frozen graph (.pb), a checkpoint (model.ckpt), a model.json of TensorFlow.js or a '
    '.tflite file'
)
INDEX = '.index'
# what a folder is searched for, in this order: a published folder has the same numbers twice
PATTERNS = ('*.index', 'model.json', '*weights_manifest.json', '*.tflite', '*.pb')
ARCHIVES = (b'PK', b'\x1f\x8b', b'BZh', b'\xfd7zXZ')


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """Returns the tensors of a file of TensorFlow by TensorFlow's names.

    The content of the file decides what it is:

    - a frozen graph, `frozen_inference_graph.pb`: its constants;
    - a checkpoint, `model.ckpt` (or its `.index`): its variables;
    - a model of TensorFlow.js, `model.json`: its weights, dequantised;
    - a model of TensorFlow Lite, `.tflite`: its constants, dequantised.

    A folder with one such file stands for it. If it has a checkpoint and a frozen graph, as
    published detectors have, the checkpoint is read.

    Args:
        path: path of the file or folder.

    Returns:
        {name: array} of all types of numbers; tensors of texts are left out. Arrays may be
        read-only.

    Raises:
        UserError: the file is absent, damaged, larger than its arrays, or of another format; a
            library is not installed.

    >>> import json, tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / 'shard').write_bytes(np.float32([1, 2]).tobytes())
    >>> weights = [{'name': 'scale', 'shape': [2], 'dtype': 'float32'}]
    >>> text = json.dumps({'weightsManifest': [{'paths': ['shard'], 'weights': weights}]})
    >>> _ = (folder / 'model.json').write_text(text)
    >>> {name: array.tolist() for name, array in read_tensors(folder).items()}
    {'scale': [1.0, 2.0]}
    """
    return read(path).tensors


def read(path: str | Path) -> Stored:
    """Returns the content of a file of TensorFlow.

    Args:
        path: path of the file or folder, as in `read_tensors`.

    Raises:
        UserError: as `read_tensors`.

    >>> read('nowhere.pb')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere.pb does not exist: name a frozen graph (.pb), a checkpoint ...
    """
    path = Path(path).expanduser()
    file = _file_of(path)
    try:
        return _reader(file)(file)
    except UserError as error:
        raise UserError(f'{file} {error}') from None
    except Exception as error:  # damage raises errors of any kind
        line = (str(error).splitlines() or [''])[0] or type(error).__name__
        raise UserError(f'{file} {damaged(line)}') from error


def _file_of(path: Path) -> Path:
    """The file that a path stands for."""
    if path.is_dir():
        for pattern in PATTERNS:
            files = sorted(file for file in path.glob(pattern) if file.name != 'saved_model.pb')
            if len(files) > 1:
                raise UserError(
                    f'{path} has several files {pattern} '
                    f'({abbreviated((file.name for file in files), 4)}): name one of them'
                )
            if files:
                return files[0]
        if (path / 'saved_model.pb').exists():
            raise UserError(
                f'{path} is a SavedModel: name its variables ({path / "variables"}), if there are '
                'any, or a checkpoint or frozen graph of the model'
            )
        raise UserError(f'{path} holds no weights of TensorFlow: {REMEDY}')
    if path.is_file():
        return path
    if (index := path.with_name(path.name + INDEX)).is_file():
        return index
    raise UserError(f'{path} does not exist: {REMEDY}')


def _reader(file: Path) -> Callable[[Path], Stored]:
    """The reader of a file. Its messages lack the name of the file."""
    with file.open('rb') as opened:
        start = opened.read(64)
        opened.seek(max(file.stat().st_size - len(table.MAGIC), 0))
        is_table = opened.read() == table.MAGIC
    if start[4:8] == b'TFL3':
        return lite.read
    if file.suffix == INDEX:
        return checkpoint.read
    if is_table:
        raise UserError(
            'is a checkpoint of version 1, in one file: save it again with '
            'tf.compat.v1.train.Saver, or name its index (model.ckpt.index)'
        )
    if start.lstrip()[:1] in (b'{', b'[') and file.suffix == '.json':
        return javascript.read
    if '.data-' in file.name:
        raise UserError('is a part of a checkpoint: name its index (model.ckpt.index)')
    if file.suffix == '.pb':
        return frozen.read
    if start.startswith(ARCHIVES):
        raise UserError('is an archive: unpack it and name the folder in it')
    kind = foreign.KINDS.get(foreign.kind_of(file), '').partition(':')[0]
    raise UserError(f'is {kind or "no file of weights of TensorFlow"}: {REMEDY}')
