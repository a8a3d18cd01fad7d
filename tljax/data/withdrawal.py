"""Withdrawal of examples: training and scoring as if a set had never had them.

An example's id is its name (`Dataset.names`: the path of a picture, a key). Where a set has no
names, the id is the split and the row in it, 'train/17', counted from 0 before anything is left
out.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tljax.core import Dataset, UserError, abbreviated, nearest_name
from tljax.data.splits import refuse_nothing_to_learn, restrict
from tljax.protocols import Config, Record

FITTED = ('tfidf', 'handmade')  # sets whose inputs are computed from all of their examples


def read_ids(withdrawn: str | Sequence[str]) -> tuple[str, ...]:
    """Returns ids, sorted and each once.

    Args:
        withdrawn: the ids; or the path of a text file with one id a line. '' for none.

    Raises:
        UserError: the file does not exist or is no text.

    >>> read_ids(['b.png', 'a.png', 'b.png'])
    ('a.png', 'b.png')
    >>> read_ids('nowhere.txt')
    Traceback (most recent call last):
    tljax.core.UserError: withdrawn=nowhere.txt is no file: give a text file of one id a line...
    """
    if isinstance(withdrawn, str):
        if not withdrawn:
            return ()
        path = Path(withdrawn).expanduser()
        if not path.is_file():
            raise UserError(
                f'withdrawn={withdrawn} is no file: give a text file of one id a line, or ids as '
                "('a.png', 'b.png')"
            )
        try:
            withdrawn = path.read_text(encoding='utf-8-sig').splitlines()
        except UnicodeDecodeError:
            raise UserError(f'withdrawn={path} is no text in UTF-8: save it as that') from None
    lines = {str(line).strip() for line in withdrawn}
    return tuple(sorted(lines - {''}))


def facts(ids: Sequence[str]) -> Record:
    """Returns what a run's record holds of withdrawn ids: their number and their hash.

    Args:
        ids: as `read_ids` returns them.

    >>> facts(('a.png', 'b.png'))
    {'count': 2, 'hash': '1baca9d47fd86b4a'}
    """
    digest = hashlib.sha256('\n'.join(ids).encode()).hexdigest()
    return {'count': len(ids), 'hash': digest[:16]}


def ids_of(split: Dataset, name: str) -> np.ndarray:
    """Returns the ids of a split's examples, (size,) texts.

    Args:
        split: the split.
        name: of the split.

    >>> from tljax.data import arrays
    >>> ids_of(arrays(np.zeros(2), np.zeros(2)), 'test').tolist()
    ['test/0', 'test/1']
    """
    if len(split.names):
        return np.asarray(split.names, str)
    return np.array([f'{name}/{row}' for row in range(split.size)], str)


def without(splits: dict[str, Dataset], ids: Sequence[str]) -> dict[str, Dataset]:
    """Returns splits without some examples, the others in their order.

    The examples also leave the target of `domains`. A run on what remains is bit-equal to one on a
    set that never had the examples, if that set has the same splits: batches are drawn from the
    number of examples and their order.

    Args:
        splits: {name: Dataset}.
        ids: as `read_ids` returns them.

    Raises:
        UserError: an id that no split has (with the nearest one), splits whose examples are made on
            the device, or nothing left to learn from.

    >>> from tljax.data import arrays
    >>> toy = arrays(np.arange(4.0), np.array([0, 1, 0, 1]), ('a', 'b'))
    >>> kept = without({'train': toy, 'test': toy}, ['train/1'])
    >>> {name: split.take(np.arange(split.size))['input'].tolist() for name, split in kept.items()}
    {'train': [0.0, 2.0, 3.0], 'test': [0.0, 1.0, 2.0, 3.0]}
    >>> without({'train': toy}, ['train/4'])
    Traceback (most recent call last):
    tljax.core.UserError: withdrawn: no split of this data has 'train/4': did you mean train/3?
    """
    if not ids:
        return splits
    if any(split.example for split in splits.values()):
        raise UserError(
            'withdrawn: the examples of this data are made afresh from others: take them from the '
            'files or the set that data.of names'
        )
    found = {name: ids_of(split, name) for name, split in splits.items()}
    target = splits['train'].target if 'train' in splits else None
    if target:
        found['target'] = ids_of(target, 'target')
    every = set().union(*(part.tolist() for part in found.values()))
    absent = [name for name in ids if name not in every]
    if absent:
        more = f' and {len(absent) - 1} more' if len(absent) > 1 else ''
        raise UserError(
            f'withdrawn: no split of this data has {absent[0]!r}{more}: '
            f'{nearest_name(absent[0], sorted(every))}'
        )
    kept = {name: np.flatnonzero(~np.isin(part, ids)) for name, part in found.items()}
    parts = {name: _restricted(split, kept[name]) for name, split in splits.items()}
    if target:
        parts['train'] = parts['train']._replace(target=_restricted(target, kept['target']))
    empty = [name for name in splits if splits[name].size and not parts[name].size]
    if empty:
        raise UserError(f'withdrawn: nothing is left of {abbreviated(empty)}: withdraw less')
    if 'train' in parts:
        refuse_nothing_to_learn(parts['train'])
    return parts


def _restricted(split, rows):
    if len(rows) == split.size:
        return split
    return restrict(split, rows)._replace(target=split.target)


def refuse_fitted(data: Config) -> None:
    """Refuses sets whose inputs are computed from all examples, before any can be withdrawn.

    Args:
        data: config of the set.

    Raises:
        UserError: names the set.

    >>> refuse_fitted({'name': 'tfidf', 'of': {'name': 'newsgroups'}})
    Traceback (most recent call last):
    tljax.core.UserError: withdrawn: data.name='tfidf' computes inputs from all examples: take ...
    """
    if data.get('name') in FITTED:
        raise UserError(
            f'withdrawn: data.name={data["name"]!r} computes inputs from all examples: take those '
            'to withdraw out of its files'
        )
    for value in data.values():
        if isinstance(value, dict):
            refuse_fitted(value)
