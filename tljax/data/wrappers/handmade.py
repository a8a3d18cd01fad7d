"""Hand-made features of pictures: histograms of oriented gradients, and bags of visual words.

They are what transfer was compared with before features were learnt: nobody trained them on
another task. scikit-image computes gradients and descriptors (`pip install 'tljax[handmade]'`).
Features are computed once, and kept in the cache.
"""

from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np
import scipy.sparse as sparse
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.metrics import pairwise_distances_argmin

from tljax.core import Dataset, UserError
from tljax.data.purposes import Purpose
from tljax.data.several_tasks import with_inputs
from tljax.data.splits import each_split
from tljax.data.wrappers.resampled import LUMA
from tljax.files.cache import cached_arrays
from tljax.files.console import progress

LENGTHS = {'sift': 128, 'orb': 256}  # numbers, or bits, of a descriptor
# side of a picture, in pixels: SIFT's smallest octave has 12 after doubling, and ORB has no
# descriptors within 20 of a border
SMALLEST = {'sift': 6, 'orb': 41}
KEYPOINTS = 500  # most keypoints of ORB in a picture, those with the sharpest corners
SAMPLE = 20_000  # descriptors of which visual words are made
ROUNDS = 50  # most iterations of the clustering
BATCH = 256  # pictures in memory at a time
REMEDY = "enlarge them by dict(name='resampled', size=...) around the data"
Arrays = dict[str, np.ndarray]


def handmade_hog(
    splits: dict[str, Dataset], cell: int = 8, block: int = 2, orientations: int = 9
) -> dict[str, Dataset]:
    """Turns pictures into histograms of oriented gradients (HOG), float32.

    A histogram counts the gradients of a cell by their direction, weighted by their length. The
    histograms of a block of cells are normalised together (L2-Hys), once for each block that a cell
    belongs to. The gradient of a pixel is that of the channel where it is longest. Unlike in the
    paper, a gradient counts in one bin of one cell alone.

    Args:
        splits: splits of pictures (height, width, channels), or of `domains` of pictures.
        cell: side of a cell, in pixels; pixels that fill no cell are left out.
        block: side of a block, in cells.
        orientations: number of directions, without sign, from 0 to 180 degrees.

    Returns:
        The splits with inputs (d,), where d is the number of blocks times block^2 * orientations.

    Raises:
        UserError: scikit-image is not installed, the inputs are no pictures, a number is below 1,
            or a block is larger than a picture.

    Source: Dalal and Triggs, Histograms of oriented gradients for human detection, 2005, section 6
    (https://doi.org/10.1109/CVPR.2005.177).

    >>> from tljax.data import digits, resampled
    >>> pictures = resampled(digits(), size=16, channels=1, most=30)
    >>> handmade_hog(pictures, cell=4)['test'].take(np.array([0]))['input'].shape  # 3 x 3 blocks
    (1, 324)
    """
    feature, version = _library()
    if min(cell, block, orientations) < 1:
        raise UserError(
            f'data.cell={cell}, data.block={block}, data.orientations={orientations}: give whole '
            'numbers of 1 or more'
        )

    def histogram(picture):
        return feature.hog(
            picture, orientations, (cell, cell), (block, block), 'L2-Hys', channel_axis=-1
        )

    def make(split):
        _refuse_small(split, cell * block, f'a block of {block} cells of {cell} pixels has')
        key = ['hand-made', 'hog', version, cell, block, orientations, split.fingerprint]
        features = cached_arrays(key, lambda: {'features': np.stack(_each(split, histogram))})
        return with_inputs(split, features['features'])

    return each_split(splits, make)


