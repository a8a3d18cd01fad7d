"""Cue-conflict pictures: what their names tell, and files that are none."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tljax.core import UserError
from tljax.data.sets import cue_conflict, textured_shapes

SET = Path(os.environ.get('TLJAX_DATA', 'data'), 'cue_conflict')
real = pytest.mark.skipif(not SET.exists(), reason='TLJAX_DATA has no cue_conflict')


def folder(root, *names):
    (root / 'pictures').mkdir()
    for i, name in enumerate(names):
        Image.new('RGB', (6, 6), (40 * i, 0, 0)).save(root / 'pictures' / f'{name}.png')
    return root / 'pictures'


def test_splits_are_agreement_and_conflict(tmp_path):
    path = folder(tmp_path, 'cat1-dog2', 'cat2-cat1', 'dog10-cat3', 'dog1-dog1')
    by_shape, by_texture = (cue_conflict.cue_conflict(path, 3, cue) for cue in ('shape', 'texture'))
    assert by_shape['train'].names.tolist() == ['cat2-cat1', 'dog1-dog1']
    assert by_shape['test'].names.tolist() == ['cat1-dog2', 'dog10-cat3']
    assert by_shape['test'].classes == ('cat', 'dog')
    assert by_shape['test'].label.tolist() == [0, 1] and by_texture['test'].label.tolist() == [1, 0]
    assert by_shape['train'].label.tolist() == by_texture['train'].label.tolist() == [0, 1]
    pixels = by_shape['test'].take(np.array([1]))['input']
    assert pixels.shape == (1, 3, 3, 3) and pixels[0, 0, 0, 0] == pytest.approx(80 / 255)


@pytest.mark.parametrize(
    'names, said',
    [
        (['cat1-dog2', 'holiday'], 'holiday tells no shape and texture: name pictures as'),
        (['cat1'], 'cat1 tells no shape and texture'),
    ],
)
def test_pictures_of_other_names_are_refused(names, said, tmp_path):
    with pytest.raises(UserError, match=said):
        cue_conflict.stimuli(folder(tmp_path, *names))


def test_two_sizes_of_a_picture_are_refused(tmp_path):
    for size in ('224', '512'):
        (tmp_path / size).mkdir()
        folder(tmp_path / size, 'cat1-dog1')
    with pytest.raises(UserError, match='1 pictures of the same name'):
        cue_conflict.stimuli(tmp_path)


@pytest.mark.parametrize(
    'content, said',
    [
        (b'who,picture\na,b\n', 'is no CSV of who, picture, answer'),
        (b'who,picture,answer\na\n', 'is no CSV of who, picture, answer'),
        (b'\xff\xfe', 'is no CSV'),
        (gzip.compress(b'who,picture,answer\n' * 999, mtime=0)[:40], 'is no CSV'),
    ],
)
def test_damaged_answers_are_refused(content, said, tmp_path):
    (tmp_path / 'answers').write_bytes(content)
    with pytest.raises(UserError, match=said):
        cue_conflict.answers(tmp_path / 'answers')


@pytest.mark.parametrize('content', ['[', '{}', '[1]', '{"cat": []}', '{"cat": ["cat"]}'])
def test_other_categories_are_refused(content, tmp_path):
    (tmp_path / 'categories.json').write_text(content)
    with pytest.raises(UserError, match='copy it again'):
        cue_conflict.imagenet_classes(tmp_path / 'categories.json')


@real
def test_the_real_set():
    splits = cue_conflict.cue_conflict(SET)
    assert {name: split.size for name, split in splits.items()} == {'train': 80, 'test': 1200}
    content = cue_conflict.stimuli(SET)
    assert np.bincount(content.shape).tolist() == np.bincount(content.texture).tolist() == [80] * 16
    categories = cue_conflict.imagenet_classes(SET)
    assert tuple(categories) == content.categories
    assert [len(categories[name]) for name in ('dog', 'bird', 'knife')] == [109, 49, 1]
    index = json.loads((SET.parent / 'imagenet_weights/imagenet_class_index.json').read_text())
    ids = [wordnet_id for wordnet_id, _ in index.values()]
    assert {key for ids in categories.values() for key in ids} <= {*ids}
    answers = cue_conflict.answers(SET)
    assert len(answers) == 26 * 1280 and len({answer.who for answer in answers}) == 26
    assert {answer.picture for answer in answers} == {*content.names}
    assert {answer.answer for answer in answers} == {*content.categories, 'na'}


def test_drawn_textures_differ_where_shapes_do_not():
    rng = np.random.default_rng(0)
    drawn = [
        np.stack([textured_shapes.picture(1, texture, 32, rng)[..., 0] for _ in range(20)])
        for texture in range(len(textured_shapes.TEXTURES))
    ]
    down, across = ([np.abs(np.diff(each, axis=axis)).mean() for each in drawn] for axis in (1, 2))
    names = list(textured_shapes.TEXTURES)
    assert down[names.index('rows')] > 3 * across[names.index('rows')]
    assert across[names.index('columns')] > 3 * down[names.index('columns')]
    assert down[names.index('grain')] == pytest.approx(across[names.index('grain')], rel=0.1)
    inside = [
        each[:, 10:22, 10:22].mean() for each in drawn
    ]  # as light, so that light tells nothing
    assert max(inside) - min(inside) < 0.15


def test_pairs_cover_every_conflict_and_are_seeded():
    pictures, shape, texture = textured_shapes.pairs(16, per_pair=2)
    cells = np.zeros((6, 6), int)
    np.add.at(cells, (shape, texture), 1)
    assert pictures.shape == (72, 16, 16, 1) and (cells == 2).all()
    again, other = (textured_shapes.pairs(16, 2, seed)[0] for seed in (0, 1))
    assert (again == pictures).all() and (other != pictures).any()
    with pytest.raises(UserError, match='shapes need 16 pixels'):
        textured_shapes.textured_shapes(8)
