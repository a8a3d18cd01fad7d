"""Runs of numbers and of several labels are scored on tables, as their training does."""

import json

import numpy as np
import pytest
from commands import call, error
from PIL import Image
from sklearn.metrics import average_precision_score, mean_squared_error
from tiny import tiny

from tljax.build import build
from tljax.core import Task, UserError
from tljax.engine.train import fit
from tljax.studies.label_scores import score_outputs
from tljax.trained import load

COUNT, SPLITS = 24, ['train'] * 12 + ['validation'] * 4 + ['test'] * 8
LABELS = ('light', 'odd', 'red')


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """Runs of a number and of three labels, each with a table of all and of the test pictures."""
    root, rng = tmp_path_factory.mktemp('runs'), np.random.default_rng(0)
    numbers = rng.uniform(0, 9, (COUNT, 1)).round(3)
    marks = np.stack([np.arange(COUNT) % k == 0 for k in (2, 3, 5)], 1).astype(int)
    for i in range(COUNT):
        Image.new('L', (8, 8), 10 * i).save(root / f'{i}.png')
    for name, header, cells in (('one', ['age'], numbers), ('three', LABELS, marks)):
        lines = [','.join([f'{i}.png', *map(str, cells[i])]) for i in range(COUNT)]
        full = [f'{line},{split}' for line, split in zip(lines, SPLITS, strict=True)]
        (root / f'{name}.csv').write_text('\n'.join([','.join(['file', *header, 'split']), *full]))
        (root / f'{name}_test.csv').write_text(
            '\n'.join([','.join(['file', *header]), *lines[16:]])
        )
        data = {
            'name': 'folder',
            'path': str(root / f'{name}.csv'),
            'size': 8,
            'channels': 1,
            'task': 'labels' if name == 'three' else 'numbers',
        }
        settings = tiny(
            {'data': data, 'seeds': [0, 1], 'steps': 3, 'net': {'name': 'mlp', 'widths': [4]}}
        )
        fit(build(settings), root / name / '00-train')
    return root, marks[16:]


@pytest.mark.parametrize('name', ['one', 'three'])
def test_scores_are_those_of_the_training(runs, name):
    done = call('evaluate', f'--workdir={runs[0]}/{name}', '--json', runs[0] / f'{name}_test.csv')
    found, run_scores = json.loads(done.out), load(runs[0] / name).scores['test']
    assert done.code == 0 and found['pictures'] == 8 and found['unread'] == []
    assert found['scores'] == {
        key: pytest.approx(np.mean(run_scores[key]), abs=1e-5) for key in run_scores
    }
    done = call('evaluate', f'--workdir={runs[0]}/{name}', runs[0] / f'{name}.csv')
    assert '24 pictures' in done.out and 'test, train, validation are scored together' in done.err


def test_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    output, marks = rng.normal(size=(2, 9, 3)).astype('f'), rng.integers(0, 2, (9, 3))
    marks[:, 2] = 0
    found = score_outputs(Task('labels', LABELS), output, marks)
    precision = [
        np.mean([average_precision_score(marks[:, c], seed_output[:, c]) for seed_output in output])
        for c in (0, 1)
    ]
    assert found['scores']['mean_average_precision'] == pytest.approx(np.mean(precision))
    assert found['scores']['label_accuracy'] == pytest.approx(np.mean((output > 0) == marks))
    assert [row['average_precision'] for row in found['labels']] == [
        *map(pytest.approx, precision),
        None,
    ]
    assert found['labels'][1]['right'] == pytest.approx(
        np.mean((output > 0)[..., 1] == marks[:, 1])
    )
    numbers = rng.normal(size=(9, 3)).astype('f')
    expected = np.mean(
        [np.sqrt(mean_squared_error(numbers, seed_output)) for seed_output in output]
    )
    assert score_outputs(Task('numbers'), output, numbers)['scores'] == {
        'rmse': pytest.approx(expected)
    }
    with pytest.raises(UserError, match='gives 1 numbers for each picture, and the model tells 3'):
        score_outputs(Task('numbers'), output, numbers[:, 0], 'a.csv')


def test_labels_are_found_by_their_names(runs):
    root, marks = runs
    flags = [f'--workdir={root}/three', '--json']
    expected = json.loads(call('evaluate', *flags, root / 'three_test.csv').out)
    lines = [f'{i + 16}.png,{row[2]},{row[0]},{row[1]}' for i, row in enumerate(marks)]
    (root / 'turned.csv').write_text('\n'.join(['file,red,light,odd', *lines]))
    assert json.loads(call('evaluate', *flags, root / 'turned.csv').out) == expected
    joined = [
        '|'.join(name for name, mark in zip(LABELS, row, strict=True) if mark) for row in marks
    ]
    (root / 'joined.csv').write_text(
        '\n'.join(['file,tags', *(f'{i + 16}.png,{cell}' for i, cell in enumerate(joined))])
    )
    assert json.loads(call('evaluate', *flags, root / 'joined.csv').out) == expected
    (root / 'few.csv').write_text('file,tags\n16.png,light\n18.png,light|odd\n')
    done = call('evaluate', f'--workdir={root}/three', root / 'few.csv')
    assert 'no picture has the label red' in done.err and '3 labels' in done.out


@pytest.mark.parametrize(
    'name, text, said',
    [
        (
            'three',
            'file,tags\n0.png,light|green\n',
            'has the labels green, and the model knows light',
        ),
        (
            'three',
            'file,light,odd\n0.png,1,0\n1.png,1,1\n',
            'has no column red: the model tells light',
        ),
        ('one', 'file,age,size\n0.png,.5,1.5\n', 'call it label'),
        (
            'one',
            'file,age\n0.png,cat\n1.png,dog\n',
            'gives classes, and this model tells numbers: name a CSV',
        ),
        ('one', 'file,age\nno.png,3\n', '1 of 1 pictures are missing'),
    ],
)
def test_a_table_of_something_else_is_refused(runs, name, text, said):
    (runs[0] / 'bad.csv').write_text(text)
    assert said in error(call('evaluate', f'--workdir={runs[0]}/{name}', runs[0] / 'bad.csv'))


def test_what_is_no_table_is_refused(runs):
    for path, said in (
        (runs[0], 'name a CSV of pictures and their labels alone'),
        (runs[0] / 'no.csv', 'no.csv does not exist'),
    ):
        assert said in error(call('evaluate', f'--workdir={runs[0]}/three', path))
