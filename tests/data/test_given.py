"""Data that are given in Python, and data that change under a name: nothing old or unlike is taken
for what is asked."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import tljax
from tljax.core import UserError
from tljax.data.formats.arrays import arrays

RNG = np.random.default_rng(0)
Y = np.arange(40) % 2
X = (RNG.normal(size=(40, 4)) + 3 * Y[:, None]).astype('f')
SMALL = dict(net={'name': 'mlp', 'widths': (4,)}, steps=20, batch=8, optim={'lr': 1e-2})


def splits(**changes):
    return {'train': arrays(X, Y, ['a', 'b']), 'test': arrays(X, Y, ['a', 'b'])} | changes


@pytest.mark.parametrize(
    'data, message',
    [
        (
            splits(test=arrays(X, 1 - Y, ['b', 'a'])),
            'the test split has the classes b, a, train has the classes a, b',
        ),
        (splits(test=arrays(X, Y, ['c', 'd'])), 'has the classes c, d'),
        (splits(test=arrays(X, Y * 2, ['a', 'b', 'c'])), 'has the classes a, b, c'),
        (splits(test=arrays(X, Y * 1.0)), 'the test split has numbers, train has the classes a, b'),
        (
            splits(test=arrays(X[:, :3], Y, ['a', 'b'])),
            r'inputs of the test split are \(3,\), those of train \(4,\)',
        ),
        (splits(train=arrays(X, 0 * Y, ['a', 'b'])), 'all 40 training examples are of the class a'),
        ({'train': arrays(X, np.ones(40))}, 'all 40 training labels are 1.0'),
        (
            {'train': (X, Y)},
            'the train split is of type tuple: make a Dataset of it by tljax.data.arrays',
        ),
        ({'test': arrays(X, Y, ['a', 'b'])}, 'have no train: test'),
        ((X, Y), 'data is of type tuple'),
        (
            {
                name: arrays(RNG.uniform(0, white, (8, 4, 4, 1)), Y[:8], ['a', 'b'])
                for name, white in (('train', 255), ('test', 1))
            },
            'pictures of train run to 25.* and those of test to 0.9',
        ),
    ],
)
def test_splits_that_are_unlike_are_refused(data, message, tmp_path):
    with pytest.raises(UserError, match=message):
        tljax.train(data=data, workdir=tmp_path / 'run', **SMALL)
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    'label, classes, found',
    [
        (['b', 'a', 'b'], ['a', 'b'], [1, 0, 1]),
        ([True, False, True], ['a', 'b'], [1, 0, 1]),
        (np.eye(2)[[1, 0, 1]], ['a', 'b'], [1, 0, 1]),
        ([[1], [0], [1]], ['a', 'b'], [1, 0, 1]),
        ([1.0, 0.0, 1.0], ['a', 'b'], [1, 0, 1]),
    ],
)
def test_labels_of_arrays_by_name_mark_or_number(label, classes, found):
    made = arrays(np.zeros((3, 2)), label, classes)
    assert (
        made.label.tolist() == found == made.take(np.arange(3))['label'].tolist()
        and made.task.kind == 'classes'
    )


@pytest.mark.parametrize(
    'label, classes, message',
    [
        (['b', 'c'], ['a', 'b'], 'the train labels hold c, which is no class'),
        (['b', 'c'], (), 'name the classes'),
        ([1.0, np.nan], (), 'finite numbers: name the classes .*, or clean them'),
        ([0, 1], ['a', 'a'], 'a name twice'),
        ([0, 2], ['a', 'b'], 'labels run from 0 to 2'),
    ],
)
def test_labels_of_arrays_that_are_refused(label, classes, message):
    with pytest.raises(UserError, match=message):
        arrays(np.zeros((2, 2)), label, classes)


def test_a_file_that_is_written_again_is_read_again(tmp_path):
    file, data = tmp_path / 'a.npz', {'name': 'npz', 'path': str(tmp_path / 'a.npz')}
    np.savez(file, input=X, label=Y, classes=['cat', 'dog'])
    assert tljax.train(data=data, workdir=tmp_path / '0', **SMALL).classes == ('cat', 'dog')
    np.savez(file, input=X[:, :3], label=Y, classes=['red', 'blue'])
    model = tljax.train(data=data, workdir=tmp_path / '1', **SMALL)
    assert model.classes == ('red', 'blue') and model.record['input'] == [3]


@pytest.mark.slow
def test_a_folder_that_grows_is_read_again(tmp_path):
    def write(*names):
        for name in names:
            (tmp_path / 'set' / name).mkdir(parents=True)
            for i in range(6):
                Image.fromarray(RNG.integers(0, 256, (8, 8), np.uint8)).save(
                    tmp_path / 'set' / name / f'{i}.png'
                )

    data = {'name': 'folder', 'path': str(tmp_path / 'set'), 'size': 8}
    small = dict(SMALL, data=data, net={'name': 'conv4', 'width': 4, 'blocks': 1, 'size': 8})
    write('a', 'b')
    assert tljax.train(workdir=tmp_path / '0', **small).classes == ('a', 'b')
    write('c')
    assert tljax.train(workdir=tmp_path / '1', **small).classes == ('a', 'b', 'c')
    with pytest.raises(
        UserError,
        match='belongs to another config .the data have changed: other examples, labels or classes',
    ):
        tljax.train(workdir=tmp_path / '0', **small)


def test_a_finished_run_is_not_taken_for_one_of_other_names_or_labels(tmp_path):
    tljax.train(data={'train': arrays(X, Y, ['cat', 'dog'])}, workdir=tmp_path / 'run', **SMALL)
    assert tljax.train(
        data={'train': arrays(X, Y, ['cat', 'dog'])}, workdir=tmp_path / 'run', **SMALL
    ).classes == ('cat', 'dog')
    for other in (arrays(X, Y, ['dog', 'cat']), arrays(X, 1 - Y, ['cat', 'dog'])):
        with pytest.raises(UserError, match='the data have changed'):
            tljax.train(data={'train': other}, workdir=tmp_path / 'run', **SMALL)


def test_inputs_of_any_kind_of_array_are_told(tmp_path):
    model = tljax.train(data={'train': arrays(X, Y, ['a', 'b'])}, workdir=tmp_path, **SMALL)
    expected = model.predict(X)
    for same in (jnp.asarray(X), X.tolist(), list(X)):
        np.testing.assert_allclose(model.predict(same), expected, rtol=1e-6)
    with pytest.raises(
        UserError,
        match=r'inputs are \(4,\): this model takes \(n, 4\), and one is inputs.None.',
    ):
        model.predict(X[0])
    with pytest.raises(UserError, match='there are no inputs'):
        model.predict(X[:0])
