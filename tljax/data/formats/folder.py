"""Pictures in folders, one per class, or in an archive of such folders; decoded when asked for."""

from pathlib import Path

import numpy as np

from tljax.core import Dataset, Task, UserError
from tljax.data.archives import members
from tljax.data.decoding import PIXELS
from tljax.data.finding import is_picture
from tljax.data.formats.listed import is_table, listed
from tljax.data.layout import layout, refuse_similar_names
from tljax.data.pictures import pictures, refuse_size, refuse_unreadable
from tljax.data.splits import cut_missing
from tljax.data.tasks import with_task

WEIGHTS = 'a file of weights: it is given by init.path, and data.path names the pictures'
OTHERS = {  # by ending: several are ZIPs
    '.npz': "a file of arrays: it is read by data.name='npz'",
    **dict.fromkeys(
        ('.xlsx', '.xls', '.ods', '.parquet', '.feather', '.jsonl', '.json'),
        'a table of another kind: save it as CSV',
    ),
    **dict.fromkeys(
        (
            '.h5',
            '.hdf5',
            '.keras',
            '.pth',
            '.pt',
            '.safetensors',
            '.onnx',
            '.tflite',
            '.ckpt',
            '.pb',
        ),
        WEIGHTS,
    ),
    **dict.fromkeys(('.rar', '.7z'), 'an archive of another kind: unpack it and give the folder'),
}


def folder(
    path: str | Path,
    size: int,
    channels: int = 3,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    domain: str = '',
    resize: int | None = None,
    pixels: int = PIXELS,
    file: str = '',
    label: str = '',
    task: str = '',
) -> dict[str, Dataset]:
    """Pictures of a tree `<class>/<file>` or `train/<class>/<file>`, of an archive of it, or a CSV.

    They are float32 in [0, 1], (n, size, size, channels), each turned upright as its EXIF
    orientation says, scaled bilinearly so that its short side is `size`, and cropped at its centre.
    Hidden files, files that Pillow has no reader for, and files beside the class folders are passed
    over. A folder that holds nothing but one folder of folders is stepped into.

    Args:
        path: the folder, the archive, or the CSV, which `data.listed` reads; `~` is expanded.
        size: side in pixels.
        channels: 3 for RGB, 1 for grey.
        validation: share of each class that is cut from train where there is no such split.
        test: share of each class that is cut from train where there is no such split.
        seed: of that cut.
        domain: the subfolder that holds the class folders, for sets of several domains,
            `<domain>/<class>/<file>`.
        resize: what the short side is scaled to before the centre is cropped; None means `size`,
            8/7 of it is ImageNet's custom.
        pixels: the most that a picture may have: it guards against files that unpack to gigabytes.
        file: of a CSV: the column of the pictures' names.
        label: of a CSV: the column of their labels.
        task: 'classes', 'labels' or 'numbers', where names of folders or cells of a CSV do not say
            it.

    Splits: folders called train (or training) and validation (val, valid) and test (testing), in
        any case, are the splits, and only train must have every class. A missing validation or test
        split, or one without class folders (which is left aside), is cut from train by the seeded
        permutation of `cut`, class by class. Classes are sorted by name and shared by all splits.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        UserError: for a missing path, a damaged archive, an unknown domain (lists those there), no
            class folders, an empty one, folders inside a class folder, a class without training
            pictures, classes that differ in case alone; for all pictures whose headers cannot be
            read, at once; by `take`, for a picture that cannot be decoded (names it).

    >>> import tempfile
    >>> from PIL import Image
    >>> root = Path(tempfile.mkdtemp())
    >>> for name, value in (('day', 255), ('night', 0)):
    ...     (root / name).mkdir()
    ...     for number in range(10):
    ...         Image.new('L', (12, 9), value).save(root / name / f'{number}.png')
    >>> splits = folder(root, size=8, channels=1)
    >>> (
    ...     splits['train'].classes,
    ...     splits['train'].size,
    ...     splits['test'].take(np.array([0]))['input'].shape,
    ... )
    (('day', 'night'), 14, (1, 8, 8, 1))
    >>> splits['test'].names.tolist()[:2]
    ['day/4.png', 'day/7.png']
    """
    refuse_size(size, channels)
    if resize is not None and resize < size:
        raise UserError(
            f'data.resize={resize} is less than data.size={size}: the crop would be larger than '
            'the picture'
        )
    if pixels < 1:
        raise UserError(
            f'data.pixels={pixels}: give the most pixels that a picture may have, such as {PIXELS}'
        )
    path, domain = Path(path).expanduser(), domain.strip('/')
    if not path.exists():
        raise UserError(
            f'{path} does not exist: give data.path a folder of class folders, a ZIP or tar '
            'archive of one, or a CSV of labels'
        )
    if is_table(path):
        if domain:
            raise UserError(
                f'data.domain={domain!r} picks a folder, and {path} is a table: leave it out'
            )
        return listed(
            path, size, channels, validation, test, seed, resize, pixels, file, label, task
        )
    if file or label:
        raise UserError(
            f'data.file and data.label name columns of a CSV, and {path} is none: leave them out'
        )
    inside, said = _members(path, domain)
    found = layout(list(inside), path, domain)
    classes = tuple(sorted(set().union(*found.splits.values())))
    refuse_similar_names(classes, path / domain)
    lacking = set(classes) - set(found.splits['train'])
    if lacking:
        raise UserError(
            f'{path / domain}: train has no folder {", ".join(sorted(lacking))}, which other '
            'splits have: add training pictures or remove the class'
        )
    names = [name for groups in found.splits.values() for held in groups.values() for name in held]
    files = {name: file for name, file in inside.items() if file is not None}
    refuse_unreadable([files[name] for name in names], names, path, pixels)
    splits = {}
    for split, groups in found.splits.items():
        names = [name for each in classes for name in sorted(groups.get(each, ()))]
        numbers = np.repeat(
            np.arange(len(classes), dtype=np.int32), [len(groups.get(each, ())) for each in classes]
        )
        splits[split] = pictures(
            [files[name] for name in names],
            (size, size, channels),
            resize,
            numbers,
            Task.of(classes),
            names,
            pixels,
        )
    splits['train'] = splits['train']._replace(notes=(*said, *found.notes))
    splits = with_task(splits, task) if task else splits
    return cut_missing(splits, validation, test, seed, path / domain)


def _members(path, domain):
    """Files of the folder or archive, and what is said of those left out."""
    if path.is_file() and path.suffix.lower() in OTHERS:
        raise UserError(f'{path} is {OTHERS[path.suffix.lower()]}')
    found = members(path, domain if (path / domain).is_dir() else '')
    if found is None:
        what = 'a single picture' if is_picture(path) else 'no folder, ZIP, tar archive or CSV'
        raise UserError(
            f'{path} is {what}: give data.path a folder of class folders, a ZIP or tar archive of '
            'one, or a CSV of labels'
        )
    return found
