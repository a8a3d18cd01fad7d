"""What labels ask of a model, whatever numbers they are stored as."""

import numpy as np
import pytest

from tljax.core import Task, UserError
from tljax.data.formats.arrays import arrays
from tljax.data.formats.npz import npz
from tljax.data.tasks import infer_task, with_task
from tljax.parts import load

CLASS = np.array([0, 2, 1, 1, 0])
ROWS = np.eye(3)[CLASS]
SEVERAL = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 0], [1, 0, 1], [0, 0, 1]])


@pytest.mark.parametrize('dtype', [np.float32, np.float64, np.int64, np.uint8, bool])
def test_rows_with_a_single_one_are_classes(dtype):
    labels, task, notes = infer_task(
        {'train': ROWS.astype(dtype), 'test': ROWS[:2].astype(dtype)}, (), 'toy'
    )
    assert labels['train'].tolist() == CLASS.tolist() and labels['test'].tolist() == [0, 2]
    assert task == Task.of(('0', '1', '2')) and 'single 1' in notes[0]


@pytest.mark.parametrize(
    'label, classes, names',
    [
        (np.array([0.0, 1.0, 1.0]), [0, 1, 1], ('0', '1')),
        (np.array([[1], [0], [1]]), [1, 0, 1], ('0', '1')),
        (np.array([True, False]), [1, 0], ('0', '1')),
        (np.array(['b', 'a', 'b']), [1, 0, 1], ('a', 'b')),
    ],
)
def test_other_labels_that_are_classes(label, classes, names):
    labels, task, _ = infer_task({'train': label}, (), 'toy')
    assert (
        labels['train'].tolist() == classes
        and labels['train'].dtype == np.int32
        and task == Task.of(names)
    )


def test_names_of_classes_order_words_and_floats():
    labels, task, _ = infer_task({'train': np.array(['bee', 'ant', 'bee'])}, ('bee', 'ant'), 'toy')
    assert labels['train'].tolist() == [0, 1, 0] and task.names == ('bee', 'ant')
    assert infer_task({'train': np.array([1.0, 0.0])}, ('bee', 'ant'), 'toy')[0][
        'train'
    ].tolist() == [1, 0]


@pytest.mark.parametrize('dtype', [np.float32, np.int64, bool])
def test_rows_of_several_ones_are_labels(dtype):
    labels, task, notes = infer_task({'train': SEVERAL.astype(dtype)}, ('a', 'b', 'c'), 'toy')
    assert labels['train'].dtype == np.float32 and labels['train'].tolist() == SEVERAL.tolist()
    assert task == Task('labels', ('a', 'b', 'c')) and 'several labels' in notes[0]


@pytest.mark.parametrize(
    'label, said',
    [
        (np.array([1.0, 2.0, 5.0, 2.0]), 'labels of 1, 2, 5 are taken for numbers'),
        (np.array([[0.2, 0.8], [0.5, 0.5]]), 'not for probabilities'),
        (np.array([0.5, 1.25]), ''),
        (np.random.default_rng(0).normal(size=(4, 2)), ''),
    ],
)
def test_numbers_say_what_else_they_may_be(label, said):
    labels, task, notes = infer_task({'train': label}, (), 'toy')
    assert task == Task('numbers') and labels['train'].dtype == np.float32
    assert bool(notes) == bool(said) and said in ' '.join(notes)


@pytest.mark.parametrize(
    'label, task, expected',
    [
        (ROWS, 'numbers', ROWS.tolist()),
        (ROWS, 'labels', ROWS.tolist()),
        (np.array([1.0, 2.0, 5.0, 2.0]), 'classes', [0, 1, 2, 1]),
        (np.array([7, 3, 7]), 'classes', [1, 0, 1]),
        (np.array([0.0, 1.0]), 'numbers', [0, 1]),
        (np.array([3, 1]), 'numbers', [3, 1]),
    ],
)
def test_a_task_that_is_said(label, task, expected):
    labels, found, notes = infer_task({'train': label}, (), 'toy', task)
    assert found.kind == task and labels['train'].tolist() == expected and not notes


@pytest.mark.parametrize(
    'label, task, message',
    [
        (SEVERAL, 'classes', 'not a single 1: say data.task=labels'),
        (CLASS, 'labels', 'no rows of 0 and 1'),
        (np.array(['a', 'b']), 'numbers', 'are words'),
        (CLASS, 'ranks', "data.task='ranks' is not classes, labels or numbers"),
        (np.array([0, 2]), '', 'say data.task=classes'),
        (np.array([np.nan]), '', 'not finite'),
    ],
)
def test_tasks_that_are_refused(label, task, message):
    with pytest.raises(UserError, match=message):
        infer_task({'train': label}, (), 'toy', task)


def test_a_test_label_without_training_examples_is_refused():
    with pytest.raises(
        UserError, match='the test labels hold wasp, which is no class of the training set'
    ):
        infer_task({'train': np.array(['ant', 'bee']), 'test': np.array(['wasp'])}, (), 'toy')


def test_the_task_of_a_file_is_what_the_config_says(tmp_path):
    np.savez(tmp_path / 'a.npz', input=np.zeros((10, 2)), label=np.tile(ROWS, (2, 1)))
    spec = {'name': 'npz', 'path': str(tmp_path / 'a.npz')}
    assert load(spec)['train'].task.kind == 'classes' and 'single 1' in load(spec)['train'].notes[0]
    assert load({**spec, 'task': 'numbers'})['train'].label.shape == (7, 3)
    assert load({**spec, 'task': 'labels'})['test'].task == Task('labels', ('0', '1', '2'))
    assert npz(tmp_path / 'a.npz', task='numbers')['train'].task == Task('numbers')


def test_another_task_is_asked_of_any_set():
    toy = arrays(np.zeros(3), np.array([0, 1, 0]), ('ant', 'bee'))
    assert with_task({'train': toy}, 'classes')['train'].classes == ('ant', 'bee')
    with pytest.raises(UserError, match='the classes ant, bee are no numbers'):
        with_task({'train': toy}, 'numbers')
    # what a class stands for, not its place
    years = arrays(np.zeros(3), np.array([0, 1, 0]), ('1999', '2004'))
    assert with_task({'train': years}, 'numbers')['train'].take(np.array([1, 2]))[
        'label'
    ].tolist() == [
        2004.0,
        1999.0,
    ]


def test_splits_whose_labels_are_of_several_kinds_are_refused():
    with pytest.raises(UserError, match='labels are of several kinds .train int64, test float64.'):
        infer_task({'train': np.array([0, 1]), 'test': np.array([0.5, 1.0])}, ('a', 'b'), 'toy')


@pytest.mark.parametrize(
    'label, message',
    [
        (np.array([0, 1]), 'several kinds .train int64, test <U1'),
        (np.array([0.5, 1.0]), 'hold a, b'),
    ],
)
def test_words_of_a_split_beside_numbers_of_another_are_refused(label, message):
    with pytest.raises(UserError, match=message):
        infer_task({'train': label, 'test': np.array(['a', 'b'])}, (), 'toy')
