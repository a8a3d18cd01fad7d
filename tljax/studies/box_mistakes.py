"""Mistakes of a detector: precision by class, and pictures with missed and invented boxes."""

import json

import jax.numpy as jnp
import numpy as np

from tljax.core import Dataset, Task
from tljax.engine.average_precision import Precision, average_precision
from tljax.nn.boxes.geometry import iou
from tljax.protocols import Record
from tljax.report.boxes import png_with_boxes
from tljax.studies.tables import Table, section

MAX_PICTURES = 12
FOUND = 0.5  # intersection over union from which a box is found
SHOWN = 0.3  # score from which a detection is drawn


def arrays(rows: list[Record], names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Returns detections (n, k, 6) and boxes (n, g, 5) of answers, as `average_precision` takes
    them.

    Args:
        rows: as `engine.answers.answers` returns them for boxes.
        names: names of the classes.

    >>> row = {'boxes': '[["a", 0, 0, 1, 1]]', 'detections': '[["a", 0.9, 0, 0, 1, 0.5]]'}
    >>> arrays([row], ('a',))[0].tolist()
    [[[0.0, 0.0, 1.0, 0.5, 0.0, 0.9]]]
    """
    number = {name: i for i, name in enumerate(names)}
    detections = [
        [[*box, number[name], score] for name, score, *box in json.loads(row['detections'])]
        for row in rows
    ]
    boxes = [[[*box, number[name]] for name, *box in json.loads(row['boxes'])] for row in rows]
    return _padded(detections, 6), _padded(boxes, 5)


def _padded(rows, width):
    """Lists of different lengths as one array, whose class is -1 where there is nothing."""
    array = np.zeros((len(rows), max([1, *map(len, rows)]), width))
    array[..., 4] = -1
    for place, row in zip(array, rows, strict=True):
        place[: len(row)] = np.reshape(row, (-1, width))
    return array


def by_class(rows: list[Record], task: Task) -> Table:
    """Returns a table of the average precision of every class, the worst first.

    Args:
        rows: as `engine.answers.answers` returns them for boxes.
        task: a task of boxes.

    >>> row = {'boxes': '[["a", 0, 0, 1, 1]]', 'detections': '[["a", 0.9, 0, 0, 1, 0.5]]'}
    >>> by_class([row], Task('boxes', ('a', 'b'))).rows
    [['a', 1, '10.0', '100.0']]
    """
    _, boxes = arrays(rows, task.names)
    whole, half = (_precision(rows, task, **keywords) for keywords in ({}, {'overlaps': (FOUND,)}))
    body = [
        [
            name,
            int((boxes[..., 4] == c).sum()),
            f'{100 * whole.by_class[name]:.1f}',
            f'{100 * half.by_class[name]:.1f}',
        ]
        for c, name in sorted(enumerate(task.names), key=lambda pair: whole.by_class[pair[1]])
        if name in whole.curves
    ]
    return Table(['class', 'boxes', 'AP %', f'at an overlap of {FOUND} %'], body, 'Class by class')


def _precision(rows, task, **keywords) -> Precision:
    size = np.full((len(rows), 2), 1000)  # any size: overlaps of shares are the same
    return average_precision(*arrays(rows, task.names), task.names, size, **keywords)


def worst(rows: list[Record], names: tuple[str, ...], limit: int = MAX_PICTURES) -> list[int]:
    """Returns the numbers of the pictures with most missed boxes, and surest invented ones.

    A picture counts one for each box that no detection of its class has found, and the score of
    each detection that is no box.

    Args:
        rows: as `engine.answers.answers` returns them for boxes.
        names: names of the classes.
        limit: most pictures.

    >>> right = {'boxes': '[["a", 0, 0, 1, 1]]', 'detections': '[["a", 0.9, 0, 0, 1, 1]]'}
    >>> worst([right, {**right, 'detections': '[]'}], ('a',))
    [1]
    """
    detections, boxes = arrays(rows, names)
    overlap = (
        np.asarray(iou(jnp.asarray(detections[..., :4]), jnp.asarray(boxes[..., :4]))) >= FOUND
    )
    overlap &= detections[..., None, 4] == boxes[..., None, :, 4]
    is_box, is_detection = boxes[..., 4] >= 0, detections[..., 4] >= 0
    sure = overlap & (detections[..., None, 5] >= SHOWN)
    missed = (is_box & ~sure.any(-2)).sum(-1)
    invented = (detections[..., 5] * (is_detection & ~overlap.any(-1))).sum(-1)
    costs = missed + invented
    return [int(i) for i in np.argsort(-costs, kind='stable')[:limit] if costs[i] > 0]


def sections(
    rows: list[Record], task: Task, split: str, dataset: Dataset | None = None
) -> list[Record]:
    """Returns the sections of a page that show what a detector finds and misses.

    Args:
        rows: as `engine.answers.answers` returns them for boxes.
        task: a task of boxes.
        split: name of the split of the rows.
        dataset: that split, whose pictures are shown; None: no pictures.

    >>> row = {'boxes': '[["a", 0, 0, 1, 1]]', 'detections': '[["a", 0.9, 0, 0, 1, 0.5]]'}
    >>> [part['heading'] for part in sections([row], Task('boxes', ('a',)), 'test')]
    ['Class by class, test split', 'Precision and recall at an overlap of 0.5, test split']
    """
    from tljax.report.drawing import svg  # imported late, for a quick start
    from tljax.report.figures import precision_curves

    table = by_class(rows, task)
    curves = svg(precision_curves(_precision(rows, task).curves))
    parts = [
        section(f'{table.title}, {split} split', table),
        section(f'Precision and recall at an overlap of {FOUND}, {split} split', svg=curves),
    ]
    numbers = worst(rows, task.names) if dataset else []
    if numbers and dataset:
        pictures = dataset.take(np.array(numbers))['input']
        detections, boxes = arrays([rows[i] for i in numbers], task.names)
        shown = [
            (
                png_with_boxes(picture, found[found[:, 5] >= SHOWN], wanted, task.names),
                str(rows[i]['example']),
            )
            for i, picture, found, wanted in zip(numbers, pictures, detections, boxes, strict=True)
        ]
        text = f'Dashed: boxes to be found. Solid: detections of a score of {SHOWN} or more.'
        heading = f'Most missed and invented boxes, {split} split'
        parts.append(section(heading, pictures=shown, text=text))
    return parts
