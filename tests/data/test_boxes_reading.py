"""Readers of boxes on small made files, and on BCCD and COCO."""

import io
import json
import os
import zipfile
from pathlib import Path

import jax
import numpy as np
import pytest
from fuzz import mutated
from PIL import Image

from tljax.core import UserError
from tljax.data import boxes
from tljax.data.annotations.prepared import FORMS, annotated, prepared
from tljax.data.archives import File
from tljax.data.formats.boxes import stretched
from tljax.data.summary import summary
from tljax.nn.boxes.crops import legacy_resize

DATA = Path(os.environ.get('TLJAX_DATA', ''))
real = pytest.mark.skipif(not (DATA / 'bccd').exists(), reason='TLJAX_DATA has no bccd')
WIDTH, HEIGHT = 20, 10


def save(path, size=(WIDTH, HEIGHT), **settings):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', size, 'red').save(path, **settings)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def xml(objects, size=(WIDTH, HEIGHT), filename='other.png'):
    """A VOC file; objects are (name, xmin, ymin, xmax, ymax, difficult)."""
    parts = [
        f'<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>'
        f'<xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>'
        '</bndbox></object>'
        for name, left, top, right, bottom, difficult in objects
    ]
    sides = f'<size><width>{size[0]}</width><height>{size[1]}</height></size>' if size else ''
    return f'<annotation><filename>{filename}</filename>{sides}{"".join(parts)}</annotation>'


def voc_set(root):
    """Six pictures: boxes, a difficult one, none, one without area, ones outside."""
    objects = [
        [('cat', 2, 1, 10, 6, 0), ('dog', 0, 0, 20, 10, 1)],
        [],
        [('dog', 5, 5, 5, 9, 0)],
        [('cat', -5, -5, 10, 5, 0), ('cat', 30, 2, 40, 8, 0)],
        [('dog', 1, 1, 2, 2, 0)],
        [('cow', 1, 1, 2, 2, 0)],
    ]
    for i, items in enumerate(objects):
        save(root / 'JPEGImages' / f'{i}.png')
        write(root / 'Annotations' / f'{i}.xml', xml(items))
    for split, numbers in (('train', (0, 1, 2, 3)), ('val', (4,)), ('test', (5,))):
        write(root / 'ImageSets/Main' / f'{split}.txt', ''.join(f'{i}\n' for i in numbers))
    write(root / 'ImageSets/Main/cat_train.txt', '0 1\n4 -1\n')


def test_voc_with_lists(tmp_path):
    voc_set(tmp_path / 'VOC')
    splits = boxes(tmp_path, size=5)
    train = splits['train']
    assert {name: split.size for name, split in splits.items()} == dict(
        train=4, validation=1, test=1
    )
    assert train.task.kind == 'boxes' and train.classes == ('cat', 'cow', 'dog')
    assert train.label.shape == (4, 2, 5) and train.label.dtype == np.float32
    nothing = [0, 0, 0, 0, -1]
    np.testing.assert_allclose(
        train.label,
        [
            [[0.1, 0.1, 0.6, 0.5, 0], [0, 0, 1, 1, -2 - 2]],  # the difficult dog is ignored
            [nothing, nothing],
            [nothing, nothing],
            [[0, 0, 0.5, 0.5, 0], nothing],
        ],
        rtol=1e-6,
    )
    assert train.notes == (
        '2 boxes without area in their picture left out, of VOC/JPEGImages/2.png, '
        'VOC/JPEGImages/3.png',
        '2 pictures have no boxes',
        'no box of train is of the class cow, dog',
    )
    batch = splits['test'].take(np.array([0]))
    assert batch['input'].shape == (1, 5, 5, 3) and batch['label'].tolist() == [
        splits['test'].label[0].tolist()
    ]
    kept = boxes(tmp_path, size=5, difficult=True)['train'].label[0, 1]
    assert kept.tolist() == [0, 0, 1, 1, 2]


def test_an_archive_is_the_folder(tmp_path):
    voc_set(tmp_path / 'VOC')
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as file:
        for path in sorted((tmp_path / 'VOC').rglob('*.*')):
            file.write(path, path.relative_to(tmp_path))
    packed, unpacked = boxes(tmp_path / 'a.zip', size=5), boxes(tmp_path / 'VOC', size=5)
    np.testing.assert_array_equal(packed['train'].label, unpacked['train'].label)


