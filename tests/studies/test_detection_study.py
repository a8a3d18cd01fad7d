"""Detection in pictures by a made detector: it finds the reddest and the greenest rectangle."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tljax.core import Task, UserError
from tljax.data.archives import on_disk
from tljax.data.formats.arrays import arrays
from tljax.studies import box_mistakes, detection
from tljax.trained import Trained

SIDE = 24
RECORD = {
    'classes': ['red', 'green'],
    'task': 'boxes',
    'input': [SIDE, SIDE, 3],
    'config': {'data': {'name': 'boxes', 'size': SIDE, 'interpolation': 'legacy'}},
}
MODEL = {}, {}, RECORD
WIDE = {'red': (12, 6, 36, 18), 'green': (2, 20, 8, 22)}  # left, top, right and bottom
TALL = {'green': (3, 10, 21, 40)}


class _Made(Trained):
    """Scores are .9 for red and .25 for green."""

    __slots__ = ()

    def predict(self, inputs, batch=32):
        pictures = inputs.take(np.arange(inputs.size))['input']
        output = np.zeros((len(pictures), 4, 6))
        output[..., 4] = -1
        for rows, picture in zip(output, pictures, strict=True):
            for c, score in ((0, 0.9), (1, 0.25)):
                down, right = np.nonzero(picture[..., c] > 0.5)
                if len(down):
                    sides = [down.min(), right.min(), down.max() + 1, right.max() + 1]
                    rows[c] = [*(np.array(sides) / SIDE), c, score]
        return output


@pytest.fixture(autouse=True)
def _made(monkeypatch):
    monkeypatch.setattr(detection, 'Trained', _Made)


def save(path, size, rectangles):
    array = np.zeros((size[1], size[0], 3), np.uint8)
    for name, (left, top, right, bottom) in rectangles.items():
        array[top:bottom, left:right, ['red', 'green'].index(name)] = 255
    Image.fromarray(array).save(path)


@pytest.fixture
def folder(tmp_path):
    """Two pictures that are no squares, one that is no picture, and one whose end is cut off."""
    save(tmp_path / '000007.png', (48, 24), WIDE)
    save(tmp_path / '000012.png', (24, 48), TALL)
    (tmp_path / '000013.png').write_bytes(b'no picture')
    noise = np.random.default_rng(0).integers(0, 255, (24, 24, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / '000014.png')
    content = (tmp_path / '000014.png').read_bytes()
    (tmp_path / '000014.png').write_bytes(content[: len(content) // 2])
    return tmp_path


def files(folder):
    return [on_disk(path) for path in sorted(folder.glob('*.png'))]


def found(answers, name):
    return [
        {box['class']: (box['score'], *box['box']) for box in answer['boxes']}
        for answer in answers
        if Path(answer['path']).stem == name
    ][0]


def test_boxes_are_pixels_of_the_original_picture(folder):
    answers = detection.detect(MODEL, files(folder)[:2], lowest=0.1)
    assert [(answer['width'], answer['height']) for answer in answers] == [(48, 24), (24, 48)]
    assert found(answers, '000007') == {'red': (0.9, *WIDE['red']), 'green': (0.25, *WIDE['green'])}
    assert found(answers, '000012') == {'green': (0.25, *TALL['green'])}
    assert [*found(detection.detect(MODEL, files(folder)[:1], most=1), '000007')] == ['red']
    assert [*found(detection.detect(MODEL, files(folder)[:1], lowest=0.3), '000007')] == ['red']


def test_a_picture_that_cannot_be_read_is_told_and_left_out(folder, capsys):
    answers = detection.detect(MODEL, files(folder), lowest=0.1)
    assert ['error' in answer for answer in answers] == [False, False, True, True]
    said = ''.join(capsys.readouterr())
    for answer in answers[2:]:
        assert answer['path'] in answer['error'] and answer['error'] in said
    out = folder / 'drawn'
    detection.write_drawings(answers, files(folder), RECORD['classes'], str(out))
    names = sorted(path.name for path in out.iterdir())
    assert names == ['00000-000007.png', '00001-000012.png']
    with Image.open(out / names[0]) as drawn:
        picture = np.asarray(drawn)
    left, top, right, bottom = WIDE['red']
    assert picture.shape == (24, 48, 3)
    for edge in (picture[bottom - 4 : bottom - 1, left], picture[bottom - 2, left:right]):
        assert (edge != [255, 0, 0]).any(1).any()  # a line on the rectangle
    np.testing.assert_array_equal(picture[:5, 40:], 0)


def coco(folder, boxes, names, pictures=('000007', '000012')):
    """A file of COCO's annotations; boxes are {picture: {class: sides}}. Numbers are 10, 20, ..."""
    number = {name: 10 * (i + 1) for i, name in enumerate(names)}
    annotations = [
        {
            'image_id': int(picture),
            'category_id': number[name],
            'bbox': [left, top, right - left, bottom - top],
            'area': (right - left) * (bottom - top),
            'iscrowd': 0,
        }
        for picture, rectangles in boxes.items()
        for name, (left, top, right, bottom) in rectangles.items()
    ]
    annotations = [{'id': i, **row} for i, row in enumerate(annotations, 1)]
    sizes = {'000012': (24, 48), '000014': (24, 24)}
    images = []
    for picture in pictures:
        width, height = sizes.get(picture, (48, 24))
        name = f'{picture}.png'
        images.append({'id': int(picture), 'file_name': name, 'width': width, 'height': height})
    categories = [{'id': number[name], 'name': name} for name in names]
    path = folder / 'annotations.json'
    document = {'images': images, 'annotations': annotations, 'categories': categories}
    path.write_text(json.dumps(document))
    return str(path)


