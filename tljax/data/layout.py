"""Which split and which class a file belongs to, by the folders that it stands in."""

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tljax.core import UserError, abbreviated
from tljax.data.finding import is_picture, skipped_note

# what users of torchvision, Keras and Kaggle call them, in any case
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
DEEPEST = 16  # wrapping folders that are stepped into


class Layout(NamedTuple):
    """What a folder holds.

    Attributes:
        splits: {split: {class: names of its pictures}}; all is 'train' where there are no folders
            of splits.
        notes: what was decided, a line each.

    >>> layout(['cat/1.png', 'dog/1.png'], Path('pets')).splits
    {'train': {'cat': ['cat/1.png'], 'dog': ['dog/1.png']}}
    """

    splits: dict[str, dict[str, list[str]]]
    notes: tuple[str, ...] = ()


def layout(names: Sequence[str], where: Path, domain: str = '') -> Layout:
    """Sorts what is in a folder into splits and classes.

    Args:
        names: of the files below the folder, and of its folders with a slash at their end.
        where: the folder, for errors.
        domain: the subfolder that holds the class folders.

    Raises:
        UserError: as `data.folder` says.

    >>> names = ['pets/Train/cat/1.png', 'pets/Train/dog/1.png', 'pets/test/1.png']
    >>> for note in layout(names, Path('a.zip')).notes:
    ...     print(note)
    read from pets/, the only folder
    test/ holds 1 file and no class folders: left aside; test is cut from train
    """
    start, notes = _start(names, where, domain)
    place, names = where / start, _below(names, start)
    folders = _split_folders(names, place)
    splits, others = {}, []
    if '' not in folders.values():
        beside, more = _beside(names, folders, place)
        others, notes = others + beside, notes + more
    for split, folder in folders.items():
        inside = _below(names, folder)
        groups = _classes(inside, place / folder, is_domain=not folder)
        loose = [name for name in inside if '/' not in name]
        if groups:
            splits[split] = {
                name: [start + folder + member for member in members]
                for name, members in groups.items()
            }
            held = {member for members in groups.values() for member in members}
            others += [name for name in inside if name not in held and not name.endswith('/')]
        elif split == 'train':
            raise UserError(
                f'{place / folder} has no class folders: put the pictures of each class into a '
                'folder of its name' + _table(names, place)
            )
        else:
            plural = 's' * (len(loose) > 1)
            told = f'{len(loose)} file{plural} and no class folders' if loose else 'nothing'
            notes.append(f'{folder} holds {told}: left aside; {split} is cut from train')
    if len(splits['train']) < 2 and _table(names, place):
        raise UserError(
            f'{place} holds the class folder {min(splits["train"])} alone: add another '
            'class' + _table(names, place)
        )
    loose = [name for name in others if is_picture(name)]
    if loose:
        notes.append(
            f'{len(loose)} picture{"s" * (len(loose) > 1)} beside the class folders passed over: '
            f'{abbreviated(loose, 3)}'
        )
    notes += [
        f'{name}/ is taken for a class: move it away if it is none'
        for name in splits['train']
        if name.lower() in (*SPLITS, *UNLABELLED) and folders['train'] == ''
    ]
    return Layout(splits, (*notes, *skipped_note(name for name in others if not is_picture(name))))


def normalised_name(name: str) -> str:
    """What names have in common that differ in case, blanks or the writing of accents alone.

    Args:
        name: of a class.

    >>> normalised_name(' Ants') == normalised_name('ants')
    True
    """
    return unicodedata.normalize('NFC', unicodedata.normalize('NFC', name).casefold()).strip()


def refuse_similar_names(names: Iterable[str], where: str | Path) -> None:
    """Refuses names of classes that a person takes for one.

    Args:
        names: of the classes.
        where: what holds them, for errors.

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
    return [name[len(folder) :] for name in names if name.startswith(folder) and name != folder]


def _tops(names):
    return sorted({name.partition('/')[0] for name in names if '/' in name})


def _start(names, where, domain):
    """The folder that holds classes or splits, 'a/b/', and what is said of it."""
    outer = '' if domain and _below(names, f'{domain}/') else _wrapper(names)
    start = f'{outer}{domain}/' if domain else outer
    if domain and not _below(names, start):
        raise UserError(
            f'data.domain={domain!r} is no folder of {where}, or is empty: choose from '
            f'{", ".join(_tops(_below(names, outer)))}'
        )
    inner = _wrapper(_below(names, start)) if domain else ''
    wrapper = outer + inner
    return start + inner, [f'read from {wrapper}, the only folder'] if wrapper else []


def _wrapper(names):
    """Folders, 'a/b/', each of which is alone in the one above, so that they only wrap a set."""
    start = ''
    for _ in range(DEEPEST):
        below = _below(names, start)
        tops = _tops(below)
        beside = any(is_picture(name) for name in below if '/' not in name)
        if len(tops) != 1 or tops[0].lower() in SPLITS or beside:
            break
        if not _tops(_below(below, f'{tops[0]}/')):  # a class
            break
        start += f'{tops[0]}/'
    return start


def _split_folders(names, place):
    """{split: its folder, 'Train/'}, or {'train': ''} where the folders are classes."""
    tops = _tops(names)
    known = [top for top in tops if top.lower() in SPLITS]
    deeper = any(_tops(_below(names, f'{top}/')) for top in known)
    if not known or known != tops and not deeper:
        return {'train': ''}  # a class may be called train
    folders = {}
    for top in known:
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


def _beside(names, folders, place):
    """Files that stand in no split, and what is said of unlabelled ones."""
    others, notes = [name for name in names if '/' not in name], []
    for top in sorted(set(_tops(names)) - {folder[:-1] for folder in folders.values()}):
        files = [name for name in _below(names, f'{top}/') if not name.endswith('/')]
        if top.lower() in UNLABELLED:
            notes.append(f'{top}/ holds {len(files)} files without labels: left aside')
        elif any(map(is_picture, files)):
            raise UserError(
                f'{place / top} stands beside {folders["train"]} and is no split: call it '
                'validation or test, or move it away'
            )
        else:
            others += files
    return others, notes


def _classes(names, place, is_domain):
    """{class: its pictures}."""
    groups = {top: [] for top in _tops(names)}
    for name in names:
        top, _, rest = name.partition('/')
        if '/' in rest:
            raise UserError(
                f'{place}: {name} lies deeper than <class>/<file>: '
                + (
                    'call folders of splits train, validation and test; if they are domains '
                    f'instead, pick one of {", ".join(groups)} by data.domain'
                    if is_domain
                    else 'move it up'
                )
            )
        if rest and is_picture(rest):
            groups[top].append(name)
    empty = [top for top, members in groups.items() if not members]
    if empty:
        told = skipped_note(
            name for name in names if name.startswith(f'{empty[0]}/') and not name.endswith('/')
        )
        raise UserError(
            f'the class folder {place / empty[0]} holds no '
            f'pictures{"".join(f", {line}" for line in told)}: add some or remove it'
        )
    return groups


def _table(names, place):
    """The hint that labels may stand in a table beside the pictures."""
    tables = [name for name in names if name.lower().endswith(TABLES) and '/' not in name]
    if not tables or not place.is_dir():
        return ''
    return f', or read the labels of a table by data.path={place / tables[0]}'
