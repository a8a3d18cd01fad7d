"""The literature's data sets: tiny ones of each format, sound and damaged, and the real ones where they are at hand; pairs of domains."""
import gzip
import io
import itertools
import os
import shutil
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from sklearn.datasets import dump_svmlight_file
from sklearn.neighbors import KNeighborsClassifier
from tiny import tiny

from tljax.build import build, load
from tljax.core import Refused
from tljax.data.reading import DIGITS
from tljax.data.sets.amazon_reviews import amazon_reviews
from tljax.data.sets.mnist import mnist
from tljax.data.sets.mnist_m import mnist_m
from tljax.data.sets.office_caltech import OFFICE, OFFICE_DOMAINS, office_caltech
from tljax.data.sets.usps import usps

LABEL = np.arange(40) % 10
PHOTOGRAPH = (250, 100, 3)
DATA = Path(os.environ.get('TLJAX_DATA', 'data'))
real = pytest.mark.skipif('TLJAX_DATA' not in os.environ, reason='TLJAX_DATA is not set: real data sets are not at hand')


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
        (folder / f'{name}-{kind}-ubyte.gz').write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes()))


def write_usps(path, scale=1., shift=0.):
    with h5py.File(path, 'w') as file:
        for seed, split in enumerate(('train', 'test'), 2):
            file[f'{split}/data'] = scale * unit(random(seed, 40, 256)) + shift
            file[f'{split}/target'] = LABEL


def write_mnist_m(path, listed=None):
    with zipfile.ZipFile(path, 'w') as file:
        for i, picture in enumerate(random(4, 10, 32, 32, 3)):
            file.writestr(f'test/{i}.png', png(picture))
        file.writestr('test/labels.txt', ''.join(f'{i}.png {9 - i}\n' for i in range(10)) if listed is None else listed)


def write_photograph(root, pixels, name='1.PNG'):
    (root / 'photographs' / 'train').mkdir(parents=True, exist_ok=True)
    (root / 'photographs' / 'train' / name).write_bytes(png(np.asarray(pixels, np.uint8)))


def write_reviews(path, words):
    file = io.BytesIO()
    dump_svmlight_file(words.astype(float), np.where(LABEL % 2, 1, -1), file, zero_based=True)
    path.write_bytes(gzip.compress(file.getvalue()))


@pytest.fixture(scope='module')
def everything(tmp_path_factory):
    root = tmp_path_factory.mktemp('everything')
    (root / 'mnist').mkdir()
    for seed, name in enumerate(('train', 't10k')):
        write_idx(root / 'mnist', name, random(seed, 40, 28, 28), LABEL)
    write_usps(root / 'usps.h5')
    write_mnist_m(root / 'mnist_m.zip')
    write_photograph(root, np.full((30, 40, 3), PHOTOGRAPH))
    (root / 'photographs' / 'notes.txt').write_text('no photograph')
    for seed, name in enumerate(OFFICE_DOMAINS.values(), 5):
        savemat(root / f'{name}_SURF_L10.mat', {'fts': random(seed, 40, 800, high=5), 'labels': LABEL[:, None] + 1.}, do_compression=True)
    for seed, split in enumerate(('train', 'test'), 9):
        write_reviews(root / f'books_{split}.svmlight.gz', random(seed, 40, 5000, high=3))
    return root


@pytest.fixture
def root(everything, tmp_path):
    return shutil.copytree(everything, tmp_path / 'set')


def read_mnist(root, *size):
    return mnist(root / 'mnist', *size, validation=.25)


def read_usps(root):
    return usps(root / 'usps.h5', validation=.25)


def read_mnist_m(root, seed=0):
    return mnist_m(root / 'mnist_m.zip', root / 'mnist', root / 'photographs', validation=.25, seed=seed)


def read_webcam(root):
    return office_caltech(root, 'webcam')


def read_books(root):
    return amazon_reviews(root, 'books')


