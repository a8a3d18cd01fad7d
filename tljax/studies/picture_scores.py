"""How often a model is right on pictures whose classes are known, in all and class by class."""

import re
from pathlib import Path

import numpy as np

from tljax.core import Dataset, UserError, abbreviated
from tljax.data import rows
from tljax.data.archives import File, printable
from tljax.data.finding import find
from tljax.data.formats.listed import is_table, locate_pictures
from tljax.data.layout import SPLITS, normalised_name
from tljax.engine.evaluate import predictions
from tljax.engine.scores import proportion
from tljax.files.console import say
from tljax.program import predictor
from tljax.protocols import Record
from tljax.studies.pictures import Model, read_once, refuse_no_outputs
from tljax.studies.tables import Table
from tljax.trained import Trained

TOPS = (1, 5)
SHOWN = 30  # classes that a table shows


def evaluate(
    model: Model,
    files: list[File],
    index: list[tuple[str, str]] | None = None,
    size: int = 0,
    batch: int = 32,
    pixels: int | None = None,
    names: list[str] | None = None,
) -> Record:
    """Accuracy on pictures whose classes are known; one that cannot be read is told and left out.

    Args:
        model: parameters, state and record, as `models.model` gives them.
        files: the pictures.
        index: ImageNet's classes, [(WordNet id, name)], if files are named by WordNet ids.
        size: side of the pictures that the network is shown; 0: the one it is for.
        batch: pictures at a time.
        pixels: the most that a picture may have; None: the run's own limit.
        names: the class of each picture; None: the name of its folder.

    Returns:
        As `count_hits` gives, and 'unread': [{'path', 'error'}].

    Raises:
        UserError: for a model without classes, pictures that name none of them, and where no
            picture can be read.

    >>> evaluate(({'head': 0}, {}, {'classes': []}), [])
    Traceback (most recent call last):
    tljax.core.UserError: this model tells numbers and no classes: take a run ...
    """
    params, state, record = refuse_no_outputs(model)
    trained = Trained(*model)
    if trained.task != 'classes':
        raise UserError(
            f'this model tells {trained.task} and no classes: take a run that was trained on '
            'classes'
        )
    names = [file.path.parent.name for file in files] if names is None else names
    label = _labels(files, names, record['classes'], index)

    def ask(dataset: Dataset) -> np.ndarray:
        told = predictions(
            predictor(record), params, state, dataset, batch, text='looking at pictures'
        )['output']
        return np.moveaxis(told, 0, 1)

    output, failed = read_once(trained, files, pixels, ask, size)
    rows = [row for row in range(len(files)) if row not in failed]
    if output is None or not rows:
        raise UserError(f'none of the {len(files)} pictures can be read: give others')
    unread = [{'path': printable(files[row].path), 'error': failed[row]} for row in sorted(failed)]
    return {
        **count_hits(np.moveaxis(output[rows], 1, 0), label[rows], record['classes']),
        'unread': unread,
    }


def named_pictures(
    paths: list[str], columns: dict[str, str] | None = None
) -> tuple[list[File], list[str] | None]:
    """The pictures that paths name, and the class of each where the only path is a CSV of labels.

    Args:
        paths: of pictures, folders and archives, or of one CSV.
        columns: {'file': name, 'label': name, 'task': kind} of a CSV, as the run's own had.

    Raises:
        UserError: as `data.listed` and `finding.find`; for a table whose labels are no classes.

    >>> named_pictures(['nowhere'])
    Traceback (most recent call last):
    tljax.core.UserError: nowhere does not exist: name a picture or a folder of pictures
    """
    path = Path(paths[0]).expanduser()
    tables = [each for each in map(Path, paths) if is_table(each) and each.expanduser().exists()]
    if tables and len(paths) > 1:
        raise UserError(f'{tables[0]} is a table, and stands beside other paths: name it alone')
    if not is_table(path) or not path.exists():
        files = find(paths)
        inside = {part.lower() for file in files for part in file.path.parts}
        _tell_mixed({SPLITS[part] for part in inside & set(SPLITS)})
        return files, None
    found = rows.read(path, **{key: name for key, name in (columns or {}).items() if name})
    if found.task.kind != 'classes':
        raise UserError(
            f'{path} gives {found.task.kind}, not a class for each picture: name a table of classes'
        )
    _tell_mixed(set(found.split))
    return locate_pictures(path, found.files)[0], [found.task.names[i] for i in found.label]


def _tell_mixed(splits: set[str]) -> None:
    """Tells that pictures of training are scored with others."""
    if 'train' in splits and len(splits) > 1:
        say(
            f'pictures of {abbreviated(sorted(splits))} are scored together, as they stand: name '
            'one folder alone'
        )


