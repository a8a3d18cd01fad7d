"""Pictures whose shape and texture belong to different categories, with published answers to them:
Geirhos et al. 2019, ImageNet-trained CNNs are biased towards texture
(https://arxiv.org/abs/1811.12231).

Style transfer gave the shape of one photograph the texture of another. The name of a picture tells
both: `cat3-elephant1` has the shape of the third cat and the texture of the first elephant. Of the
1,280 pictures, 80 for each of 16 categories of shapes, 1,200 are in conflict; in the other 80 both
cues are of one category. Pictures and answers are those of github.com/rgeirhos/texture-vs-shape.
"""

import csv
import gzip
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tljax.core import Dataset, Task, UserError, abbreviated
from tljax.data.archives import File
from tljax.data.finding import find
from tljax.data.pictures import pictures

ARCHIVE = 'cue_conflict_224.zip'  # files of the folder that is read
ANSWERS = 'responses.csv.gz'
CATEGORIES = 'sixteen_categories.json'
NAME = re.compile(r'([a-z]+)(\d+)-([a-z]+)(\d+)')  # shape and its number, texture and its number
# observer in the published answers -> its name in tables; numbers of people and sessions are cut
OBSERVERS = {
    'alexnet_session_1': 'AlexNet',
    'googlenet_session_1': 'GoogLeNet',
    'vgg_session_1': 'VGG-16',
    'resnet50': 'ResNet-50',
    'alexnet': 'AlexNet (torchvision)',
    'vgg16': 'VGG-16 (torchvision)',
    'squeezenet1_1': 'SqueezeNet 1.1',
    'densenet121': 'DenseNet-121',
    'resnet101': 'ResNet-101',
    'resnet152': 'ResNet-152',
    'oidv2-resnet101': 'ResNet-101, Open Images',
    'alexnet_train_60_epochs_lr0.001': 'AlexNet, stylised ImageNet',
    'squeezenet1_1_train_60_epochs_lr0.001': 'SqueezeNet 1.1, stylised ImageNet',
    'vgg16_train_60_epochs_lr0.01': 'VGG-16, stylised ImageNet',
    'densenet121_train_60_epochs': 'DenseNet-121, stylised ImageNet',
    'resnet50_train_60_epochs': 'ResNet-50, stylised ImageNet',
}
# the networks of the paper's figure 4
FIGURE_4 = ('AlexNet', 'GoogLeNet', 'VGG-16', 'ResNet-50')


class Stimuli(NamedTuple):
    """The pictures, and what their names tell.

    Attributes:
        files: the picture files.
        names: name of each picture, without its ending: 'cat3-elephant1'.
        categories: names of the categories, in alphabetical order.
        shape: category of each shape, (n,) integers.
        texture: category of each texture, (n,) integers.
        shape_number: which picture of its category gave the shape, (n,) integers.
        texture_number: which picture of its category gave the texture, (n,) integers.
    """

    files: tuple[File, ...]
    names: tuple[str, ...]
    categories: tuple[str, ...]
    shape: np.ndarray
    texture: np.ndarray
    shape_number: np.ndarray
    texture_number: np.ndarray


class Answer(NamedTuple):
    """One published answer.

    Attributes:
        who: the observer: the name of a network, or 'person 1' to 'person 10'.
        picture: name of the picture.
        answer: the category that was chosen; 'na' where a person chose none.

    >>> Answer('person 1', 'cat3-elephant1', 'cat').answer
    'cat'
    """

    who: str
    picture: str
    answer: str


def cue_conflict(path: str | Path, size: int = 224, cue: str = 'shape') -> dict[str, Dataset]:
    """Loads the pictures, float32 in [0, 1], (n, size, size, 3).

    Args:
        path: as `stimuli` takes it.
        size: side of the pictures, in pixels; they have 224.
        cue: what the labels tell: 'shape' or 'texture'.

    Splits: `train` has the 80 pictures whose shape and texture are of one category, `test` the
        1,200 in conflict.

    Returns:
        {'train': Dataset, 'test': Dataset}.

    Raises:
        UserError: as `stimuli`; for another cue.

    >>> cue_conflict('nowhere', cue='colour')
    Traceback (most recent call last):
    tljax.core.UserError: data.cue='colour' is not shape or texture
    """
    if cue not in ('shape', 'texture'):
        raise UserError(f'data.cue={cue!r} is not shape or texture')
    content = stimuli(path)
    agree = content.shape == content.texture
    return {
        name: dataset(content, np.flatnonzero(rows), size, cue=cue)
        for name, rows in {'train': agree, 'test': ~agree}.items()
    }


def dataset(
    content: Stimuli,
    rows: Sequence[int] | np.ndarray,
    size: int = 224,
    channels: int = 3,
    cue: str = 'shape',
    interpolation: str = 'bilinear',
) -> Dataset:
    """Returns some of the pictures as a Dataset. They are scaled to `size`; nothing is cut off.

    Args:
        content: the pictures, as `stimuli` gives them.
        rows: numbers of the pictures.
        size: side in pixels.
        channels: 3, or 1 for grey.
        cue: 'shape' or 'texture', whose category is the label.
        interpolation: as in `data.folder`.

    >>> nothing = np.zeros(0, int)
    >>> empty = Stimuli((), (), ('bear', 'cat'), nothing, nothing, nothing, nothing)
    >>> dataset(empty, []).classes
    ('bear', 'cat')
    """
    label = (content.shape if cue == 'shape' else content.texture)[rows]
    return pictures(
        [content.files[row] for row in rows],
        (size, size, channels),
        label=label.astype(np.int32),
        task=Task.of(content.categories),
        names=[content.names[row] for row in rows],
        interpolation=interpolation,
    )


