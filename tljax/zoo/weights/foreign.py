"""Refuses files of weights in other formats, by the format's name and with the way to convert it
(docs/weights.md).

Pickles stay unread, because loading one runs the code in it. A format is recognised by the file's
first bytes or, where they do not tell, by the ending of the name.
"""

import json
import re
import zipfile
from pathlib import Path

from tljax.core import UserError

HDF5 = b'\x89HDF\r\n\x1a\n'
KINDS = {  # kind -> description, and how to convert it
    'torch': 'a PyTorch file, a pickle, which stays unread: convert it where PyTorch is installed',
    'pickle': 'a pickle, which stays unread, since loading one runs what it holds: convert it '
    'where it was made',
    'saved model': 'a TensorFlow SavedModel: load it in TensorFlow and save its Keras model as .h5',
    'checkpoint': 'a TensorFlow checkpoint: load it into its Keras model and call its save_weights',
    'graph': 'a TensorFlow graph: load its Keras model in TensorFlow and save that as .h5',
    'onnx': 'an ONNX model: take the weights of the model that it was exported from',
    'tflite': 'a TensorFlow Lite model: take the Keras model that it was converted from',
    'tfjs': 'a TensorFlow.js model: convert it to .h5 with tensorflowjs_converter',
    'safetensors': "a safetensors file, which networks with timm's names read: take one of those, "
    'or copy its arrays into a Keras model and save that as .h5',
    'numpy': 'a file of NumPy arrays, which tell no layers: copy them into a Keras model and save '
    'that as .h5',
    'shards': 'a part or the index of Keras weights in several files: load them into their model '
    'and save it as one file (model.save)',
    'hugging face': 'a model folder of Hugging Face: copy its arrays into a Keras model and save '
    'that as .h5',
    'orbax': 'a checkpoint of Orbax: name the run that it is in, or copy its arrays into a Keras '
    'model and save that as .h5',
    'gguf': 'a GGUF file, of a language model: tljax reads networks for pictures in Keras files '
    '(.h5, .keras) and safetensors',
    'msgpack': 'a MessagePack file, as Flax writes: copy its arrays '
    '(flax.serialization.msgpack_restore) into a Keras model and save that as .h5',
    'caffe': 'a Caffe model: copy its arrays into a Keras model and save that as .h5',
    'tensorrt': 'a TensorRT engine, made for one GPU: take the model that it was built from',
    'openvino': 'an OpenVINO model: take the model that it was converted from',
    'coreml': 'a Core ML model: take the model that it was converted from',
    'paddle': 'a PaddlePaddle file: copy its arrays into a Keras model and save that as .h5',
    'mxnet': 'an MXNet file: copy its arrays into a Keras model and save that as .h5',
    'darknet': 'a Darknet file: copy its arrays into a Keras model and save that as .h5',
    'matlab': 'a MATLAB file: copy its arrays into a Keras model and save that as .h5',
    'other run': 'a folder with the config.json of another program, and no run of tljax: name a '
    'Keras weights file (.h5, .keras) or a run',
    'pointer': 'a Git LFS pointer, not the file itself: fetch that (git lfs pull)',
    'zip': 'a ZIP without model.weights.h5: name the weights file in it',
    'run': 'a folder of a run: name it by --workdir, or by init.path',
    'folder': 'a folder: name a Keras weights file (.h5, .keras)',
}
MAGIC = {  # kind -> regex of its first bytes
    'pickle': rb'\x80[\x02-\x05]',
    'numpy': rb'\x93NUMPY',
    'tflite': rb'.{4}TFL3',
    'safetensors': rb'.{8}\{',
    'pointer': rb'version https://git-lfs',
    'gguf': rb'GGUF|GGML|ggjt|tjgg',
    'tensorrt': rb'ftrt|ptrt',
    'openvino': rb'\s*(<\?xml[^>]*>)?\s*<net\b',
    'matlab': rb'MATLAB ',
}
ENDINGS = {  # kind -> regex of the ending of its name
    'torch': r'\.(pt|pth|ckpt|bin|torchscript|pte|t7)',
    'pickle': r'\.(pkl|pickle|joblib)',
    'onnx': r'\.onnx',
    'graph': r'\.pb(txt)?',
    'tflite': r'\.tflite|\.lite',
    'tfjs': r'model\.json',
    'safetensors': r'\.safetensors',
    'numpy': r'\.np[yz]',
    'checkpoint': r'\.index|\.data-\d+-of-\d+',
    'shards': r'\.weights\.json',
    'gguf': r'\.gg(uf|ml)',
    'msgpack': r'\.(msgpack|flax)',
    'caffe': r'\.(caffemodel|prototxt)',
    'tensorrt': r'\.(engine|trt|plan)',
    'coreml': r'\.(mlmodel|mlpackage|mlmodelc)',
    'paddle': r'\.(pdparams|pdmodel|pdiparams|pdopt)',
    'mxnet': r'\.params',
    'darknet': r'\.weights',
    'matlab': r'\.mat',
}
# files beside the config.json of a model of Hugging Face
HUGGING_FACE = (
    '.safetensors',
    '.safetensors.index.json',
    '.msgpack',
    'pytorch_model.bin',
    'tf_model.h5',
    'model.onnx',
    'preprocessor_config.json',
)
# files in a checkpoint of Orbax
ORBAX = ('_METADATA', '_CHECKPOINT_METADATA', 'manifest.ocdbt')
SHARD = r'_\d{5}\.weights\.h5$'
READABLE = ('.h5', '.hdf5', '.keras')  # endings of Keras files; the content decides