BOXES = {'000007': WIDE, '000012': TALL}


def test_pycocotools_reads_the_results_back(folder):
    coco_module = pytest.importorskip('pycocotools.coco')
    from pycocotools.cocoeval import COCOeval

    truth = coco_module.COCO(coco(folder, BOXES, ['green', 'red']))
    answers = detection.detect(MODEL, files(folder)[:2], lowest=0.1)
    path = folder / 'results.json'
    detection.write_json(detection.coco_results(answers, ids=[20, 10]), str(path))
    evaluation = COCOeval(truth, truth.loadRes(str(path)), 'bbox')
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)
    numbers = {row['category_id'] for row in detection.coco_results(answers)}
    assert numbers == {1, 2}


def test_precision_is_1_where_all_is_found(folder):
    scores = detection.evaluate(MODEL, coco(folder, BOXES, ['green', 'red']), resamples=20)
    assert (scores['pictures'], scores['boxes'], scores['unread']) == (2, 3, [])
    assert scores['AP'] == scores['AP50'] == scores['AR100'] == pytest.approx(1)
    assert scores['by_class'] == pytest.approx({'green': 1, 'red': 1})
    assert scores['interval'] == pytest.approx([1, 1])
    assert scores['APsmall'] == pytest.approx(1) and scores['APlarge'] is None
    assert detection.score_tables(scores)[1].rows == [['green', '1.000'], ['red', '1.000']]


def test_a_picture_whose_end_is_cut_off_is_told_and_left_out(folder, capsys):
    boxes = {**BOXES, '000014': {'red': (0, 0, 12, 12)}}
    annotations = coco(folder, boxes, ['green', 'red'], ('000007', '000012', '000014'))
    scores = detection.evaluate(MODEL, annotations, resamples=0)
    assert (scores['pictures'], scores['boxes'], scores['AP']) == (2, 3, pytest.approx(1))
    (unread,) = scores['unread']
    assert unread['path'].endswith('000014.png') and unread['error'] in ''.join(capsys.readouterr())
    with pytest.raises(UserError, match='none of the 1 pictures can be read'):
        detection.evaluate(MODEL, coco(folder, {}, ['red'], ('000014',)))