def test_the_cut_is_by_pictures_and_by_seed(tmp_path):
    for i in range(10):
        save(tmp_path / f'{i}.png')
        write(tmp_path / f'{i}.xml', xml([('cat', i, 0, 20, 10, 0)]))
    first, again, other = (boxes(tmp_path, size=4, seed=seed) for seed in (0, 0, 1))
    assert {name: split.size for name, split in first.items()} == dict(
        train=7, validation=1, test=2
    )
    names = [name for split in first.values() for name in split.names]
    assert sorted(names) == [f'{i}.png' for i in range(10)]
    assert first['test'].names.tolist() == again['test'].names.tolist()
    assert first['train'].fingerprint == again['train'].fingerprint
    assert first['train'].names.tolist() != other['train'].names.tolist()


def coco_json(images, annotations, categories=((3, 'cat'), (1, 'dog'))):
    return json.dumps(
        {
            'images': [
                {'id': id, 'file_name': name, 'height': HEIGHT, 'width': WIDTH}
                for id, name in images
            ],
            'annotations': [
                {'id': i, 'image_id': image, 'category_id': category, 'bbox': box, **more}
                for i, (image, category, box, more) in enumerate(annotations)
            ],
            'categories': [{'id': id, 'name': name} for id, name in categories],
        }
    )


def test_coco_with_gaps_crowds_and_the_id_0(tmp_path):
    for name in ('train2017/a.png', 'train2017/b.png', 'val2017/a.png', 'val2017/c.png'):
        save(tmp_path / name)
    rows = [
        (70, 3, [2, 1, 8, 5], {'area': 33.5}),
        (70, 1, [0, 0, 20, 10], {'iscrowd': 1, 'area': 5.0}),
        (9, 1, [-4, 0, 14, 10], {}),
    ]
    images = [(70, 'a.png'), (9, 'b.png')]
    write(tmp_path / 'annotations/instances_train2017.json', coco_json(images, rows))
    write(tmp_path / 'annotations/captions_train2017.json', '{"images": [], "annotations": []}')
    # other ids, another order and one more class
    other = coco_json(
        [(1, 'a.png'), (2, 'c.png')], [(1, 5, [0, 0, 10, 10], {})], [(5, 'cat'), (1, 'owl')]
    )
    write(tmp_path / 'annotations/instances_val2017.json', other)
    splits = boxes(tmp_path, size=4, test=0.5)
    assert splits['validation'].classes == ('dog', 'owl', 'cat')
    assert splits['validation'].names.tolist() == ['val2017/a.png', 'val2017/c.png']
    assert splits['validation'].label[0, 0].tolist() == [0, 0, 1, 0.5, 2]
    assert sum(split.size for split in splits.values()) == 4
    assert any('has the id 0' in note for note in splits['train'].notes)
    found, _ = annotated(tmp_path)
    assert found.ids == (1, 1, 3)
    first = found.pictures[0]
    assert first.boxes.tolist() == [[1, 2, 6, 10], [0, 0, 10, 20]]
    assert first.label.tolist() == [2, 0] and first.ignored.tolist() == [False, True]
    assert first.area.tolist() == [33.5, 5] and np.isnan(found.pictures[1].area).all()
    alone = coco_json([(1, 'a.png'), (2, 'b.png'), (3, 'c.png')], [(1, 3, [0, 0, 9, 9], {})])
    write(tmp_path / 'mine.json', alone)
    for name in 'abc':
        save(tmp_path / 'pictures' / f'{name}.png')
    splits = boxes(tmp_path / 'mine.json', size=4, where=str(tmp_path / 'pictures'))
    assert [split.size for split in splits.values()] == [1, 1, 1]


