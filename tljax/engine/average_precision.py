"""Average precision of detections, by pycocotools, with intervals over pictures.

pycocotools comes with the extra `detection`. Everybody's COCO numbers are those of its rules.
"""

import contextlib
import copy
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tljax.core import FIRST_IGNORED, PADDING, UserError

SIZES = ('all', 'small', 'medium', 'large')  # COCO's areas: up to 32², 96² and 1e5² pixels
OVERLAPS = tuple((50 + 5 * i) / 100 for i in range(10))  # 0.5 to 0.95
MOST = 100  # detections of a picture that count


class Precision(NamedTuple):
    """Average precisions in [0, 1]; NaN where there are no boxes to be found.

    Attributes:
        ap: mean over classes and overlaps, by default 0.5, 0.55, ..., 0.95.
        ap50: mean over classes at an overlap of 0.5; NaN if that is not among them.
        ap75: the same at 0.75.
        recall: share of boxes that are found among the best 100 detections, mean over classes and
            overlaps.
        by_size: `ap` of small, medium and large objects.
        by_class: mean over the overlaps, for each class.
        curves: precision at 101 recalls from 0 to 1, at the first overlap, for each class that has
            boxes.
        interval: low and high end of the percentile interval of `ap` over resampled pictures; ()
            if none was asked for.

    >>> Precision(0.5, 0.75, 0.5, 0.6, {}, {'cat': 0.5}).by_class['cat']
    0.5
    """

    ap: float
    ap50: float
    ap75: float
    recall: float
    by_size: dict[str, float]
    by_class: dict[str, float]
    curves: dict[str, np.ndarray] = {}  # noqa: RUF012
    interval: tuple[float, float] | tuple[()] = ()


def average_precision(
    output: np.ndarray,
    label: np.ndarray,
    classes: Sequence[str],
    size: np.ndarray,
    area: np.ndarray | None = None,
    resamples: int = 0,
    confidence: float = 0.95,
    seed: int = 0,
    overlaps: Sequence[float] = OVERLAPS,
) -> Precision:
    """Returns COCO's average precisions of detections.

    Args:
        output: top, left, bottom, right in shares, class and score of detections, (n, k, 6); rows
            of class -1 are padding. The best 100 of a picture count.
        label: top, left, bottom, right in shares and class of the boxes to be found, (n, g, 5); -1
            is padding. A class c of -2 or less marks a region of class -2 - c (a crowd), which is
            neither to be found nor to be missed.
        classes: names of the classes.
        size: height and width of each picture in pixels, (n, 2), which tell small objects from
            large ones.
        area: area of each object in pixels, (n, g); None for that of its box. COCO's own is the
            area of the object's outline.
        resamples: number of bootstrap samples of the pictures; 0 for no interval. Each takes the
            time of one evaluation without the comparison of boxes.
        confidence: of the interval.
        seed: seed of the samples.
        overlaps: intersections over union from which a detection has found a box.

    Raises:
        UserError: pycocotools is not installed, or there are no pictures or classes, or a class has
            no name.

    Source:
        Lin et al. 2014, https://cocodataset.org/#detection-eval

    >>> label = np.array([[[0.0, 0.0, 0.5, 0.5, 0.0]]])
    >>> output = np.array([[[0.0, 0.0, 0.5, 0.4, 0.0, 0.9]]])  # they overlap by 0.8
    >>> result = average_precision(output, label, ['cat'], np.array([[100, 100]]))
    >>> round(result.ap, 4), round(result.ap75, 4)
    (0.7, 1.0)
    """
    _refuse(output, label, classes)
    evaluation = _evaluated(output, label, len(classes), np.asarray(size), area, overlaps)
    precision = _precisions(evaluation, np.arange(len(label)), len(SIZES))
    recall = _mean(evaluation.eval['recall'][:, :, 0, 0])
    by_class = [_mean(precision[:, :, c, 0]) for c in range(len(classes))]
    interval = ()
    if resamples:
        rng = np.random.default_rng(seed)
        draws = [
            _mean(_precisions(evaluation, rng.integers(0, len(label), len(label))))
            for _ in range(resamples)
        ]
        tail = 50 * (1 - confidence)
        low, high = np.nanpercentile(draws, [tail, 100 - tail])
        interval = float(low), float(high)
    return Precision(
        _mean(precision[..., 0]),
        _mean(precision[np.isclose(overlaps, 0.5), ..., 0]),
        _mean(precision[np.isclose(overlaps, 0.75), ..., 0]),
        recall,
        {name: _mean(precision[..., i]) for i, name in enumerate(SIZES) if i},
        dict(zip(classes, by_class, strict=True)),
        {name: precision[0, :, c, 0] for c, name in enumerate(classes) if by_class[c] >= 0},
        interval,
    )