def rows(splits, *names):
    """Inputs and labels of splits, one after the other."""
    batches = [splits[name].take(np.arange(splits[name].size)) for name in names]
    return tuple(np.concatenate([batch[key] for batch in batches]) for key in ('input', 'label'))


def same(found, input, label, ordered=True):
    """Whether the rows are those expected; in any order where a split was cut off, as `cut` has tests of its own."""
    assert found[0].dtype == input.dtype == np.float32 and found[1].dtype.kind == 'i' and found[0].shape == input.shape
    pairs = [[(row.tobytes(), int(each)) for row, each in zip(*columns, strict=True)] for columns in (found, (input, label))]
    assert pairs[0] == pairs[1] if ordered else sorted(pairs[0]) == sorted(pairs[1])


def sizes(splits):
    return {name: split.size for name, split in splits.items()}


def refused(call, *words):
    with pytest.raises(Refused) as refusal:
        call()
    assert all(str(word) in str(refusal.value) for word in words) and '\n' not in str(refusal.value)


# what is read is what was written

def test_mnist(root):
    splits = read_mnist(root)
    assert sizes(splits) == {'train': 30, 'validation': 10, 'test': 40}
    assert all(split.classes == DIGITS and (np.bincount(split.label) == split.size / 10).all() for split in splits.values())
    same(rows(splits, 'train', 'validation'), unit(random(0, 40, 28, 28, 1)), LABEL, ordered=False)
    same(rows(splits, 'test'), unit(random(1, 40, 28, 28, 1)), LABEL)


def test_digits_of_another_size_and_in_three_channels(root):
    whole, small = (rows(read_mnist(root, size, 3), 'test')[0] for size in (28, 14))
    assert small.shape == (40, 14, 14, 3) and (small == small[..., :1]).all()
    np.testing.assert_array_equal(whole, np.repeat(unit(random(1, 40, 28, 28, 1)), 3, -1))
    # At half the size a bilinear filter weighs four neighbours on each side 1, 3, 3, 1: those of pixel i begin at 2 i - 1.
    weight = np.array([1, 3, 3, 1]) / 8
    np.testing.assert_allclose(small[:, 3, 5, 0], np.einsum('nij,i,j', whole[:, 5:9, 9:13, 0], weight, weight), atol=1.5 / 255)
    for size, channels in ((0, 1), (28, 2)):
        refused(lambda: read_mnist(root, size, channels), f'data.size={size}, data.channels={channels}: give one pixel or more')


def test_usps(root):
    splits = read_usps(root)
    assert sizes(splits) == {'train': 30, 'validation': 10, 'test': 40} and splits['train'].classes == DIGITS
    same(rows(splits, 'train', 'validation'), unit(random(2, 40, 256).reshape(40, 16, 16, 1)), LABEL, ordered=False)
    same(rows(splits, 'test'), unit(random(3, 40, 256).reshape(40, 16, 16, 1)), LABEL)


def test_mnist_m(root):
    splits = read_mnist_m(root)
    assert sizes(splits) == {'train': 30, 'validation': 10, 'test': 10} and splits['train'].classes == DIGITS
    same(rows(splits, 'test'), unit(random(4, 10, 32, 32, 3)[:, 2:30, 2:30]), 9 - np.arange(10))
    ink = random(0, 40, 28, 28, 1) > 0
    blended = np.where(ink, 255 - np.array(PHOTOGRAPH), PHOTOGRAPH)   # of one colour, whatever the window
    same(rows(splits, 'train', 'validation'), unit(blended.astype(np.uint8)), LABEL, ordered=False)


def test_windows_lie_anywhere_in_any_photograph_and_go_by_the_seed(root):
    for which in range(2):   # pixels say in which photograph and where they are; each has 3 x 4 windows
        write_photograph(root, np.stack([*np.indices((30, 31)), np.full((30, 31), which)], -1), f'{1 + which}.PNG')
    write_idx(root / 'mnist', 'train', np.zeros((800, 28, 28)), np.arange(800) % 10)
    found = [read_mnist_m(root, seed) for seed in (0, 0, 1)]
    corners = np.round(255 * rows(found[0], 'train', 'validation')[0][:, 0, 0]).astype(int)
    counts = np.zeros((3, 4, 2), int)
    np.add.at(counts, tuple(corners.T), 1)
    assert counts.min() > 15   # 33 each on average
    assert found[0]['train'].fingerprint == found[1]['train'].fingerprint != found[2]['train'].fingerprint


