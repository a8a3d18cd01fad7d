"""Sorts files into splits and classes by the folders that contain them."""

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tljax.core import UserError, abbreviated
from tljax.data.finding import is_picture, skipped_note

# name of a folder, in any case, in torchvision, Keras and Kaggle -> split
SPLITS = {
    'train': 'train',
    'training': 'train',
    'validation': 'validation',
    'val': 'validation',
    'valid': 'validation',
    'dev': 'validation',
    'test': 'test',
    'testing': 'test',
}
UNLABELLED = ('unlabelled', 'unlabeled')
TABLES = ('.csv', '.tsv')
DEPTH_LIMIT = 16  # nested wrapping folders that are entered


class Layout(NamedTuple):
    """Contents of a folder, sorted into splits and classes.

    Attributes:
        splits: {split: {class: names of its pictures}}; without folders of splits, the only split
            is 'train'.
        notes: notes that say what was inferred, a line each.

    >>> layout(['cat/1.png', 'dog/1.png'], Path('pets')).splits
    {'train': {'cat': ['cat/1.png'], 'dog': ['dog/1.png']}}
    """

    splits: dict[str, dict[str, list[str]]]
    notes: tuple[str, ...] = ()


def layout(names: Sequence[str], where: Path, domain: str = '') -> Layout:
    """Sorts the contents of a folder into splits and classes.

    Args:
        names: names of the files below the folder, and of its folders, which end in a slash.
        where: the folder, for errors.
        domain: the subfolder that contains the class folders; '' for the folder itself.

    Raises:
        UserError: as in `data.folder`.

    >>> names = ['pets/Train/cat/1.png', 'pets/Train/dog/1.png', 'pets/test/1.png']
    >>> for note in layout(names, Path('a.zip')).notes:
    ...     print(note)
    read from pets/, the only folder
    test/ holds 1 file and no class folders: left aside; test is cut from train
    """
    start, notes = _start(names, where, domain)
    place, names = where / start, _below(names, start)
    folders = _split_folders(names, place)
    splits, other_names = {}, []
    if '' not in folders.values():
        other_names, outside_notes = _outside_splits(names, folders, place)
        notes += outside_notes
    for split, folder in folders.items():
        contents = _below(names, folder)
        groups = _classes(contents, place / folder, is_domain=not folder)
        if groups:
            splits[split] = {
                name: [start + folder + member for member in members]
                for name, members in groups.items()
            }
            pictures = {member for members in groups.values() for member in members}
            other_names += [
                name for name in contents if name not in pictures and not name.endswith('/')
            ]
        elif split == 'train':
            raise UserError(
                f'{place / folder} has no class folders: put the pictures of each class into a '
                'folder of its name' + _table_hint(names, place)
            )
        else:
            notes.append(_no_classes_note(split, folder, contents))
    if len(splits['train']) < 2 and _table_hint(names, place):
        raise UserError(
            f'{place} holds the class folder {min(splits["train"])} alone: add another '
            'class' + _table_hint(names, place)
        )
    notes += _other_notes(other_names)
    if folders['train'] == '':
        notes += [
            f'{name}/ is taken for a class: move it away if it is none'
            for name in splits['train']
            if name.lower() in (*SPLITS, *UNLABELLED)
        ]
    return Layout(
        splits, (*notes, *skipped_note(name for name in other_names if not is_picture(name)))
    )


def _no_classes_note(split, folder, names):
    """A note about a validation or test folder without class folders."""
    count = sum('/' not in name for name in names)
    content = 'nothing'
    if count:
        content = f'{count} file{"s" * (count > 1)} and no class folders'
    return f'{folder} holds {content}: left aside; {split} is cut from train'


def _other_notes(names):
    """A note about pictures outside of the class folders, in a list; none if there are none."""
    names = [name for name in names if is_picture(name)]
    if not names:
        return []
    return [
        f'{len(names)} picture{"s" * (len(names) > 1)} beside the class folders passed over: '
        f'{abbreviated(names, 3)}'
    ]


def normalised_name(name: str) -> str:
    """Returns a class name without what people overlook: case, outer blanks, encoding of accents.

    Args:
        name: name of a class.

    >>> normalised_name(' Ants') == normalised_name('ants')
    True
    """
    return unicodedata.normalize('NFC', unicodedata.normalize('NFC', name).casefold()).strip()


def refuse_similar_names(names: Iterable[str], where: str | Path) -> None:
    """Refuses class names that a person would read as the same name.

    Args:
        names: names of the classes.
        where: name of the set, for errors.

    Raises:
        UserError: two names differ in case, outer blanks or the encoding of accents only.

    >>> refuse_similar_names(['Ants', 'ants'], 'insects')
    Traceback (most recent call last):
    tljax.core.UserError: insects: the classes 'Ants' and 'ants' differ in case, blanks or ...
    """
    seen = {}
    for name in sorted(names):
        other = seen.setdefault(normalised_name(name), name)
        if other != name:
            raise UserError(
                f'{where}: the classes {other!r} and {name!r} differ in case, blanks or accents '
                'alone: give them one name'
            )