def test_yolo(tmp_path):
    for split in ('train', 'val', 'test'):
        for name in 'ab':
            save(tmp_path / 'images' / split / f'{name}.png')
        write(tmp_path / 'labels' / split / 'a.txt', '1 0.5 0.5 0.5 0.5\n\n0 0.9 0.9 0.4 0.4\n')
    write(tmp_path / 'data.yaml', 'names:\n  0: cat\n  1: dog\n')
    splits = boxes(tmp_path, size=4)
    assert splits['test'].classes == ('cat', 'dog')
    np.testing.assert_allclose(
        splits['validation'].label,
        [[[0.25, 0.25, 0.75, 0.75, 1], [0.7, 0.7, 1, 1, 0]], [[0, 0, 0, 0, -1]] * 2],
        rtol=1e-6,
    )
    assert splits['train'].notes[0].startswith('3 pictures have no text file')
    (tmp_path / 'data.yaml').unlink()
    assert boxes(tmp_path, size=4)['train'].classes == ('0', '1')
    write(tmp_path / 'classes.txt', 'cat\n')
    with pytest.raises(UserError, match=r'a.txt, line 1: class 1 has no name, there are 1'):
        boxes(tmp_path, size=4)


def test_a_table(tmp_path):
    for name in 'abc':
        save(tmp_path / f'{name}.png')
    lines = [
        'filename,width,height,class,xmin,ymin,xmax,ymax,split',
        'a.png,20,10,cat,2,1,10,6,train',
        'a.png,20,10,dog,0,0,20,10,train',
        'b.png,20,10,,,,,,val',
        'c.png,20,10,dog,0,0,10,10,test',
    ]
    write(tmp_path / 'boxes.csv', '\n'.join(lines))
    for path in (tmp_path, tmp_path / 'boxes.csv'):
        splits = boxes(path, size=4)
        np.testing.assert_allclose(
            splits['train'].label[0], [[0.1, 0.1, 0.6, 0.5, 0], [0, 0, 1, 1, 1]], rtol=1e-6
        )
        assert (splits['validation'].label[0, :, 4] == -1).all()


