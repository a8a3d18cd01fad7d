"""COCO's annotations: one JSON file for each split (Lin et al. 2014)."""

import json
import math
import posixpath
from collections import Counter, defaultdict

from tljax.core import UserError, abbreviated
from tljax.data.annotations.annotated import Annotated, Annotations, Pictures, split_of
from tljax.data.archives import File

PARTS = ('images', 'annotations', 'categories')


def coco(files: dict[str, File]) -> Annotations:
    """Reads the JSON files of object instances.

    Classes are in the order of their category ids, which may have gaps. Crowds (`iscrowd`) are
    ignored boxes. Of several files for one split, that called instances is read.

    Args:
        files: the files of a folder or archive by name.

    Splits: the words train, val or test in the name of the JSON; '' if there is none of them.

    Raises:
        UserError: a JSON is damaged or no COCO file, two files are of one split, ids are repeated
            or unknown, a box is no four numbers, or pictures are missing.

    >>> text = json.dumps(
    ...     {
    ...         'images': [{'id': 7, 'file_name': 'a.jpg', 'height': 9, 'width': 8}],
    ...         'categories': [{'id': 3, 'name': 'cat'}, {'id': 1, 'name': 'dog'}],
    ...         'annotations': [{'id': 0, 'image_id': 7, 'category_id': 3, 'bbox': [1, 2, 3, 4]}],
    ...     }
    ... ).encode()
    >>> file = File('a.json', '', len(text), lambda limit: text)
    >>> found = coco({'a.json': file, 'a.jpg': file})
    >>> found.classes, found.ids, found.pictures[0].boxes.tolist(), found.pictures[0].label.tolist()
    (('dog', 'cat'), (1, 3), [[2.0, 1.0, 6.0, 4.0]], [1])
    >>> found.notes[0]
    'a.json: an annotation has the id 0, which pycocotools never matches: annotations are ...
    """
    pictures, notes = Pictures(files), []
    contents = {}  # split -> (name, content)
    for name in sorted(name for name in files if name.lower().endswith('.json')):
        content = _parsed(files[name])
        if content is None:
            continue
        split = split_of(posixpath.basename(name))
        if split in contents and 'instances' in contents[split][0]:
            continue
        if split in contents and 'instances' not in name:
            raise UserError(
                f'{contents[split][0]} and {name} are both annotations of '
                f'{split or "no named split"}: keep one, or say train, val or test in their names'
            )
        contents[split] = name, content
    if not contents:
        raise UserError(
            f'no JSON among the files has the lists {", ".join(PARTS)} of COCO: give another path'
        )
    order = sorted(contents, key=lambda split: split not in ('', 'train'))
    ids = {}  # name of a class -> its number in the first file that has it
    for split in order:
        name, content = contents[split]
        ids = {**_categories(content, name), **ids}
    classes = tuple(sorted(ids, key=lambda key: (ids[key], key)))
    number = {name: i for i, name in enumerate(classes)}
    found = []
    for split in order:
        name, content = contents[split]
        found += _pictures(content, name, split, pictures, number, notes)
    return Annotations(found, classes, tuple(ids[name] for name in classes), tuple(notes))


def _parsed(file):
    """The content of a JSON; None if it is valid but no COCO file of boxes."""
    try:
        content = json.loads(file.read())
    except (ValueError, RecursionError) as error:
        raise UserError(f'{file.path} is no JSON ({error}): mend or remove it') from error
    if not isinstance(content, dict) or not all(
        isinstance(content.get(part), list)
        and all(isinstance(item, dict) for item in content[part])
        for part in PARTS
    ):
        return None
    return content


def _categories(content, where):
    """{name: id} of the categories, in the order of their ids."""
    pairs = [(item.get('id'), item.get('name')) for item in content['categories']]
    for i, kind, what in ((0, int, 'id'), (1, str, 'name')):
        _refuse_repeated([pair[i] for pair in pairs], kind, f'{where}: the category {what}')
    return {name: id for id, name in sorted(pairs)}


def _refuse_repeated(values, kind, what):
    wrong = [value for value in values if not isinstance(value, kind)]
    wrong = wrong or [value for value, count in Counter(values).items() if count > 1]
    if wrong:
        raise UserError(
            f'{what} {abbreviated(map(repr, wrong), 3)} is missing, repeated or no '
            f'{"number" if kind is int else "text"}: give each its own'
        )


def _pictures(content, where, split, pictures, number, notes):
    """The `Annotated` pictures of one JSON; adds to the notes."""
    _refuse_repeated([item.get('id') for item in content['images']], int, f'{where}: the image id')
    items = {item['id']: item for item in content['images']}
    names = {id: name for name, id in _categories(content, where).items()}
    boxes = defaultdict(list)
    for item in content['annotations']:
        boxes[str(item.get('image_id'))].append(_box(item, names, number, where))
    unknown = set(boxes) - set(map(str, items))
    if unknown:
        raise UserError(
            f'{where}: annotations are of the images {abbreviated(map(ascii, unknown), 3)}, which '
            'it does not list: list or remove them'
        )
    if any(item.get('id') == 0 for item in content['annotations']):
        notes.append(
            f'{where}: an annotation has the id 0, which pycocotools never matches: annotations '
            'are numbered from 1 anew'
        )
    found, missing, folder = [], [], posixpath.dirname(where)
    for id, item in items.items():
        reference = str(item.get('file_name', ''))
        name = pictures.find(reference, folder, split)
        if name is None:
            missing.append(reference)
            continue
        sides = item.get('height'), item.get('width')
        size = sides if all(isinstance(side, int) and side > 0 for side in sides) else ()
        columns = zip(*boxes[str(id)], strict=True) if boxes[str(id)] else ((), (), (), ())
        found.append(Annotated.of(name, *columns, size=size, split=split))
    if missing:
        raise UserError(
            f'{where}: {len(missing)} of {len(items)} pictures are missing '
            f'({abbreviated(map(repr, missing), 3)}): add them, or say where they are by data.where'
        )
    return found


def _box(item, names, number, where):
    """Box, class, whether it is ignored, and area of an annotation."""
    box, area = item.get('bbox'), item.get('area', math.nan)
    numbers = [*box, area] if isinstance(box, list) and len(box) == 4 else [math.nan]
    if not all(isinstance(value, (int, float)) for value in numbers) or not all(
        map(math.isfinite, numbers[:4])
    ):
        raise UserError(
            f'{where}: annotation {item.get("id")!r} has the bbox {str(box)[:60]}: give four '
            'numbers, left, top, width and height'
        )
    if not isinstance(item.get('category_id'), int) or item['category_id'] not in names:
        raise UserError(
            f'{where}: annotation {item.get("id")!r} has the category_id '
            f'{item.get("category_id")!r}, which is no category ({abbreviated(names, 6)}): add the '
            'category or mend it'
        )
    left, top, width, height = box
    label = number[names[item['category_id']]]
    return [top, left, top + height, left + width], label, bool(item.get('iscrowd')), area