def _below(names, folder):
    """The names below a folder, relative to it."""
    return [name[len(folder) :] for name in names if name.startswith(folder) and name != folder]


def _top_folders(names):
    return sorted({name.partition('/')[0] for name in names if '/' in name})


def _start(names, where, domain):
    """The folder that holds the classes or splits, such as 'a/b/', and notes about it."""
    outer_wrapper = '' if domain and _below(names, f'{domain}/') else _wrapper(names)
    start = f'{outer_wrapper}{domain}/' if domain else outer_wrapper
    if domain and not _below(names, start):
        raise UserError(
            f'data.domain={domain!r} is no folder of {where}, or is empty: choose from '
            f'{", ".join(_top_folders(_below(names, outer_wrapper)))}'
        )
    inner_wrapper = _wrapper(_below(names, start)) if domain else ''
    wrapper = outer_wrapper + inner_wrapper
    return start + inner_wrapper, [f'read from {wrapper}, the only folder'] if wrapper else []


def _wrapper(names):
    """The path of folders that only wrap the set, 'a/b/': each is the only folder in its parent."""
    start = ''
    for _ in range(DEPTH_LIMIT):
        below = _below(names, start)
        folders = _top_folders(below)
        has_pictures = any(is_picture(name) for name in below if '/' not in name)
        if len(folders) != 1 or folders[0].lower() in SPLITS or has_pictures:
            break
        is_class = not _top_folders(_below(below, f'{folders[0]}/'))
        if is_class:
            break
        start += f'{folders[0]}/'
    return start


def _split_folders(names, place):
    """{split: its folder, such as 'Train/'}, or {'train': ''} if the folders are classes."""
    tops = _top_folders(names)
    split_tops = [top for top in tops if top.lower() in SPLITS]
    has_subfolders = any(_top_folders(_below(names, f'{top}/')) for top in split_tops)
    if not split_tops or split_tops != tops and not has_subfolders:
        return {'train': ''}  # a folder called train may be a class
    folders = {}
    for top in split_tops:
        split = SPLITS[top.lower()]
        if split in folders:
            raise UserError(
                f'{place} has more than one {split} folder ({folders[split][:-1]}, {top}): keep one'
            )
        folders[split] = f'{top}/'
    if 'train' not in folders:
        raise UserError(
            f'{place} has the folders {abbreviated(tops, 6)}, but none that is called train: add '
            'the training pictures in one'
        )
    return folders


def _outside_splits(names, folders, place):
    """The files that are in no folder of a split, and notes about folders without labels."""
    other_names, notes = [name for name in names if '/' not in name], []
    for top in sorted(set(_top_folders(names)) - {folder[:-1] for folder in folders.values()}):
        files = [name for name in _below(names, f'{top}/') if not name.endswith('/')]
        if top.lower() in UNLABELLED:
            notes.append(f'{top}/ holds {len(files)} files without labels: left aside')
        elif any(map(is_picture, files)):
            raise UserError(
                f'{place / top} stands beside {folders["train"]} and is no split: call it '
                'validation or test, or move it away'
            )
        else:
            other_names += files
    return other_names, notes


def _classes(names, place, is_domain):
    """{class: names of its pictures}."""
    groups = {top: [] for top in _top_folders(names)}
    for name in names:
        top, _, path = name.partition('/')
        if '/' in path:
            remedy = 'move it up'
            if is_domain:
                remedy = (
                    'call folders of splits train, validation and test; if they are domains '
                    f'instead, pick one of {", ".join(groups)} by data.domain'
                )
            raise UserError(f'{place}: {name} lies deeper than <class>/<file>: {remedy}')
        if path and is_picture(path):
            groups[top].append(name)
    empty = [top for top, members in groups.items() if not members]
    if empty:
        files = [
            name for name in names if name.startswith(f'{empty[0]}/') and not name.endswith('/')
        ]
        hint = ''.join(f', {line}' for line in skipped_note(files))
        raise UserError(
            f'the class folder {place / empty[0]} holds no pictures{hint}: add some or remove it'
        )
    return groups


def _table_hint(names, place):
    """The end of an error message: a table beside the pictures may have the labels."""
    tables = [name for name in names if name.lower().endswith(TABLES) and '/' not in name]
    if not tables or not place.is_dir():
        return ''
    return f', or read the labels of a table by data.path={place / tables[0]}'
