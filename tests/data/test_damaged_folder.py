"""Folders and ZIPs of pictures that are refused, or are damaged."""

import os
import re
import unicodedata

import numpy as np
import pytest
from trees import everything, save, tree, zipped

from tljax.core import UserError
from tljax.data.formats.folder import folder


def missing(root):
    return root / 'nowhere'


def flat(root):
    save(root / '0.png')
    return root


def empty_class(root):
    (tree(root) / 'eel.png').mkdir()
    return root


def folder_in_class(root):
    tree(root)
    (root / 'dog' / 'inside').mkdir()
    return root


def class_without_training(root):
    tree(root / 'train')
    tree(root / 'test', ('cat', 'cow'))
    return root


def two_validations(root):
    for name in ('train', 'val', 'valid'):
        tree(root / name)
    return root


def only_flat_splits(root):
    for split in ('train', 'test'):
        save(root / split / '0.png')
    (root / 'train.csv').write_text('id,label')
    return root


def no_train(root):
    tree(root / 'val')
    tree(root / 'test')
    return root


def a_split_of_another_name(root):
    tree(root / 'train')
    tree(root / 'eval')
    return root


def other_names(root):
    tree(root / 'pets_train')
    tree(root / 'pets_test')
    return root


def classes_by_case(root):
    tree(root / 'train', ('Cat', 'dog'))
    tree(root / 'test')
    return root


def accents(root):
    tree(root / 'train', ('chat', unicodedata.normalize('NFC', 'é')))
    tree(root / 'test', ('chat', unicodedata.normalize('NFD', 'é')))
    return root


def a_table_and_a_folder(root):
    save(root / 'images' / '0.png')
    (root / 'labels.csv').write_text('file,label')
    return root


def a_picture(root):
    save(root / '0.png')
    return root / '0.png'


def weights(root):
    (root / 'w.h5').write_bytes(b'\x89HDF\r\n\x1a\n' + bytes(600))
    return root / 'w.h5'


def one_picture(root):
    return tree(root, count=1)


def broken_link(root):
    (tree(root) / 'cat' / 'x.png').symlink_to(root / 'gone.png')
    return root


def no_zip(root):
    (root / 'a.zip').write_bytes(b'PK\3\4 and no more')
    return root / 'a.zip'


@pytest.mark.parametrize(
    'make, message',
    [
        (missing, 'nowhere does not exist: give data.path'),
        (flat, 'has no class folders: put'),
        (empty_class, 'eel.png holds no pictures: add'),
        (folder_in_class, 'dog/inside/ lies deeper'),
        (class_without_training, 'train has no folder cow, which other splits have: add'),
        (two_validations, r'more than one validation folder \(val, valid\): keep one'),
        (
            only_flat_splits,
            'train has no class folders: .* read the labels of a table by data.path=.*train.csv',
        ),
        (no_train, 'has the folders test, val, but none that is called train'),
        (a_split_of_another_name, 'eval stands beside train/'),
        (other_names, 'call folders of splits train, validation and test; if they are domains'),
        (classes_by_case, "'Cat' and 'cat' differ in case"),
        (accents, 'differ in case, blanks or accents'),
        (a_table_and_a_folder, 'images alone: .*data.path=.*labels.csv'),
        (a_picture, 'is a single picture: give data.path'),
        (weights, 'w.h5 is a file of weights: it is given by init.path'),
        (one_picture, 'the validation split is empty .*: give more'),
        (broken_link, 'x.png cannot be read .No such file'),
        (no_zip, 'a.zip is no ZIP or a damaged one .*: copy'),
    ],
)
def test_folders_that_are_refused(tmp_path, make, message):
    with pytest.raises(UserError, match=message) as refusal:
        folder(make(tmp_path), size=6)
    assert '\n' not in str(refusal.value)


@pytest.mark.parametrize(
    'keywords, message',
    [
        ({'size': 0}, 'data.size=0'),
        ({'size': 6, 'channels': 2}, 'data.channels=2'),
        ({'size': 6, 'validation': 0}, 'data.validation=0'),
        ({'size': 6, 'validation': 0.5, 'test': 0.5}, 'sum is below 1'),
    ],
)
def test_requests_that_are_refused(tmp_path, keywords, message):
    with pytest.raises(UserError, match=message):
        folder(tree(tmp_path), **keywords)


@pytest.mark.parametrize('damage', ['cut', 'text', 'gone'])
@pytest.mark.parametrize('damaged', [1, 3])
def test_pictures_that_cannot_be_decoded_are_named_at_once(tmp_path, damage, damaged):
    train = folder(tree(tmp_path), size=6)['train']
    # whichever is asked for first
    paths = sorted(tmp_path / name for name in train.names[:damaged])
    for path in paths:
        if damage == 'gone':
            path.unlink()
        else:
            path.write_bytes({'cut': path.read_bytes()[:60], 'text': b'a picture'}[damage])
    message = (
        re.escape(str(paths[0])) + ' cannot be'
        if damaged == 1
        else '3 of 20 pictures cannot be decoded: '
        f'{", ".join(str(path.relative_to(tmp_path)) for path in paths)}: replace or'
    )
    for row in range(damaged):
        with pytest.raises(UserError, match=message):
            train.take(np.array([row]))
    assert train.take(np.array([damaged]))['input'].shape == (1, 6, 6, 3)


def test_a_damaged_zip_member_is_named(tmp_path):
    path = zipped(tree(tmp_path / 'set'), tmp_path / 'set.zip')
    content = path.read_bytes()
    start = content.index(b'IHDR', content.index(b'dog/03.png'))
    path.write_bytes(content[:start] + b'J' + content[start + 1 :])
    with pytest.raises(UserError, match=r'set\.zip/dog/03\.png cannot be read .*CRC'):
        for split in folder(path, size=6).values():
            everything(split)
    path.write_bytes(content[:-30])
    with pytest.raises(UserError, match='no ZIP or a damaged one'):
        folder(path, size=6)


def test_pictures_that_cannot_be_read_are_listed_at_once(tmp_path):
    tree(tmp_path, count=20)
    for number in range(10):
        (tmp_path / 'cat' / f'{number:02}.png').write_bytes(b'a picture')
    (tmp_path / 'dog' / '00.png').write_bytes(b'')
    os.mkfifo(tmp_path / 'dog' / 'pipe.png')  # reading it would wait for ever
    (tmp_path / 'dog' / 'link.png').symlink_to(tmp_path / 'gone.png')
    with pytest.raises(
        UserError, match='13 of 42 pictures .* be read: cat/00.png, .* and 5 more: '
    ):
        folder(tmp_path, size=6)
