"""Detection in pictures: answers as boxes of the original pictures, drawings, COCO's results, and
average precision on annotated pictures."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tljax.core import UserError, abbreviated
from tljax.data.annotations.prepared import whole
from tljax.data.archives import File, printable
from tljax.data.decoding import PIXELS, picture
from tljax.engine.average_precision import average_precision
from tljax.files.console import say
from tljax.files.text import write
from tljax.protocols import Record
from tljax.report.boxes import drawn
from tljax.studies.pictures import Model, read_once
from tljax.studies.tables import Table
from tljax.trained import Trained

RESAMPLES = 200  # of pictures, for an interval


def detect(
    model: Model,
    files: list[File],
    lowest: float = 0.3,
    most: int = 100,
    batch: int = 8,
    pixels: int | None = None,
) -> list[Record]:
    """Finds objects in every picture, by the first seed of a run.

    A picture that cannot be read is reported on the terminal, and its error is its answer.

    Args:
        model: parameters, state and record of a detector, as `models.model` gives them.
        files: the pictures.
        lowest: smallest score of a detection.
        most: most detections of a picture, those of the highest scores.
        batch: pictures at a time.
        pixels: largest number of pixels that a picture may have; None: the run's own limit.

    Returns:
        A dict for each picture: {'path', 'width', 'height', 'boxes': [{'class', 'number', 'score',
        'box': [left, top, right, bottom]}, ...]}, in pixels of the original picture, the highest
        score first; for a picture that cannot be read {'path', 'error'}.

    Raises:
        UserError: the model is no detector.

    >>> detect(({}, {}, {'classes': ['cat'], 'task': 'classes'}), [])
    Traceback (most recent call last):
    tljax.core.UserError: this model is no detector: take a run of configs/detection.py, or ...
    """
    trained = refuse_no_detector(model)
    sizes: dict[int, tuple[int, int]] = {}
    output, errors = read_once(
        trained,
        files,
        pixels,
        lambda data: trained.predict(data, batch),
        sizes=sizes,
    )
    records = []
    for row, file in enumerate(files):
        answer: Record = {'path': printable(file.path)}
        if output is None or row in errors:
            records.append({**answer, 'error': errors[row]})
            continue
        height, width = sizes[row]
        rows = output[row]
        rows = rows[(rows[:, 4] >= 0) & (rows[:, 5] >= lowest)][:most]
        boxes = [_box(found, width, height, trained.classes) for found in rows.tolist()]
        records.append({**answer, 'width': width, 'height': height, 'boxes': boxes})
    return records


def _box(found, width, height, names):
    """A detection as a dict, in pixels."""
    top, left, bottom, right, number, score = found
    sides = [left * width, top * height, right * width, bottom * height]
    return {
        'class': names[int(number)],
        'number': int(number),
        'score': round(score, 4),
        'box': [round(side, 2) for side in sides],
    }


def is_detector(model: Model) -> bool:
    """Tells whether a model finds boxes.

    Args:
        model: parameters, state and record, as `models.model` gives them.

    >>> is_detector(({}, {}, {'classes': ['cat'], 'task': 'boxes'}))
    True
    """
    return Trained(*model).task == 'boxes'


def refuse_no_detector(model: Model) -> Trained:
    """Returns a detector, and refuses another model.

    Args:
        model: parameters, state and record, as `models.model` gives them.

    Raises:
        UserError: the model is no detector.

    >>> refuse_no_detector(({}, {}, {'classes': ['cat'], 'task': 'boxes'})).task
    'boxes'
    """
    if not is_detector(model):
        raise UserError(
            'this model is no detector: take a run of configs/detection.py, or a network of '
            'python -m experiments.models --detectors'
        )
    return Trained(*model)


def answer_table(answer: Record) -> Table:
    """Returns the answer for one picture as a table.

    Args:
        answer: an element of what `detect` returns, for a picture that can be read.

    >>> box = {'class': 'cat', 'score': 0.9, 'box': [1.0, 2.0, 3.0, 4.0]}
    >>> answer_table({'path': 'a.png', 'boxes': [box]}).rows
    [['cat', '0.900', 1, 2, 3, 4]]
    """
    rows = [
        [box['class'], f'{box["score"]:.3f}', *(round(side) for side in box['box'])]
        for box in answer['boxes']
    ]
    return Table(['class', 'score', 'left', 'top', 'right', 'bottom'], rows, answer['path'])


def write_drawings(
    answers: Sequence[Record], files: Sequence[File], classes: Sequence[str], out: str
) -> None:
    """Writes every picture that could be read with its boxes, as PNG files of a folder.

    Args:
        answers: as `detect` returns them.
        files: the pictures.
        classes: names of the model's classes.
        out: the folder, which is made; its files are numbered, since names may repeat.
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    for number, (answer, file) in enumerate(zip(answers, files, strict=True)):
        if 'error' in answer:
            continue
        array = picture(file.read(), file.path, 3, pixels=PIXELS)
        height, width = array.shape[:2]
        rows = np.array(
            [
                [
                    *np.divide(
                        [box['box'][i] for i in (1, 0, 3, 2)], [height, width, height, width]
                    ),
                    box['number'],
                    box['score'],
                ]
                for box in answer['boxes']
            ]
        ).reshape(-1, 6)
        name = f'{number:05d}-{Path(answer["path"]).stem}.png'
        drawn(Image.fromarray(array), rows, classes).save(folder / name)


