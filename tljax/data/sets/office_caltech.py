"""Office-Caltech10, read from .mat files of SURF histograms."""

from pathlib import Path

import numpy as np
from scipy.io import loadmat

from tljax.core import Dataset, UserError
from tljax.data.formats.arrays import arrays
from tljax.data.reading import reading

OFFICE = (
    'backpack',
    'bike',
    'calculator',
    'headphones',
    'keyboard',
    'laptop',
    'monitor',
    'mouse',
    'mug',
    'projector',
)
OFFICE_DOMAINS = {'amazon': 'amazon', 'caltech': 'Caltech10', 'dslr': 'dslr', 'webcam': 'webcam'}


def office_caltech(path: str | Path, domain: str) -> dict[str, Dataset]:
    """Loads histograms of 800 visual words for ten classes of objects, from one of four domains.

    Inputs are float32, (n, 800). A picture's histogram is divided by its sum, and each word is then
    standardised over the domain.

    Args:
        path: folder of `amazon_SURF_L10.mat`, `Caltech10_SURF_L10.mat`, `dslr_SURF_L10.mat` and
            `webcam_SURF_L10.mat`.
        domain: 'amazon', 'caltech', 'dslr' or 'webcam'.

    Splits: 'train' and 'test' both hold all pictures of the domain, as published results on this
        set are transductive.

    Returns:
        {'train': Dataset, 'test': Dataset}.

    Raises:
        UserError: the domain is unknown, or the file is missing or damaged.

    Source: Gong et al. 2012, Geodesic flow kernel for unsupervised domain adaptation.

    >>> import tempfile
    >>> from scipy.io import savemat
    >>> folder, label = tempfile.mkdtemp(), np.arange(1, 11)[:, None]
    >>> savemat(f'{folder}/webcam_SURF_L10.mat', {'fts': np.eye(10, 800), 'labels': label})
    >>> train = office_caltech(folder, 'webcam')['train']
    >>> train.take(np.arange(2))['input'].shape, train.classes[0]
    ((2, 800), 'backpack')
    """
    if domain not in OFFICE_DOMAINS:
        raise UserError(f'data.domain={domain!r} is not one of {", ".join(OFFICE_DOMAINS)}')
    with reading(
        Path(path, f'{OFFICE_DOMAINS[domain]}_SURF_L10.mat'),
        'give data.path the folder of the four .mat files',
    ) as path:
        content = loadmat(path)
        words, label = content['fts'].astype(float), content['labels'].ravel().astype(np.int32) - 1
    words /= words.sum(1, keepdims=True)
    deviation = words.std(0)
    input = (words - words.mean(0)) / np.where(deviation > 0, deviation, 1)
    dataset = arrays(input.astype(np.float32), label, OFFICE)
    return {'train': dataset, 'test': dataset}
