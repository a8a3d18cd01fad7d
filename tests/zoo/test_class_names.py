"""Files with the names of classes: every form that is read, and the forms that are refused."""

import json

import pytest

from tljax.core import UserError
from tljax.studies.models import _names_beside
from tljax.zoo.weights.class_names import class_index

PETS = [('cat', 'cat'), ('dog', 'dog'), ('ok', 'ok')]


@pytest.mark.parametrize(
    'index',
    [
        {'0': 'cat', '1': 'dog', '2': 'ok'},
        {'2': 'ok', '0': 'cat', '1': 'dog'},
        {'cat': 0, 'ok': 2, 'dog': 1},
        ['cat', 'dog', 'ok'],
    ],
)
@pytest.mark.parametrize('name', ['names.json', 'names.txt', 'names.JSON'])
def test_names_in_json(tmp_path, index, name):
    for indent in (None, 2):
        (tmp_path / name).write_text(json.dumps(index, indent=indent))
        assert class_index(tmp_path / name) == PETS


def test_names_of_two_letters_are_no_pairs(tmp_path):
    (tmp_path / 'a.json').write_text('{"0": "no", "1": "ok", "2": "hm"}')
    assert [name for _, name in class_index(tmp_path / 'a.json')] == ['no', 'ok', 'hm']


def test_names_that_are_numbers(tmp_path):
    (tmp_path / 'a.json').write_text('{"10": 2, "0": 0, "1": 1}')  # Keras of folders 0, 1 and 10
    assert [name for _, name in class_index(tmp_path / 'a.json')] == ['0', '1', '10']


def test_the_index_of_imagenet_is_read_in_order(tmp_path):
    index = {'1': ['n2', 'crane'], '0': ['n1', 'tench'], '2': ['n3', 'crane']}
    (tmp_path / 'index.json').write_text(json.dumps(index))  # two classes are called crane there
    assert class_index(tmp_path / 'index.json') == [
        ('n1', 'tench'),
        ('n2', 'crane'),
        ('n3', 'crane'),
    ]


@pytest.mark.parametrize(
    'text, names',
    [
        ('cat\ndog\n', ['cat', 'dog']),
        ('\ufeff0 Class 1\r\n1 Class 2', ['Class 1', 'Class 2']),
        ('1 dog\n0 cat\n', ['cat', 'dog']),
        ('1 cent\n2 cent\n5 cent\n', ['1 cent', '2 cent', '5 cent']),
        ('été\n\n犬\n', ['été', '犬']),
        ('0: a b\n1: c', ['a b', 'c']),
        ('7\n8\n', ['7', '8']),
        ('Class 1\nClass 2', ['Class 1', 'Class 2']),
        ('0,cat\n1,dog', ['cat', 'dog']),
        ('# my classes\n0 cat\n # more\n1 dog', ['cat', 'dog']),
    ],
)
def test_classes_are_named_one_a_line(tmp_path, text, names):
    (tmp_path / 'labels.txt').write_text(text, encoding='utf-8', newline='')
    assert [name for _, name in class_index(tmp_path / 'labels.txt')] == names


@pytest.mark.parametrize(
    'text, message',
    [
        ('{"0": "cat", "1": "cat"}', 'the class cat stands twice'),
        ('{"0": "cat", "0": "dog"}', 'the key 0 stands twice'),
        ('{"cat": 0, "dog": 0}', 'the number 0 stands twice'),
        ('{"0": "a", "00": "b"}', 'the number 0 stands twice'),
        ('{"0": ["n0", "a"], "2": ["n2", "b"]}', 'numbers 2 classes by 0, 2, and 1 is missing'),
        ('{"1": "a", "2": "b"}', 'and 0 is missing: number them from 0 on'),
        ('{"0": "a", "1": ["n1", "b"]}', 'some entries have an id, others have none'),
        ('{"0": "a", "1": 1}', "is no class index (at '1' stands 1)"),
        ('{"a": "cat", "b": "dog"}', "'a' is no number of a class"),
        ('{"0": ["n0", "a", "b"]}', 'is no class index'),
        ('{"0": true}', 'is no class index'),
        ('{0: "cat"}', 'no JSON'),
        ("['cat', 'dog']", 'no JSON'),
        ('{"0": 3', 'no JSON'),
        ('[0, 1]', 'is no class index'),
        ('["a", " "]', 'a class has no name'),
        ('{}', 'names no classes'),
        ('[]', 'names no classes'),
        ('\n \n', 'names no classes'),
        ('cat\ndog\ncat', 'the class cat stands twice'),
        ('0 cat\n2 dog', 'and 1 is missing'),
        ('1 cat\n2 dog', 'and 0 is missing'),
        ('0 cat\n0 dog', 'the number 0 stands twice'),
        ('index,name\n0,cat\n1,dog', "begins with 'index,name', which is no number and name"),
        ('cat,0\ndog,1', 'the number of a class behind its name'),
        ('names:\n  0: cat\n  1: dog', 'is YAML'),
        ('nc: 2\nnames: [cat, dog]', 'is YAML'),
        ('- cat\n- dog', 'is YAML'),
        ('x' * (2**24 + 1), 'takes more than'),
        ('\0' * 9, 'no text in UTF-8'),
    ],
)
def test_what_names_no_classes_is_refused_in_a_line(tmp_path, text, message):
    (tmp_path / 'labels.txt').write_text(text)
    with pytest.raises(UserError) as error:
        class_index(tmp_path / 'labels.txt')
    assert message in str(error.value) and '\n' not in str(error.value)


def test_what_is_no_list_at_all(tmp_path):
    (tmp_path / 'text.json').write_text('cat\ndog')
    (tmp_path / 'other.txt').write_bytes(b'\xff\xfe\0')
    for path, message in (
        (tmp_path, 'is a folder: name a file'),
        (tmp_path / 'no', 'does not exist'),
        (tmp_path / 'text.json', 'no JSON'),
        (tmp_path / 'other.txt', 'UTF-8'),
    ):
        with pytest.raises(UserError, match=message):
            class_index(path)


def test_a_bad_list_beside_the_weights_is_reported_and_ignored(tmp_path, capsys):
    (tmp_path / 'labels.txt').write_text('cat\ncat\n')
    assert _names_beside(str(tmp_path / 'a.h5'), ['0', '1']) == ['0', '1']
    assert 'the class cat stands twice' in capsys.readouterr().err
