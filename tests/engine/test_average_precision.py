"""Average precision by hand, and as pycocotools has it from files."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tljax.core import UserError
from tljax.engine import average_precision as module
from tljax.engine.average_precision import average_precision


def padded(rows, width, columns):
    answer = np.zeros((width, columns))
    answer[:, 4] = -1
    answer[: len(rows)] = np.reshape(rows, (-1, columns))
    return answer


def test_precisions_by_hand():
    """Two boxes of class 0: one found exactly, one missed; a false alarm of a lower score."""
    label = padded([[0, 0, 0.1, 0.1, 0], [0.5, 0.5, 1, 1, 0]], 4, 5)[None]
    output = padded([[0, 0, 0.1, 0.1, 0, 0.9], [0.2, 0.2, 0.3, 0.3, 0, 0.5]], 9, 6)[None]
    result = average_precision(output, label, ['cat', 'dog'], np.array([[200, 200]]))
    # precision is 1 up to a recall of a half: 51 of the 101 recalls 0, 0.01, ..., 1
    assert result.ap == result.ap50 == result.ap75 == pytest.approx(51 / 101)
    assert result.by_class['cat'] == pytest.approx(51 / 101) and np.isnan(result.by_class['dog'])
    # 20 x 20 pixels are small, 100 x 100 are large, and none is medium
    assert result.by_size['small'] == pytest.approx(1) and result.by_size['large'] == 0
    assert np.isnan(result.by_size['medium']) and result.interval == ()
    # the object of the first box has a larger area
    area = np.array([[5000, 10000, 0, 0]])
    by_size = average_precision(output, label, 'ab', np.array([[200, 200]]), area).by_size
    assert np.isnan(by_size['small']) and by_size['medium'] == pytest.approx(1)


def test_crowds_are_neither_found_nor_missed():
    """Two detections in a crowd are no false alarms, unless the crowd is of another class."""
    box = [0, 0, 0.2, 0.2, 1]
    output = padded([[*box, 0.5], [0.5, 0.5, 0.7, 0.7, 1, 0.9], [0.6, 0.6, 0.8, 0.8, 1, 0.8]], 3, 6)
    for number, expected in ((-3, 1.0), (-2, 1 / 3)):
        label = padded([box, [0.5, 0.5, 1, 1, number]], 2, 5)
        result = average_precision(output[None], label[None], 'ab', np.array([[90, 90]]))
        assert result.by_class['b'] == pytest.approx(expected)


def sets(n=12, seed=0):
    """Pictures with boxes, detections near them and false alarms; some pictures have none."""
    rng = np.random.default_rng(seed)
    label, output = np.zeros((n, 6, 5)), np.zeros((n, 8, 6))
    corner, sides = rng.uniform(0, 0.5, (n, 6, 2)), rng.uniform(0.05, 0.5, (n, 6, 2))
    label[..., :4] = np.concatenate([corner, corner + sides], -1)
    label[..., 4] = rng.integers(-2, 3, (n, 6))  # -2 is a crowd of class 0
    output[:, :6, :5] = label + rng.normal(0, 0.01, label.shape)
    output[:, :6, 4] = label[..., 4].clip(-1)
    output[:, 6:, :5] = [0.1, 0.1, 0.4, 0.4, 1]
    output[..., 5] = rng.uniform(size=(n, 8))
    label[:2, :, 4] = -1
    output[1:3, :, 4] = -1
    return output, label, rng.integers(100, 640, (n, 2))


def summary_of_pycocotools(output, label, size):
    """Its own `summarize`, of boxes written down as COCO's files have them."""
    images, objects, found = [], [], []
    for i, (height, width) in enumerate(size.tolist()):
        images.append({'id': 50 + 3 * i, 'height': height, 'width': width})
        scale = np.array([height, width, height, width])
        for rows, items in ((label[i], objects), (output[i], found)):
            for row in rows[rows[:, 4] != -1]:
                top, left, bottom, right = row[:4] * scale
                box = [left, top, right - left, bottom - top]
                category = 7 if row[4] < 0 else [7, 9, 30][int(row[4])]
                items.append(
                    dict(image_id=50 + 3 * i, category_id=category, bbox=box, score=row[-1])
                )
                items[-1].update(id=len(items), area=box[2] * box[3], iscrowd=int(row[4] < 0))
    truth = COCO()
    truth.dataset = {
        'info': {},
        'images': images,
        'annotations': objects,
        'categories': [{'id': id, 'name': str(id)} for id in (7, 9, 30)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def test_precisions_are_pycocotools_own():
    output, label, size = sets()
    result = average_precision(output, label, 'abc', size)
    expected = summary_of_pycocotools(output, label, size)
    found = [result.ap, result.ap50, result.ap75, *result.by_size.values()]
    np.testing.assert_allclose(found, np.where(expected[:6] == -1, np.nan, expected[:6]))
    assert 0.1 < result.ap < 0.95 < 1 and result.ap < result.ap50


def test_the_interval_resamples_pictures():
    output, label, size = sets()
    result = average_precision(output, label, 'abc', size, resamples=40, seed=3)
    rng = np.random.default_rng(3)
    draws = []
    for _ in range(40):  # pictures are copied in place of their evaluations
        rows = rng.integers(0, 12, 12)
        draws.append(average_precision(output[rows], label[rows], 'abc', size[rows]).ap)
    np.testing.assert_allclose(result.interval, np.percentile(draws, [2.5, 97.5]))
    assert result.interval[0] < result.ap < result.interval[1]


def test_what_cannot_be_measured_is_one_line(monkeypatch):
    output, label, size = sets()
    for arguments, text in (
        ((output, label, ['a', 'b'], size), 'class 2, and there are 2 classes'),
        ((output[:0], label[:0], 'abc', size[:0]), '0 pictures'),
    ):
        with pytest.raises(UserError, match=text):
            average_precision(*arguments)
    monkeypatch.setitem(__import__('sys').modules, 'pycocotools.coco', None)
    with pytest.raises(UserError, match=r'pip install .tljax\[detection\]') as error:
        module.average_precision(output, label, 'abc', size)
    assert '\n' not in str(error.value)