def count_hits(output: np.ndarray, label: np.ndarray, classes: list[str]) -> Record:
    """How often outputs are right.

    Args:
        output: (seeds, n, classes).
        label: (n,) integers.
        classes: names of the classes.

    Returns:
        {'top1', 'top1_interval', 'mean_of_classes', 'pictures': their number, 'classes': [{'class',
        'pictures', 'accuracy'}], 'without_pictures': names of the others, 'confusion': {'classes':
        names of those that are there or were told, 'counts': a row for each of them: how many of
        its pictures were told to be each}}, and 'top5' and 'top5_interval' where there are more
        than five classes. All are means over seeds; intervals cover 95 % over pictures.

    >>> told = np.array([[[2.0, 1.0], [2.0, 1.0], [0.0, 1.0]]])
    >>> found = count_hits(told, np.array([0, 1, 1]), ['ants', 'bees'])
    >>> found['mean_of_classes'], found['confusion']['counts']
    (0.75, [[1.0, 0.0], [1.0, 1.0]])
    """
    order, found = np.argsort(-output, axis=-1, kind='stable'), {}
    for top in TOPS:
        if top == 1 or top < len(classes):
            right = (order[..., :top] == label[:, None]).any(-1).mean(0)
            found[f'top{top}'] = float(right.mean())
            found[f'top{top}_interval'] = list(proportion(round(right.sum()), len(label))[1:])
    told = order[..., 0]
    each = [
        {
            'class': classes[c],
            'pictures': int((label == c).sum()),
            'accuracy': float((told[:, label == c] == c).mean()),
        }
        for c in np.unique(label)
    ]
    present = np.union1d(label, told)
    counts = np.zeros((len(present), len(present)))
    np.add.at(
        counts,
        (
            np.searchsorted(present, np.broadcast_to(label, told.shape)),
            np.searchsorted(present, told),
        ),
        1 / len(told),
    )
    return {
        **found,
        'mean_of_classes': float(np.mean([row['accuracy'] for row in each])),
        'pictures': len(label),
        'classes': each,
        'without_pictures': [name for c, name in enumerate(classes) if not (label == c).any()],
        'confusion': {'classes': [classes[c] for c in present], 'counts': counts.tolist()},
    }


def accuracy_tables(found: Record) -> list[Table]:
    """What `evaluate` found, as tables.

    Args:
        found: as `count_hits` or `evaluate` gives it.

    >>> found = count_hits(np.array([[[2.0, 1.0], [0.0, 1.0]]]), np.array([0, 1]), ['ants', 'bees'])
    >>> [table.rows[0] for table in accuracy_tables(found)]
    [['1 guess', '1.0000', '0.3424 to 1.0000'], ['ants', 1, '1.0000']]
    """
    rows = []
    for top in TOPS:
        if f'top{top}' in found:
            low, high = found[f'top{top}_interval']
            rows.append(
                [
                    f'{top} guess{"es" * (top > 1)}',
                    f'{found[f"top{top}"]:.4f}',
                    f'{low:.4f} to {high:.4f}',
                ]
            )
    there = ' that are here' * bool(found['without_pictures'])
    rows.append([f'1 guess, mean of classes{there}', f'{found["mean_of_classes"]:.4f}', ''])
    each = found['classes']
    title = f'{len(each)} class{"es" * (len(each) > 1)}'
    if len(each) > SHOWN:
        each = sorted(each, key=lambda row: row['accuracy'])[:SHOWN]
        title = f'the {SHOWN} least accurate of {title}'
    if found['without_pictures']:
        title += f'; no pictures of {abbreviated(found["without_pictures"], 6)}'
    return [
        Table(
            ['accuracy of', 'mean', '95 % interval over pictures'],
            rows,
            f'{found["pictures"]} pictures',
        ),
        Table(
            ['class', 'pictures', 'accuracy'],
            [[row['class'], row['pictures'], f'{row["accuracy"]:.4f}'] for row in each],
            title,
        ),
    ]


def _labels(
    files: list[File],
    folders: list[str],
    classes: list[str],
    index: list[tuple[str, str]] | None,
) -> np.ndarray:
    """(n,) the class of each picture, by what `folders` says, or by a WordNet id."""
    numbers = {name: i for i, name in enumerate(classes)}
    wordnet = {wordnet_id: i for i, (wordnet_id, _) in enumerate(index or ())}
    near = {}
    for name, i in numbers.items():
        near[normalised_name(name)] = (
            None if normalised_name(name) in near else i
        )  # only where it is one class
    label, nearly, unknown = [], {}, {}
    for path, folder in zip((file.path for file in files), folders, strict=True):
        found = _by_wordnet(path, wordnet)
        found = numbers.get(folder) if found is None else found
        if found is None and (found := near.get(normalised_name(folder))) is not None:
            nearly[folder] = classes[found]
        if found is None:
            unknown.setdefault(folder, path)
        label.append(found)
    if unknown:
        raise UserError(_unknown(unknown, classes, index))
    for folder, name in nearly.items():
        say(f'pictures of {folder} are taken for the class {name}')
    return np.array(label, np.int32)


def _by_wordnet(path: Path, wordnet: dict[str, int]) -> int | None:
    for name in (path.name, path.parent.name):
        found = re.match(r'n\d{8}', name)
        if found and found.group() in wordnet:
            return wordnet[found.group()]
    return None


def _unknown(
    folders: dict[str, Path], classes: list[str], index: list[tuple[str, str]] | None
) -> str:
    path = f'{next(iter(folders.values()))} names'
    if len(folders) > 1:
        path = f'pictures of {abbreviated(folders, 4)} name'
    if index:
        return (
            f'{path} no class of the model: put it into a folder of its class, or begin its '
            "name with a WordNet id and name ImageNet's class index by --classes"
        )
    return (
        f'{path} no class of the model, which knows {abbreviated(classes, 6)}: put each into a '
        'folder of its class'
    )
