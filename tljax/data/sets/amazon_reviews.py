"""Amazon product reviews as bags of words, in svmlight files."""

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_svmlight_file

from tljax.core import Dataset, UserError
from tljax.data.formats.arrays import arrays
from tljax.data.reading import reading
from tljax.data.splits import cut_missing

REVIEWS = ('books', 'dvd', 'electronics', 'kitchen')


def amazon_reviews(
    path: str | Path, domain: str, counts: bool = False, validation: float = 0.1, seed: int = 0
) -> dict[str, Dataset]:
    """Reviews of products, good (1) or bad (0), as 5,000 words and pairs of words (Blitzer et al.
    2007, in the form of Ganin et al. 2016, https://arxiv.org/abs/1505.07818, section 5.1): (n,
    5000) float32; 2,000 to train on, 3,586 to 5,945 for the test.

    Args:
        path: the folder of `books_train.svmlight.gz` and the others.
        domain: 'books', 'dvd', 'electronics' or 'kitchen'.
        counts: how often a word occurs; otherwise whether it does.
        validation: as `mnist`.
        seed: as `mnist`.

    >>> amazon_reviews('nowhere', 'books')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere/books_train.svmlight.gz does not exist: give data.path the ...
    """
    if domain not in REVIEWS:
        raise UserError(f'data.domain={domain!r} is not one of {", ".join(REVIEWS)}')
    splits = {}
    for split in ('train', 'test'):
        with reading(
            Path(path, f'{domain}_{split}.svmlight.gz'),
            'give data.path the folder of the eight .svmlight.gz files',
        ) as file:
            # scikit-learn annotates nothing: its default, a text, passes for the type
            numbered: Any = True
            words, label = load_svmlight_file(str(file), n_features=5000, zero_based=numbered)
            if not len(label):
                raise ValueError('no reviews')
        words = words if counts else words > 0
        splits[split] = arrays(
            words.astype(np.float32).toarray(), (label > 0).astype(np.int32), ('bad', 'good')
        )
    return cut_missing(splits, validation, 0, seed, path)
