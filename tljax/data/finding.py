"""Finds the picture files below the paths that a user names, by their endings."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from tljax.core import UserError, abbreviated
from tljax.data.archives import File, members, on_disk
from tljax.files.console import say

# endings of pictures; a fixed list, because Pillow also registers .h5 and .pdf
ENDINGS = {
    '.apng',
    '.avif',
    '.bmp',
    '.dib',
    '.gif',
    '.j2k',
    '.jfif',
    '.jp2',
    '.jpe',
    '.jpeg',
    '.jpg',
    '.pbm',
    '.pgm',
    '.png',
    '.pnm',
    '.ppm',
    '.tga',
    '.tif',
    '.tiff',
    '.webp',
}
# those that the installed Pillow reads
READABLE = {
    ending for ending, name in Image.registered_extensions().items() if name in Image.OPEN
} & ENDINGS
# ending that Pillow does not read -> package that converts such files to PNG
READERS = {
    '.heic': 'pillow-heif',
    '.heif': 'pillow-heif',
    '.dcm': 'pydicom',
    '.nii': 'nibabel',
    '.cr2': 'rawpy',
    '.nef': 'rawpy',
    '.dng': 'rawpy',
    '.arw': 'rawpy',
    '.svg': 'cairosvg',
}


def is_picture(name: str | Path) -> bool:
    """Whether a name has the ending of a picture that the installed Pillow reads.

    Args:
        name: name of a file; a name that ends in / is a folder.

    >>> is_picture('a/b.JPG'), is_picture('a.heic'), is_picture('a/')
    (True, False, False)
    """
    return not str(name).endswith('/') and Path(name).suffix.lower() in READABLE


def skipped_note(names: Iterable[str | Path]) -> tuple[str, ...]:
    """Returns a note about files that are no pictures: how many, their endings, and converters.

    Args:
        names: names of the files.

    Returns:
        One line, or none if there are no such files.

    >>> skipped_note(['a.heic', 'b.HEIC', 'notes.txt'])
    ('3 files passed over (.heic 2, .txt 1): pillow-heif makes PNG of .heic',)
    """
    endings = Counter(Path(name).suffix.lower() or 'no ending' for name in names)
    if not endings:
        return ()
    count = endings.total()
    counts = ', '.join(f'{ending} {count}' for ending, count in endings.most_common(6))
    note = f'{count} file{"s" * (count > 1)} passed over ({counts})'
    converters = ', '.join(
        f'{READERS[ending]} makes PNG of {ending}' for ending in endings if ending in READERS
    )
    return (f'{note}: {converters}' if converters else note,)


def find(paths: Iterable[str | Path]) -> list[File]:
    """Finds the picture files below paths, and prints how many other files were passed over.

    Args:
        paths: files, folders, and ZIP and tar archives. A file is taken if its ending is that of a
            picture or if it is no archive. All pictures below a folder or archive are taken,
            sorted by name.

    Raises:
        UserError: a path does not exist, or a folder or archive has no pictures.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ('b.png', 'a.jpg'):
    ...     (folder / name).touch()
    >>> [file.path.name for file in find([folder])]
    ['a.jpg', 'b.png']
    """
    files, notes, other_names = [], [], []
    for path in map(Path, paths):
        path = path.expanduser()
        if not path.exists():
            raise UserError(f'{path} does not exist: name a picture or a folder of pictures')
        listing = None if is_picture(path) and not path.is_dir() else members(path)
        if listing is None:
            files.append(on_disk(path))
            continue
        below = {name: member for name, member in listing[0].items() if member}
        pictures = [below[name] for name in sorted(below) if is_picture(name)]
        if not pictures:
            hint = ''.join(f'; {line}' for line in skipped_note(below))
            raise UserError(
                f'{path} holds no pictures ({abbreviated(sorted(READABLE), 6)}){hint}: name '
                'another folder'
            )
        files += pictures
        notes += listing[1]
        other_names += [name for name in below if not is_picture(name)]
    for note in (*notes, *skipped_note(other_names)):
        say(note)
    return files
