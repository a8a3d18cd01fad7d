"""Pictures with boxes, of Pascal VOC, COCO, YOLO or a user's own table."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tljax.core import Dataset, Task, UserError, abbreviated, nearest_name
from tljax.data.annotations.annotated import Annotated, Annotations, Pictures
from tljax.data.annotations.coco import coco
from tljax.data.annotations.table import table
from tljax.data.annotations.voc import voc
from tljax.data.annotations.yolo import labels_of, yolo
from tljax.data.archives import File, members, on_disk
from tljax.data.decoding import FILTERS, PIXELS, picture
from tljax.data.pictures import pictures, refuse_size, refuse_unreadable
from tljax.data.purposes import Purpose

SPLITS = ('train', 'validation', 'test')
FORMS: dict[str, Callable[[dict[str, File]], Annotations]] = {
    'coco': coco,
    'voc': voc,
    'yolo': yolo,
    'table': table,
}
PADDING, FIRST_IGNORED = -1, -2  # classes of what is no box to be found


def boxes(
    path: str | Path,
    size: int,
    channels: int = 3,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    form: str = '',
    where: str = '',
    difficult: bool = False,
    interpolation: str = 'bilinear',
    pixels: int = PIXELS,
) -> dict[str, Dataset]:
    """Reads pictures and their boxes from a folder, an archive, or one file of annotations.

    Pictures become float32 in [0, 1], (n, size, size, channels): each is stretched to the square,
    as SSD does. Labels are float32 (n, g, 5): top, left, bottom, right in shares of the picture,
    and the class. g is the largest number of boxes of a picture in any split. Rows that are no box
    have the class PADDING, -1. Boxes that are neither to be found nor to be missed (COCO's crowds,
    VOC's difficult ones) have the class FIRST_IGNORED less their own: -2 for class 0, -3 for class
    1. So a class of 0 or more is a box to be found, and all others are none.

    Args:
        path: the folder, archive, JSON or CSV; `~` is expanded.
        size: side of the pictures, in pixels.
        channels: 3 for RGB, 1 for grey.
        validation: share of the pictures of train that become a missing validation split.
        test: share of the pictures of train that become a missing test split.
        seed: seed of that cut.
        form: 'coco', 'voc', 'yolo' or 'table'; '' tells by the files.
        where: folder or archive of the pictures, if they are not with the annotations. For a JSON
            or CSV, '' means an archive of its name beside it, or else its folder.
        difficult: whether boxes that VOC marks as difficult are boxes like others.
        interpolation: 'bilinear' or 'bicubic', which average when they reduce, or 'legacy': the
            sampling of TensorFlow 1 (`nn.boxes.crops.legacy_resize`), for detectors that were
            trained with it.
        pixels: largest number of pixels of a picture, as for `folder`.

    Boxes are clipped to their pictures. Those without area are left out, with a note. Pictures are
        turned by their EXIF orientation if the annotation states the size that they have then, or
        no size.

    Splits: as the reader of the form finds them (`tljax.data.annotations`). A missing validation or
        test split is cut from train, at random by pictures. If all pictures are of one split, all
        three are cut from them.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        UserError: the path is missing or has no annotations, or those of several forms; as the
            reader of the form; a picture has another size than its annotation states; headers of
            pictures cannot be read (one error for all); in `take`, a picture cannot be decoded.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for number in range(4):
    ...     Image.new('RGB', (20, 10)).save(root / f'{number}.png')
    ...     _ = (root / f'{number}.txt').write_text('0 0.5 0.5 0.5 1.0')
    >>> splits = boxes(root, size=8, validation=0.25, test=0.25)
    >>> {name: split.size for name, split in splits.items()}, splits['train'].task.kind
    ({'train': 2, 'validation': 1, 'test': 1}, 'boxes')
    >>> splits['test'].label.tolist()
    [[[0.0, 0.25, 1.0, 0.75, 0.0]]]
    """
    refuse_size(size, channels)
    if interpolation not in (*FILTERS, 'legacy'):
        raise UserError(
            f'data.interpolation={interpolation!r} is unknown: '
            f'{nearest_name(interpolation, (*FILTERS, "legacy"))}'
        )
    path = Path(path).expanduser()
    annotations, files = annotated(path, form, where, difficult)
    rows = annotations.pictures
    sides = refuse_unreadable(
        [files[row.name] for row in rows], [row.name for row in rows], path, pixels
    )
    rows, upright = _in_shares(rows, sides, path)
    rows, notes = _with_area(rows)
    notes = (*annotations.notes, *notes)
    split = [row.split or 'train' for row in rows]
    if len({*split}) == 1 and split[0] != 'train':
        notes += (f'all pictures are of {split[0]}: train, validation and test are cut from them',)
        split = ['train'] * len(split)
    groups = _cut(split, validation, test, seed, path)
    width = max(1, *(len(row.label) for row in rows))
    task = Task('boxes', annotations.classes)

    def dataset(members):
        def read(i):
            row, file = members[i], files[rows[members[i]].name]
            data = file.read()
            array = picture(data, file.path, channels, pixels=pixels, upright=upright[row])
            return stretched(array, size, interpolation)

        made = pictures(
            [files[rows[i].name] for i in members],
            (size, size, channels),
            label=padded([rows[i] for i in members], width),
            task=task,
            names=[rows[i].name for i in members],
            read=read,
        )
        content = repr((made.fingerprint, 'stretched', interpolation, pixels))
        return made._replace(fingerprint=hashlib.sha256(content.encode()).hexdigest())

    splits = {name: dataset(groups[name]) for name in SPLITS}
    counts = np.unique(splits['train'].label[..., 4])
    bare = [name for i, name in enumerate(task.names) if i not in counts]
    if bare:
        notes += (f'no box of train is of the class {abbreviated(bare, 6)}',)
    return {**splits, 'train': splits['train']._replace(notes=notes)}


def annotated(
    path: Path, form: str = '', where: str = '', difficult: bool = False
) -> tuple[Annotations, dict[str, File]]:
    """Reads annotations.

    Args:
        path: as in `boxes`.
        form: as in `boxes`.
        where: as in `boxes`.
        difficult: as in `boxes`.

    Returns:
        The annotations, and the files by the names that their pictures have.

    Raises:
        UserError: as in `boxes`.
    """
    if form and form not in FORMS:
        raise UserError(f'data.form={form!r} is unknown: {nearest_name(form, FORMS)}')
    if not path.exists():
        raise UserError(
            f'{path} does not exist: give data.path a folder or archive of pictures and '
            'annotations, or a JSON of COCO'
        )
    is_file = path.suffix.lower() in ('.json', '.csv') and path.is_file()
    source = path
    if is_file:
        archives = [path.with_suffix(ending) for ending in ('.zip', '.tar')]
        source = next((file for file in archives if file.exists()), path.parent)
    files, notes = _files(Path(where).expanduser() if where else source)
    if is_file:
        files = {name: file for name, file in files.items() if Pictures([name]).names}
        files[path.name] = on_disk(path)
    elif where:
        files, others, notes = _files(path)[0], files, (*_files(path)[1], *notes)
        files = {**others, **files}
    form = form or _form(files, path)
    found = voc(files, difficult) if form == 'voc' else FORMS[form](files)
    if not found.pictures:
        raise UserError(f'{path} has no annotated pictures: give data.path another folder')
    return found._replace(notes=(*notes, *found.notes)), files


def _files(path):
    """The files of a folder or archive, and notes."""
    found = members(path) if path.exists() else None
    if found is None:
        raise UserError(f'{path} is no folder, ZIP or tar archive: give one of pictures')
    return {name: file for name, file in found[0].items() if file is not None}, found[1]


def _form(files, path):
    """The form of the annotations among files."""
    endings = {Path(name).suffix.lower() for name in files}
    texts = {name for picture in Pictures(files).names for name in labels_of(picture)}
    forms = [
        form
        for form, is_there in {
            'coco': '.json' in endings,
            'voc': '.xml' in endings,
            'yolo': bool(texts & set(files)),
            'table': '.csv' in endings,
        }.items()
        if is_there
    ]
    if len(forms) != 1:
        held = f'annotations of several forms ({", ".join(forms)})' if forms else 'no annotations'
        raise UserError(
            f'{path} holds {held}: say which by data.form: {", ".join(FORMS)}'
            if forms
            else f'{path} holds {held}: add XML, JSON or text files, or a CSV of boxes'
        )
    return forms[0]


def _in_shares(rows, sides, path):
    """Annotations whose boxes are shares of the picture and whose sizes are known, and whether each
    picture is turned upright."""
    found, upright, wrong = [], [], []
    for row, (stored, turned) in zip(rows, sides, strict=True):
        size = row.size or turned
        upright.append(size == turned)
        if size not in (stored, turned):
            wrong.append(f'{row.name} {turned[1]}x{turned[0]} where {size[1]}x{size[0]} is stated')
        height, width = size
        boxes = row.boxes if row.shares else row.boxes / [height, width, height, width]
        found.append(row._replace(boxes=boxes, size=size, shares=True))
    if wrong:
        raise UserError(
            f'{path}: {len(wrong)} pictures have another size than their annotation states '
            f'({abbreviated(wrong, 3)}): mend the annotations or give the original pictures'
        )
    return found, upright


def _with_area(rows):
    """Annotations whose boxes are clipped and have an area, which is known, and notes."""
    found, names = [], []
    for row in rows:
        boxes = row.boxes.clip(0, 1)
        sides = boxes[:, 2:] - boxes[:, :2]
        kept = (sides > 0).all(1)
        area = np.where(np.isnan(row.area), sides.prod(1) * np.prod(row.size), row.area)
        names += [row.name] * int((~kept).sum())
        found.append(
            row._replace(
                boxes=boxes[kept],
                label=row.label[kept],
                ignored=row.ignored[kept],
                area=area[kept],
            )
        )
    notes = []
    if names:
        notes.append(
            f'{len(names)} boxes without area in their picture left out, of '
            f'{abbreviated(dict.fromkeys(names), 3)}'
        )
    empty = sum(not len(row.label) for row in found)
    if empty:
        notes.append(f'{empty} pictures have no boxes')
    return found, notes


def _cut(split, validation, test, seed, path):
    """{split: numbers of its pictures}; missing splits are cut from train at random."""
    rows = {name: [i for i, other in enumerate(split) if other == name] for name in SPLITS}
    if not rows['train']:
        raise UserError(f'{path}: no picture is of train, but of {", ".join(sorted({*split}))}')
    shares = {'validation': validation, 'test': test}
    shares = {name: share for name, share in shares.items() if not rows[name]}
    if any(share <= 0 for share in shares.values()) or sum(shares.values()) >= 1:
        raise UserError(
            f'{path}: {", ".join(f"data.{name}={share}" for name, share in shares.items())} of '
            'train is to be cut off: give shares above 0 whose sum is below 1'
        )
    order = np.random.default_rng([Purpose.CUT, seed]).permutation(rows['train']).tolist()
    size = len(order)
    if size <= len(shares):
        raise UserError(
            f'{path}: {size} pictures of train are too few to cut {" and ".join(shares)} from: add '
            'pictures'
        )
    for name, share in shares.items():
        count = min(max(round(share * size), 1), len(order) - 1)
        rows[name], order = sorted(order[:count]), order[count:]
    return {**rows, 'train': sorted(order)}


def padded(rows: Sequence[Annotated], width: int) -> np.ndarray:
    """Returns the labels of pictures as `boxes` has them, (n, width, 5) float32.

    Args:
        rows: the pictures; their boxes are shares.
        width: number of rows for boxes, at least the most boxes of a picture.

    >>> rows = [Annotated.of('a', [[0, 0, 1, 1]], [2]), Annotated.of('b', [], [])]
    >>> padded(rows, 1).tolist()
    [[[0.0, 0.0, 1.0, 1.0, 2.0]], [[0.0, 0.0, 0.0, 0.0, -1.0]]]
    >>> padded([Annotated.of('a', [[0, 0, 1, 1]], [2], ignored=[True])], 1)[0, 0, 4].item()
    -4.0
    """
    label = np.zeros((len(rows), width, 5), np.float32)
    label[..., 4] = PADDING
    for place, row in zip(label, rows, strict=True):
        count = len(row.label)
        place[:count, :4] = row.boxes
        place[:count, 4] = np.where(row.ignored, FIRST_IGNORED - row.label, row.label)
    return label


def stretched(array: np.ndarray, size: int, interpolation: str = 'bilinear') -> np.ndarray:
    """Stretches a picture to a square, uint8 (size, size, c).

    Args:
        array: uint8 (h, w, c).
        size: side in pixels.
        interpolation: as in `boxes`; the result of 'legacy' is rounded to whole numbers.

    >>> stretched(np.array([0, 100], np.uint8).reshape(2, 1, 1), 4, 'legacy')[:, 0, 0].tolist()
    [0, 50, 100, 100]
    """
    if interpolation == 'legacy':
        for axis in (0, 1):
            side = array.shape[axis]
            places = np.arange(size, dtype=np.float32) * np.float32(side / size)
            low = np.floor(places).astype(int)
            share = np.expand_dims(places - low, [i for i in range(3) if i != axis])
            first = array.take(low, axis).astype(np.float32)
            last = array.take(np.minimum(low + 1, side - 1), axis)
            array = first + (last - first) * share
        return array.round().astype(np.uint8)
    image = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
    image = image.resize((size, size), FILTERS[interpolation])
    return np.asarray(image).reshape(size, size, -1)
