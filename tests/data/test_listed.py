"""Pictures that a CSV lists with their labels."""

import numpy as np
import pytest
from trees import everything, pixels, save, sizes

from tljax.core import Task, UserError
from tljax.data.formats.folder import folder
from tljax.data.formats.listed import listed


@pytest.fixture
def table(tmp_path):
    """Twelve pictures in img/, picture i of seed i; `table(text)` writes and reads a table."""
    for i in range(12):
        save(tmp_path / 'img' / f'{i}.png', i)

    def read(text, coding='utf-8', name='labels.csv', **keywords):
        (tmp_path / name).write_bytes(text.encode(coding))
        return folder(tmp_path / name, size=6, **keywords)

    return read


def rows(header, cell, name='{}.png', separator=','):
    return '\n'.join([header, *(name.format(i) + separator + cell(i) for i in range(12))])


def labels(splits):
    """{seed of a picture: its label}, after a check that each picture stands under its own name."""
    label_of_seed = {}
    for split in splits.values():
        batch = everything(split)
        for name, image, label in zip(split.names, batch['input'], batch['label'], strict=True):
            seed = int(name.removeprefix('img/').removesuffix('.png'))
            np.testing.assert_array_equal(image, pixels(seed) / np.float32(255))
            label_of_seed[seed] = label.tolist()
    return label_of_seed


def animal(i):
    return ('dog', 'cat')[i % 2]


@pytest.mark.parametrize(
    'text, keywords',
    [
        (rows('file,label', animal), {}),
        (rows('filename,species', animal, 'img/{}.png'), {}),
        (rows('image_id,breed', animal, '{}'), {}),
        (rows('file;label', animal, separator=';'), {'coding': 'utf-8-sig'}),
        (rows('path\tclass', animal, separator='\t'), {'name': 'a.tsv'}),
        (rows('file\tlabel', animal, separator='\t').replace('\n', '\r\n'), {'coding': 'utf-16'}),
        (rows('file,label', animal, 'img\\{}.png'), {}),
        (rows('what,of', animal), {'file': 'what', 'label': 'of'}),
        (rows('Image,Label', lambda i: f' {animal(i)} '), {}),
        (rows('file, label', lambda i: f' "{animal(i)}"'), {}),
        (rows('id,img,label', lambda i: f'{i}.png,{animal(i)}', '7{}'), {}),
        (rows('file,label', animal, '{}.PNG'), {}),
        (rows('file,dog,cat', lambda i: ('True,False', 'False,True')[i % 2]), {}),
        (rows('file,label', animal) + '\n\n0.png,dog\n', {}),
        (rows('file,dog,cat', lambda i: ('1,0', '0,1')[i % 2]), {}),
    ],
    ids=[
        'plain',
        'paths',
        'no ending',
        'excel',
        'tsv',
        'utf-16',
        'windows',
        'named',
        'blanks',
        'quoted',
        'numbered',
        'case',
        'true',
        'twice',
        'one-hot',
    ],
)
def test_pictures_are_read_by_a_table(table, text, keywords):
    splits = table(text, **keywords)
    classes = splits['train'].classes
    assert sizes(splits) == {'train': 8, 'validation': 2, 'test': 2} and set(classes) == {
        'cat',
        'dog',
    }
    assert labels(splits) == {i: classes.index(animal(i)) for i in range(12)}


def test_a_column_says_the_splits(table):
    split = ['train'] * 6 + ['val'] * 2 + ['TEST'] * 4
    splits = table(rows('file,label,Split', lambda i: f'{animal(i)},{split[i]}'))
    assert sizes(splits) == {'train': 6, 'validation': 2, 'test': 4}
    assert splits['test'].names.tolist() == [f'img/{i}.png' for i in (8, 9, 10, 11)]


