"""Small sound files of every kind that users bring, and what reads them: KINDS, {kind: (name of the
file, makes its bytes, reads it)}."""

import io
import json
import os
import tarfile
import zipfile
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

RANDOM = np.random.default_rng(0)
SIZE = {'size': 8}


def picture(ending: str, mode: str = 'RGB') -> bytes:
    """A picture of 24 x 20 pixels in noise."""
    shape = (20, 24, 3) if mode == 'RGB' else (20, 24)
    high = 65536 if mode == 'I;16' else 256
    pixels = RANDOM.integers(high, size=shape, dtype=np.uint16 if mode == 'I;16' else np.uint8)
    Image.fromarray(pixels).save(held := io.BytesIO(), ending)
    return held.getvalue()


def keras_file(ending: str):
    """Bytes of a Keras model whose lower layers are a Conv4 of one block."""

    def make(folder: Path) -> bytes:
        os.environ['KERAS_BACKEND'] = 'jax'
        import keras
        from keras import layers
        from keras_models import write_legacy

        model = keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                layers.Conv2D(4, 3, use_bias=False, name='conv1'),
                layers.BatchNormalization(name='norm1'),
                layers.GlobalAveragePooling2D(),
                layers.Dense(2, name='out'),
            ]
        )
        path = folder / f'made{ending}'
        write = {
            '_legacy.h5': lambda: write_legacy(path, model),
            '.weights.h5': lambda: model.save_weights(path),
        }
        write.get(ending, lambda: model.save(path))()
        whole = path.read_bytes()
        path.unlink()
        return whole

    return make


def read_keras(path: Path) -> None:
    from tljax.zoo import conv4
    from tljax.zoo.weights.keras import load

    load(path, conv4(width=4, blocks=1, size=8), 8)


def make_npz(folder: Path) -> bytes:
    np.savez_compressed(
        held := io.BytesIO(),
        input=RANDOM.integers(0, 256, (20, 8, 8, 3), np.uint8),
        label=np.arange(20) % 2,
        classes=['ants', 'bees'],
    )
    return held.getvalue()


def read_npz(path: Path) -> None:
    from tljax.parts import load

    load.__globals__['LOADED'].objects.clear()  # the same path holds other bytes each time
    whole(load({'name': 'npz', 'path': str(path)}))


def whole(splits: dict) -> None:
    """Reads every example, as a training would."""
    for split in splits.values():
        split.take(np.arange(split.size))


def make_csv(folder: Path) -> bytes:
    (folder / 'pictures').mkdir()
    for i in range(12):
        (folder / 'pictures' / f'p{i}.png').write_bytes(picture('PNG'))
    return (
        'filename,label,split\n'
        + ''.join(f'p{i}.png,{"ants" if i % 2 else "bees"},train\n' for i in range(12))
    ).encode()


def read_folder(path: Path) -> None:
    from tljax.data import folder

    whole(folder(path, **SIZE))


def members() -> dict[str, bytes]:
    return {
        f'insects/train/{name}/p{i}.png': picture('PNG')
        for name in ('ants', 'bees')
        for i in range(6)
    }


def make_zip(folder: Path) -> bytes:
    with zipfile.ZipFile(held := io.BytesIO(), 'w') as archive:
        for name, data in members().items():
            archive.writestr(name, data)
    return held.getvalue()


def make_tar(mode: str):
    def make(folder: Path) -> bytes:
        with tarfile.open(fileobj=(held := io.BytesIO()), mode=mode) as archive:
            for name, data in members().items():
                told = tarfile.TarInfo(name)
                told.size = len(data)
                archive.addfile(told, io.BytesIO(data))
        return held.getvalue()

    return make


def read_picture(path: Path) -> None:
    from tljax.data.finding import find
    from tljax.data.pictures import pictures

    pictures(find([path]), (8, 8, 3), 10).take(np.array([0]))


def make_config(folder: Path) -> bytes:
    root = Path(__file__).parents[2] / 'configs' / 'protonet.py'
    return root.read_bytes()


def read_config(path: Path) -> None:
    from experiments import config_file
    from tljax.configuration import phases

    phases(config_file.load(str(path)))


def make_settings(folder: Path) -> bytes:
    return (
        b'--config.optim.lr=3e-4\n--config.data.size=8\n--config.net.width=(4, 8)\n'
        b'--config.augment=("flip",)\n--config.seeds=(0, 1)\n'
    )