def coco_results(answers: Sequence[Record], ids: Sequence[int] = ()) -> list[Record]:
    """Returns detections in the form of COCO's results, as pycocotools loads them.

    The number of a picture is its name if that is a number, as those of COCO are, and otherwise its
    place in the list, from 1.

    Args:
        answers: as `detect` returns them.
        ids: COCO's number of each of the model's classes; () numbers them from 1.

    >>> box = {'class': 'cat', 'number': 0, 'score': 0.9, 'box': [1.0, 2.0, 4.0, 6.0]}
    >>> coco_results([{'path': 'photos/000139.jpg', 'boxes': [box]}])
    [{'image_id': 139, 'category_id': 1, 'bbox': [1.0, 2.0, 3.0, 4.0], 'score': 0.9}]
    """
    results = []
    for place, answer in enumerate(answers, 1):
        stem = Path(answer['path']).stem
        number = int(stem) if stem.isdecimal() else place
        for box in answer.get('boxes', ()):
            left, top, right, bottom = box['box']
            results.append(
                {
                    'image_id': number,
                    'category_id': ids[box['number']] if len(ids) else box['number'] + 1,
                    'bbox': [left, top, round(right - left, 2), round(bottom - top, 2)],
                    'score': box['score'],
                }
            )
    return results


def write_json(document: Record | list, out: str) -> None:
    """Writes a document as JSON; the file is never left half written.

    Args:
        document: dicts, lists, texts and numbers.
        out: path of the file.

    >>> import tempfile
    >>> write_json([{'score': 0.5}], path := tempfile.mktemp())
    >>> Path(path).read_text()
    '[{"score": 0.5}]'
    """
    write(out, json.dumps(document))