@pytest.mark.parametrize(
    'text',
    [
        rows('file,tags', lambda i: ('a|c', 'b', '')[i % 3]),
        rows('file,tags', lambda i: ('"c; a"', 'b', '')[i % 3]),
        rows('file,a,b,c', lambda i: ('1,0,1', '0,1,0', '0,0,0')[i % 3]),
        rows(
            'file,a,b,c',
            lambda i: ('True,False,True', 'False,True,False', 'False,False,False')[i % 3],
        ),
    ],
    ids=['bar', 'semicolon', 'columns', 'true'],
)
def test_several_labels_of_a_picture(table, text):
    splits = table(text)
    assert (
        splits['train'].task == Task('labels', ('a', 'b', 'c'))
        and splits['test'].label.dtype == np.float32
    )
    assert labels(splits) == {i: [[1, 0, 1], [0, 1, 0], [0, 0, 0]][i % 3] for i in range(12)}


@pytest.mark.parametrize('cells', [('"a,c"', '"b"', '""'), ("\"['a', 'c']\"", '"[\'b\']"', '[]')])
def test_cells_of_names_with_commas_are_asked_for(table, cells):
    text = rows('file,tags', lambda i: cells[i % 3])
    assert labels(table(text, task='labels')) == {
        i: [[1, 0, 1], [0, 1, 0], [0, 0, 0]][i % 3] for i in range(12)
    }
    with pytest.raises(
        UserError, match='say data.task=labels where these are several labels, data.task=classes'
    ):
        table(text.replace('""', 'b'))


def test_words_that_recur_in_cells_and_names_for_none_are_told(table):
    text = rows('file,tags', lambda i: ('haze road', 'clear road', 'haze', 'clear')[i % 4])
    splits = table(text)['train']
    assert len(splits.classes) == 4 and any(
        'cells of tags share words' in note for note in splits.notes
    )
    splits = table(text, task='labels')
    assert splits['train'].classes == ('clear', 'haze', 'road')
    assert labels(splits) == {
        i: [[0, 1, 1], [1, 0, 1], [0, 1, 0], [1, 0, 0]][i % 4] for i in range(12)
    }
    train = table(rows('file,label', lambda i: ('cat', 'dog', 'NA')[i % 3]))['train']
    assert '4 rows have the label NA: a class of that name' in train.notes


def test_numbers_with_fractions_are_regression_and_whole_ones_are_classes(table):
    splits = table(rows('file,age', lambda i: str(i / 2)))
    assert splits['train'].task == Task('numbers')
    assert labels(splits) == {i: i / 2 for i in range(12)}
    assert any(
        note.startswith('age is numbers with fractions: regression')
        for note in splits['train'].notes
    )
    splits = table(rows('file,age', lambda i: ('10', '9')[i % 2]))
    assert splits['train'].classes == ('9', '10')
    assert any(note.startswith('age is whole numbers: 2 classes') for note in splits['train'].notes)


@pytest.mark.parametrize(
    'task, lines, expected',
    [
        # ages, each its own: no classes
        ('numbers', lambda i: str(20 + i), lambda i: 20 + i),
        ('classes', lambda i: ('0.5', '1.5')[i % 2], lambda i: i % 2),
        ('labels', lambda i: ('sea', 'sky')[i % 2], lambda i: [1 - i % 2, i % 2]),
    ],
)
def test_a_task_that_is_said_holds(task, lines, expected, table):
    splits = table(rows('file,age', lines), task=task)
    assert splits['train'].task.kind == task and not any(
        'age is' in note for note in splits['train'].notes
    )
    label_of_seed = labels(splits)
    assert {i: np.ravel(label_of_seed[i]).tolist() for i in label_of_seed} == {
        i: np.ravel(expected(i)).tolist() for i in range(12)
    }


def test_a_task_that_the_cells_are_not_is_refused(table):
    with pytest.raises(UserError, match="age holds 'old', which is no number"):
        table(rows('file,age', lambda i: ('old', '9')[i % 2]), task='numbers')
    with pytest.raises(UserError, match='data.task=.ranks. is not'):
        table(rows('file,age', lambda i: str(i)), task='ranks')


def test_of_several_folders_the_one_of_the_table_s_name_is_read(table, tmp_path):
    for i in range(12):
        save(tmp_path / 'other' / f'{i}.png', 50)
    with pytest.raises(UserError, match=r'in several folders \(img, other\): write their paths'):
        table(rows('file,label', animal))
    assert len(labels(table(rows('file,label', animal), name='img.csv'))) == 12


