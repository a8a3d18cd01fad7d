"""Omniglot: Lake, Salakhutdinov and Tenenbaum 2015: 1,623 handwritten characters of 50 alphabets,
each drawn by 20 people."""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from tljax.core import Dataset, UserError
from tljax.data.formats.arrays import arrays
from tljax.data.purposes import Purpose

# characters that the papers train on; background alphabets kept for validation
PAPERS, ALPHABETS = 1200, 5


def omniglot(
    path: str | Path, split: str = 'random', validation: int = 100, seed: int = 0
) -> dict[str, Dataset]:
    """Pictures of 28x28 with ink 1 on paper 0, uint8, (n, 28, 28, 1); the splits have no character
    in common.

    Args:
        path: `omniglot_28x28.npz`: `images`, bits of (32460, 784); `character`, `alphabet`,
            `is_evaluation`, and `character_names`.
        split: 'random', 1,200 characters against 423 for the test, drawn by `seed`, as Vinyals et
            al. 2016 do; or 'official', the authors' 30 background against 20 evaluation alphabets.
        validation: characters that are cut from the 1,200 for validation; with 'official', five of
            the 30 alphabets are.
        seed: of the draws.

    Returns:
        {'train', 'validation', 'test'}, each with classes such as 'Greek/character01'.

    Raises:
        UserError: for a missing file, one of another kind, and another split.

    >>> omniglot('nowhere.npz')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere.npz does not exist: pack the pictures of ...
    """
    path = Path(path).expanduser()
    if split not in ('random', 'official'):
        raise UserError(f'data.split={split!r} is not random or official')
    if not path.is_file():
        raise UserError(
            f'{path} does not exist: pack the pictures of github.com/brendenlake/omniglot as '
            'tljax/data/omniglot.py says'
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            stored = {
                name: file[name]
                for name in ('images', 'character', 'alphabet', 'is_evaluation', 'character_names')
            }
        images = np.unpackbits(stored['images'], axis=1).reshape(-1, 28, 28, 1)
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f'{path} is no Omniglot ({type(error).__name__}: {str(error)[:80]}): see '
            'tljax/data/omniglot.py'
        ) from error
    character = stored['character']
    first = np.unique(character, return_index=True)[1]
    alphabet, evaluation = stored['alphabet'][first], stored['is_evaluation'][first].astype(bool)
    names = [str(name) for name in stored['character_names']]
    rng = np.random.default_rng([Purpose.OMNIGLOT, seed])
    if split == 'random':
        if not 0 < validation < PAPERS:
            raise UserError(f'data.validation={validation}: give 1 to {PAPERS - 1} characters')
        order = rng.permutation(len(first))
        held, test = order[PAPERS - validation : PAPERS], order[PAPERS:]
    else:
        held = np.flatnonzero(
            np.isin(
                alphabet, rng.choice(np.unique(alphabet[~evaluation]), ALPHABETS, replace=False)
            )
        )
        test = np.flatnonzero(evaluation)
    train = np.setdiff1d(np.arange(len(first)), np.concatenate([held, test]))
    return {
        name: _characters(images, character, np.sort(members), names)
        for name, members in (('train', train), ('validation', held), ('test', test))
    }


def _characters(images, character, members, names):
    rows = np.flatnonzero(np.isin(character, members))
    return arrays(
        images[rows], np.searchsorted(members, character[rows]), [names[i] for i in members]
    )


def one_shot_runs(path: str | Path, size: int = 28) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The 20 published one-shot runs of 20 ways each, from `all_runs.zip`.

    Args:
        path: `all_runs.zip`; `~` is expanded.
        size: side of the pictures, pixels.

    Returns:
        (training, test, label): (20, 20, size, size, 1) uint8, ink 1, twice; label (20, 20): which
        training picture each test picture is of the same character as.

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
            # names begin with the run's folder
            root = table.removesuffix('class_labels.txt').rstrip('/').rpartition('/')[0]
            same = dict(
                [f'{root}/{name}'.lstrip('/') for name in line.split()]
                for line in file.read(table).decode().splitlines()
                if line
            )
            test, training = sorted(same), sorted(set(same.values()))
            runs.append(
                (
                    [_ink(file, name, size) for name in training],
                    [_ink(file, name, size) for name in test],
                    [training.index(same[name]) for name in test],
                )
            )
    training, test, label = (np.array(part) for part in zip(*runs, strict=True))
    return training, test, label


def _ink(file, name, size):
    """A picture of 1 bit, black ink on white, scaled as the 28x28 set was: Pillow takes the nearest
    point of such pictures."""
    with Image.open(io.BytesIO(file.read(name))) as picture:
        return (
            1
            - np.asarray(
                picture.convert('1').resize((size, size), Image.Resampling.NEAREST), np.uint8
            )[..., None]
        )