def handmade_bag(
    splits: dict[str, Dataset], descriptor: str = 'sift', words: int = 300, seed: int = 0
) -> dict[str, Dataset]:
    """Turns pictures into bags of visual words: how often each word occurs, float32 (words,).

    A picture has a descriptor at each of its keypoints, and a descriptor stands for the nearest
    word. Words are centres of the training pictures' descriptors. Labels are not used. Counts are
    divided by their sum, and their roots are taken, so that the product of two bags is the
    Hellinger kernel. A picture without keypoints, such as one of a single grey, has zeros.

    SIFT's descriptors are roots of shares, too (RootSIFT), and words come from k-means. ORB's are
    256 bits: words are the majorities of bits, in a k-means of Hamming distances.

    Args:
        splits: splits of pictures (height, width, 1 or 3), or of `domains`, whose words come from
            the training pictures of both domains; colour becomes luma.
        descriptor: 'sift', or 'orb'. SIFT doubles the size of a picture first.
        words: number of words, which are made of SAMPLE descriptors at most.
        seed: seed of this sample, and of the first centres.

    Returns:
        The splits with inputs (words,).

    Raises:
        UserError: scikit-image is not installed, the descriptor is unknown, the inputs are no
            pictures of 1 or 3 channels or too small to have a descriptor, or the training pictures
            have fewer descriptors than `words`.

    Sources:
        bags: Csurka et al., Visual categorization with bags of keypoints, 2004.
        SIFT: Lowe 2004 (https://doi.org/10.1023/B:VISI.0000029664.99615.94), as Rey Otero and
        Delbracio 2014 describe it (https://doi.org/10.5201/ipol.2014.82).
        ORB: Rublee et al. 2011 (https://doi.org/10.1109/ICCV.2011.6126544).
        roots: Arandjelović and Zisserman 2012 (https://doi.org/10.1109/CVPR.2012.6248018).
        majorities: Grana et al., A fast approach for integrating ORB descriptors in the bag of
        words model, 2013.

    >>> from tljax.data import digits, resampled
    >>> pictures = resampled(digits(size=8), size=48, channels=1, most=30)
    >>> bag = handmade_bag(pictures, words=20)['test'].take(np.array([0]))['input']
    >>> bag.shape, round(float((bag**2).sum()), 4)
    ((1, 20), 1.0)
    """
    feature, version = _library()
    if descriptor not in LENGTHS:
        raise UserError(f'data.descriptor={descriptor!r} is unknown: give sift or orb')
    if words < 2:
        raise UserError(f'data.words={words}: give a whole number of 2 or more')

    def described(split):
        _refuse_small(split, SMALLEST[descriptor], f'a descriptor of {descriptor.upper()} needs')
        return cached_arrays(
            ['hand-made', descriptor, version, KEYPOINTS, split.fingerprint],
            lambda: _stacked(_each(split, lambda picture: descriptors(picture, descriptor))),
        )

    training = [splits['train'], *([splits['target']] if splits['train'].target else [])]
    prints = [split.fingerprint for split in training]
    key = [descriptor, version, KEYPOINTS, SAMPLE, ROUNDS, words, seed, *prints]

    def vocabulary():
        found = np.concatenate([described(split)['descriptors'] for split in training])
        return {'words': visual_words(found, descriptor, words, seed)}

    def make(split):
        def counted():
            found = described(split)
            word = nearest_words(found['descriptors'], descriptor, vocabulary_words)
            return {'features': bags(word, found['counts'], words)}

        features = cached_arrays(['hand-made', 'bag', *key, split.fingerprint], counted)
        return with_inputs(split, features['features'])

    vocabulary_words = cached_arrays(['hand-made', 'words', *key], vocabulary)['words']
    return each_split(splits, make)


def descriptors(picture: np.ndarray, descriptor: str) -> np.ndarray:
    """Returns the descriptors at the keypoints of a picture.

    Args:
        picture: (height, width, 1 or 3), in [0, 1].
        descriptor: 'sift' or 'orb'.

    Returns:
        (keypoints, 128) uint8 for SIFT, (keypoints, 32) bytes of 8 bits each for ORB; no rows for a
        picture without keypoints.

    Raises:
        UserError: scikit-image is not installed, or the picture has neither 1 nor 3 channels.

    >>> descriptors(np.ones((50, 50, 1), np.float32), 'orb').shape
    (0, 32)
    """
    feature, _ = _library()
    if picture.shape[-1] not in (1, 3):
        raise UserError(
            f'pictures of shape {picture.shape}: keypoints are of grey pictures or of colour, '
            'with 1 or 3 channels'
        )
    grey = picture @ np.array(LUMA, np.float32) if picture.shape[-1] == 3 else picture[..., 0]
    extractor = feature.SIFT() if descriptor == 'sift' else feature.ORB(KEYPOINTS)
    try:
        extractor.detect_and_extract(grey)
    except RuntimeError as error:
        if 'found no features' not in str(error):
            raise
        found = np.zeros((0, LENGTHS[descriptor]), np.uint8)
    else:
        found = extractor.descriptors
    return found if descriptor == 'sift' else np.packbits(found, axis=1)


def visual_words(found: np.ndarray, descriptor: str, words: int, seed: int = 0) -> np.ndarray:
    """Clusters descriptors: by k-means of roots for SIFT, by majorities of bits for ORB.

    Args:
        found: descriptors (m, 128) or (m, 32), as `descriptors` returns them.
        descriptor: 'sift' or 'orb'.
        words: number of clusters.
        seed: seed of the SAMPLE descriptors that are clustered, and of the first centres.

    Returns:
        (words, 128) or (words, 256) float32; ORB's numbers are 0 and 1.

    Raises:
        UserError: there are fewer descriptors than words.

    >>> found = np.packbits(np.repeat([[0] * 256, [1] * 256], 3, axis=0), axis=1)
    >>> sorted(visual_words(found, 'orb', words=2).mean(1).tolist())
    [0.0, 1.0]
    """
    if len(found) < words:
        raise UserError(
            f'data.words={words}, and the training pictures have {len(found)} descriptors of '
            f'{descriptor.upper()}: give fewer words, or pictures with more contrast, or {REMEDY}'
        )
    if len(found) > SAMPLE:
        order = np.random.default_rng([Purpose.DESCRIPTORS, seed]).permutation(len(found))
        found = found[np.sort(order[:SAMPLE])]
    x = _points(found, descriptor)
    if descriptor == 'orb':
        return _majorities(x, words, seed)
    return KMeans(words, max_iter=ROUNDS, random_state=seed).fit(x).cluster_centers_


