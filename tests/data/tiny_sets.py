"""Tiny sets in the formats of the literature's data sets."""

import gzip
import io
import struct
import zipfile

import h5py
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import dump_svmlight_file

from tljax.core import UserError
from tljax.data.sets.amazon_reviews import amazon_reviews
from tljax.data.sets.mnist import mnist
from tljax.data.sets.mnist_m import mnist_m
from tljax.data.sets.office_caltech import office_caltech
from tljax.data.sets.usps import usps

LABEL = np.arange(40) % 10

PHOTOGRAPH = (250, 100, 3)


def random(seed, *shape, low=0, high=256):
    return np.random.default_rng(seed).integers(low, high, shape, np.uint8)


def unit(pixels):
    return pixels / np.float32(255)


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'PNG')
    return file.getvalue()


def write_idx(folder, name, pictures, label):
    for kind, magic, values in (('images-idx3', 2051, pictures), ('labels-idx1', 2049, label)):
        header = struct.pack(f'>{1 + values.ndim}i', magic, *values.shape)
        (folder / f'{name}-{kind}-ubyte.gz').write_bytes(
            gzip.compress(header + values.astype(np.uint8).tobytes())
        )


def write_usps(path, scale=1.0, shift=0.0):
    with h5py.File(path, 'w') as file:
        for seed, split in enumerate(('train', 'test'), 2):
            file[f'{split}/data'] = scale * unit(random(seed, 40, 256)) + shift
            file[f'{split}/target'] = LABEL


def write_mnist_m(path, listed=None):
    with zipfile.ZipFile(path, 'w') as file:
        for i, picture in enumerate(random(4, 10, 32, 32, 3)):
            file.writestr(f'test/{i}.png', png(picture))
        file.writestr(
            'test/labels.txt',
            ''.join(f'{i}.png {9 - i}\n' for i in range(10)) if listed is None else listed,
        )


def write_photograph(root, pixels, name='1.PNG'):
    (root / 'photographs' / 'train').mkdir(parents=True, exist_ok=True)
    (root / 'photographs' / 'train' / name).write_bytes(png(np.asarray(pixels, np.uint8)))


def write_reviews(path, words):
    file = io.BytesIO()
    dump_svmlight_file(words.astype(float), np.where(LABEL % 2, 1, -1), file, zero_based=True)
    path.write_bytes(gzip.compress(file.getvalue()))


def read_mnist(root, *size):
    return mnist(root / 'mnist', *size, validation=0.25)


def read_usps(root):
    return usps(root / 'usps.h5', validation=0.25)


def read_mnist_m(root, seed=0):
    return mnist_m(
        root / 'mnist_m.zip', root / 'mnist', root / 'photographs', validation=0.25, seed=seed
    )


def read_webcam(root):
    return office_caltech(root, 'webcam')


def read_books(root):
    return amazon_reviews(root, 'books')


def rows(splits, *names):
    """Inputs and labels of splits, one after the other."""
    batches = [splits[name].take(np.arange(splits[name].size)) for name in names]
    return tuple(np.concatenate([batch[key] for batch in batches]) for key in ('input', 'label'))


def same(found, input, label, ordered=True):
    """Whether the rows are those expected; in any order where a split was cut off, as `cut` has
    tests of its own."""
    assert (
        found[0].dtype == input.dtype == np.float32
        and found[1].dtype.kind == 'i'
        and found[0].shape == input.shape
    )
    pairs = [
        [(row.tobytes(), int(each)) for row, each in zip(*columns, strict=True)]
        for columns in (found, (input, label))
    ]
    assert pairs[0] == pairs[1] if ordered else sorted(pairs[0]) == sorted(pairs[1])


def sizes(splits):
    return {name: split.size for name, split in splits.items()}


def refused(call, *words):
    with pytest.raises(UserError) as refusal:
        call()
    assert all(str(word) in str(refusal.value) for word in words) and '\n' not in str(refusal.value)
