"""Measures the accuracy of a model on labelled pictures, over all of them and class by class."""

import re
from pathlib import Path

import numpy as np

from tljax.core import UserError, abbreviated
from tljax.data import rows
from tljax.data.archives import File
from tljax.data.finding import find
from tljax.data.formats.listed import is_table, locate_pictures
from tljax.data.layout import SPLITS, normalised_name
from tljax.engine.scores import proportion
from tljax.files.console import say
from tljax.protocols import Record
from tljax.studies.pictures import Model, outputs_for_scores, refuse_no_outputs
from tljax.studies.tables import Table
from tljax.trained import Trained

TOPS = (1, 5)
TABLE_CLASSES = 30  # the most classes that a table shows


def evaluate(
    model: Model,
    files: list[File],
    index: list[tuple[str, str]] | None = None,
    size: int = 0,
    batch: int = 32,
    pixels: int | None = None,
    names: list[str] | None = None,
) -> Record:
    """Measures the accuracy of a classifier on labelled pictures.

    A picture that cannot be read is reported on the terminal and left out.

    Args:
        model: parameters, state and record, as `models.model` gives them.
        files: the pictures.
        index: class index of ImageNet, [(WordNet id, name)], for files named by WordNet ids.
        size: side in pixels at which the network sees the pictures; 0: the side it is made for.
        batch: pictures at a time.
        pixels: the largest number of pixels that a picture may have; None: the run's own limit.
        names: the class of each picture; None: the name of its folder.

    Returns:
        The dict of `count_hits`, with 'unread': [{'path', 'error'}].

    Raises:
        UserError: the model has no classes, a picture belongs to none of them, or no picture can
            be read.

    >>> evaluate(({'head': 0}, {}, {'classes': []}), [])
    Traceback (most recent call last):
    tljax.core.UserError: this model predicts numbers, not classes: take a run ...
    """
    trained = Trained(*refuse_no_outputs(model))
    if trained.task != 'classes':
        raise UserError(
            f'this model predicts {trained.task}, not classes: take a run that was trained on '
            'classes'
        )
    names = [file.path.parent.name for file in files] if names is None else names
    classes = trained.record['classes']
    label = _labels(files, names, classes, index)

    output, rows, unread = outputs_for_scores(trained, files, pixels, batch, size)
    return {**count_hits(output, label[rows], classes), 'unread': unread}


def named_pictures(
    paths: list[str], columns: dict[str, str] | None = None
) -> tuple[list[File], list[str] | None]:
    """Returns the pictures that paths name, and their classes if the only path is a CSV of labels.

    Args:
        paths: pictures, folders and archives, or a single CSV.
        columns: {'file': name, 'label': name, 'task': kind} of the CSV, as in the run's own data.

    Returns:
        The files, and the class of each; None in place of the classes without a CSV.

    Raises:
        UserError: as `data.listed` and `finding.find`; the labels of a table are not classes.

    >>> named_pictures(['nowhere'])
    Traceback (most recent call last):
    tljax.core.UserError: nowhere does not exist: name a picture or a folder of pictures
    """
    path = Path(paths[0]).expanduser()
    tables = [name for name in map(Path, paths) if is_table(name) and name.expanduser().exists()]
    if tables and len(paths) > 1:
        raise UserError(f'{tables[0]} is a table, and other paths are named with it: name it alone')
    if not is_table(path) or not path.exists():
        files = find(paths)
        folders = {part.lower() for file in files for part in file.path.parts}
        _warn_of_mixed_splits({SPLITS[folder] for folder in folders & set(SPLITS)})
        return files, None
    labels = rows.read(path, **{key: name for key, name in (columns or {}).items() if name})
    if labels.task.kind != 'classes':
        raise UserError(
            f'{path} gives {labels.task.kind}, not a class for each picture: name a table of '
            'classes'
        )
    _warn_of_mixed_splits(set(labels.split))
    return locate_pictures(path, labels.files)[0], [labels.task.names[i] for i in labels.label]


def _warn_of_mixed_splits(splits: set[str]) -> None:
    """Warns on the terminal that training pictures are scored together with others."""
    if 'train' in splits and len(splits) > 1:
        say(
            f'pictures of {abbreviated(sorted(splits))} are scored together: name the folder of '
            'one split to score it alone'
        )


def count_hits(output: np.ndarray, label: np.ndarray, classes: list[str]) -> Record:
    """Counts how often the outputs of a classifier are right.

    Args:
        output: (seeds, n, classes).
        label: (n,) integers.
        classes: names of the classes.

    Returns:
        {'top1', 'top1_interval', 'mean_of_classes', 'pictures': number of pictures, 'classes':
        [{'class', 'pictures', 'accuracy'}], 'without_pictures': names of classes that no picture
        has, 'confusion': {'classes': names of classes that a picture has or that were predicted,
        'counts': a row for each of them: how many of its pictures were predicted as each class}}.
        With more than five classes also 'top5' and 'top5_interval'. All are means over seeds;
        intervals cover 95 % over pictures.

    >>> output = np.array([[[2.0, 1.0], [2.0, 1.0], [0.0, 1.0]]])
    >>> counts = count_hits(output, np.array([0, 1, 1]), ['ants', 'bees'])
    >>> counts['mean_of_classes'], counts['confusion']['counts']
    (0.75, [[1.0, 0.0], [1.0, 1.0]])
    """
    order, scores = np.argsort(-output, axis=-1, kind='stable'), {}
    for top in TOPS:
        if top == 1 or top < len(classes):
            hits = (order[..., :top] == label[:, None]).any(-1).mean(0)
            scores[f'top{top}'] = float(hits.mean())
            scores[f'top{top}_interval'] = list(proportion(round(hits.sum()), len(label))[1:])
    predicted = order[..., 0]
    rows = [
        {
            'class': classes[c],
            'pictures': int((label == c).sum()),
            'accuracy': float((predicted[:, label == c] == c).mean()),
        }
        for c in np.unique(label)
    ]
    return {
        **scores,
        'mean_of_classes': float(np.mean([row['accuracy'] for row in rows])),
        'pictures': len(label),
        'classes': rows,
        'without_pictures': [name for c, name in enumerate(classes) if not (label == c).any()],
        'confusion': _confusion(predicted, label, classes),
    }