@pytest.mark.parametrize('domain', OFFICE_DOMAINS)
def test_office_caltech(root, domain):
    splits = office_caltech(root, domain)
    assert sizes(splits) == {'train': 40, 'test': 40} and splits['test'].classes == OFFICE
    words = random(5 + list(OFFICE_DOMAINS).index(domain), 40, 800, high=5).astype(float)
    share = words / words.sum(1, keepdims=True)
    same(rows(splits, 'train'), ((share - share.mean(0)) / share.std(0)).astype(np.float32), LABEL)


def test_a_word_that_no_picture_has_is_zero(root):
    words = random(0, 40, 800, low=1, high=5)
    words[:, 7] = 0
    savemat(root / 'webcam_SURF_L10.mat', {'fts': words, 'labels': LABEL[:, None] + 1})
    input, _ = rows(read_webcam(root), 'train')
    assert (input[:, 7] == 0).all() and np.ptp(input[:, 8]) > 0


@pytest.mark.parametrize('counts', [False, True])
def test_amazon_reviews(root, counts):
    splits = amazon_reviews(root, 'books', counts)
    assert sizes(splits) == {'train': 36, 'validation': 4, 'test': 40} and splits['train'].classes == ('bad', 'good')
    train, test = (random(seed, 40, 5000, high=3).astype(np.float32) for seed in (9, 10))
    same(rows(splits, 'train', 'validation'), train if counts else np.minimum(train, 1), LABEL % 2, ordered=False)
    same(rows(splits, 'test'), test if counts else np.minimum(test, 1), LABEL % 2)


# what is refused, in one line

READERS = {'mnist/train-images-idx3-ubyte.gz': read_mnist, 'mnist/t10k-labels-idx1-ubyte.gz': read_mnist, 'usps.h5': read_usps,
           'mnist_m.zip': read_mnist_m, 'webcam_SURF_L10.mat': read_webcam, 'books_train.svmlight.gz': read_books}


