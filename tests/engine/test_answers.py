"""The answers to every example, worked out by hand for every kind of task."""

import csv

import numpy as np
import pytest

from tljax.core import Task
from tljax.data.formats.arrays import arrays
from tljax.engine.answers import answers, read_answers, write_answers

TOY = arrays(np.zeros((2, 1)), np.array([0, 1]), ('ants', 'bees'))
LOGITS = np.log(np.array([[[0.9, 0.1], [0.6, 0.4]], [[0.7, 0.3], [0.2, 0.8]]]))  # two seeds


def test_probabilities_are_averaged_over_seeds():
    rows = answers(
        TOY.task,
        TOY._replace(names=np.array(['a.png', 'b, c.png'])),
        {'output': LOGITS, 'label': np.array([[0, 1]] * 2)},
    )
    assert rows[0] == {
        'example': 'a.png',
        'label': 'ants',
        'answer': 'ants',
        'probability': 0.8,
        'probability of label': 0.8,
    }
    assert rows[1] == pytest.approx(
        {
            'example': 'b, c.png',
            'label': 'bees',
            'answer': 'bees',
            'probability': 0.6,
            'probability of label': 0.6,
        }
    )


def test_several_labels_and_numbers():
    task, label = Task('labels', ('sky', 'sea')), np.array([[1.0, 0.0], [1.0, 1.0]])
    rows = answers(
        task, TOY, {'output': np.array([[[0.0, -30.0], [30.0, 0.0]]]), 'label': label[None]}
    )
    assert rows[0] == {
        'example': '0',
        'label sky': 1,
        'probability of sky': 0.5,
        'label sea': 0,
        'probability of sea': 0.0,
    }
    assert rows[1] == {
        'example': '1',
        'label sky': 1,
        'probability of sky': 1.0,
        'label sea': 1,
        'probability of sea': 0.5,
    }
    rows = answers(
        Task('numbers'),
        TOY,
        {'output': np.array([[[1.0], [2.0]], [[3.0], [2.0]]]), 'label': np.array([[1.5, 2.5]] * 2)},
    )
    assert rows == [
        {'example': '0', 'label': 1.5, 'answer': 2.0},
        {'example': '1', 'label': 2.5, 'answer': 2.0},
    ]
    rows = answers(
        Task('numbers'), TOY, {'output': np.zeros((1, 2, 2)), 'label': np.ones((1, 2, 2))}
    )
    assert rows[1] == {
        'example': '1',
        'label 0': 1.0,
        'answer 0': 0.0,
        'label 1': 1.0,
        'answer 1': 0.0,
    }


def test_a_csv_of_hostile_names_is_read_as_it_was_written(tmp_path):
    rows = {
        'validation': [{'example': 'a,b"c\n.png', 'answer': '=1+1'}],
        'test': [{'example': 'ü', 'answer': ''}],
    }
    write_answers(tmp_path / 'answers.csv', rows)
    assert read_answers(tmp_path / 'answers.csv') == rows
    with (tmp_path / 'answers.csv').open(newline='') as lines:
        assert [row['split'] for row in csv.DictReader(lines)] == ['validation', 'test']