def evaluate(
    model: Model,
    annotations: str,
    where: str = '',
    batch: int = 8,
    pixels: int | None = None,
    resamples: int = RESAMPLES,
) -> Record:
    """Measures COCO's average precision of a detector on annotated pictures.

    Classes are matched by their names. The annotation may lack classes of the model, whose
    detections are then left out. A class that the model lacks counts with a precision of 0.

    Args:
        model: parameters, state and record of a detector, as `models.model` gives them.
        annotations: a folder or archive of annotated pictures, or a JSON of COCO or a CSV.
        where: folder or archive of the pictures, if they are not with the annotations.
        batch: pictures at a time.
        pixels: largest number of pixels that a picture may have; None: the run's own limit.
        resamples: number of bootstrap samples of pictures for the interval of AP; 0 for none.

    Returns:
        {'pictures', 'boxes', 'AP', 'AP50', 'AP75', 'AR100', 'APsmall', 'APmedium', 'APlarge',
        'interval': [low, high], 'by_class': {name: AP}, 'unread': [{'path', 'error'}]}, in [0, 1];
        None where there are no boxes.

    Raises:
        UserError: the model is no detector, no class of the model is annotated, annotations cannot
            be read (`tljax.data.boxes`), or no picture can be decoded.
    """
    trained = refuse_no_detector(model)
    ready, _ = whole(annotations, where=where, pixels=pixels or PIXELS)
    for note in ready.notes:
        say(note)
    truth = ready.truth('all')
    numbers = _numbers(trained.classes, ready.classes)
    output, errors = read_once(
        trained, ready.files, pixels, lambda data: trained.predict(data, batch)
    )
    rows = [row for row in range(len(ready.files)) if row not in errors]
    if output is None or not rows:
        raise UserError(f'none of the {len(ready.files)} pictures can be read: give others')
    found = np.array(output[rows])
    label = found[..., 4].astype(int)
    found[..., 4] = np.where(label >= 0, numbers[label], -1)
    precision = average_precision(
        found, truth.label[rows], ready.classes, truth.size[rows], truth.area[rows], resamples
    )
    is_box = truth.label[rows][..., 4] >= 0
    return {
        'pictures': len(rows),
        'boxes': int(is_box.sum()),
        'AP': _known(precision.ap),
        'AP50': _known(precision.ap50),
        'AP75': _known(precision.ap75),
        'AR100': _known(precision.recall),
        **{f'AP{size}': _known(ap) for size, ap in precision.by_size.items()},
        'interval': [_known(end) for end in precision.interval],
        'by_class': {name: _known(ap) for name, ap in precision.by_class.items()},
        'unread': [
            {'path': printable(ready.files[row].path), 'error': errors[row]}
            for row in sorted(errors)
        ],
    }


def _known(number):
    return None if np.isnan(number) else float(number)


def _numbers(classes, annotated):
    """The number among the annotated classes of each class of the model; -1 for none."""
    place = {name.casefold(): i for i, name in enumerate(annotated)}
    numbers = np.array([place.get(name.casefold(), -1) for name in classes])
    if (numbers < 0).all():
        raise UserError(
            f'no class of the model ({abbreviated(classes, 6)}) is annotated '
            f'({abbreviated(annotated, 6)}): give annotations with the same names of classes'
        )
    missing = [name for i, name in enumerate(annotated) if i not in numbers]
    if missing:
        say(f'the model lacks {abbreviated(missing, 6)}: the precision of these classes is 0')
    return numbers


def score_tables(scores: Record) -> list[Table]:
    """Returns the precisions of `evaluate` as tables.

    Args:
        scores: as `evaluate` returns them.

    >>> scores = {'AP': 0.5, 'AP50': None, 'interval': [0.4, 0.6], 'by_class': {'cat': 0.5}}
    >>> [table.rows for table in score_tables(scores)]
    [[['AP', '0.500', '0.400 to 0.600']], [['cat', '0.500']]]
    """
    low, high = scores['interval'] or ('', '')
    interval = f'{low:.3f} to {high:.3f}' if scores['interval'] else ''
    rows = [
        [name, f'{value:.3f}', interval if name == 'AP' else '']
        for name, value in scores.items()
        if name.startswith('A') and value is not None
    ]
    classes = [[name, f'{ap:.3f}'] for name, ap in scores['by_class'].items() if ap is not None]
    return [
        Table(['score', 'value', '95 % interval over pictures'], rows),
        Table(['class', 'AP'], classes),
    ]
