"""Omniglot (Lake, Salakhutdinov and Tenenbaum 2015): 1,623 handwritten characters of 50 alphabets,
each drawn by 20 people."""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from tljax.core import Dataset, UserError
from tljax.data.formats.arrays import arrays
from tljax.data.purposes import Purpose

TRAINING_CHARACTERS = 1200  # of the random split; validation characters are cut from them
VALIDATION_ALPHABETS = 5  # of the 30 background alphabets of the official split
KEYS = ('images', 'character', 'alphabet', 'is_evaluation', 'character_names')


def omniglot(
    path: str | Path, split: str = 'random', validation: int = 100, seed: int = 0
) -> dict[str, Dataset]:
    """Loads handwritten characters, uint8 with ink 1 on paper 0, (n, 28, 28, 1).

    Args:
        path: `omniglot_28x28.npz`; `~` is expanded. It holds, for each picture, `images`, 784 bits
            packed by np.packbits, `character` and `alphabet`, numbers from 0, and `is_evaluation`,
            whether the alphabet is an evaluation alphabet. `character_names` names the characters.
        split: 'random': 1,200 random characters for training and validation, and 423 for the test,
            as Vinyals et al. 2016. 'official': 30 background and 20 evaluation alphabets, as Lake
            et al. 2015.
        validation: number of the 1,200 characters that are for validation. With 'official' it is
            unused: five of the 30 background alphabets are for validation.
        seed: seed of the random choices.

    Splits: no character is in two splits.

    Returns:
        {'train', 'validation', 'test'}: Datasets with classes such as 'Greek/character01'.

    Raises:
        UserError: the file is missing or no Omniglot, or the split is unknown.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'omniglot_28x28.npz')
    >>> character = np.repeat(np.arange(8), 20)  # of eight alphabets with one character each
    >>> np.savez(
    ...     path,
    ...     images=np.packbits(np.zeros((160, 784), bool), axis=1),
    ...     character=character,
    ...     alphabet=character,
    ...     is_evaluation=character >= 6,
    ...     character_names=[f'alphabet {i}/character01' for i in range(8)],
    ... )
    >>> omniglot(path, split='official')['test'].classes
    ('alphabet 6/character01', 'alphabet 7/character01')
    """
    if split not in ('random', 'official'):
        raise UserError(f'data.split={split!r} is not random or official')
    images, content = _read(Path(path).expanduser())
    character = content['character']
    first_rows = np.unique(character, return_index=True)[1]  # a picture of each character
    alphabet = content['alphabet'][first_rows]
    is_evaluation = content['is_evaluation'][first_rows].astype(bool)
    names = [str(name) for name in content['character_names']]
    rng = np.random.default_rng([Purpose.OMNIGLOT, seed])
    if split == 'random':
        if not 0 < validation < TRAINING_CHARACTERS:
            raise UserError(
                f'data.validation={validation}: give 1 to {TRAINING_CHARACTERS - 1} characters'
            )
        order = rng.permutation(len(first_rows))
        validation_characters = order[TRAINING_CHARACTERS - validation : TRAINING_CHARACTERS]
        test = order[TRAINING_CHARACTERS:]
    else:
        background_alphabets = np.unique(alphabet[~is_evaluation])
        validation_alphabets = rng.choice(background_alphabets, VALIDATION_ALPHABETS, replace=False)
        validation_characters = np.flatnonzero(np.isin(alphabet, validation_alphabets))
        test = np.flatnonzero(is_evaluation)
    train = np.setdiff1d(np.arange(len(first_rows)), np.concatenate([validation_characters, test]))
    characters = {'train': train, 'validation': validation_characters, 'test': test}
    return {
        name: _characters(images, character, np.sort(members), names)
        for name, members in characters.items()
    }


def _read(path):
    """The images of the file, (n, 28, 28, 1) uint8, and its arrays by name."""
    if not path.is_file():
        raise UserError(
            f'{path} does not exist: pack the pictures of github.com/brendenlake/omniglot as '
            'tljax/data/sets/omniglot.py says'
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {key: file[key] for key in KEYS}
        images = np.unpackbits(content['images'], axis=1).reshape(-1, 28, 28, 1)
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f'{path} is no Omniglot ({type(error).__name__}: {str(error)[:80]}): see '
            'tljax/data/sets/omniglot.py'
        ) from error
    return images, content


def _characters(images, character, members, names):
    """The Dataset of the pictures of some characters, whose numbers are `members`."""
    rows = np.flatnonzero(np.isin(character, members))
    return arrays(
        images[rows], np.searchsorted(members, character[rows]), [names[i] for i in members]
    )


def one_shot_runs(path: str | Path, size: int = 28) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Loads the 20 published one-shot runs of 20 ways each.

    Args:
        path: `all_runs.zip` of the authors; `~` is expanded.
        size: side of the pictures, in pixels.

    Returns:
        (training, test, label): training and test pictures, (20, 20, size, size, 1) uint8 with ink
        1; and label, (20, 20), the place of the training picture of the same character.

    Raises:
        UserError: the file is missing, or does not hold 20 runs.

    >>> one_shot_runs('nowhere.zip')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere.zip does not exist: take all_runs.zip of ...
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(
            f'{path} does not exist: take all_runs.zip of github.com/brendenlake/omniglot, '
            'python/one-shot-classification'
        )
    with zipfile.ZipFile(path) as file:
        tables = sorted(
            name
            for name in file.namelist()
            if name.endswith('class_labels.txt') and '__MACOSX' not in name
        )
        if len(tables) != 20:
            raise UserError(f'{path} holds {len(tables)} runs, not 20: copy or download it again')
        runs = []
        for table in tables:
            # names in the table begin with the run's folder
            root = table.removesuffix('class_labels.txt').rstrip('/').rpartition('/')[0]
            training_of_test = {}
            for line in filter(None, file.read(table).decode().splitlines()):
                test_name, training_name = (f'{root}/{name}'.lstrip('/') for name in line.split())
                training_of_test[test_name] = training_name
            test_names = sorted(training_of_test)
            training_names = sorted(set(training_of_test.values()))
            runs.append(
                (
                    [_ink(file, name, size) for name in training_names],
                    [_ink(file, name, size) for name in test_names],
                    [training_names.index(training_of_test[name]) for name in test_names],
                )
            )
    training, test, label = (np.array(part) for part in zip(*runs, strict=True))
    return training, test, label


def _ink(file, name, size):
    """A picture of a ZIP, (size, size, 1) uint8 with ink 1; the file has black ink on white, 1 bit.

    It is scaled as the pictures of `omniglot_28x28.npz` were: by the nearest point, Pillow's only
    method for pictures of 1 bit.
    """
    with Image.open(io.BytesIO(file.read(name))) as picture:
        scaled = picture.convert('1').resize((size, size), Image.Resampling.NEAREST)
    return 1 - np.asarray(scaled, np.uint8)[..., None]
