"""Office-Caltech10, as SURF histograms in .mat files."""

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
    """Ten classes of objects as 800 visual words (Gong et al. 2012), one of four domains, as
    float32 that sum to 1 for each picture and are then standardised over the domain: (n, 800).

    Adaptation is transductive there: 'train' and 'test' are all pictures of the domain.

    Args:
        path: the folder of `amazon_SURF_L10.mat`, `Caltech10_SURF_L10.mat`, `dslr_SURF_L10.mat`,
            `webcam_SURF_L10.mat`.
        domain: 'amazon', 'caltech', 'dslr' or 'webcam'.

    >>> office_caltech('nowhere', 'office')
    Traceback (most recent call last):
    tljax.core.UserError: data.domain='office' is not one of amazon, caltech, dslr, webcam
    """
    if domain not in OFFICE_DOMAINS:
        raise UserError(f'data.domain={domain!r} is not one of {", ".join(OFFICE_DOMAINS)}')
    with reading(
        Path(path, f'{OFFICE_DOMAINS[domain]}_SURF_L10.mat'),
        'give data.path the folder of the four .mat files',
    ) as path:
        stored = loadmat(path)
        words, label = stored['fts'].astype(float), stored['labels'].ravel().astype(np.int32) - 1
    words /= words.sum(1, keepdims=True)
    spread = words.std(0)
    everything = arrays(
        ((words - words.mean(0)) / np.where(spread > 0, spread, 1)).astype(np.float32),
        label,
        OFFICE,
    )
    return {'train': everything, 'test': everything}