def read_settings(path: Path) -> None:
    """Lines of a command, as they stand in a flag file."""
    from experiments import config_file

    lines = path.read_bytes().decode(errors='surrogateescape').splitlines()
    config = config_file.load('configs/digits.py')
    _, _, settings = config_file.split(
        ['train', *(line for line in lines if line.startswith('--config.'))]
    )
    config_file.apply_settings(config, 'configs/digits.py', settings)


def make_labels(folder: Path) -> bytes:
    return b'0 ants\n1 bees\n2 wasps\n'


def read_labels(path: Path) -> None:
    from tljax.zoo.weights.class_names import class_index

    class_index(path)


def make_index(folder: Path) -> bytes:
    return b'{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}'


FROM_TENSORFLOW = Path(__file__).parents[1] / 'zoo' / 'from_tensorflow'


def tensorflow(name: str, *beside: str):
    """Bytes of a file that TensorFlow wrote, with others beside it."""

    def make(folder: Path) -> bytes:
        for other in beside:
            (folder / other).write_bytes((FROM_TENSORFLOW / other).read_bytes())
        return (FROM_TENSORFLOW / name).read_bytes()

    return make


def read_tensorflow(path: Path) -> None:
    from tljax.zoo.weights.tensorflow.variables import read_variables

    read_variables(path)


def read_unsummed(path: Path) -> None:
    """Reads a checkpoint as if its checksums fitted the damage."""
    from tljax.zoo.weights.tensorflow import table

    with mock.patch.object(table, 'is_sound', lambda data, checksum: True):
        read_tensorflow(path)


def make_manifest(folder: Path) -> bytes:
    kernel = RANDOM.normal(size=(1, 1, 2, 3)).astype(np.float32)
    (folder / 'shard1').write_bytes(kernel.tobytes() + bytes([0, 7, 255]))
    quantization = {'dtype': 'uint8', 'scale': 0.5, 'min': -1.0}
    weights = [
        {'name': 'Conv/weights', 'shape': [1, 1, 2, 3], 'dtype': 'float32'},
        {'name': 'Conv/biases', 'shape': [3], 'dtype': 'float32', 'quantization': quantization},
    ]
    groups = [{'paths': ['shard1'], 'weights': weights}]
    return json.dumps({'format': 'graph-model', 'weightsManifest': groups}).encode()


PARTS = 'partitioned.ckpt.index', 'partitioned.ckpt.data-00000-of-00001'

KINDS = {
    'legacy h5': ('a.h5', keras_file('_legacy.h5'), read_keras),
    'whole h5': ('a.h5', keras_file('.h5'), read_keras),
    'weights.h5': ('a.weights.h5', keras_file('.weights.h5'), read_keras),
    'keras': ('a.keras', keras_file('.keras'), read_keras),
    'npz': ('a.npz', make_npz, read_npz),
    'csv': ('a.csv', make_csv, read_folder),
    'zip': ('a.zip', make_zip, read_folder),
    'tar': ('a.tar', make_tar('w'), read_folder),
    'tar.gz': ('a.tar.gz', make_tar('w:gz'), read_folder),
    **{
        ending: (f'a.{ending}', lambda folder, ending=ending: picture(ending), read_picture)
        for ending in ('PNG', 'JPEG', 'TIFF', 'GIF', 'BMP', 'WEBP', 'PPM')
    },
    'grey16': ('a.png', lambda folder: picture('PNG', 'I;16'), read_picture),
    'config': ('a.py', make_config, read_config),
    'settings': ('flags.txt', make_settings, read_settings),
    'labels.txt': ('labels.txt', make_labels, read_labels),
    'class index': ('index.json', make_index, read_labels),
    'frozen graph': ('a.pb', tensorflow('constants.pb'), read_tensorflow),
    'checkpoint index': (PARTS[0], tensorflow(*PARTS), read_tensorflow),
    'checkpoint index unsummed': (PARTS[0], tensorflow(*PARTS), read_unsummed),
    'checkpoint numbers': (
        PARTS[1],
        tensorflow(*PARTS[::-1]),
        lambda path: read_tensorflow(path.parent),
    ),
    'model.json': ('model.json', make_manifest, read_tensorflow),
    'tflite int8': ('a.tflite', tensorflow('int8.tflite'), read_tensorflow),
    'tflite float16': ('a.tflite', tensorflow('float16.tflite'), read_tensorflow),
}
