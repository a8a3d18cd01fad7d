"""Pictures of classes that a model has never learnt, told by a table of attributes."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import call, error
from PIL import Image

import tljax

COLOURS = {'red': (200, 30, 30), 'blue': (30, 30, 200), 'purple': (200, 30, 200)}
TABLE = 'class,reddish,bluish,greenish\nRed,1,0,0\nblue,0,1,0\npurple,1,1,0\ngreen,0,0,1\n'


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """A run that tells red from blue, pictures of three colours, and a table of four."""
    root = tmp_path_factory.mktemp('colours')
    rng, label = np.random.default_rng(0), np.arange(80) % 2
    input = np.stack([list(COLOURS.values())[i] for i in label])[:, None, None] / 255
    input = (input + 0.1 * rng.normal(size=(80, 8, 8, 3))).clip(0, 1).astype('f')
    splits = {
        name: tljax.data.arrays(input[rows], label[rows], ('red', 'blue'))
        for name, rows in {'train': np.arange(60), 'test': np.arange(60, 80)}.items()
    }
    tljax.train(
        data=splits,
        net={'name': 'conv4', 'width': 4, 'blocks': 2, 'size': 8},
        workdir=root / 'run',
        steps=60,
        batch=16,
        optim={'lr': 1e-2},
    )
    (root / 'pictures').mkdir()
    for name, colour in COLOURS.items():
        Image.new('RGB', (9, 9), colour).save(root / 'pictures' / f'{name}.png')
    (root / 'attributes.csv').write_text(TABLE)
    return root


def predict(root, *flags, table='attributes.csv'):
    return call(
        'predict', f'--workdir={root}/run', f'--knowledge={root}/{table}', *flags, root / 'pictures'
    )


def test_new_classes_are_predicted_and_the_model_s_own_where_they_may(root):
    done = predict(root, '--json')
    assert done.code == 0 and 'new classes: purple, green; 2 of the 2 classes' in done.err, done.err
    answers = json.loads(done.out)
    assert [{label for label, _ in answer['top']} for answer in answers] == 3 * [
        {'purple', 'green'}
    ]
    assert all(answer['top'][0][0] == 'purple' for answer in answers)
    done = predict(root, '--json', '--shift=0.05')
    found = {Path(answer['path']).stem: answer['top'][0][0] for answer in json.loads(done.out)}
    assert found['red'] == 'Red' and found['blue'] == 'blue'
    assert 'label   similarity' in predict(root).out


def test_similarities_are_those_of_conse(root):
    probability = tljax.load(root / 'run').predict(root / 'pictures')
    by_hand = probability.sum(1) / np.linalg.norm(probability, axis=1) / 2**0.5
    answers = json.loads(predict(root, '--json').out)
    shown = [dict(answer['top'])['purple'] for answer in answers]
    np.testing.assert_allclose(shown, by_hand, rtol=1e-5)


@pytest.mark.parametrize(
    'text, said',
    [
        ('class,reddish\nred,1\npurple,1\n', 'describes 1 class of the model'),
        ('class,reddish\nrot,1\npurple,1\n', 'describes 0 classes of the model'),
        ('class,reddish\nred,1\nblue,2\n', 'describes classes of the model alone'),
        ('class,reddish\nred,1\nblue,2\npurple,3\n', "the single new class 'purple'"),
        ('class,reddish\nred,1\nblue,2\npurple,\n', 'describes 1 class by no number: purple'),
    ],
)
def test_a_table_that_does_not_fit_is_one_clear_line(text, said, root):
    (root / 'mine.csv').write_text(text)
    assert said in error(predict(root, table='mine.csv'))