def nearest_words(found: np.ndarray, descriptor: str, vocabulary: np.ndarray) -> np.ndarray:
    """Returns the number of the word that is nearest to each descriptor, (m,).

    Args:
        found: descriptors, as `descriptors` returns them.
        descriptor: 'sift' or 'orb'.
        vocabulary: words, as `visual_words` returns them.

    >>> found = np.packbits([[0] * 250 + [1] * 6, [1] * 256], axis=1)
    >>> nearest_words(found, 'orb', np.repeat([[1.0], [0.0]], 256, axis=1)).tolist()
    [1, 0]
    """
    parts = [
        pairwise_distances_argmin(_points(found[i : i + SAMPLE], descriptor), vocabulary)
        for i in range(0, len(found), SAMPLE)
    ]
    return np.concatenate([np.zeros(0, int), *parts])


def bags(word: np.ndarray, counts: np.ndarray, words: int) -> np.ndarray:
    """Returns the roots of the shares of words in each picture; zeros for a picture without words.

    Args:
        word: word of each descriptor of all pictures, those of the first picture first, (m,).
        counts: number of descriptors of each picture, (n,), with the sum m.
        words: number of words.

    Returns:
        (n, words) float32, rows of length 1.

    >>> bags(np.array([0, 2, 2, 2]), counts=np.array([4, 0]), words=3)  # roots of 1/4, 0 and 3/4
    array([[0.5      , 0.       , 0.8660254],
           [0.       , 0.       , 0.       ]], dtype=float32)
    """
    picture = np.repeat(np.arange(len(counts)), counts)
    histogram = np.bincount(picture * words + word, minlength=len(counts) * words)
    histogram = histogram.reshape(len(counts), words)
    return np.sqrt(histogram / np.maximum(counts, 1)[:, None]).astype(np.float32)


def _points(found: np.ndarray, descriptor: str) -> np.ndarray:
    """Descriptors as vectors whose Euclidean distances are compared, float32."""
    if descriptor == 'orb':
        return np.unpackbits(found, axis=1).astype(np.float32)
    x = found.astype(np.float32)
    return np.sqrt(x / np.maximum(x.sum(1, keepdims=True), 1))


def _majorities(bits: np.ndarray, words: int, seed: int) -> np.ndarray:
    """Centres (words, d) of bits (m, d): k-means where a centre is the majority of its bits."""
    centres, _ = kmeans_plusplus(bits, words, random_state=seed)
    rows = np.arange(len(bits))
    for _ in range(ROUNDS):
        word = pairwise_distances_argmin(bits, centres)
        members = sparse.csr_matrix(
            (np.ones(len(bits), np.float32), (word, rows)), (words, len(bits))
        )
        size = np.asarray(members.sum(1))
        majority = np.where(size > 0, members @ bits > size / 2, centres).astype(np.float32)
        if (majority == centres).all():
            break
        centres = majority
    return centres


def _library() -> tuple[Any, str]:
    """The module `skimage.feature`, and the version of scikit-image."""
    try:
        from skimage import feature
    except ImportError:
        raise UserError(
            'hand-made features need scikit-image, which is not installed: '
            "pip install 'tljax[handmade]'"
        ) from None
    return feature, metadata.version('scikit-image')


def _refuse_small(split: Dataset, side: int, what: str) -> None:
    """Refuses a set without pictures, or whose pictures are smaller than `side`."""
    shape = np.shape(split.take(np.arange(1)).get('input'))[1:]
    if len(shape) != 3:
        raise UserError(f'data.of has inputs of shape {shape}: hand-made features are of pictures')
    if min(shape[:2]) < side:
        raise UserError(
            f'pictures of {shape[0]}x{shape[1]} pixels are too small, as {what} {side}: {REMEDY}'
        )


def _each(split: Dataset, function: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray]:
    """The values of a function of each picture."""
    values = []
    batches = np.split(np.arange(split.size), range(BATCH, split.size, BATCH))
    for rows in progress(batches, f'extracting features of {split.size} examples'):
        pictures = np.asarray(split.take(rows)['input'], np.float32)
        values.extend(function(picture) for picture in pictures)
    return values


def _stacked(found: list[np.ndarray]) -> Arrays:
    """Descriptors of all pictures below each other, and how many each picture has."""
    return {'descriptors': np.concatenate(found), 'counts': np.array([len(one) for one in found])}