def refuse_no_pycocotools() -> None:
    """Raises an error if pycocotools is not installed.

    >>> refuse_no_pycocotools()
    """
    _pycocotools()


def _pycocotools() -> Any:
    """Its classes COCO and COCOeval."""
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError:
        raise UserError(
            "average precision needs pycocotools, which is not installed: pip install 'tljax"
            "[detection]'"
        ) from None
    return COCO, COCOeval


def _refuse(output, label, classes):
    if not len(label) or not classes:
        raise UserError(
            f'average precision of {len(label)} pictures and {len(classes)} classes: give at least '
            'one of each'
        )
    largest = int(max(output[..., 4].max(initial=-1), label[..., 4].max(initial=-1)))
    if largest >= len(classes):
        raise UserError(
            f'average precision: a box is of class {largest}, and there are {len(classes)} '
            'classes: name them all'
        )


def _evaluated(output, label, count, size, area, overlaps) -> Any:
    """pycocotools's evaluation of all pictures, whose matches are made and not yet summed up.

    Pictures, classes and boxes are numbered from 1: pycocotools takes a box of number 0 for one
    that is not matched.
    """
    COCO, COCOeval = _pycocotools()
    images = [{'id': i + 1, 'height': int(h), 'width': int(w)} for i, (h, w) in enumerate(size)]
    categories = [{'id': c + 1, 'name': str(c)} for c in range(count)]
    objects, found = [], []
    for i, (height, width) in enumerate(size):
        for j, row in enumerate(label[i]):
            number = int(row[4])
            if number == PADDING:
                continue
            box = _pixels(row, height, width)
            objects.append(
                {
                    'id': len(objects) + 1,
                    'image_id': i + 1,
                    'category_id': (number if number >= 0 else FIRST_IGNORED - number) + 1,
                    'bbox': box,
                    'area': box[2] * box[3] if area is None else float(area[i, j]),
                    'iscrowd': int(number < 0),
                }
            )
        for row in output[i][output[i, :, 4] >= 0]:
            box = _pixels(row, height, width)
            found.append(
                {
                    'id': len(found) + 1,
                    'image_id': i + 1,
                    'category_id': int(row[4]) + 1,
                    'bbox': box,
                    'area': box[2] * box[3],
                    'iscrowd': 0,
                    'score': float(row[5]),
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        sets = []
        for annotations in (objects, found):
            coco: Any = COCO()
            coco.dataset = {'images': images, 'categories': categories, 'annotations': annotations}
            coco.createIndex()
            sets.append(coco)
        truth, detected = sets
        evaluation = COCOeval(truth, detected, 'bbox')
        evaluation.params.iouThrs = np.array(overlaps)
        evaluation.evaluate()
    return evaluation


def _pixels(row, height, width):
    """Left, top, width and height in pixels of a box in shares."""
    top, left, bottom, right = (float(share) for share in row[:4])
    return [left * width, top * height, (right - left) * width, (bottom - top) * height]


def _precisions(evaluation, pictures, sizes=1):
    """Precision at each overlap, recall, class and size, (10, 101, classes, sizes), of pictures.

    A picture may be there several times. -1 stands for no boxes to be found.
    """
    whole, made = evaluation.evalImgs, evaluation._paramsEval
    # the answers are listed by class, size and picture, and found by the places of pictures
    rows = np.arange(len(whole)).reshape(-1, len(made.imgIds))[:, pictures].ravel()
    chosen, wanted = copy.copy(made), copy.copy(made)
    chosen.imgIds = wanted.imgIds = list(range(len(pictures)))
    wanted.areaRng, wanted.maxDets = made.areaRng[:sizes], [MOST]
    try:
        evaluation.evalImgs, evaluation._paramsEval = [whole[i] for i in rows], chosen
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.accumulate(wanted)
    finally:
        evaluation.evalImgs, evaluation._paramsEval = whole, made
    return evaluation.eval['precision'][..., 0]


def _mean(precision):
    """Mean of the precisions that there are; NaN if there are none."""
    there = precision[precision > -1]
    return float(there.mean()) if there.size else float('nan')
