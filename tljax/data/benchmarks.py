"""The data sets of the literature on domain adaptation, read from the files that researchers hold. PACS is a folder (`data.folder`)."""
import gzip
import hashlib
import io
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from scipy.io import loadmat
from scipy.io.matlab import MatReadError
from sklearn.datasets import load_svmlight_file

from tljax.core import Dataset, Refused
from tljax.data.arrays import arrays
from tljax.data.npz import complete

DIGITS = tuple('0123456789')
OFFICE = ('backpack', 'bike', 'calculator', 'headphones', 'keyboard', 'laptop', 'monitor', 'mouse', 'mug', 'projector')
OFFICE_DOMAINS = {'amazon': 'amazon', 'caltech': 'Caltech10', 'dslr': 'dslr', 'webcam': 'webcam'}
REVIEWS = ('books', 'dvd', 'electronics', 'kitchen')
UNREADABLE = (OSError, EOFError, KeyError, ValueError, StopIteration, NotImplementedError, zlib.error, zipfile.BadZipFile, MatReadError)
PATCH, EDGE = 28, 2   # side of MNIST's pictures; what MNIST-M's 32 pixels have around them


def mnist(path, size=28, channels=1, validation=.05, seed=0):
    """Handwritten digits (LeCun et al. 1998): 60,000 to train on, 10,000 for the test; float32 in [0, 1], (n, size, size, channels).

    Args:
        path: the folder of `train-images-idx3-ubyte.gz` and the other three. size: pixels, scaled bilinearly. channels: 1, or 3 alike.
        validation: the share of train's classes that is cut off by `seed`.

    Raises:
        Refused: for a file that is missing or damaged, as all readers here.

    >>> mnist('nowhere')
    Traceback (most recent call last):
    tljax.core.Refused: nowhere/train-images-idx3-ubyte.gz does not exist: give data.path the folder of MNIST's four .gz files
    """
    parts = {split: _idx(Path(path).expanduser(), name) for split, name in (('train', 'train'), ('test', 't10k'))}
    return complete({split: pixels(_sized(pictures, size, channels), label, DIGITS) for split, (pictures, label) in parts.items()},
                    validation, 0, seed, path)


def usps(path, size=16, channels=1, validation=.05, seed=0):
    """Digits of envelopes (Hull 1994): 7,291 to train on, 2,007 for the test; float32 in [0, 1], (n, size, size, channels).

    Args:
        path: `usps.h5`: groups `train` and `test` with `data` (n, 256) in [0, 1], which is rounded to 256 greys, and `target` (n,). The
            rest as `mnist`.

    >>> usps('nowhere.h5')
    Traceback (most recent call last):
    tljax.core.Refused: nowhere.h5 does not exist: give data.path usps.h5, with data and target in train and test
    """
    remedy = 'give data.path usps.h5, with data and target in train and test'
    with _reading(path, remedy) as path, h5py.File(path) as file:
        parts = {split: (file[split]['data'][:].reshape(-1, 16, 16), file[split]['target'][:]) for split in ('train', 'test')}
        if any(grey.min() < 0 or grey.max() > 1 for grey, _ in parts.values()):
            raise ValueError('grey values outside of 0 to 1')
    parts = {split: (np.round(255 * grey).astype(np.uint8), label) for split, (grey, label) in parts.items()}
    return complete({split: pixels(_sized(pictures, size, channels), label, DIGITS) for split, (pictures, label) in parts.items()},
                    validation, 0, seed, path)


