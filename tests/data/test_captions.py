"""Captions: texts and pictures of one table are pairs."""

import numpy as np
import pytest
from tiny_sets import refused
from trees import save

from tljax.data.formats.captions import captions
from tljax.data.formats.listed import listed
from tljax.studies.crossview_draws import Examples, shared_rows


@pytest.fixture
def table(tmp_path):
    """Twenty pictures in img/, and a function that writes a table."""
    for i in range(20):
        save(tmp_path / 'img' / f'{i}.png', i)

    def write(header='file,caption,label', cells='img/{i}.png,a number {i},{kind}'):
        rows = [cells.format(i=i, kind=('odd', 'even')[i % 2]) for i in range(20)]
        (tmp_path / 'words.csv').write_text('\n'.join([header, *rows]) + '\n')
        return tmp_path / 'words.csv'

    return write


def examples(split):
    return Examples(split.take(np.arange(split.size))['input'], split.label, split.names)


@pytest.mark.parametrize(
    'header, cells',
    [
        ('file,caption,label', 'img/{i}.png,a number {i},{kind}'),
        ('label,text,image', '{kind},a number {i},{i}'),
        ('class;words;file;size', '{kind};a number {i};./img/{i}.png;{i}'),
    ],
    ids=['usual', 'other-order', 'other-columns'],
)
def test_texts_and_pictures_of_a_table_are_pairs(table, header, cells):
    path = table(header, cells)
    words, pictures = captions(path), listed(path, size=6)
    for name, split in words.items():
        assert (split.names == pictures[name].names).all() and split.classes == ('even', 'odd')
        assert (split.label == pictures[name].label).all()
        for text, file in zip(examples(split).input, split.names, strict=True):
            assert file == f'img/{text.removeprefix("a number ")}.png'
    rows = shared_rows(examples(words['train']), examples(pictures['train']))
    assert (rows[0] == rows[1]).all() and rows.shape[1] == words['train'].size


def test_captions_of_one_picture_are_joined_and_splits_kept(table):
    path = table('file,caption,label,split', 'img/{i}.png,a number {i},{kind},train')
    path.write_text(path.read_text() + 'img/3.png,"three, again",even,train\n')
    splits = captions(path, test=0.25)
    parts = [examples(split) for split in splits.values()]
    found = {
        name: text for part in parts for name, text in zip(part.names, part.input, strict=True)
    }
    assert len(found) == 20 and found['img/3.png'] == 'a number 3 three, again'


def test_tables_without_texts_or_labels_are_refused(table, tmp_path):
    refused(
        lambda: captions(table('file,note,label')), 'has no column of texts', 'file, note, label'
    )
    refused(lambda: captions(table(), text='captoin'), "no column of texts 'captoin'", 'caption')
    refused(lambda: captions(table('file,caption,kind')), 'no column of labels', 'data.label')
    assert captions(table('file,caption,kind'), label='kind')['train'].classes == ('even', 'odd')
    refused(lambda: captions(tmp_path / 'nowhere.csv'), 'does not exist or is no file')
    path = table(cells='img/{i}.png,,{kind}')
    refused(lambda: captions(path), 'row 2: the text is empty')
    refused(lambda: captions(table(cells='a{i}.png,x,{kind}')), '20 of 20 pictures are missing')