def test_two_hundred_boxes_and_turned_pictures(tmp_path):
    """200 boxes in a picture; pictures that EXIF turns, annotated as stored and as seen."""
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.new('RGB', (WIDTH, HEIGHT))
    picture.paste('white', (0, 0, WIDTH // 2, HEIGHT))  # seen: the top
    for name, size in (('stored', (WIDTH, HEIGHT)), ('seen', (HEIGHT, WIDTH))):
        picture.save(tmp_path / f'{name}.png', exif=exif)
        write(tmp_path / f'{name}.xml', xml([('cat', 0, 0, 5, 5, 0)], size))
    save(tmp_path / 'many.png')
    many = [('cat', i % 19, i % 9, i % 19 + 1, i % 9 + 1, 0) for i in range(200)]
    write(tmp_path / 'many.xml', xml(many))
    splits = boxes(tmp_path, size=4, validation=0.3, test=0.3)
    rows = {
        name: split.take(np.array([i])) | {'full': split.label[i]}
        for split in splits.values()
        for i, name in enumerate(split.names.tolist())
    }
    assert (rows['many.png']['full'][:, 4] == 0).sum() == 200
    assert rows['seen.png']['full'].shape == (200, 5)
    assert rows['stored.png']['input'][0, :, :, 0].mean(0).round().tolist() == [1, 1, 0, 0]
    assert rows['seen.png']['input'][0, :, :, 0].mean(1).round().tolist() == [1, 1, 0, 0]


def break_(root, part):
    """Breaks a VOC set in one way."""
    if part == 'truncated':
        noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        file = io.BytesIO()
        Image.fromarray(noise).save(file, 'PNG')
        (root / 'JPEGImages/0.png').write_bytes(file.getvalue()[:-200])
    if part == 'size':
        write(root / 'Annotations/0.xml', xml([], (50, 50)))
    if part == 'xml':
        write(root / 'Annotations/0.xml', '<annotation>')
    if part == 'entity':
        write(root / 'Annotations/0.xml', '<!DOCTYPE a [<!ENTITY b "c">]><annotation/>')
    if part == 'edge':
        write(root / 'Annotations/0.xml', xml([('cat', 1, 'x', 2, 2, 0)]))
    if part == 'nan':
        write(root / 'Annotations/0.xml', xml([('cat', 1, 'nan', 2, 2, 0)]))
    if part == 'picture':
        (root / 'JPEGImages/0.png').unlink()
    if part == 'listed':
        write(root / 'ImageSets/Main/train.txt', '0\nabsent\n')
    if part == 'twice':
        write(root / 'ImageSets/Main/test.txt', '0\n')
    if part == 'forms':
        write(root / 'boxes.csv', '')


@pytest.mark.parametrize(
    'part, text',
    [
        ('truncated', '0.png cannot be decoded as a picture'),
        ('size', 'VOC/JPEGImages/0.png 20x10 where 50x50 is stated|JPEGImages/0.png 20x10 where'),
        ('xml', '0.xml is no XML'),
        ('entity', 'declares entities'),
        ('edge', "object 1 needs a name and the numbers .* '2'"),
        ('nan', 'object 1 needs a name'),
        ('picture', r'1 XML files have no picture \(Annotations/0.xml\)'),
        ('listed', r'1 pictures that have no XML \(absent\)'),
        ('twice', '0 is also in the list of train'),
        ('forms', r'several forms \(voc, table\)'),
    ],
)
def test_damage_is_one_line(tmp_path, part, text):
    voc_set(tmp_path)
    break_(tmp_path, part)
    with pytest.raises(UserError, match=text) as error:
        split = boxes(tmp_path, size=5)['train']
        split.take(np.arange(split.size))
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    'content, text',
    [
        ('{', 'is no JSON'),
        ('[1]', 'no JSON among the files has the lists'),
        (coco_json([(1, 'a.png'), (1, 'b.png')], []), 'the image id 1 is missing, repeated'),
        (coco_json([(1, 'a.png')], [(2, 1, [0, 0, 1, 1], {})]), "the images '2', which"),
        (coco_json([(1, 'a.png')], [(1, 2, [0, 0, 1, 1], {})]), 'category_id 2, which is no'),
        (coco_json([(1, 'a.png')], [(1, 1, [0, 0, 1], {})]), 'annotation 0 has the bbox'),
        (coco_json([(1, 'no.png')], []), r"1 of 1 pictures are missing \('no.png'\)"),
        (coco_json([(1, 'a.png')], [], [(1, 'a'), (1, 'b')]), 'the category id 1 is missing'),
        (coco_json([(1, 'a.png')], []), 'too few to cut validation and test'),
    ],
)
def test_damaged_json_is_one_line(tmp_path, content, text):
    save(tmp_path / 'a.png')
    write(tmp_path / 'a.json', content)
    with pytest.raises(UserError, match=text) as error:
        boxes(tmp_path / 'a.json', size=5)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    'line', ['cat 0.5 0.5 1 1', '0 0.5 0.5 1', '-1 0.5 0.5 1 1', '0.5 0 0 1 1', '0 nan 0 1 1']
)
def test_a_line_that_is_no_box_is_named(tmp_path, line):
    save(tmp_path / 'a.png')
    write(tmp_path / 'a.txt', f'0 0.5 0.5 1 1\n{line}\n')
    with pytest.raises(UserError, match='a.txt, line 2: '):
        boxes(tmp_path, size=5)


@pytest.mark.parametrize(
    'settings, text',
    [
        (dict(form='xml'), "data.form='xml' is unknown"),
        (dict(interpolation='nearest'), "data.interpolation='nearest' is unknown"),
        (dict(size=0), 'data.size=0'),
        (dict(where='/nowhere'), '/nowhere is no folder'),
    ],
)
def test_wrong_settings_are_one_line(tmp_path, settings, text):
    voc_set(tmp_path)
    with pytest.raises(UserError, match=text):
        boxes(tmp_path, **{'size': 5, **settings})
    with pytest.raises(UserError, match='does not exist'):
        boxes(tmp_path / 'absent', size=5)


def test_legacy_pixels_are_those_of_the_device():
    array = np.random.default_rng(0).integers(0, 255, (7, 9, 3), np.uint8)
    for size in (5, 12):
        expected = jax.jit(legacy_resize, static_argnums=1)(array.astype(np.float32), (size, size))
        # rounding may differ where the value is a half
        assert abs(stretched(array, size, 'legacy') - np.asarray(expected)).max() < 0.5 + 1e-3