def mnist_m(path, mnist, photographs, validation=.05, seed=0):
    """MNIST's digits on photographs (Ganin and Lempitsky 2015, https://arxiv.org/abs/1409.7495, section 4), (n, 28, 28, 3) in [0, 1].

    The test pictures are those of the file, without their edge of two pixels. Those to train on are made by the published recipe: the
    absolute difference, in each channel, of a digit and a random window of a random photograph. Every pixel of a digit with any ink counts
    as full, which the paper does not say but its pictures show: 151 pixels of one are inverted on average, and 150.5 have ink.

    Args:
        path: a ZIP of pictures of 32 pixels, with a text file of lines "name label". mnist: folder of MNIST's four files, whose 60,000
            are blended. photographs: a folder of them, BSDS500 in the paper. validation: as `mnist`. seed: of windows and cut.

    >>> mnist_m('nowhere.zip', 'mnist', 'BSDS500')
    Traceback (most recent call last):
    tljax.core.Refused: nowhere.zip does not exist: give data.path a ZIP of MNIST-M's test pictures and their labels
    """
    remedy = "give data.path a ZIP of MNIST-M's test pictures and their labels"
    with _reading(path, remedy) as path, zipfile.ZipFile(path) as file:
        names = {Path(name).name: name for name in file.namelist()}
        table = next(name for name in names if name.endswith('.txt'))
        listed = [line.split() for line in file.read(names[table]).decode().splitlines() if line]
        label = np.array([int(digit) for _, digit in listed])
        test = np.stack([np.asarray(Image.open(io.BytesIO(file.read(names[name]))).convert('RGB')) for name, _ in listed])
        if test.shape[1:3] != (PATCH + 2 * EDGE,) * 2:
            raise ValueError(f'pictures of {test.shape[1]}x{test.shape[2]} pixels')
    digits, known = _idx(Path(mnist).expanduser(), 'train')
    splits = {'train': pixels(_blended(digits, Path(photographs).expanduser(), seed), known, DIGITS),
              'test': pixels(test[:, EDGE:-EDGE, EDGE:-EDGE], label, DIGITS)}
    return complete(splits, validation, 0, seed, path)


def office_caltech(path, domain):
    """Ten classes of objects as 800 visual words (Gong et al. 2012), one of four domains, as float32 that sum to 1 for each picture and
    are then standardised over the domain: (n, 800).

    Adaptation is transductive there: 'train' and 'test' are all pictures of the domain.

    Args:
        path: the folder of `amazon_SURF_L10.mat`, `Caltech10_SURF_L10.mat`, `dslr_SURF_L10.mat`, `webcam_SURF_L10.mat`.
        domain: 'amazon', 'caltech', 'dslr' or 'webcam'.

    >>> office_caltech('nowhere', 'office')
    Traceback (most recent call last):
    tljax.core.Refused: data.domain='office' is not one of amazon, caltech, dslr, webcam
    """
    if domain not in OFFICE_DOMAINS:
        raise Refused(f'data.domain={domain!r} is not one of {", ".join(OFFICE_DOMAINS)}')
    with _reading(Path(path, f'{OFFICE_DOMAINS[domain]}_SURF_L10.mat'), "give data.path the folder of the four .mat files") as path:
        stored = loadmat(path)
        words, label = stored['fts'].astype(float), stored['labels'].ravel().astype(np.int32) - 1
    words /= words.sum(1, keepdims=True)
    spread = words.std(0)
    everything = arrays(((words - words.mean(0)) / np.where(spread > 0, spread, 1)).astype(np.float32), label, OFFICE)
    return {'train': everything, 'test': everything}


def amazon_reviews(path, domain, counts=False, validation=.1, seed=0):
    """Reviews of products, good (1) or bad (0), as 5,000 words and pairs of words (Blitzer et al. 2007, in the form of Ganin et al. 2016,
    https://arxiv.org/abs/1505.07818, section 5.1): (n, 5000) float32; 2,000 to train on, 3,586 to 5,945 for the test.

    Args:
        path: the folder of `books_train.svmlight.gz` and the others. domain: 'books', 'dvd', 'electronics' or 'kitchen'.
        counts: how often a word occurs; otherwise whether it does. validation, seed: as `mnist`.

    >>> amazon_reviews('nowhere', 'books')
    Traceback (most recent call last):
    tljax.core.Refused: nowhere/books_train.svmlight.gz does not exist: give data.path the folder of the eight .svmlight.gz files
    """
    if domain not in REVIEWS:
        raise Refused(f'data.domain={domain!r} is not one of {", ".join(REVIEWS)}')
    splits = {}
    for split in ('train', 'test'):
        with _reading(Path(path, f'{domain}_{split}.svmlight.gz'), 'give data.path the folder of the eight .svmlight.gz files') as file:
            words, label = load_svmlight_file(str(file), n_features=5000, zero_based=True)
            if not len(label):
                raise ValueError('no reviews')
        words = words if counts else words > 0
        splits[split] = arrays(words.astype(np.float32).toarray(), (label > 0).astype(np.int32), ('bad', 'good'))
    return complete(splits, validation, 0, seed, path)