def kind_of(path: str | Path) -> str:
    """Returns the kind of a file or folder, a key of KINDS; '' for a Keras file or an unknown one.

    Args:
        path: path of the file or folder. Where none exists, the ending of the name decides.

    >>> kind_of('resnet50.pth'), kind_of('resnet50.h5')
    ('torch', '')
    """
    path = Path(path)
    if path.is_dir():
        return _kind_of_folder(path)
    start = b''
    if path.is_file():
        with path.open('rb') as file:
            start = file.read(64)
    if start.startswith(HDF5):
        is_shard = re.search(SHARD, path.name) and any(path.parent.glob('*.weights.json'))
        return 'shards' if is_shard else ''
    if start.startswith(b'PK') and zipfile.is_zipfile(path):
        return _kind_of_zip(path)
    by_ending = _kind_by_ending(path.name)
    by_content = _kind_by_content(start)
    if by_ending == 'torch' and path.suffix == '.bin' and path.with_suffix('.xml').is_file():
        return 'openvino'  # the .xml file has the layers, the .bin file their numbers
    if by_content == 'pickle' and by_ending == 'torch':  # as PyTorch wrote until version 1.6
        return 'torch'
    return by_content or by_ending


def _kind_by_ending(name):
    for kind, ending in ENDINGS.items():
        if re.search(f'({ending})$', name, re.IGNORECASE):
            return kind
    return ''


def _kind_by_content(start):
    for kind, magic in MAGIC.items():
        if re.match(magic, start, re.DOTALL):
            return kind
    return ''


def _kind_of_folder(path):
    if (path / 'saved_model.pb').exists():
        return 'saved model'
    if any(path.glob('*.index')) and any(path.glob('*.data-*-of-*')):
        return 'checkpoint'
    if (path / 'model.json').exists():
        return 'tfjs'
    if (path / 'final').exists() or (path / 'phases.json').exists():
        return 'run'
    if (path / 'config.json').is_file():
        if any(any(path.glob(f'*{ending}')) for ending in HUGGING_FACE):
            return 'hugging face'
        return 'run' if is_record(path / 'config.json') else 'other run'
    if path.suffix in ('.mlpackage', '.mlmodelc'):
        return 'coreml'
    if any((path / name).exists() or any(path.glob(f'*/{name}')) for name in ORBAX):
        return 'orbax'
    return 'folder'


def _kind_of_zip(path):
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return ''  # the reader says how it is damaged
    if 'model.weights.h5' in names:
        return ''
    if 'model.weights.json' in names:
        return 'shards'
    if any(name.endswith('data.pkl') for name in names):
        return 'torch'
    if names and all(name.endswith('.npy') for name in names):
        return 'numpy'
    return 'saved model' if any(name.endswith('saved_model.pb') for name in names) else 'zip'


def is_record(config: str | Path) -> bool:
    """Tells whether a config.json is that of a run. A run's config has a number of steps.

    Args:
        config: path of the file.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'config.json')
    >>> _ = path.write_text('{"steps": 5}')
    >>> is_record(path)
    True
    """
    try:
        record = json.loads(Path(config).read_text(encoding='utf-8'))
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and isinstance(record.get('steps'), int)


def named_as_weights(place: str | Path) -> bool:
    """Tells whether a path means a file of weights, and not a run.

    A file does. So does a path where nothing exists, if its ending is that of a format of weights.

    Args:
        place: the path.

    >>> [named_as_weights(place) for place in ('weights.keras', 'model.pth', 'runs/mine')]
    [True, True, False]
    """
    path = Path(place).expanduser()
    return path.is_file() or not path.is_dir() and bool(path.suffix in READABLE or kind_of(path))


def refuse(path: str | Path) -> None:
    """Refuses a file of another format, with the format's name and the way to convert it.

    Args:
        path: path of a file or a folder. One that does not exist is not refused here.

    Raises:
        UserError: for another format, and for a folder.

    >>> import tempfile
    >>> refuse(tempfile.mkdtemp())
    Traceback (most recent call last):
    tljax.core.UserError: ... is a folder: name a Keras weights file (.h5, .keras) (docs/weights.md)
    """
    path = Path(path).expanduser()
    if path.exists() and (kind := kind_of(path)):
        raise UserError(f'{path} is {KINDS[kind]} (docs/weights.md)')


def refuse_no_run(path: str | Path) -> None:
    """Refuses a file, or a folder with another program's model, in place of a run's folder.

    Args:
        path: path that should be the folder of a run. One that does not exist is not refused here.

    Raises:
        UserError: for a file, a folder in another format, and the folder of another program.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / 'model.json').touch()
    >>> refuse_no_run(folder)
    Traceback (most recent call last):
    tljax.core.UserError: ... is a TensorFlow.js model: convert it to .h5 with ...
    """
    path = Path(path).expanduser()
    if path.is_file():
        raise UserError(
            f'{path} is a file, and a run is a folder: give weights by --model and --weights, or a '
            'run by its folder'
        )
    if path.is_dir() and kind_of(path) not in ('run', 'folder'):
        refuse(path)