@pytest.mark.slow
@real
def test_bccd():
    """Counts as its README and a count of the XML files' lines have them, less two boxes."""
    splits = boxes(DATA / 'bccd/bccd.zip', size=32)
    assert [split.size for split in splits.values()] == [205, 87, 72]
    label = np.concatenate([split.label[..., 4].ravel() for split in splits.values()])
    counts = np.bincount(label[label >= 0].astype(int))
    assert splits['train'].classes == ('Platelets', 'RBC', 'WBC')
    assert counts.sum() == 4888 - 2 and counts[2] == 372 and counts[0] == 361
    assert splits['test'].take(np.arange(72))['input'].shape == (72, 32, 32, 3)


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / 'coco_val').exists(), reason='TLJAX_DATA has no coco_val')
@pytest.mark.parametrize('name, number, crowds', [('val2017_50', 382, 5), ('minival_34', 290, 0)])
def test_coco(name, number, crowds):
    """The reader against pycocotools's own on the same file."""
    coco_tools = pytest.importorskip('pycocotools.coco')
    path = DATA / 'coco_val' / f'{name}.json'
    found, _ = annotated(path)
    truth = coco_tools.COCO(str(path))
    assert len(found.classes) == 80 and list(found.ids) == truth.getCatIds()
    rows = {row.name.rpartition('/')[2]: row for row in found.pictures}
    assert sum(len(row.label) for row in rows.values()) == number
    assert sum(int(row.ignored.sum()) for row in rows.values()) == crowds
    for id, image in truth.imgs.items():
        row, items = rows[image['file_name']], truth.imgToAnns[id]
        boxes_of = [[y, x, y + h, x + w] for x, y, w, h in (item['bbox'] for item in items)]
        np.testing.assert_allclose(row.boxes, np.reshape(boxes_of, (-1, 4)))
        assert [found.ids[label] for label in row.label] == [item['category_id'] for item in items]
        assert row.area.tolist() == [item['area'] for item in items]
    ready = prepared(path)
    area = np.concatenate([ready.truth(split).area.ravel() for split in ready.splits])
    np.testing.assert_allclose(
        np.sort(area[area > 0]), np.sort([item['area'] for item in truth.anns.values()])
    )
    splits = boxes(path, size=64, interpolation='legacy')
    assert sum(split.size for split in splits.values()) == len(rows)
    assert splits['train'].take(np.arange(5))['input'].shape == (5, 64, 64, 3)


def test_a_summary_counts_pictures_and_boxes(tmp_path):
    voc_set(tmp_path)
    lines = dict(summary(boxes(tmp_path, size=5)))
    assert lines['task'] == 'boxes of 3 classes: cat, cow, dog'
    assert lines['train'] == '4 pictures, boxes: 2 (cat 2), pictures without: 2, ignored boxes: 1'


WHOLE = {
    'voc': ('a.xml', xml([('cat', 2, 1, 10, 6, 0), ('dog', 0, 0, 20, 10, 1)])),
    'coco': (
        'a.json',
        coco_json([(1, 'a.png')], [(1, 1, [0, 0, 1, 1], {'area': 1, 'iscrowd': 1})]),
    ),
    'yolo': ('a.txt', '1 0.5 0.5 0.5 0.5\n0 0.9 0.9 0.4 0.4\n'),
    'table': ('a.csv', 'file,xmin,ymin,xmax,ymax,class,split\na.png,1,2,3,4,cat,train\n'),
    'names': ('data.yaml', 'names:\n  0: cat\n  1: dog\n'),
}


@pytest.mark.parametrize('kind', WHOLE)
def test_any_damage_is_read_or_told_in_one_line(kind):
    name, text = WHOLE[kind]

    def file(data):
        return File(Path(name), '', len(data), lambda limit: data)

    told = 0
    for seed in range(200):
        files = {'a.png': file(b''), name: file(mutated(text.encode(), f'{kind} {seed}'))}
        if kind == 'names':
            files['a.txt'] = file(b'0 0.5 0.5 1 1')
        try:
            found = FORMS['yolo' if kind == 'names' else kind](files)
            assert all(np.isfinite(row.boxes).all() for row in found.pictures)
        except UserError as error:
            told += 1
            assert '\n' not in str(error) and str(error).isprintable()
    assert told > 20