def pixels(pictures, label, classes):
    """A Dataset of pictures that are kept as bytes and given as float32 in [0, 1].

    Args:
        pictures: uint8 (n, h, w, c). label: (n,) integers. classes: their names.

    >>> pixels(np.full((1, 1, 1, 1), 255, np.uint8), [0], ('white',)).take(np.array([0]))['input'].ravel()
    array([1.], dtype=float32)
    """
    label = np.asarray(label, np.int32)
    whole = arrays(pictures, label, classes)
    return Dataset(lambda index: {'input': pictures[index] / np.float32(255), 'label': label[index]}, label, whole.classes,
                   hashlib.sha256(whole.fingerprint.encode() + b'pixels').hexdigest())


def _idx(folder, name):
    """(pictures (n, 28, 28) uint8, labels (n,)) of two idx files: http://yann.lecun.com/exdb/mnist, 'file formats'."""
    found = []
    for kind, start in (('images-idx3', 16), ('labels-idx1', 8)):
        with _reading(folder / f'{name}-{kind}-ubyte.gz', "give data.path the folder of MNIST's four .gz files") as path:
            raw = gzip.decompress(path.read_bytes())
            shape = np.frombuffer(raw, '>i4', start // 4 - 1, 4)
            found.append(np.frombuffer(raw, np.uint8, offset=start).reshape(shape))
    return tuple(found)


def _sized(pictures, size, channels):
    if channels not in (1, 3) or size < 1:
        raise Refused(f'data.size={size}, data.channels={channels}: give one pixel or more, and 1 or 3 channels')
    if size != pictures.shape[1]:
        pictures = np.stack([np.asarray(Image.fromarray(each).resize((size, size), Image.Resampling.BILINEAR)) for each in pictures])
    return np.repeat(pictures[..., None], channels, -1)


def _blended(digits, folder, seed):
    files = sorted(path for path in folder.rglob('*') if path.suffix.lower() in ('.jpg', '.jpeg', '.png'))
    if not files:
        raise Refused(f'{folder} holds no photographs: give data.photographs a folder of them, such as BSDS500')
    photographs = []
    for file in files:
        with _reading(file, 'remove it from data.photographs') as path:
            photographs.append(np.asarray(Image.open(path).convert('RGB')))
            if min(photographs[-1].shape[:2]) < PATCH:
                raise ValueError(f'fewer than {PATCH} pixels a side')
    rng, blended = np.random.default_rng([9, seed]), np.empty((len(digits), PATCH, PATCH, 3), np.uint8)
    for i, digit in enumerate(digits):
        photograph = photographs[rng.integers(len(photographs))]
        top, left = (rng.integers(side - PATCH + 1) for side in photograph.shape[:2])
        blended[i] = np.abs(photograph[top:top + PATCH, left:left + PATCH].astype(np.int16) - 255 * (digit[..., None] > 0))
    return blended


@contextmanager
def _reading(path, remedy):
    """The path of a file that is there; whatever goes wrong in reading it is told in one line."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise Refused(f'{path} does not exist: {remedy}')
    try:
        yield path
    except UNREADABLE as error:
        raise Refused(f'{path} cannot be read ({type(error).__name__}: {str(error)[:80]}): copy it again; {remedy}') from error
