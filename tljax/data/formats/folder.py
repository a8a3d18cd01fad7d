"""Pictures in class folders, or in an archive of such folders; decoded when they are read."""

from pathlib import Path

import numpy as np

from tljax.core import Dataset, Task, UserError
from tljax.data.archives import members
from tljax.data.decoding import PIXELS
from tljax.data.finding import is_picture
from tljax.data.formats.listed import is_table, listed
from tljax.data.layout import layout, refuse_similar_names
from tljax.data.pictures import pictures, refuse_decoding, refuse_size, refuse_unreadable
from tljax.data.splits import cut_missing
from tljax.data.tasks import with_task
from tljax.protocols import Record

TABLE = 'a table of another kind: save it as CSV'
ARCHIVE = 'an archive of another kind: unpack it and give the folder'
WEIGHTS = 'a file of weights: it is given by init.path, and data.path names the pictures'
# ending -> what the file is, and the remedy; several of these files are ZIPs
OTHER_FILES = {
    '.npz': "a file of arrays: it is read by data.name='npz'",
    '.xlsx': TABLE,
    '.xls': TABLE,
    '.ods': TABLE,
    '.parquet': TABLE,
    '.feather': TABLE,
    '.jsonl': TABLE,
    '.json': TABLE,
    '.h5': WEIGHTS,
    '.hdf5': WEIGHTS,
    '.keras': WEIGHTS,
    '.pth': WEIGHTS,
    '.pt': WEIGHTS,
    '.safetensors': WEIGHTS,
    '.onnx': WEIGHTS,
    '.tflite': WEIGHTS,
    '.ckpt': WEIGHTS,
    '.pb': WEIGHTS,
    '.rar': ARCHIVE,
    '.7z': ARCHIVE,
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
    draft: int = 0,
    interpolation: str = 'bilinear',
) -> dict[str, Dataset]:
    """Reads pictures of a tree `<class>/<file>` or `train/<class>/<file>`, an archive or a CSV.

    Pictures become float32 in [0, 1], (n, size, size, channels). Each is turned upright by its EXIF
    orientation, scaled so that its short side is `resize`, and cropped at its centre.
    The loader ignores hidden files, files that Pillow cannot read, and files beside the class
    folders. A folder that holds nothing but one folder of folders is replaced by that folder.

    Args:
        path: the folder, the archive, or a CSV, which `data.listed` reads; `~` is expanded.
        size: side of the pictures, in pixels.
        channels: 3 for RGB, 1 for grey.
        validation: share of each class that is cut from train if there is no such split.
        test: share of each class that is cut from train if there is no such split.
        seed: seed of that cut.
        domain: for a set of several domains, `<domain>/<class>/<file>`: the folder of one of them.
        resize: length of the short side before the centre crop, in pixels; None means `size`.
            ImageNet's custom is 8/7 of `size`.
        pixels: largest number of pixels of a picture, a guard against files that unpack to
            gigabytes.
        file: column of the pictures' names, for a CSV.
        label: column of the labels, for a CSV.
        task: 'classes', 'labels' or 'numbers'; needed if the names of the folders or the cells of
            the CSV leave it open.
        draft: 0 decodes every picture at its full size. A number decodes a large JPEG at a half,
            quarter or eighth of its size, but not below `draft` times the short side that it is
            scaled to. This is faster, and changes pictures by some grey levels. With 2, 24
            photographs of 1,500 to 4,000 pixels at size 224 changed by 4 of 255 levels at most,
            and by 0.2 on average.
        interpolation: filter that scales the pictures, 'bilinear' or 'bicubic'; networks have their
            own (`experiments.models`).

    Splits: folders called train (or training), validation (val, valid) and test (testing), in any
        case, are the splits. Only train must have every class. If a validation or test folder is
        missing, or has no class folders (it is then ignored), the split is cut from train, class by
        class, by the seeded permutation of `cut`. All splits share one list of classes, sorted by
        name.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        UserError: the path is missing or a damaged archive; the domain is unknown (the error lists
            those of the set); there are no class folders, an empty one, one with folders inside,
            one without training pictures, or two whose names differ in case alone; headers of
            pictures cannot be read (one error for all of them); in `take`, a picture cannot be
            decoded (the error names it).

    >>> import tempfile
    >>> from PIL import Image
    >>> root = Path(tempfile.mkdtemp())
    >>> for name, value in (('day', 255), ('night', 0)):
    ...     (root / name).mkdir()
    ...     for number in range(10):
    ...         Image.new('L', (12, 9), value).save(root / name / f'{number}.png')
    >>> splits = folder(root, size=8, channels=1)
    >>> splits['train'].classes, {name: split.size for name, split in splits.items()}
    (('day', 'night'), {'train': 14, 'validation': 2, 'test': 4})
    >>> splits['test'].names.tolist()[:2]
    ['day/4.png', 'day/7.png']
    >>> splits['test'].take(np.array([0]))['input'].shape
    (1, 8, 8, 1)
    """
    refuse_size(size, channels)
    path, domain = Path(path).expanduser(), domain.strip('/')
    _refuse_settings(path, domain, size, resize, pixels, file or label)
    refuse_decoding(draft, interpolation)
    if is_table(path):
        return listed(
            path,
            size,
            channels,
            validation,
            test,
            seed,
            resize,
            pixels,
            file,
            label,
            task,
            draft,
            interpolation,
        )
    members_by_name, member_notes = _members(path, domain)
    tree = layout(list(members_by_name), path, domain)
    classes = tuple(sorted(set().union(*tree.splits.values())))
    refuse_similar_names(classes, path / domain)
    absent_classes = set(classes) - set(tree.splits['train'])
    if absent_classes:
        raise UserError(
            f'{path / domain}: train has no folder {", ".join(sorted(absent_classes))}, which '
            'other splits have: add training pictures or remove the class'
        )
    files = {name: file for name, file in members_by_name.items() if file is not None}
    names = [name for groups in tree.splits.values() for group in groups.values() for name in group]
    refuse_unreadable([files[name] for name in names], names, path, pixels)
    shape = (size, size, channels)
    decoding: Record = dict(resize=resize, pixels=pixels, draft=draft, interpolation=interpolation)
    splits = {
        split: _pictures(groups, classes, files, shape, decoding)
        for split, groups in tree.splits.items()
    }
    splits['train'] = splits['train']._replace(notes=(*member_notes, *tree.notes))
    splits = with_task(splits, task) if task else splits
    return cut_missing(splits, validation, test, seed, path / domain)