@pytest.mark.parametrize('name, damage', list(itertools.product(READERS, ('gone', 'half', 'empty', 'text'))))
def test_files_that_are_missing_or_damaged(root, name, damage):
    path = root / name
    whole = path.read_bytes()
    if damage == 'gone':
        path.unlink()
    else:
        path.write_bytes({'half': whole[:len(whole) // 2], 'empty': b'', 'text': b'1 no such format\n' * 20}[damage])
    refused(lambda: READERS[name](root), path, 'does not exist: give' if damage == 'gone' else 'copy it again; give')


@pytest.mark.parametrize('name, start', [('mnist/t10k-labels-idx1-ubyte.gz', 10), ('books_train.svmlight.gz', 10),
                                         ('webcam_SURF_L10.mat', 138)])
def test_a_compressed_stream_that_is_damaged(root, name, start):
    whole = (root / name).read_bytes()
    (root / name).write_bytes(whole[:start] + b'\xff' * (len(whole) - start))
    refused(lambda: READERS[name](root), root / name, 'copy it again; give')


@pytest.mark.parametrize('read, words', [
    (lambda root: office_caltech(root, 'office'), "data.domain='office' is not one of amazon, caltech, dslr, webcam"),
    (lambda root: amazon_reviews(root, 'music'), "data.domain='music' is not one of books, dvd, electronics, kitchen"),
    (lambda root: amazon_reviews(root, 'dvd'), 'dvd_train.svmlight.gz does not exist'),
    (lambda root: mnist_m(root / 'mnist_m.zip', root / 'mnist', root / 'mnist'), 'mnist holds no photographs: give data.photographs'),
    (lambda root: mnist_m(root / 'mnist_m.zip', root, root / 'photographs'), 'train-images-idx3-ubyte.gz does not exist')])
def test_names_and_folders_that_do_not_fit(root, read, words):
    refused(lambda: read(root), words)


def test_contents_that_do_not_fit(root):
    write_idx(root / 'mnist', 't10k', random(0, 40, 28, 28), LABEL[:39])
    refused(lambda: read_mnist(root), '40 inputs but 39 labels')
    write_idx(root / 'mnist', 't10k', random(0, 40, 28, 28), LABEL + 1)
    refused(lambda: read_mnist(root), 'labels run from 1 to 10 but there are 10 classes')
    with h5py.File(root / 'usps.h5', 'a') as file:
        del file['test/target']
    refused(lambda: read_usps(root), 'usps.h5 cannot be read (KeyError')
    for listed in ('', '10.png 1\n', '1.png\n'):
        write_mnist_m(root / 'mnist_m.zip', listed)
        refused(lambda: read_mnist_m(root), 'mnist_m.zip cannot be read')
    savemat(root / 'webcam_SURF_L10.mat', {'features': LABEL})
    refused(lambda: read_webcam(root), "webcam_SURF_L10.mat cannot be read (KeyError: 'fts')")
    write_reviews(root / 'books_test.svmlight.gz', random(0, 40, 5001, low=1))
    refused(lambda: read_books(root), 'books_test.svmlight.gz cannot be read (ValueError')


def test_a_label_in_a_zip_that_is_no_number(root):
    write_mnist_m(root / 'mnist_m.zip', '1.png one\n')
    refused(lambda: read_mnist_m(root), 'mnist_m.zip')


def test_a_photograph_that_is_damaged(root):
    (root / 'photographs' / '2.jpg').write_bytes(b'no photograph')
    refused(lambda: read_mnist_m(root), '2.jpg')


def test_a_photograph_smaller_than_a_digit(root):
    write_photograph(root, np.zeros((27, 40, 3)))
    refused(lambda: read_mnist_m(root), '1.PNG')


def test_usps_in_its_other_scale_of_minus_one_to_one(root):
    write_usps(root / 'usps.h5', scale=2., shift=-1.)
    refused(lambda: read_usps(root), 'usps.h5')


# two domains

def digits(root, name, **keywords):
    path = {'mnist': root / 'mnist', 'usps': root / 'usps.h5'}[name]
    return {'name': name, 'path': str(path), 'size': 8, 'validation': .25, **keywords}


def domains(source, target):
    return load({'name': 'domains', 'source': source, 'target': target})


def test_splits_of_two_domains(root):
    splits = domains(digits(root, 'mnist'), digits(root, 'usps'))
    source, target = read_mnist(root, 8), usps(root / 'usps.h5', 8, validation=.25)
    expected = {'train': source['train'], 'validation': source['validation'], 'test': target['test'], 'target': target['train']}
    assert {name: split.fingerprint for name, split in splits.items()} == {name: split.fingerprint for name, split in expected.items()}
    assert splits['train'].target is splits['target'] and splits['target'].target is None
    office = {'name': 'office_caltech', 'path': str(root)}
    assert list(domains({**office, 'domain': 'dslr'}, {**office, 'domain': 'webcam'})) == ['train', 'test', 'target']


def test_batches_carry_inputs_of_the_target_and_no_labels_of_it(root):
    run = build(tiny({'data': {'name': 'domains', 'source': digits(root, 'mnist'), 'target': digits(root, 'usps')},
                      'method': {'name': 'dann', 'width': 4}, 'batch': 15}))
    assert sizes(run.evals) == {'train': 30, 'validation': 10, 'test': 40, 'target': 30}
    batches = [run.stream.batch(seed=0, step=step) for step in range(2)]   # an epoch of either domain
    for batch in batches:
        assert set(batch) == {'input', 'label', 'target'} and set(batch['target']) == {'input'}
    same(tuple(np.concatenate([batch[key] for batch in batches]) for key in ('input', 'label')), *rows(run.evals, 'train'), ordered=False)
    target, _ = rows(run.evals, 'target')
    found = np.concatenate([batch['target']['input'] for batch in batches])
    assert sorted(row.tobytes() for row in found) == sorted(row.tobytes() for row in target)
    index = run.stream.index(0, 0)
    assert (index['source'] != index['target']).any()   # the domains have orders of their own


def test_domains_that_do_not_pair(root):
    refused(lambda: domains(digits(root, 'mnist'), digits(root, 'usps', size=16)),
            'inputs of the source are (8, 8, 1) and of the target (16, 16, 1): give both the same size and channels')
    refused(lambda: domains(digits(root, 'mnist'), {'name': 'office_caltech', 'path': str(root), 'domain': 'dslr'}),
            'the source tells 0, 1, 2', 'and the target backpack, bike', 'needs the same classes in the same order')
    refused(lambda: domains(digits(root, 'mnist'), digits(root, 'usps', sise=8)), 'data.target.sise is unknown to usps')
    refused(lambda: domains({'name': 'mnits'}, digits(root, 'usps')), "data.source.name='mnits' is unknown: did you mean mnist?")


def test_episodes_are_no_domain():
    refused(lambda: domains({'name': 'sine'}, {'name': 'sine'}), 'data.source')


# the real ones

@real
def test_real_mnist():
    splits = mnist(DATA / 'mnist' / 'raw')
    assert sizes(splits) == {'train': 57_000, 'validation': 3_000, 'test': 10_000}
    counts = np.bincount(splits['train'].label) + np.bincount(splits['validation'].label)
    assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert rows(splits, 'test')[0].mean() == pytest.approx(.1325, abs=1e-4)


@real
def test_real_usps():
    splits = usps(DATA / 'usps' / 'usps.h5')
    assert splits['train'].size + splits['validation'].size == 7291 and splits['test'].size == 2007
    (xs, ys), (xt, yt) = ((x.reshape(len(x), -1), y) for x, y in (rows(splits, 'train', 'validation'), rows(splits, 'test')))
    assert KNeighborsClassifier(1, algorithm='brute').fit(xs, ys).score(xt, yt) == pytest.approx(.9437, abs=1e-3)


@real
def test_real_mnist_m():
    splits = mnist_m(DATA / 'mnist_m' / 'mnist_m_test.zip', DATA / 'mnist' / 'raw', DATA / 'bsds_patches_source')
    assert sizes(splits) == {'train': 57_000, 'validation': 3_000, 'test': 9_001}
    assert np.bincount(splits['test'].label).tolist() == [878, 1016, 933, 908, 890, 807, 856, 914, 880, 919]
    for name in ('train', 'test'):
        pictures = splits[name].take(np.arange(9000))['input'].mean(-1)
        edge = np.concatenate([pictures[:, [0, -1]].ravel(), pictures[..., [0, -1]].ravel()]).mean()   # where no digit is
        inverted = (pictures.mean(0) - edge).sum() / (1 - 2 * edge)
        assert .38 < edge < .46 and inverted == pytest.approx(150.5, abs=15), 'pixels of a digit, by what inverting does to the mean'


@real
def test_real_office_caltech_by_one_nearest_neighbour():
    found = {domain: rows(office_caltech(DATA / 'office_caltech10_surf', domain), 'test') for domain in OFFICE_DOMAINS}
    assert [len(label) for _, label in found.values()] == [958, 1123, 157, 295]
    scores = [KNeighborsClassifier(1, algorithm='brute').fit(*found[source]).score(*found[target])
              for source in found for target in found if source != target]
    assert 100 * np.mean(scores) == pytest.approx(31.37, abs=.01)


@real
def test_real_amazon_reviews():
    splits = amazon_reviews(DATA / 'amazon_sentiment', 'books')
    assert sizes(splits) == {'train': 1_800, 'validation': 200, 'test': 4_465}
    input, label = rows(splits, 'train', 'validation')
    assert input.shape == (2000, 5000) and set(np.unique(input)) == {0, 1} and np.bincount(label).tolist() == [1000, 1000]
