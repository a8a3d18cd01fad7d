"""What is told of a data set before the first step, and kept."""

import json

import numpy as np
import pytest
from commands import call
from PIL import Image

from tljax.data.finding import find
from tljax.data.formats.arrays import arrays
from tljax.data.formats.folder import folder
from tljax.data.splits import restrict
from tljax.data.summary import summary
from tljax.parts import load


def words(splits):
    return dict(summary(splits))


def test_classes_that_a_split_lacks_are_named():
    label = np.repeat(np.arange(4), (8, 8, 2, 2))
    whole = arrays(np.linspace(-1, 1, 40, dtype='f').reshape(20, 2), label, 'abcd')
    found = words({'train': whole, 'test': restrict(whole, np.flatnonzero(label < 2))})
    assert found == {
        'task': '4 classes: a, b, c, d',
        'train': '20 examples: a 8, b 8, c 2, d 2',
        'test': '16 examples: a 8, b 8; none of c, d',
        'inputs': 'float32 (2,), -1 to 1 in 20 examples',
    }


def test_many_classes_are_counted_by_the_fewest_and_the_most():
    label = np.repeat(np.arange(9), 3)
    whole = arrays(np.zeros((27, 1), np.int64), label, 'abcdefghi')
    assert words({'train': whole})['train'] == '27 examples: 3 of each class'
    found = words({'train': whole, 'test': restrict(whole, np.arange(2, 20))})
    assert found['test'] == '18 examples: 1 to 3 of each class; none of h, i'
    assert found['task'] == '9 classes: a, b, c, d, e, f and 3 more' and found['inputs'].startswith(
        'int64'
    )


def test_numbers_and_episodes():
    one, two = (
        arrays(np.zeros((3, 1)), np.arange(3.0 * n).reshape(3, n)[:, :n].squeeze()) for n in (1, 2)
    )
    assert (
        words({'train': one})['task'] == 'regression of one number'
        and words({'train': two})['task'] == 'regression of 2 numbers'
    )
    found = words(
        load(
            {
                'name': 'episodes',
                'of': {'name': 'digits', 'size': 8},
                'by_class': {'test': 0.4},
                'ways': 3,
                'shots': 1,
                'queries': 2,
                'count': 4,
            }
        )
    )
    assert (
        found['train'] == 'drawn afresh'
        and found['test'] == '4 episodes'
        and '(8, 8, 1)' in found['inputs']
    )


@pytest.fixture
def pictures(tmp_path):
    for name in ('ants', 'bees'):
        (tmp_path / 'set' / name).mkdir(parents=True)
        for number in range(8):
            Image.new('L', (9, 9), 20 * number).save(tmp_path / 'set' / name / f'{number}.png')
    for name in ('bees/a.heic', 'bees/b.HEIC', 'ants/weights.h5', 'ants/notes', 'readme.txt'):
        (tmp_path / 'set' / name).write_bytes(b'x')
    return tmp_path / 'set'


def test_files_that_are_no_pictures_are_counted(pictures):
    note = words(folder(pictures, size=8))['note']
    assert note.startswith('5 files passed over (.heic 2, ') and note.endswith(
        '): pillow-heif makes PNG of .heic'
    )
    assert all(f'{ending} 1' in note for ending in ('.h5', '.txt', 'no ending'))
    assert len(find([pictures])) == 16


@pytest.mark.slow
def test_a_command_tells_it_first_and_keeps_it(pictures, tmp_path):
    done = call('train', '--config=configs/finetune.py:smoke', f'--workdir={tmp_path}/run')
    assert done.code == 0, done.err
    # of the data themselves, the first time
    lines = [line for line in done.err.splitlines() if not line.startswith('drawing')]
    assert lines[0].split()[:3] == ['task', '4', 'classes:']
    table = next(i for i, line in enumerate(lines) if line.split()[:2] == ['parameters', 'numbers'])
    assert {line.split()[0] for line in lines[:table]} == {
        'task',
        'train',
        'validation',
        'test',
        'inputs',
        'statistics',
    }
    for phase in ('00-head', '01-all'):
        kept = dict(json.loads((tmp_path / 'run' / phase / 'data.json').read_text()))
        assert kept['train'].endswith('of each class') or ': ' in kept['train']
        assert kept['statistics'] == 'stored'


def test_unbalanced_classes_are_told_with_the_remedy():
    label = np.repeat([0, 1], [124, 5])
    told = dict(summary({'train': arrays(np.zeros((129, 2)), label, ('ants', 'bees'))}))
    assert told['train'] == '129 examples: ants 124, bees 5'
    assert (
        told['note'].startswith('classes have 5 to 124 training examples')
        and "class_weights='balanced'" in told['note']
    )
    assert 'note' not in dict(
        summary({'train': arrays(np.zeros((9, 2)), np.repeat([0, 1], [7, 2]), ('ants', 'bees'))})
    )