def stimuli(path: str | Path) -> Stimuli:
    """Finds the pictures and reads their names.

    Args:
        path: a folder or archive of pictures, or a folder that holds `cue_conflict_224.zip`; `~` is
            expanded. Pictures may lie in folders, whose names do not matter.

    Raises:
        UserError: the path has no such pictures, a name tells no shape and texture, or two pictures
            have the same name.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ('cat1-bear2.png', 'cat2-cat1.png', 'bear1-cat3.png'):
    ...     (folder / name).touch()
    >>> content = stimuli(folder)
    >>> content.names, content.categories
    (('bear1-cat3', 'cat1-bear2', 'cat2-cat1'), ('bear', 'cat'))
    >>> content.shape.tolist(), content.texture.tolist(), content.texture_number.tolist()
    ([0, 1, 1], [1, 0, 1], [3, 2, 1])
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise UserError(
            f'{path} does not exist: take stimuli/style-transfer-preprocessed-512 of '
            'github.com/rgeirhos/texture-vs-shape'
        )
    archive = path / ARCHIVE
    found = find([archive if archive.exists() else path])
    files = {file.path.stem: file for file in found}
    if len(files) < len(found):
        raise UserError(
            f'{path} has {len(found) - len(files)} pictures of the same name as others: name the '
            'folder of one size'
        )
    names = sorted(files)
    parts = [NAME.fullmatch(name) for name in names]
    if unknown := [name for name, match in zip(names, parts, strict=True) if not match]:
        raise UserError(
            f'{path}: {abbreviated(unknown, 3)} tells no shape and texture: name pictures as '
            'cat3-elephant1'
        )
    cues = [match.groups() for match in parts if match]
    categories = sorted({name for shape, _, texture, _ in cues for name in (shape, texture)})
    return Stimuli(
        tuple(files[name] for name in names),
        tuple(names),
        tuple(categories),
        np.array([categories.index(shape) for shape, _, _, _ in cues]),
        np.array([categories.index(texture) for _, _, texture, _ in cues]),
        np.array([int(number) for _, number, _, _ in cues]),
        np.array([int(number) for _, _, _, number in cues]),
    )


def answers(path: str | Path) -> list[Answer]:
    """Reads the published answers of 10 people and 16 networks.

    Args:
        path: a CSV with the columns who, picture and answer, which may be packed by gzip, or a
            folder that holds `responses.csv.gz`; `~` is expanded.

    Raises:
        UserError: the file is missing, damaged, or has no such columns.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'answers.csv')
    >>> _ = path.write_text('who,picture,answer\\nsubject-01_session_1,cat3-elephant1,cat\\n')
    >>> answers(path)
    [Answer(who='person 1', picture='cat3-elephant1', answer='cat')]
    """
    path = Path(path).expanduser()
    path = path / ANSWERS if path.is_dir() else path
    if not path.is_file():
        raise UserError(
            f'{path} does not exist: join raw-data/*.csv of github.com/rgeirhos/texture-vs-shape '
            'to a CSV of who, picture, answer'
        )
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if content[:2] == b'\x1f\x8b' else content).decode()
        rows = list(csv.DictReader(io.StringIO(text), strict=True))
        return [
            Answer(_observer(row['who']), Path(row['picture']).stem, row['answer']) for row in rows
        ]
    except (KeyError, TypeError, ValueError, OSError, EOFError, csv.Error) as error:
        raise UserError(
            f'{path} is no CSV of who, picture, answer ({type(error).__name__}: '
            f'{str(error)[:80]}): copy it again'
        ) from error


def _observer(who: str) -> str:
    """The name of an observer in tables, from its name in the published answers."""
    if person := re.match(r'subject-(\d+)', who):
        return f'person {int(person[1])}'
    return OBSERVERS.get(who) or OBSERVERS.get(re.sub(r'[_-]session[_-]\d+$', '', who), who)


def imagenet_classes(path: str | Path) -> dict[str, list[str]]:
    """Reads which classes of ImageNet belong to each category.

    Args:
        path: a JSON file {category: [WordNet id, ...]}, or a folder that holds
            `sixteen_categories.json`; `~` is expanded.

    Raises:
        UserError: the file is missing, or is not such a file.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'categories.json')
    >>> _ = path.write_text('{"knife": ["n03041632"]}')
    >>> imagenet_classes(path)
    {'knife': ['n03041632']}
    """
    path = Path(path).expanduser()
    path = path / CATEGORIES if path.is_dir() else path
    if not path.is_file():
        raise UserError(
            f'{path} does not exist: write {{category: [WordNet id, ...]}} by code/helper of '
            'github.com/rgeirhos/texture-vs-shape'
        )
    try:
        categories = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise UserError(f'{path} is no JSON ({str(error)[:60]}): copy it again') from error
    valid = isinstance(categories, dict) and all(
        isinstance(ids, list) and ids and all(re.fullmatch(r'n\d{8}', str(name)) for name in ids)
        for ids in categories.values()
    )
    if not valid or not categories:
        raise UserError(f'{path} is not {{category: [WordNet id, ...]}}: copy it again')
    return categories
