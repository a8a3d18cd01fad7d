"""Pictures in folders, one per class, or in a ZIP of such folders; decoded when they are asked for."""
import os
import threading
import zipfile
from pathlib import Path

import numpy as np

from tljax.core import Dataset, Refused
from tljax.data.pictures import READABLE, decoded, passed_over, picture
from tljax.data.splits import complete

SPLITS = {'train': 'train', 'validation': 'validation', 'val': 'validation', 'valid': 'validation', 'test': 'test'}


def folder(path: str | Path, size: int, channels: int = 3, validation: float = .1, test: float = .2,
           seed: int = 0, domain: str = '', resize: int | None = None) -> dict[str, Dataset]:
    """Pictures of a tree `<class>/<file>` or `train/<class>/<file>`, or of a ZIP of one.

    They are float32 in [0, 1], (n, size, size, channels), each turned upright as its EXIF orientation says, scaled bilinearly so
    that its short side is `size`, and cropped at its centre. Hidden files, files that Pillow has no reader for, and files beside
    the class folders are passed over.

    Args:
        path: the folder or ZIP; `~` is expanded.
        size: side in pixels.
        channels: 3 for RGB, 1 for grey.
        validation: share of each class that is cut from train where there is no such split.
        test: share of each class that is cut from train where there is no such split.
        seed: of that cut.
        domain: the subfolder that holds the class folders, for sets of several domains,
            `<domain>/<class>/<file>`.
        resize: what the short side is scaled to before the centre is cropped; None means `size`,
            8/7 of it is ImageNet's custom.

    Splits: where the top level is train and any of validation (or val, valid) and test, these are the splits, and only train must
    have every class. A missing validation or test split is cut from train by the seeded permutation of `cut`, class by class.
    Classes are sorted by name and shared by all splits.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        Refused: for a missing path, a damaged ZIP, an unknown domain (lists those there), no class folders, an empty one, folders
            inside a class folder, a class without training pictures; by `take`, for a picture that cannot be decoded (names it).

    >>> import tempfile
    >>> from PIL import Image
    >>> root = Path(tempfile.mkdtemp())
    >>> for name, value in (('day', 255), ('night', 0)):
    ...     (root / name).mkdir()
    ...     for number in range(10):
    ...         Image.new('L', (12, 9), value).save(root / name / f'{number}.png')
    >>> splits = folder(root, size=8, channels=1)
    >>> splits['train'].classes, splits['train'].size, splits['test'].take(np.array([0]))['input'].shape
    (('day', 'night'), 14, (1, 8, 8, 1))
    """
    if channels not in (1, 3) or size < 1:
        raise Refused(f'data.size={size}, data.channels={channels}: give a side of at least 1 pixel, and 3 channels or 1 (grey)')
    if resize is not None and resize < size:
        raise Refused(f'data.resize={resize} is less than data.size={size}: the crop would be larger than the picture')
    path, domain = Path(path).expanduser(), domain.strip('/')
    if not path.exists():
        raise Refused(f'{path} does not exist: give data.path a folder of class folders, or a ZIP of one')
    stamps, read = _zip(path) if path.is_file() else _tree(path, domain)
    layout, others = _layout(_within(stamps, domain, path), path / domain)
    classes = tuple(sorted(set().union(*layout.values())))
    lacking = set(classes) - set(layout['train'])
    if lacking:
        raise Refused(f'{path / domain}: train has no folder {", ".join(sorted(lacking))}, which other splits have: add training '
                      'pictures or remove the class')
    splits = {split: _dataset(groups, classes, size, resize, channels, path, stamps, read) for split, groups in layout.items()}
    splits['train'] = splits['train']._replace(notes=passed_over(others))
    return complete(splits, validation, test, seed, path / domain)


def _dataset(groups, classes, size, resize, channels, path, stamps, read):
    members = [member for name in classes for member in sorted(groups.get(name, ()))]
    label = np.repeat(np.arange(len(classes), dtype=np.int32), [len(groups.get(name, ())) for name in classes])
    held = repr((size, resize, channels, classes, [(member, stamps[member]) for member in members]))

    def decode(row):
        return picture(read(members[row]), path / members[row], channels, size, resize)

    return decoded(decode, (size, size, channels), label, classes, held)


