"""Predicts picture files with a model, and extracts their features."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tljax.core import Dataset, UserError
from tljax.data.archives import File, printable
from tljax.engine.evaluate import predictions
from tljax.files.cache import save_npz
from tljax.files.console import say
from tljax.files.text import write_csv
from tljax.program import predictor
from tljax.protocols import Record
from tljax.studies.picture_lists import pictures as find
from tljax.studies.tables import Table
from tljax.trained import Trained, refuse_episodes

__all__ = [
    'answer_table',
    'answers',
    'feature_table',
    'find',
    'predict',
    'read_once',
    'write_predictions',
    'write_features',
]

Model = tuple[dict, dict, dict]  # parameters, state and record, as `models.model` gives them


def predict(
    model: Model, files: list[File], top: int = 5, batch: int = 32, pixels: int | None = None
) -> list[Record]:
    """Predicts every picture, averaged over seeds.

    A picture that cannot be read is reported on the terminal, and its error is its answer.

    Args:
        model: parameters, state and record, as `models.model` gives them.
        files: the pictures.
        top: number of classes in an answer, the most probable first; a model of several labels
            gives all labels.
        batch: pictures at a time.
        pixels: the largest number of pixels that a picture may have; None: the run's own limit.

    Returns:
        A dict for each picture: {'path', 'top': [[label, probability], ...]}, for a regression
        {'path', 'numbers': [...]}, and for a picture that cannot be read {'path', 'error'}.

    Raises:
        UserError: the model has no outputs.

    >>> predict(({}, {}, {'classes': []}), [])
    Traceback (most recent call last):
    tljax.core.UserError: this model has no outputs: take weights with the top, or a run that ...
    """
    trained = Trained(*refuse_no_outputs(model))
    output, errors = read_once(trained, files, pixels, lambda data: trained.predict(data, batch))
    return answers(
        files, output, errors, trained.classes, None if trained.task == 'labels' else top
    )


def answers(
    files: Sequence[File],
    output: np.ndarray | None,
    errors: dict[int, str],
    classes: Sequence[str],
    top: int | None = None,
) -> list[Record]:
    """Returns the answer for every picture, as `predict` does.

    Args:
        files: the pictures.
        output: (n, classes) probabilities, or numbers (n, d) where there are no classes.
        errors: {row: error} of pictures that cannot be read.
        classes: names of the outputs; empty for a regression.
        top: number of classes in an answer; None for all.

    >>> file = File(Path('a.png'), '', 1, lambda most: b'x')
    >>> answers([file], np.array([[0.25, 0.75]]), {}, ('ants', 'bees'), top=1)
    [{'path': 'a.png', 'top': [['bees', 0.75]]}]
    """
    records = []
    for row, file in enumerate(files):
        answer: Record = {'path': printable(file.path)}
        if output is None or row in errors:
            answer['error'] = errors[row]
        elif classes:
            order = np.argsort(-output[row], kind='stable')[:top]
            answer['top'] = [[classes[i], float(output[row][i])] for i in order]
        else:
            answer['numbers'] = [float(number) for number in np.ravel(output[row])]
        records.append(answer)
    return records


def read_once(
    trained: Trained,
    files: list[File],
    pixels: int | None,
    function: Callable[[Dataset], np.ndarray],
    size: int = 0,
    sizes: dict[int, tuple[int, int]] | None = None,
) -> tuple[np.ndarray | None, dict[int, str]]:
    """Applies a function of a model to pictures, each of which is read from its file once.

    Every picture that cannot be read is reported on the terminal in a line.

    Args:
        trained: the model.
        files: the pictures.
        pixels: the largest number of pixels that a picture may have; None: the run's own limit.
        function: (Dataset of the pictures) -> array with a row for each picture.
        size: side in pixels at which the network sees the pictures; 0: the side it is made for.
        sizes: as `Trained.pictures` takes it.

    Returns:
        The array, or None without files, and {row: error} of pictures that cannot be read; the
        array's rows of such pictures mean nothing.

    >>> trained = Trained({}, {}, {'input': [4, 4, 3], 'config': {'data': {'name': 'folder'}}})
    >>> file = File(Path('a.png'), '', 1, lambda most: b'x')
    >>> read_once(trained, [file], None, lambda data: data.take(np.arange(1))['label'])[1]
    {0: 'a.png cannot be decoded as a picture (of no format that Pillow knows): ...'}
    """
    if not files:
        return None, {}
    errors = {}
    output = function(trained.pictures(files, pixels, errors, size, sizes))
    for row in sorted(errors):
        say(errors[row])
    return output, errors


def outputs_for_scores(
    trained: Trained, files: list[File], pixels: int | None, batch: int, size: int = 0
) -> tuple[np.ndarray, list[int], list[Record]]:
    """Outputs of a model for labelled pictures; those that cannot be read are left out.

    Args:
        trained: the model.
        files: the pictures.
        pixels: as `read_once` takes it.
        batch: pictures at a time.
        size: as `read_once` takes it.

    Returns:
        Outputs (seeds, n, classes) of the pictures that can be read, the rows of these in `files`,
        and [{'path', 'error'}] of the others.

    Raises:
        UserError: no picture can be read.

    >>> trained = Trained({}, {}, {'input': [4, 4, 3], 'config': {'data': {'name': 'folder'}}})
    >>> outputs_for_scores(trained, [], None, batch=32)
    Traceback (most recent call last):
    tljax.core.UserError: none of the 0 pictures can be read: give others
    """

    def outputs(dataset: Dataset) -> np.ndarray:
        """(n, seeds, classes)"""
        arrays = predictions(
            predictor(trained.record),
            trained.params,
            trained.state,
            dataset,
            batch,
            text='looking at pictures',
        )
        return np.moveaxis(arrays['output'], 0, 1)

    output, errors = read_once(trained, files, pixels, outputs, size)
    rows = [row for row in range(len(files)) if row not in errors]
    if output is None or not rows:
        raise UserError(f'none of the {len(files)} pictures can be read: give others')
    unread = [{'path': printable(files[row].path), 'error': errors[row]} for row in sorted(errors)]
    return np.moveaxis(output[rows], 1, 0), rows, unread


def refuse_no_outputs(model: Model) -> Model:
    """Returns a model that can predict, and refuses one that cannot.

    Args:
        model: parameters, state and record, as `models.model` gives them.

    Raises:
        UserError: the model was trained on episodes, has no outputs, or has a single class.

    >>> refuse_no_outputs(({'head': 0}, {}, {'classes': ['ants']}))
    Traceback (most recent call last):
    tljax.core.UserError: this model has the single class ants, and would predict it for every ...
    """
    params, _, record = model
    if 'config' in record:
        refuse_episodes(record)
    if 'head' not in params:
        raise UserError(
            record.get('left')
            or 'this model has no outputs: take weights with the top, or a run that was trained'
        )
    if len(record['classes']) == 1 and record.get('task') != 'labels':
        raise UserError(
            f'this model has the single class {record["classes"][0]}, and would predict it for '
            'every picture: take a model of two classes or more'
        )
    return model


def answer_table(answer: Record) -> Table:
    """Returns the answer for one picture as a table.

    Args:
        answer: an element of what `predict` returns, for a picture that can be read.

    >>> answer_table({'path': 'a.png', 'top': [['tench', 0.75]]}).rows
    [['tench', '0.750']]
    """
    if 'numbers' in answer:
        return Table(
            ['number'], [[f'{number:.6g}'] for number in answer['numbers']], answer['path']
        )
    rows = [[label, f'{probability:.3f}'] for label, probability in answer['top']]
    return Table(['label', answer.get('by', 'probability')], rows, answer['path'])


def write_predictions(answers: Sequence[Record], out: str) -> None:
    """Writes predictions as a CSV with a row for each picture that could be read.

    Args:
        answers: as `predict` returns them.
        out: path of the file. Its columns are path, label, probability, label2, probability2 ...,
            or path, number, number2 ...

    >>> import tempfile
    >>> answers = [{'path': 'a.png', 'top': [['tench', 0.75]]}, {'path': 'b.png', 'error': '...'}]
    >>> write_predictions(answers, path := tempfile.mktemp())
    >>> Path(path).read_text()
    'path,label,probability\\na.png,tench,0.75\\n'
    """
    rows = [
        [answer['path'], *np.array(answer.get('numbers') or answer['top'], object).ravel()]
        for answer in answers
        if 'error' not in answer
    ]
    width = max(map(len, rows), default=1) - 1
    regression = any('numbers' in answer for answer in answers)
    by = next((answer['by'] for answer in answers if 'by' in answer), 'probability')
    kinds = ('number',) if regression else ('label', by)
    names = [kind + (str(i + 1) if i else '') for i in range(width // len(kinds)) for kind in kinds]
    write_csv(out, [['path', *names], *rows])


def write_features(
    model: Model, files: list[File], out: str, batch: int = 32, pixels: int | None = None
) -> Record:
    """Writes the features of all pictures that can be read; the file is never left half written.

    Args:
        model: parameters, state and record, as `models.model` gives them.
        files: the pictures.
        out: path that ends in .npz (arrays `path` and `features`) or .csv (a row for each picture,
            its path first).
        batch: pictures at a time.
        pixels: the largest number of pixels that a picture may have; None: the run's own limit.

    Returns:
        {'file', 'pictures': number of pictures written, 'dim': features of each, 'unread': number
        of pictures that cannot be read}.

    Raises:
        UserError: no picture can be read.

    >>> from tljax.studies.models import ModelChoice, model
    >>> write_features(model(ModelChoice(workdir=Path('nowhere'))), [], 'features.csv')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere holds no finished run (no final/): train it to its last step first
    """
    trained = Trained(*model)
    features, errors = read_once(trained, files, pixels, lambda data: trained.features(data, batch))
    rows = [row for row in range(len(files)) if row not in errors]
    if features is None or not rows:
        raise UserError(f'none of the {len(files)} pictures can be read: nothing is written')
    features, names = features[rows], [printable(files[row].path) for row in rows]
    if out.endswith('.npz'):
        save_npz(Path(out).absolute(), path=np.array(names), features=features)
    else:
        header = ['path', *(f'feature{i}' for i in range(features.shape[1]))]
        rows = ([name, *row.tolist()] for name, row in zip(names, features, strict=True))
        write_csv(out, [header, *rows])
    return {'file': out, 'pictures': len(names), 'dim': features.shape[1], 'unread': len(errors)}


def feature_table(summary: Record) -> Table:
    """Returns the file, the number of pictures and the number of features as a table.

    Args:
        summary: as `write_features` returns it.

    >>> feature_table({'file': 'a.npz', 'pictures': 4, 'dim': 256, 'unread': 0}).rows
    [['a.npz', 4, 256]]
    """
    return Table(
        ['file', 'pictures', 'features of each'],
        [[summary[key] for key in ('file', 'pictures', 'dim')]],
    )