def test_classes_are_matched_by_name_and_missing_ones_count_0(folder, capsys):
    boxes = {'000007': {'Green': WIDE['green']}, '000012': {'blue': (0, 0, 9, 9)}}
    scores = detection.evaluate(MODEL, coco(folder, boxes, ['blue', 'Green']), resamples=0)
    assert scores['by_class']['blue'] == 0
    assert scores['by_class']['Green'] == pytest.approx(1)
    assert scores['AP'] == pytest.approx(0.5)
    assert 'the model lacks blue' in ''.join(capsys.readouterr())
    with pytest.raises(UserError, match=r'no class of the model \(red, green\) is annotated'):
        detection.evaluate(MODEL, coco(folder, {'000007': {'blue': (0, 0, 9, 9)}}, ['blue']))


def test_another_model_is_refused():
    with pytest.raises(UserError, match='this model is no detector'):
        detection.evaluate(({}, {}, {**RECORD, 'task': 'classes'}), 'nowhere')


WHOLE = [0, 0, 1, 1]
PICTURES = {  # boxes and detections of a picture: class, score, and sides in shares
    'right': ([['a', *WHOLE]], [['a', 0.9, *WHOLE]]),
    'missed': ([['a', *WHOLE], ['a', 0, 0, 0.2, 0.2]], []),
    'invented': ([], [['a', 0.8, *WHOLE]]),
    'unsure': ([['a', *WHOLE]], [['a', 0.2, *WHOLE]]),
    'wrong': ([['a', *WHOLE]], [['b', 0.6, *WHOLE]]),
    'empty': ([], []),
    'loose': ([['b', *WHOLE]], [['b', 0.95, 0, 0, 0.61, 1]]),
}
ROWS = [
    {'example': name, 'boxes': json.dumps(boxes), 'detections': json.dumps(found)}
    for name, (boxes, found) in PICTURES.items()
]
TASK = Task('boxes', ('a', 'b', 'c'))
WORST = ['missed', 'wrong', 'unsure', 'invented']  # cost 2, 1.6, 1 and 0.8


def test_precision_of_every_class_by_hand():
    """Of 5 boxes of class a one is found by the surest detection, another by the third. Of the 101
    recalls 21 have a precision of 1 and 20 one of 2/3. The box of class b is found at 3 of the 10
    overlaps."""
    assert box_mistakes.by_class(ROWS, TASK).rows == [
        ['b', 1, '30.0', '100.0'],
        ['a', 5, *2 * [f'{100 * (21 + 20 * 2 / 3) / 101:.1f}']],
    ]


def test_the_worst_pictures_stand_first():
    names = [*PICTURES]
    assert [names[i] for i in box_mistakes.worst(ROWS, TASK.names)] == WORST
    assert [names[i] for i in box_mistakes.worst(ROWS, TASK.names, limit=2)] == WORST[:2]
    nothing = ROWS[names.index('empty')]
    detections, boxes = box_mistakes.arrays([nothing], TASK.names)
    assert detections.shape == (1, 1, 6) and boxes.shape == (1, 1, 5)
    assert detections[0, 0, 4] == boxes[0, 0, 4] == -1
    assert box_mistakes.worst([nothing, ROWS[0]], TASK.names) == []


def test_a_page_shows_the_worst_pictures_with_their_boxes():
    pictures = np.zeros((len(ROWS), 8, 8, 3), np.float32)
    dataset = arrays(pictures, np.zeros(len(ROWS), int))
    parts = box_mistakes.sections(ROWS, TASK, 'test', dataset)
    shown = parts[-1]['pictures']
    assert [name for _, name in shown] == WORST
    images = [image for image, _ in shown]
    assert len({*images}) == 4
    assert len(box_mistakes.sections(ROWS, TASK, 'test')) == 2
    assert len(box_mistakes.sections(ROWS[:1], TASK, 'test', dataset)) == 2
