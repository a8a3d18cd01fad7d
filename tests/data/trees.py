"""Small folders, ZIPs and tars of pictures, as tests write them."""

import tarfile
import zipfile

import numpy as np
from PIL import Image

LABEL = np.repeat([0, 1], 10)


def pixels(seed, height=6, width=6, channels=3):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def save(path, seed=0, **keywords):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(seed)).save(path, **keywords)


def tree(root, classes=('cat', 'dog'), count=10):
    """`count` random pictures a class; picture `number` of class c has the seed 100 c + number."""
    for c, name in enumerate(classes):
        for number in range(count):
            save(root / name / f'{number:02}.png', 100 * c + number)
    return root


def zipped(root, path):
    with zipfile.ZipFile(path, 'w') as archive:
        for member in sorted(root.rglob('*')):
            archive.write(member, member.relative_to(root))
    return path


def tarred(root, path, mode='w'):
    with tarfile.open(path, mode) as archive:
        archive.add(root, '.')
    return path


def everything(split):
    return split.take(np.arange(split.size))


def sizes(splits):
    return {name: split.size for name, split in splits.items()}