MISSING = rows('file,label', animal) + ''.join(f'\nx{i}.png,cat' for i in range(20))


@pytest.mark.parametrize(
    'text, message',
    [
        (
            rows('file,label', animal) + '\n0.png,cat',
            '0.png stands in two rows, as dog and as cat: keep one',
        ),
        (
            rows('file,label,split', lambda i: f'{animal(i)},train') + '\nimg/../0.png,dog,test',
            '0.png stands in two rows, as dog, train and',
        ),
        (
            MISSING,
            'labels.csv: 20 of 32 pictures are missing below .*: x0.png, .* and 12 more: mend',
        ),
        (
            rows('what,label', animal, '{}'),
            'has the columns what, label: name the one of the pictures by data.file=COLUMN',
        ),
        (
            rows('file;score', lambda i: f'{i},5', separator=';'),
            "score holds '0,5': write numbers as 1000.5",
        ),
        (rows('file,score', lambda i: f'{i}.5 %'), "score holds '0.5 %': write numbers"),
        (
            rows('file,score', lambda i: f'"{i + 1},000.50"'),
            "score holds '1,000.50': write numbers",
        ),
        (
            rows('0.png,cat', animal),
            'begins with a picture .0.png, cat.: write a line above that names',
        ),
        (
            rows('file,cat,dog', lambda i: ('1,0', '0,')[i % 2]),
            '1.png has nothing in the column dog, and the others have 0 or 1: fill it in',
        ),
        (
            rows('file,x,y', lambda i: 'a,b'),
            'has the columns file, x, y: name the one of the labels by data.label=COLUMN',
        ),
        (
            rows('file,label', lambda i: ('Cat', 'cat')[i % 2]),
            "the classes 'Cat' and 'cat' differ in case",
        ),
        (
            rows('file,label', lambda i: animal(i) * (i > 2)),
            '3 rows have no label, 0.png is the first',
        ),
        (rows('file,label', lambda i: ('1', 'nan')[i % 2]), 'the label of 1.png is not finite'),
        (
            rows('file,label,split', lambda i: 'cat,extra'),
            "the column split holds 'extra': write train, validation or test",
        ),
        (
            rows('file,label,split', lambda i: animal(i) + ',test'),
            'no row of the column split says train',
        ),
        (
            rows('file,label,split', lambda i: animal(i) + (',train', ',test')[i % 2]),
            'no training picture is of cat',
        ),
        (
            rows('file,label', animal) + '\n7.png',
            'row 14: 1 cells where the first row names 2 columns',
        ),
        (rows('file,label', animal) + '\n"7.png,cat', 'is no table of text .unexpected end'),
        (rows('file,file', animal), 'names a column twice'),
        ('', 'is no table of two columns'),
        ('file\n0.png', 'is no table of two columns'),
        ('file,label\n\0.png,cat\n1.png,dog', '1 of 2 pictures are missing'),
        ('x' * 200_000 + ',b\n1,2', 'is no table of text .field larger'),
    ],
)
def test_tables_that_are_refused(table, text, message):
    with pytest.raises(UserError, match=message):
        table(text)


def test_what_is_not_read_is_refused(table, tmp_path):
    with pytest.raises(UserError, match='is not in UTF-8 .byte 17.: save it as "CSV UTF-8"'):
        table(rows('file,label', lambda i: 'ä'), coding='latin-1')
    with pytest.raises(UserError, match="no column 'fil': data.file: did you mean file"):
        table(rows('file,label', animal), file='fil')
    with pytest.raises(UserError, match="data.domain='img' picks a folder"):
        table(rows('file,label', animal), domain='img')
    with pytest.raises(UserError, match='name columns of a CSV'):
        folder(tmp_path, 6, label='breed')
    (tmp_path / 'img' / '3.png').write_bytes(b'no picture')
    with pytest.raises(UserError, match='3.png cannot be decoded'):
        listed(tmp_path / 'labels.csv', 6)
