"""Pictures in, labels or features out: what a model says of picture files."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tljax.core import Dataset, UserError
from tljax.data.archives import File, printable
from tljax.files.cache import save_npz
from tljax.files.console import say
from tljax.files.text import write_csv
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
    """What a model says of every picture, averaged over seeds; one that cannot be read is told.

    Args:
        model: parameters, state and record, as `models.model` gives them.
        files: the pictures.
        top: how many classes of each; of a model of several labels all are told.
        batch: pictures at a time.
        pixels: the most that a picture may have; None: the run's own limit.

    Returns:
        A dict for each picture: {'path', 'top': [[label, probability], ...]}, or of a regression
        {'path', 'numbers': [...]}, or {'path', 'error'}.

    Raises:
        UserError: for a model without outputs.

    >>> predict(({}, {}, {'classes': []}), [])
    Traceback (most recent call last):
    tljax.core.UserError: this model has no outputs to tell: take weights with the top, or a run ...
    """
    trained = Trained(*refuse_no_outputs(model))
    several = trained.task == 'labels'
    found, failed = read_once(trained, files, pixels, lambda data: trained.predict(data, batch))
    return answers(files, found, failed, trained.classes, None if several else top)


def answers(
    files: Sequence[File],
    found: np.ndarray | None,
    failed: dict[int, str],
    classes: Sequence[str],
    top: int | None = None,
) -> list[Record]:
    """What is told of every picture, as `predict` gives it.

    Args:
        files: the pictures.
        found: (n, classes) probabilities, or numbers (n, d) where there are no classes.
        failed: {row: why} of pictures that cannot be read.
        classes: names of the outputs; empty for a regression.
        top: how many classes of each; None for all.

    >>> file = File(Path('a.png'), '', 1, lambda most: b'x')
    >>> answers([file], np.array([[0.25, 0.75]]), {}, ('ants', 'bees'), top=1)
    [{'path': 'a.png', 'top': [['bees', 0.75]]}]
    """
    told = []
    for row, file in enumerate(files):
        answer: Record = {'path': printable(file.path)}
        if found is None or row in failed:
            answer['error'] = failed[row]
        elif classes:
            order = np.argsort(-found[row], kind='stable')[:top]
            answer['top'] = [[classes[i], float(found[row][i])] for i in order]
        else:
            answer['numbers'] = [float(number) for number in np.ravel(found[row])]
        told.append(answer)
    return told


def read_once(
    trained: Trained,
    files: list[File],
    pixels: int | None,
    ask: Callable[[Dataset], np.ndarray],
    size: int = 0,
) -> tuple[np.ndarray | None, dict[int, str]]:
    """What a model makes of pictures, and which cannot be read: those are told, a line each.

    Args:
        trained: the model.
        files: the pictures.
        pixels: the most that a picture may have; None: the run's own limit.
        ask: (Dataset of the pictures) -> array with a row for each.
        size: side of the pictures that the network is shown; 0: the one it is for.

    Returns:
        The array, whose rows of unreadable pictures mean nothing, and {row: why}.

    >>> trained = Trained({}, {}, {'input': [4, 4, 3], 'config': {'data': {'name': 'folder'}}})
    >>> file = File(Path('a.png'), '', 1, lambda most: b'x')
    >>> read_once(trained, [file], None, lambda data: data.take(np.arange(1))['label'])[1]
    {0: 'a.png cannot be decoded as a picture (of no format that Pillow knows): ...'}
    """
    if not files:
        return None, {}
    failed = {}
    found = ask(trained.pictures(files, pixels, failed, size))
    for row in sorted(failed):
        say(failed[row])
    return found, failed


def refuse_no_outputs(model: Model) -> Model:
    """The model, unless it has nothing to tell of a picture.

    Args:
        model: parameters, state and record, as `models.model` gives them.

    >>> refuse_no_outputs(({'head': 0}, {}, {'classes': ['ants']}))
    Traceback (most recent call last):
    tljax.core.UserError: this model knows the class ants alone, and would tell it of every ...
    """
    params, _, record = model
    if 'config' in record:
        refuse_episodes(record)
    if 'head' not in params:
        raise UserError(
            record.get('left')
            or 'this model has no outputs to tell: take weights with the top, or a run that was '
            'trained'
        )
    if len(record['classes']) == 1 and record.get('task') != 'labels':
        raise UserError(
            f'this model knows the class {record["classes"][0]} alone, and would tell it of every '
            'picture: take one of two classes or more'
        )
    return model


def answer_table(answer: Record) -> Table:
    """What `predict` says of one picture, as a table.

    Args:
        answer: one of those that `predict` gives, of a picture that was read.

    >>> answer_table({'path': 'a.png', 'top': [['tench', 0.75]]}).rows
    [['tench', '0.750']]
    """
    if 'numbers' in answer:
        return Table(
            ['number'], [[f'{number:.6g}'] for number in answer['numbers']], answer['path']
        )
    rows = [[label, f'{probability:.3f}'] for label, probability in answer['top']]
    return Table(['label', 'probability'], rows, answer['path'])


def write_predictions(answers: Sequence[Record], out: str) -> None:
    """Writes what `predict` says as a CSV, a row for each picture that was read.

    Args:
        answers: of `predict`.
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
    kinds = ('number',) if regression else ('label', 'probability')
    names = [kind + (str(i + 1) if i else '') for i in range(width // len(kinds)) for kind in kinds]
    write_csv(out, [['path', *names], *rows])


def write_features(
    model: Model, files: list[File], out: str, batch: int = 32, pixels: int | None = None
) -> Record:
    """Writes the features that a network makes of pictures that can be read, whole or not at all.

    Args:
        model: parameters, state and record, as `models.model` gives them.
        files: the pictures.
        out: path that ends in .npz (arrays `path` and `features`) or .csv (a row for each picture,
            its path in front).
        batch: pictures at a time.
        pixels: the most that a picture may have; None: the run's own limit.

    Returns:
        {'file', 'pictures', 'dim', 'unread': their number}.

    Raises:
        UserError: no picture can be read.

    >>> from tljax.studies.models import ModelChoice, model
    >>> write_features(model(ModelChoice(workdir=Path('nowhere'))), [], 'features.csv')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere holds no finished run (no final/): train it to its last step first
    """
    trained = Trained(*model)
    features, failed = read_once(trained, files, pixels, lambda data: trained.features(data, batch))
    rows = [row for row in range(len(files)) if row not in failed]
    if features is None or not rows:
        raise UserError(f'none of the {len(files)} pictures can be read: nothing is written')
    features, names = features[rows], [printable(files[row].path) for row in rows]
    if out.endswith('.npz'):
        save_npz(Path(out).absolute(), path=np.array(names), features=features)
    else:
        header = ['path', *(f'feature{i}' for i in range(features.shape[1]))]
        rows = ([name, *row.tolist()] for name, row in zip(names, features, strict=True))
        write_csv(out, [header, *rows])
    return {'file': out, 'pictures': len(names), 'dim': features.shape[1], 'unread': len(failed)}


def feature_table(found: Record) -> Table:
    """Where `write_features` has written, as a table.

    Args:
        found: as `write_features` gives it.

    >>> feature_table({'file': 'a.npz', 'pictures': 4, 'dim': 256, 'unread': 0}).rows
    [['a.npz', 4, 256]]
    """
    return Table(
        ['file', 'pictures', 'features of each'],
        [[found[key] for key in ('file', 'pictures', 'dim')]],
    )