def _confusion(predicted: np.ndarray, label: np.ndarray, classes: list[str]) -> Record:
    """Returns the confusion matrix of classes that a picture has or that were predicted.

    Args:
        predicted: (seeds, n) classes.
        label: (n,) classes.
        classes: names of the classes.
    """
    present = np.union1d(label, predicted)
    counts = np.zeros((len(present), len(present)))
    labels_by_seed = np.broadcast_to(label, predicted.shape)
    cells = np.searchsorted(present, labels_by_seed), np.searchsorted(present, predicted)
    np.add.at(counts, cells, 1 / len(predicted))
    return {'classes': [classes[c] for c in present], 'counts': counts.tolist()}


def accuracy_tables(scores: Record) -> list[Table]:
    """Returns the scores of `evaluate` as two tables: over all pictures, and class by class.

    Args:
        scores: as `count_hits` or `evaluate` gives them.

    >>> output = np.array([[[2.0, 1.0], [0.0, 1.0]]])
    >>> scores = count_hits(output, np.array([0, 1]), ['ants', 'bees'])
    >>> [table.rows[0] for table in accuracy_tables(scores)]
    [['1 guess', '1.0000', '0.3424 to 1.0000'], ['ants', 1, '1.0000']]
    """
    return [_overall_table(scores), _class_table(scores)]


def _overall_table(scores: Record) -> Table:
    rows = []
    for top in TOPS:
        if f'top{top}' in scores:
            name = '1 guess' if top == 1 else f'{top} guesses'
            low, high = scores[f'top{top}_interval']
            rows.append([name, f'{scores[f"top{top}"]:.4f}', f'{low:.4f} to {high:.4f}'])
    name = '1 guess, mean of classes'
    if scores['without_pictures']:
        name += ' that are here'
    rows.append([name, f'{scores["mean_of_classes"]:.4f}', ''])
    columns = ['accuracy of', 'mean', '95 % interval over pictures']
    return Table(columns, rows, f'{scores["pictures"]} pictures')


def _class_table(scores: Record) -> Table:
    rows = scores['classes']
    title = '1 class' if len(rows) == 1 else f'{len(rows)} classes'
    if len(rows) > TABLE_CLASSES:
        rows = sorted(rows, key=lambda row: row['accuracy'])[:TABLE_CLASSES]
        title = f'the {TABLE_CLASSES} least accurate of {title}'
    if scores['without_pictures']:
        title += f'; no pictures of {abbreviated(scores["without_pictures"], 6)}'
    body = [[row['class'], row['pictures'], f'{row["accuracy"]:.4f}'] for row in rows]
    return Table(['class', 'pictures', 'accuracy'], body, title)


def _labels(
    files: list[File],
    folders: list[str],
    classes: list[str],
    index: list[tuple[str, str]] | None,
) -> np.ndarray:
    """Returns the class of each picture, (n,) integers.

    A WordNet id in the picture's name or in its folder's comes first, then the folder's name, then
    the folder's name without regard to case and surrounding blanks.

    Args:
        files: the pictures.
        folders: for each picture the name of its folder, or its class in a table.
        classes: names of the classes.
        index: [(WordNet id, name)] of the classes; None where there is none.
    """
    numbers = {name: i for i, name in enumerate(classes)}
    wordnet = {wordnet_id: i for i, (wordnet_id, _) in enumerate(index or ())}
    similar = {}  # a normalised name -> its class, or None where several classes have that name
    for name, i in numbers.items():
        similar[normalised_name(name)] = None if normalised_name(name) in similar else i
    label, similar_folders, unknown_folders = [], {}, {}
    for path, folder in zip((file.path for file in files), folders, strict=True):
        number = _class_by_wordnet_id(path, wordnet)
        if number is None:
            number = numbers.get(folder)
        if number is None:
            number = similar.get(normalised_name(folder))
            if number is None:
                unknown_folders.setdefault(folder, path)
            else:
                similar_folders[folder] = classes[number]
        label.append(number)
    if unknown_folders:
        raise UserError(_unknown_class_text(unknown_folders, classes, index))
    for folder, name in similar_folders.items():
        say(f'pictures of {folder} count as the class {name}')
    return np.array(label, np.int32)


def _class_by_wordnet_id(path: Path, wordnet: dict[str, int]) -> int | None:
    for name in (path.name, path.parent.name):
        match = re.match(r'n\d{8}', name)
        if match and match.group() in wordnet:
            return wordnet[match.group()]
    return None


def _unknown_class_text(
    folders: dict[str, Path], classes: list[str], index: list[tuple[str, str]] | None
) -> str:
    """Returns the error of pictures whose folders name no class.

    Args:
        folders: {folder: one of its pictures}.
        classes: names of the classes.
        index: [(WordNet id, name)] of the classes; None where there is none.
    """
    subject = f'{next(iter(folders.values()))} names'
    if len(folders) > 1:
        subject = f'pictures of {abbreviated(folders, 4)} name'
    if index:
        return (
            f'{subject} no class of the model: put it into a folder of its class, or begin its '
            "name with a WordNet id and name ImageNet's class index by --classes"
        )
    return (
        f'{subject} no class of the model, which has {abbreviated(classes, 6)}: put each picture '
        'into a folder named for its class'
    )