def _refuse_settings(path, domain, size, resize, pixels, columns):
    """Raises an error for settings that fit no picture, or that do not fit the path."""
    if resize is not None and resize < size:
        raise UserError(
            f'data.resize={resize} is less than data.size={size}: the crop would be larger than '
            'the picture'
        )
    if pixels < 1:
        raise UserError(
            f'data.pixels={pixels}: give the most pixels that a picture may have, such as {PIXELS}'
        )
    if not path.exists():
        raise UserError(
            f'{path} does not exist: give data.path a folder of class folders, a ZIP or tar '
            'archive of one, or a CSV of labels'
        )
    if domain and is_table(path):
        raise UserError(
            f'data.domain={domain!r} picks a folder, and {path} is a table: leave it out'
        )
    if columns and not is_table(path):
        raise UserError(
            f'data.file and data.label name columns of a CSV, and {path} is none: leave them out'
        )


def _members(path, domain):
    """The files of a folder or archive by name, and notes on those that are ignored."""
    if path.is_file() and path.suffix.lower() in OTHER_FILES:
        raise UserError(f'{path} is {OTHER_FILES[path.suffix.lower()]}')
    files_and_notes = members(path, domain if (path / domain).is_dir() else '')
    if files_and_notes is None:
        kind = 'a single picture' if is_picture(path) else 'no folder, ZIP, tar archive or CSV'
        raise UserError(
            f'{path} is {kind}: give data.path a folder of class folders, a ZIP or tar archive of '
            'one, or a CSV of labels'
        )
    return files_and_notes


def _pictures(groups, classes, files, shape, decoding):
    """The Dataset of one split; `groups` are {class: names of its pictures}."""
    names, label = [], []
    for number, name in enumerate(classes):
        members = sorted(groups.get(name, ()))
        names += members
        label += [number] * len(members)
    return pictures(
        [files[name] for name in names],
        shape,
        label=np.array(label, np.int32),
        task=Task.of(classes),
        names=names,
        **decoding,
    )
