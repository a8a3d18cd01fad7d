"""Office-Caltech and Amazon reviews: what is read is what was written."""

import numpy as np
import pytest
from scipy.io import savemat
from tiny_sets import LABEL, random, read_webcam, rows, same, sizes

from tljax.data.sets.amazon_reviews import amazon_reviews
from tljax.data.sets.office_caltech import OFFICE, OFFICE_DOMAINS, office_caltech


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
    assert sizes(splits) == {'train': 36, 'validation': 4, 'test': 40} and splits[
        'train'
    ].classes == ('bad', 'good')
    train, test = (random(seed, 40, 5000, high=3).astype(np.float32) for seed in (9, 10))
    same(
        rows(splits, 'train', 'validation'),
        train if counts else np.minimum(train, 1),
        LABEL % 2,
        ordered=False,
    )
    same(rows(splits, 'test'), test if counts else np.minimum(test, 1), LABEL % 2)
