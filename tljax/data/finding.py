"""Which files are pictures: by their endings, below the paths that a user names."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from tljax.core import UserError, abbreviated
from tljax.data.archives import File, members, on_disk
from tljax.files.console import say

# of pictures: Pillow registers .h5 and .pdf, too
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
# of those, what this Pillow reads
READABLE = {
    ending for ending, name in Image.registered_extensions().items() if name in Image.OPEN
} & ENDINGS
# of other endings: packages that make a PNG of them
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
    """Whether a file is a picture that this Pillow reads, by its ending.

    Args:
        name: of a file; that of a folder ends in /.

    >>> is_picture('a/b.JPG'), is_picture('a.heic'), is_picture('a/')
    (True, False, False)
    """
    return not str(name).endswith('/') and Path(name).suffix.lower() in READABLE


def skipped_note(names: Iterable[str | Path]) -> tuple[str, ...]:
    """What is said of files that are no pictures: number, endings, and what would read them.

    Args:
        names: of the files.

    Returns:
        No line or one.

    >>> skipped_note(['a.heic', 'b.HEIC', 'notes.txt'])
    ('3 files passed over (.heic 2, .txt 1): pillow-heif makes PNG of .heic',)
    """
    endings = Counter(Path(name).suffix.lower() or 'no ending' for name in names)
    if not endings:
        return ()
    told = ', '.join(f'{ending} {count}' for ending, count in endings.most_common(6))
    help = ', '.join(
        f'{READERS[ending]} makes PNG of {ending}' for ending in endings if ending in READERS
    )
    count = endings.total()
    told = f'{count} file{"s" * (count > 1)} passed over ({told})'
    return (f'{told}: {help}' if help else told,)


def find(paths: Iterable[str | Path]) -> list[File]:
    """The picture files that paths name, and on standard error how many others were passed over.

    Args:
        paths: of files, each taken as it is; of folders and of ZIP and tar archives, with all
            pictures below them in the order of their names.

    Raises:
        UserError: for a path that does not exist, and a folder or archive without pictures.

    >>> find(['nowhere'])
    Traceback (most recent call last):
    tljax.core.UserError: nowhere does not exist: name a picture or a folder of pictures
    """
    found, notes, others = [], [], []
    for path in map(Path, paths):
        path = path.expanduser()
        if not path.exists():
            raise UserError(f'{path} does not exist: name a picture or a folder of pictures')
        inside = None if is_picture(path) and not path.is_dir() else members(path)
        if inside is None:
            found.append(on_disk(path))
            continue
        below = {name: member for name, member in inside[0].items() if member}
        pictures = [below[name] for name in sorted(below) if is_picture(name)]
        if not pictures:
            told = ''.join(f'; {line}' for line in skipped_note(below))
            raise UserError(
                f'{path} holds no pictures ({abbreviated(sorted(READABLE), 6)}){told}: name '
                'another folder'
            )
        found += pictures
        notes += inside[1]
        others += [name for name in below if not is_picture(name)]
    for line in (*notes, *skipped_note(others)):
        say(line)
    return found
