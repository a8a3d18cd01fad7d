"""Names of the classes of weights: a text with one a line, or a JSON file."""

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
    """The classes in the order of the weights' outputs, [(WordNet id, name)].

    A JSON file is what Keras publishes for ImageNet, {"0": ["n01440764", "tench"], ...}, a list of
    names, {"0": name, ...}, or Keras's `class_indices`, {name: 0, ...}. A text has a name a line,
    or '0 name' as Teachable Machine writes it; lines that begin with # are passed over. Where no
    ids are told, the name stands in both places.

    Args:
        path: of the file; one whose name does not end in .json and that does not begin with { or [
            is a text.

    Raises:
        UserError: for a missing file, one of another form, a name that stands twice, and numbers
            that are not those from 0 on.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'names.json')
    >>> _ = path.write_text('{"dog": 1, "cat": 0}')
    >>> class_index(path)
    [('cat', 'cat'), ('dog', 'dog')]
    >>> class_index('nowhere.json')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere.json does not exist: name a list of classes, one a line, or ...
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise UserError(f'{path} is a folder: name a file that lists the classes')
    if not path.is_file():
        raise UserError(
            f"{path} does not exist: name a list of classes, one a line, or ImageNet's "
            'class index (imagenet_class_index.json)'
        )
    text = _text(path)
    is_json = path.suffix.lower() == '.json' or text.lstrip()[:1] in ('{', '[')
    pairs = (_of_json if is_json else _of_lines)(path, text)
    if not pairs:
        raise UserError(f'{path} names no classes: {FORMS}')
    _refuse_twice(
        path, 'class', (name if name == known else f'{known} ({name})' for known, name in pairs)
    )
    return pairs


def _text(path):
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


def _of_json(path, text):
    def once(pairs):
        _refuse_twice(path, 'key', (key for key, _ in pairs))
        return dict(pairs)

    try:
        found = json.loads(text, object_pairs_hook=once)
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        raise UserError(
            f'{path} is no class index (no JSON: {str(error)[:60]}): {FORMS}'
        ) from error
    if isinstance(found, list) and all(isinstance(name, str) for name in found):
        found = {str(i): name for i, name in enumerate(found)}
    if not isinstance(found, dict):
        raise UserError(f'{path} is no class index: {FORMS}')
    if found and all(type(number) is int for number in found.values()):
        numbered = [(number, (name, name)) for name, number in found.items()]
    else:
        numbered = [(_number(path, key), _pair(path, key, value)) for key, value in found.items()]
    if len({isinstance(value, str) for value in found.values()}) > 1:
        raise UserError(
            f'{path} is no class index (some entries have an id, others have none): write all alike'
        )
    if any(not name.strip() for _, pair in numbered for name in pair):
        raise UserError(f'{path}: a class has no name: give it one')
    return _in_order(path, numbered)


def _number(path, key):
    if not re.fullmatch(r'[0-9]{1,9}', key):
        raise UserError(f'{path} is no class index ({key!r} is no number of a class): {FORMS}')
    return int(key)


def _pair(path, key, value) -> tuple[str, str]:
    """(id, name) of an entry."""
    pair = [value, value] if isinstance(value, str) else value
    if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(e, str) for e in pair):
        raise UserError(f'{path} is no class index (at {key!r} stands {str(value)[:40]}): {FORMS}')
    return pair[0], pair[1]


def _of_lines(path, text):
    """Names one a line; where the lines begin with the numbers from 0 on, each once, these are
    places and no part of the names."""
    lines = [line.strip() for line in re.split(r'[\r\n]+', text)]
    names = [line for line in lines if line and not line.startswith('#')]
    if (
        any(re.match(r'names\s*:', name) for name in names)
        or names
        and all(name.startswith('- ') for name in names)
    ):
        raise UserError(f'{path} is YAML, which is not read: {FORMS}')
    matches = [re.fullmatch(r'([0-9]{1,9})[\s:,]+(\S.*)', name) for name in names]
    numbered = [(match[1], match[2]) for match in matches if match]
    rest = len(names) > 2 and not matches[0] and len(numbered) == len(names) - 1
    if rest and int(numbered[0][0]) == 0:
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
    found = [(int(number), (name, name)) for number, name in numbered]
    numbers = sorted(number for number, _ in found)
    if numbers[0] == 0 or numbers == list(range(1, len(found) + 1)):
        return _in_order(path, found)
    return [(name, name) for name in names]  # 1 cent, 2 cent, 5 cent


def _in_order(path, numbered):
    """The pairs by their numbers, which are those from 0 on."""
    _refuse_twice(path, 'number', (number for number, _ in numbered))
    found = dict(numbered)
    missing = [number for number in range(len(found)) if number not in found]
    if missing:
        raise UserError(
            f'{path} numbers {len(found)} classes by {abbreviated(sorted(found), 6)}, and '
            f'{abbreviated(missing, 6)} is missing: number them from 0 on; numbers that are a part '
            'of the names stand in a JSON list'
        )
    return [found[number] for number in range(len(found))]


def _refuse_twice(path: Path, what: str, names: Iterable) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(
            f'{path}: the {what} {abbreviated(twice, 4)} stands twice: give each class a name and '
            'a number of its own'
        )