def _tree(root, domain):
    """{member: stamp} of all below `root`, folders ending with a slash, and how a member is read."""
    stamps = {}

    def stop(error):
        raise error

    def read(member):
        try:
            return (root / member).read_bytes()
        except OSError as error:
            raise Refused(f'{root / member} cannot be read ({error.strerror}): restore it') from error

    try:
        start = root / domain if (root / domain).is_dir() else root
        for place, below, names in os.walk(start, onerror=stop, followlinks=True):
            place = Path(place)
            stamps.update({f'{(place / name).relative_to(root).as_posix()}/': '' for name in below})
            if len(place.relative_to(start).parts) > 1:
                below.clear()  # what lies deeper is refused, and a link may lead back up
            for name in names:
                held = (place / name).stat()
                stamps[(place / name).relative_to(root).as_posix()] = f'{held.st_size} {held.st_mtime_ns}'
    except OSError as error:
        raise Refused(f'{error.filename} cannot be read ({error.strerror}): mend or remove it') from error
    return stamps, read


def _zip(path):
    """{member: stamp} of a ZIP, folders ending with a slash, and how a member is read."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise Refused(f'{path} is no ZIP or a damaged one ({error}): copy it again, or give data.path a folder') from error
    lock = threading.Lock()

    def read(member):
        try:
            with lock:
                return archive.read(member)
        except Exception as error:  # a bad checksum, a cut stream, a password and an unknown compression are all different errors
            raise Refused(f'{path / member} cannot be read ({error}): copy the ZIP again') from error

    return {member.filename: f'{member.file_size} {member.CRC}' for member in archive.infolist()}, read


def _within(stamps, domain, path):
    """{member: its parts below `domain`}, without what is hidden; folders' parts end with ''."""
    visible = {member: member.split('/') for member in stamps
               if not any(part.startswith('.') or part == '__MACOSX' for part in member.split('/'))}
    start = domain.split('/') if domain else []
    inside = {member: parts[len(start):] for member, parts in visible.items()
              if parts[:len(start)] == start and len(parts) > len(start)}
    if not inside and domain:
        raise Refused(f'data.domain={domain!r} is no folder of {path}, or is empty: choose from {", ".join(_folders(visible))}')
    return inside


def _layout(inside, where):
    """{split: {class: [members]}}, everything under 'train' where the top level is classes; and the members that are no pictures."""
    tops = _folders(inside)
    split_up = 'train' in tops and set(tops) <= set(SPLITS)
    splits = [SPLITS[top] for top in tops] if split_up else ['train']
    if len(set(splits)) < len(splits):
        raise Refused(f'{where} has more than one validation folder ({", ".join(tops)}): keep one')
    layout, others = {split: {} for split in splits}, []
    for member, parts in inside.items():
        split, parts = (SPLITS.get(parts[0]), parts[1:]) if split_up else ('train', parts)
        if len(parts) < 2:
            others.append(member)
            continue
        if len(parts) > 2:
            raise Refused(f'{where}: {member} lies deeper than <class>/<file>: move it up, or pick one of the folders '
                          f'{", ".join(tops)} by data.domain')
        is_picture = Path(member).suffix.lower() in READABLE
        layout[split].setdefault(parts[0], []).extend([member] if parts[1] and is_picture else [])
        others += [member] if parts[1] and not is_picture else []
    for split, groups in layout.items():
        place = where / next(top for top in tops if SPLITS[top] == split) if split_up else where
        if not groups:
            raise Refused(f'{place} has no class folders: put the pictures of each class into a folder of its name')
        empty = [name for name, members in groups.items() if not members]
        if empty:
            told = passed_over(member for member in others if f'/{min(empty)}/' in f'/{member}')
            raise Refused(f'the class folder {place / min(empty)} holds no pictures{"".join(f", {line}" for line in told)}: '
                          'add some or remove it')
    return layout, others


def _folders(members):
    return sorted({parts[0] for parts in members.values() if len(parts) > 1})
