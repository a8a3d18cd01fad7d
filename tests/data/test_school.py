"""The School data: what is read is what was written, and what is published of it."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from tiny_sets import refused, rows, sizes

from tljax.data.sets.school import school

DATA = Path(os.environ.get('TLJAX_DATA', 'data'))


def write(path, schools=139, sizes=(5, 9), seed=0, **changed):
    """A file in the layout of school.mat; its pupils and scores."""
    rng = np.random.default_rng(seed)
    x, y = np.empty(schools, object), np.empty(schools, object)
    for i in range(schools):
        n = rng.integers(*sizes)
        x[i] = rng.integers(0, 256, (n, 28), np.uint8)
        y[i] = rng.integers(1, 71, (n, 1), np.uint8)
    savemat(path, {'X': x, 'Y': y, **changed})
    return x, y


def test_a_school_is_read_as_it_was_written(tmp_path):
    x, y = write(tmp_path / 'school.mat')
    for number in (1, 77, 139):
        splits = school(tmp_path / 'school.mat', number)
        input, label = rows(splits, 'train', 'validation', 'test')
        assert input.dtype == label.dtype == np.float32
        found = sorted(map(tuple, np.column_stack([input, label])))
        expected = np.column_stack([x[number - 1], y[number - 1]]).astype(float)
        assert found == sorted(map(tuple, expected))


def test_another_file_of_the_same_name_is_read_again(tmp_path):
    path = tmp_path / 'school.mat'
    for seed in (0, 1):
        _, y = write(path, seed=seed)
        os.utime(path, ns=(seed, seed))
        assert sorted(rows(school(path, 5), 'train', 'validation', 'test')[1]) == sorted(y[4])


def test_files_and_numbers_that_do_not_fit(tmp_path):
    path = tmp_path / 'school.mat'
    refused(lambda: school(path, 1), path, 'does not exist: give data.path the file school.mat')
    write(path)
    for number in (0, 140, 1.5):
        refused(lambda: school(path, number), f'data.number={number} is no school: give a number')
    write(path, schools=138)
    refused(lambda: school(path, 1), 'it has 138 and 138 schools, not 139')
    write(path, Y=np.zeros((3, 1)))
    refused(lambda: school(path, 1), 'it has 139 and 3 schools')
    content = path.read_bytes()
    for damaged in (b'', b'no such format\n' * 20, content[: len(content) // 2]):
        path.write_bytes(damaged)
        refused(lambda: school(path, 1), path, 'copy it again; give data.path')
    savemat(path, {'X': np.zeros(3)})
    refused(lambda: school(path, 1), 'KeyError')


@pytest.mark.skipif('TLJAX_DATA' not in os.environ, reason='TLJAX_DATA is not set')
def test_the_real_schools():
    path = DATA / 'school' / 'school.mat'
    assert sizes(school(path, 1)) == {'train': 140, 'validation': 20, 'test': 40}
    parts = [rows(school(path, i), 'train', 'validation', 'test') for i in range(1, 140)]
    assert sorted(len(y) for _, y in parts)[::138] == [22, 251]
    input, label = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    assert input.shape == (15_362, 28) and (input[:, -1] == 1).all()
    assert (label.min(), label.max()) == (1, 70)
    for block in ((0, 3), (5, 7), (10, 21), (21, 24), (24, 27)):
        assert (input[:, slice(*block)].sum(1) == 1).all(), block
    assert (input[:, 7:10].sum(1) == 0).sum() == 15
