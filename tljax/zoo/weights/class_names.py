"""Reads the names of a model's classes: a text with one name a line, or a JSON file."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tljax.core import UserError, abbreviated

LARGEST = 2**24  # bytes of a list of classes
FORMS = 'write a name a line, ["cat", "dog"], {"0": "cat", "1": "dog"} or {"cat": 0, "dog": 1}'
Pairs = list[tuple[str, str]]


def class_index(path: str | Path) -> Pairs:
    """Returns the classes in the order of the weights' outputs, [(WordNet id, name)].

    A JSON file has one of these forms: Keras's class index of ImageNet, {"0": ["n01440764",
    "tench"], ...}; a list of names; {"0": name, ...}; Keras's `class_indices`, {name: 0, ...}. A
    text has one name a line, or '0 name' as Teachable Machine writes it. Lines that begin with #
    are comments.

    Args:
        path: path of the file. It is JSON if its name ends in .json or its text begins with { or [.
            A text with commas that is no file's path is a list of names itself.

    Returns:
        One pair for each class. Where the file has no ids, the id is the name.

    Raises:
        UserError: for a file that does not exist, a file of another form, a repeated name, and
            numbers that do not count from 0.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'names.json')
    >>> _ = path.write_text('{"dog": 1, "cat": 0}')
    >>> class_index(path)
    [('cat', 'cat'), ('dog', 'dog')]
    >>> class_index('ant, bee')
    [('ant', 'ant'), ('bee', 'bee')]
    >>> class_index('nowhere.json')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere.json does not exist: name a list of classes, one a line, or ...
    """
    text, path = str(path), Path(path).expanduser()
    if ',' in text and not path.exists():
        return _parse_names(text)
    if path.is_dir():
        raise UserError(f'{path} is a folder: name a file that lists the classes')
    if not path.is_file():
        raise UserError(
            f"{path} does not exist: name a list of classes, one a line, or ImageNet's "
            'class index (imagenet_class_index.json)'
        )
    text = _read_text(path)
    is_json = path.suffix.lower() == '.json' or text.lstrip()[:1] in ('{', '[')
    pairs = (_parse_json if is_json else _parse_lines)(path, text)
    if not pairs:
        raise UserError(f'{path} names no classes: {FORMS}')
    classes = (name if key == name else f'{key} ({name})' for key, name in pairs)
    _refuse_repeated(path, 'class', classes)
    return pairs


def _parse_names(text):
    """Reads names between which stand commas."""
    names = [name.strip() for name in text.split(',')]
    if '' in names:
        raise UserError(f'--classes={text!r} has a comma without a name beside it: remove it')
    _refuse_repeated('--classes', 'class', names)
    return [(name, name) for name in names]


def _read_text(path):
    if path.stat().st_size > LARGEST:
        raise UserError(
            f'{path} takes more than {LARGEST:,} bytes: name a list of classes, one a line'
        )
    try:
        text = path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError:
        text = '\0'
    if '\0' in text:
        raise UserError(
            f'{path} is no text in UTF-8: name a list of classes, one a line, or '
            "ImageNet's class index"
        )
    return text


def _parse_json(path, text):
    def to_dict(pairs):
        _refuse_repeated(path, 'key', (key for key, _ in pairs))
        return dict(pairs)

    try:
        index = json.loads(text, object_pairs_hook=to_dict)
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        raise UserError(
            f'{path} is no class index (no JSON: {str(error)[:60]}): {FORMS}'
        ) from error
    if isinstance(index, list) and all(isinstance(name, str) for name in index):
        index = {str(i): name for i, name in enumerate(index)}
    if not isinstance(index, dict):
        raise UserError(f'{path} is no class index: {FORMS}')
    if index and all(type(number) is int for number in index.values()):
        entries = [(number, (name, name)) for name, number in index.items()]
    else:
        entries = [(_number(path, key), _pair(path, key, value)) for key, value in index.items()]
    if len({isinstance(value, str) for value in index.values()}) > 1:
        raise UserError(
            f'{path} is no class index (some entries have an id, others have none): write all alike'
        )
    if any(not name.strip() for _, pair in entries for name in pair):
        raise UserError(f'{path}: a class has no name: give it one')
    return _sort(path, entries)


def _number(path, key):
    if not re.fullmatch(r'[0-9]{1,9}', key):
        raise UserError(f'{path} is no class index ({key!r} is no number of a class): {FORMS}')
    return int(key)


def _pair(path, key, value) -> tuple[str, str]:
    """Returns the (id, name) of an entry."""
    pair = [value, value] if isinstance(value, str) else value
    if (
        not isinstance(pair, list)
        or len(pair) != 2
        or not all(isinstance(text, str) for text in pair)
    ):
        raise UserError(f'{path} is no class index (at {key!r} stands {str(value)[:40]}): {FORMS}')
    return pair[0], pair[1]


def _parse_lines(path, text):
    """Reads one name a line.

    Lines may begin with numbers. Where the numbers count from 0, they are places in the order of
    the outputs. Otherwise they are a part of the names.
    """
    lines = [line.strip() for line in re.split(r'[\r\n]+', text)]
    names = [line for line in lines if line and not line.startswith('#')]
    if (
        any(re.match(r'names\s*:', name) for name in names)
        or names
        and all(name.startswith('- ') for name in names)
    ):
        raise UserError(f'{path} is YAML, which is not read: {FORMS}')
    matches = [re.fullmatch(r'([0-9]{1,9})[\s:,]+(\S.*)', name) for name in names]
    entries = [(int(match[1]), (match[2], match[2])) for match in matches if match]
    has_heading = len(names) > 2 and not matches[0] and len(entries) == len(names) - 1
    if has_heading and entries[0][0] == 0:
        raise UserError(
            f'{path} begins with {names[0][:40]!r}, which is no number and name as the lines below '
            'are: remove the line'
        )
    if names and all(re.search(r'[,:\t]\s*[0-9]+$', name) for name in names) and not all(matches):
        raise UserError(
            f'{path} has the number of a class behind its name ({names[0][:40]!r}): write it in '
            'front, "0 cat"'
        )
    if not names or not all(matches):
        return [(name, name) for name in names]
    numbers = sorted(number for number, _ in entries)
    if numbers[0] == 0 or numbers == list(range(1, len(entries) + 1)):
        return _sort(path, entries)
    return [(name, name) for name in names]  # 1 cent, 2 cent, 5 cent


def _sort(path, entries):
    """Sorts (number, pair) entries by their numbers, and refuses numbers that skip one."""
    _refuse_repeated(path, 'number', (number for number, _ in entries))
    pairs = dict(entries)
    gaps = [number for number in range(len(pairs)) if number not in pairs]
    if gaps:
        raise UserError(
            f'{path} numbers {len(pairs)} classes by {abbreviated(sorted(pairs), 6)}, and '
            f'{abbreviated(gaps, 6)} is missing: number them from 0 on; numbers that are a part '
            'of the names stand in a JSON list'
        )
    return [pairs[number] for number in range(len(pairs))]


def _refuse_repeated(path: Path | str, kind: str, names: Iterable) -> None:
    duplicates = [name for name, count in Counter(names).items() if count > 1]
    if duplicates:
        raise UserError(
            f'{path}: the {kind} {abbreviated(duplicates, 4)} stands twice: give each class a name '
            'and a number of its own'
        )
