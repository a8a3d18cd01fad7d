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
    """Loads good (1) and bad (0) reviews of one kind of product.

    A review is a bag of 5,000 words and pairs of words, (n, 5000) float32. Each domain has 2,000
    training reviews and 3,586 to 5,945 test reviews.

    Args:
        path: folder of the eight files, `books_train.svmlight.gz` and the others.
        domain: 'books', 'dvd', 'electronics' or 'kitchen'.
        counts: whether an input is the number of a word's occurrences; otherwise it is 1 for a word
            that occurs and 0 for others.
        validation: share of each class that is cut from train.
        seed: seed of that cut.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        UserError: the domain is unknown, or a file is missing or damaged.

    Source: Blitzer et al. 2007, in the form of Ganin et al. 2016, section 5.1
        (https://arxiv.org/abs/1505.07818).

    >>> import gzip, tempfile
    >>> from sklearn.datasets import dump_svmlight_file
    >>> folder, words, label = tempfile.mkdtemp(), np.eye(20, 5000), np.repeat([-1, 1], 10)
    >>> for split in ('train', 'test'):
    ...     with gzip.open(f'{folder}/books_{split}.svmlight.gz', 'wb') as file:
    ...         dump_svmlight_file(words, label, file, zero_based=True)
    >>> splits = amazon_reviews(folder, 'books')
    >>> splits['train'].classes, {name: split.size for name, split in splits.items()}
    (('bad', 'good'), {'train': 18, 'validation': 2, 'test': 20})
    """
    if domain not in REVIEWS:
        raise UserError(f'data.domain={domain!r} is not one of {", ".join(REVIEWS)}')
    splits = {}
    for split in ('train', 'test'):
        with reading(
            Path(path, f'{domain}_{split}.svmlight.gz'),
            'give data.path the folder of the eight .svmlight.gz files',
        ) as file:
            # Any: pyright infers a str from scikit-learn's default, 'auto'
            zero_based: Any = True
            words, label = load_svmlight_file(str(file), n_features=5000, zero_based=zero_based)
            if not len(label):
                raise ValueError('no reviews')
        words = words if counts else words > 0
        splits[split] = arrays(
            words.astype(np.float32).toarray(), (label > 0).astype(np.int32), ('bad', 'good')
        )
    return cut_missing(splits, validation, 0, seed, path)
