"""NusaX: the same sentences in English, Indonesian and local languages of Indonesia, with their
sentiment."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from tljax.core import Dataset, UserError, nearest_name
from tljax.data.archives import File, members
from tljax.data.formats.texts import texts

REMEDY = 'give data.path the folder datasets of https://github.com/IndoNLP/nusax, or a ZIP of it'
KINDS = ('negative', 'neutral', 'positive')
FILES = {'train': 'train.csv', 'validation': 'valid.csv', 'test': 'test.csv'}
COLUMNS = ('id', 'text', 'label')


def nusax(path: str | Path, language: str) -> dict[str, Dataset]:
    """Loads the sentences of one language: 500 for training, 100 for validation, 400 for the test.

    Inputs are texts, which `tljax.data.tfidf` turns into numbers. The number of a sentence is its
    name. Sentences of one number translate each other, and all languages have the same numbers in
    each split.

    Args:
        path: folder, ZIP or tar archive with `sentiment/LANGUAGE/train.csv`, `valid.csv` and
            `test.csv`, at any depth.
        language: name of a folder of a language, such as 'english' or 'javanese'.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}, as the authors cut them.

    Raises:
        UserError: the path does not exist, the language is not there, or a file is missing, damaged
            or without a column, or has a sentiment or a number that it may not have.

    Source: Winata et al., NusaX: multilingual parallel sentiment dataset for 10 Indonesian local
        languages, 2023 (https://arxiv.org/abs/2205.15960).

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp(), 'sentiment', 'english')
    >>> root.mkdir(parents=True)
    >>> for number, name in enumerate(FILES.values(), 7):
    ...     _ = (root / name).write_text(f'id,text,label\\n{number},"Good, cheap",positive\\n')
    >>> train = nusax(root.parents[1], 'english')['train']
    >>> train.take(np.array([0]))['input'].item(), train.label.tolist(), train.names.tolist()
    ('Good, cheap', [2], ['7'])
    """
    path = Path(path).expanduser()
    languages = _languages(path)
    if language not in languages:
        raise UserError(
            f'data.language={language!r} is not in {path}: {nearest_name(language, languages)}'
        )
    files = languages[language]
    for name in FILES.values():
        if name not in files:
            raise UserError(f'{path} has no {name} of {language}: {REMEDY}')
    splits = {split: _sentences(files[name]) for split, name in FILES.items()}
    names = np.concatenate([dataset.names for dataset in splits.values()])
    if len(set(names)) < len(names):
        raise UserError(f'{path}: a sentence of {language} has a number twice: copy it again')
    return splits


def _languages(path: Path) -> Mapping[str, Mapping[str, File]]:
    """{language: {name of a file: file}}, in alphabetical order."""
    listed = members(path) if path.exists() else None
    if listed is None:
        raise UserError(f'{path} is no folder and no archive that is there: {REMEDY}')
    languages: dict[str, dict[str, File]] = {}
    for name, file in sorted(listed[0].items()):
        *_, above, language, last = ('', '', *PurePosixPath(name).parts)
        if file and above in ('sentiment', '') and language and last in FILES.values():
            languages.setdefault(language, {})[last] = file
    if not languages:
        raise UserError(f'{path} has no sentiment/english/train.csv or the like: {REMEDY}')
    return languages


def _sentences(file: File) -> Dataset:
    """The sentences of a file, in its order."""
    try:
        lines = io.StringIO(file.read().decode('utf-8-sig'), newline='')
        rows = list(csv.DictReader(lines, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f'{file.path} is no table of text ({error}): copy it again') from error
    for column in COLUMNS:
        if not rows or column not in rows[0]:
            raise UserError(f'{file.path} has no rows, or no column {column!r}: copy it again')
    for number, row in enumerate(rows, 2):
        if None in row.values() or None in row or row['label'] not in KINDS or not row['text']:
            raise UserError(
                f'{file.path}, row {number}: the row is cut off, or its label '
                f'{row["label"]!r} is none of {", ".join(KINDS)}: copy it again'
            )
    label = np.array([KINDS.index(row['label']) for row in rows], np.int32)
    dataset = texts([row['text'] for row in rows], label, KINDS)
    return dataset._replace(names=np.array([row['id'] for row in rows]))
