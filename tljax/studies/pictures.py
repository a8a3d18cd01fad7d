"""Pictures in, labels out: what a model says of picture files, and how often it is right."""
import csv
import io
import re
from pathlib import Path

import numpy as np

from tljax.core import Refused
from tljax.data.pictures import find, pictures
from tljax.engine.evaluate import predictions
from tljax.engine.scores import proportion
from tljax.files.cache import save_npz
from tljax.files.text import write
from tljax.program import predictor
from tljax.studies.tables import Table
from tljax.trained import Trained, refuse_episodes

__all__ = ['accuracy_table', 'answer_table', 'evaluate', 'feature_table', 'find', 'predict', 'write_features']


def predict(model: tuple[dict, dict, dict], files: list[Path], top: int = 5, batch: int = 32
            ) -> list[dict]:
    """The most probable labels of every picture; probabilities are averaged over seeds.

    Args:
        model: parameters, state and record, as `models.model` gives them.
        files: the pictures.
        top: how many labels of each.
        batch: pictures at a time.

    Returns:
        A dict for each picture: {'path', 'top': [[label, probability], ...]}.

    Raises:
        Refused: for a model without classes, and a file that is no picture.

    >>> predict(({}, {}, {'classes': []}), [])
    Traceback (most recent call last):
    tljax.core.Refused: this model has no classes to tell: take weights with the top, or a run ...
    """
    trained = Trained(*_with_classes(model))
    answers = []
    for path, probability in zip(files, trained.predict(files, batch), strict=True):
        order = np.argsort(-probability, kind='stable')[:top]
        answers.append({'path': str(path), 'top': [[trained.classes[i], float(probability[i])]
                                                   for i in order]})
    return answers


def answer_table(answer: dict) -> Table:
    """What `predict` says of one picture, as a table.

    >>> answer_table({'path': 'a.png', 'top': [['tench', .75]]}).rows
    [['tench', '0.750']]
    """
    rows = [[label, f'{probability:.3f}'] for label, probability in answer['top']]
    return Table(['label', 'probability'], rows, answer['path'])


def evaluate(model: tuple[dict, dict, dict], files: list[Path],
             index: list[tuple[str, str]] | None = None, size: int = 0, batch: int = 32) -> dict:
    """Top-1 and top-5 accuracy on pictures whose paths name their classes.

    Args:
        model: parameters, state and record, as `models.model` gives them.
        files: the pictures.
        index: ImageNet's classes, [(WordNet id, name)], if files are named by WordNet ids.
        size: side of the pictures that the network is shown; 0: the one it is for.
        batch: pictures at a time.

    Returns:
        {'top1', 'top5', 'top1_interval', 'top5_interval', 'pictures': their number}; the means are
        over pictures and seeds, the intervals cover 95 % over pictures.

    Raises:
        Refused: for a model without classes, and a picture that names none of them.

    >>> evaluate(({}, {}, {'classes': []}), [])
    Traceback (most recent call last):
    tljax.core.Refused: this model has no classes to tell: take weights with the top, or a run ...
    """
    params, state, record = _with_classes(model)
    numbers = {name: i for i, name in enumerate(record['classes'])}
    wordnet = {wordnet_id: i for i, (wordnet_id, _) in enumerate(index or ())}
    label = [_class(path, numbers, wordnet) for path in files]
    shape, resize = record['input'], record['config']['data'].get('resize')
    if size:
        resize = resize and round(resize * size / shape[0])
        shape = (size, size, *shape[2:])
    dataset = pictures(files, shape, resize, label, record['classes'])
    output = predictions(predictor(record), params, state, dataset, batch,
                         said='looking at pictures')['output']
    best, found = np.argsort(-output, axis=-1, kind='stable'), {}
    for top in (1, 5):
        right = (best[..., :top] == np.array(label)[:, None]).any(-1).mean(0)
        found[f'top{top}'] = float(right.mean())
        found[f'top{top}_interval'] = list(proportion(round(right.sum()), len(files))[1:])
    return found | {'pictures': len(files)}


def accuracy_table(found: dict) -> Table:
    """What `evaluate` found, as a table.

    >>> found = {'top1': .5, 'top5': 1., 'top1_interval': [.1, .9], 'top5_interval': [.5, 1.]}
    >>> accuracy_table(found | {'pictures': 4}).rows[0]
    ['1 guess', '0.5000', '0.1000 to 0.9000']
    """
    rows = []
    for name, key in (('1 guess', 'top1'), ('5 guesses', 'top5')):
        low, high = found[f'{key}_interval']
        rows.append([name, f'{found[key]:.4f}', f'{low:.4f} to {high:.4f}'])
    return Table(['accuracy of', 'mean', '95 % interval over pictures'], rows,
                 f'{found["pictures"]} pictures')


def write_features(model: tuple[dict, dict, dict], files: list[Path], out: str, batch: int = 32) -> dict:
    """Writes the features that a model's network makes of pictures, whole or not at all.

    Args:
        model: parameters, state and record, as `models.model` gives them.
        files: the pictures.
        out: path that ends in .npz (arrays `path` and `features`) or .csv (a row for each picture, its path in front).
        batch: pictures at a time.

    Returns:
        {'file', 'pictures', 'dim'}.

    Raises:
        Refused: a picture that cannot be decoded.

    >>> from tljax.studies.models import ModelChoice, model
    >>> write_features(model(ModelChoice(workdir=Path('nowhere'))), [], 'features.csv')
    Traceback (most recent call last):
    tljax.core.Refused: nowhere holds no finished run (no final/): train it to its last step first
    """
    features = Trained(*model).features(files, batch)
    names = [str(path) for path in files]
    if out.endswith('.npz'):
        save_npz(Path(out).absolute(), path=np.array(names), features=features)
    else:
        text = io.StringIO()
        rows = csv.writer(text, lineterminator='\n')
        rows.writerow(['path', *(f'feature{i}' for i in range(features.shape[1]))])
        rows.writerows([name, *map(repr, row.tolist())] for name, row in zip(names, features, strict=True))
        write(out, text.getvalue())
    return {'file': out, 'pictures': len(files), 'dim': features.shape[1]}


def feature_table(found: dict) -> Table:
    """Where `write_features` has written, as a table.

    >>> feature_table({'file': 'a.npz', 'pictures': 4, 'dim': 256}).rows
    [['a.npz', 4, 256]]
    """
    return Table(['file', 'pictures', 'features of each'], [list(found.values())])


def _with_classes(model: tuple[dict, dict, dict]) -> tuple[dict, dict, dict]:
    params, _, record = model
    if 'config' in record:
        refuse_episodes(record)
    if 'head' not in params or not record['classes']:
        raise Refused('this model has no classes to tell: take weights with the top, or a run that '
                      'was trained on labels')
    if len(record['classes']) < 2:
        raise Refused(f'this model knows the class {record["classes"][0]} alone, and would tell it of '
                      'every picture: take one of two classes or more')
    return model


def _class(path: Path, numbers: dict[str, int], wordnet: dict[str, int]) -> int:
    for name in (path.name, path.parent.name):
        found = re.match(r'n\d{8}', name)
        if found and found.group() in wordnet:
            return wordnet[found.group()]
    if path.parent.name in numbers:
        return numbers[path.parent.name]
    raise Refused(f'{path} names no class of the model: put it into a folder of its class, or '
                  "begin its name with a WordNet id and name ImageNet's class index by --classes")
