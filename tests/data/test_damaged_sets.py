"""The literature's data sets where files are missing, damaged or of another format."""

import itertools

import h5py
import numpy as np
import pytest
from scipy.io import savemat
from tiny_sets import (
    LABEL,
    random,
    read_books,
    read_mnist,
    read_mnist_m,
    read_usps,
    read_webcam,
    refused,
    write_idx,
    write_mnist_m,
    write_photograph,
    write_reviews,
    write_usps,
)

from tljax.data.sets.amazon_reviews import amazon_reviews
from tljax.data.sets.mnist_m import mnist_m
from tljax.data.sets.office_caltech import office_caltech

READERS = {
    'mnist/train-images-idx3-ubyte.gz': read_mnist,
    'mnist/t10k-labels-idx1-ubyte.gz': read_mnist,
    'usps.h5': read_usps,
    'mnist_m.zip': read_mnist_m,
    'webcam_SURF_L10.mat': read_webcam,
    'books_train.svmlight.gz': read_books,
}


@pytest.mark.parametrize(
    'name, damage', list(itertools.product(READERS, ('gone', 'half', 'empty', 'text')))
)
def test_files_that_are_missing_or_damaged(root, name, damage):
    path = root / name
    content = path.read_bytes()
    if damage == 'gone':
        path.unlink()
    else:
        path.write_bytes(
            {
                'half': content[: len(content) // 2],
                'empty': b'',
                'text': b'1 no such format\n' * 20,
            }[damage]
        )
    refused(
        lambda: READERS[name](root),
        path,
        'does not exist: give' if damage == 'gone' else 'copy it again; give',
    )


@pytest.mark.parametrize(
    'name, start',
    [
        ('mnist/t10k-labels-idx1-ubyte.gz', 10),
        ('books_train.svmlight.gz', 10),
        ('webcam_SURF_L10.mat', 138),
    ],
)
def test_a_compressed_stream_that_is_damaged(root, name, start):
    content = (root / name).read_bytes()
    (root / name).write_bytes(content[:start] + b'\xff' * (len(content) - start))
    refused(lambda: READERS[name](root), root / name, 'copy it again; give')


@pytest.mark.parametrize(
    'read, words',
    [
        (
            lambda root: office_caltech(root, 'office'),
            "data.domain='office' is not one of amazon, caltech, dslr, webcam",
        ),
        (
            lambda root: amazon_reviews(root, 'music'),
            "data.domain='music' is not one of books, dvd, electronics, kitchen",
        ),
        (lambda root: amazon_reviews(root, 'dvd'), 'dvd_train.svmlight.gz does not exist'),
        (
            lambda root: mnist_m(root / 'mnist_m.zip', root / 'mnist', root / 'mnist'),
            'mnist holds no photographs: give data.photographs',
        ),
        (
            lambda root: mnist_m(root / 'mnist_m.zip', root, root / 'photographs'),
            'train-images-idx3-ubyte.gz does not exist',
        ),
    ],
)
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
    write_usps(root / 'usps.h5', scale=2.0, shift=-1.0)
    refused(lambda: read_usps(root), 'usps.h5')
