"""Sets of several tasks: how they are joined, drawn, restricted and refused."""

import os
from pathlib import Path

import numpy as np
import pytest

from tljax.configuration import settings
from tljax.core import Task, UserError, known
from tljax.data import chosen_tasks, joint_tasks, multi_mnist, shuffled_task
from tljax.data.formats.arrays import arrays
from tljax.data.sets.mnist import mnist
from tljax.data.sets.multi_mnist import overlay
from tljax.data.several_tasks import structured, with_tasks
from tljax.data.splits import of_task, per_class, refuse_nothing_to_learn, signature
from tljax.data.streams import draw_tasks, training_stream
from tljax.data.summary import summary
from tljax.epochs import steps_of
from tljax.parts import load

NAMES = ('even', 'odd')


def rows(count, start=0):
    """Inputs that are their own numbers."""
    return np.repeat(np.arange(start, start + count, dtype='f')[:, None], 3, 1)


@pytest.fixture
def sets():
    """Three tasks of three kinds, with 12, 4 and 6 training examples."""
    rng = np.random.default_rng(0)
    tags = Task('labels', ('sea', 'sky', 'sun'))

    def splits(make):
        return {'train': make(0), 'test': make(1)}

    def parity(i):
        return arrays(rows(12, 100 * i), np.arange(12) % 2, NAMES)

    def number(i):
        return arrays(rows(4, 1000 + 100 * i), np.arange(4.0))

    def tagged(i):
        label = rng.integers(2, size=(6, 3)).astype('f')
        return arrays(rows(6, 2000 + 100 * i), label)._replace(task=tags)

    return {'parity': splits(parity), 'number': splits(number), 'tags': splits(tagged)}


def epoch_of(stream, steps, low, high):
    """Inputs between two numbers in the batches of some steps, in order."""
    inputs = np.concatenate([stream.batch(0, i)['input'][:, 0] for i in range(steps)])
    return inputs[(inputs >= low) & (inputs < high)]


def test_an_example_has_the_label_of_its_own_task_alone(sets):
    train = joint_tasks(sets)['train']
    assert train.size == 22 and train.task.names == ('parity', 'number', 'tags')
    assert [part.kind for part in train.task.tasks] == ['classes', 'numbers', 'labels']
    is_known = np.array([*known(train.label).values()])
    assert is_known.sum(0).tolist() == [1] * 22 and is_known.sum(1).tolist() == [12, 4, 6]
    batch = train.take(np.array([3, 14, 20, 0]))
    assert batch['input'][:, 0].tolist() == [3, 1002, 2004, 0]
    assert batch['label']['parity'].tolist() == [1, 0, 0, 0]
    assert batch['label']['number'].tolist() == [0, 2, 0, 0]  # no NaN, which a weight of 0 keeps
    for name, splits in sets.items():
        part = of_task(train, name)
        np.testing.assert_array_equal(part.label, splits['train'].label)
        assert part.task == splits['train'].task
        for key in ('input', 'label'):
            np.testing.assert_array_equal(
                part.take(np.arange(part.size))[key],
                splits['train'].take(np.arange(part.size))[key],
            )


def test_shares_fix_the_counts_and_every_set_has_epochs_of_its_own(sets):
    train = joint_tasks(sets, shares={'parity': 4, 'number': 2, 'tags': 2})['train']
    stream = draw_tasks(train, batch=8)
    for step in range(3):
        weight = stream.batch(0, step)['weight']
        assert [int((w > 0).sum()) for w in weight.values()] == [4, 2, 2]
        assert all(w.mean() == 1 for w in weight.values())
    # two steps pass the four numbers, three the twelve parities and the six tags
    assert sorted(epoch_of(stream, 2, 1000, 1100)) == [1000, 1001, 1002, 1003]
    assert sorted(epoch_of(stream, 3, 0, 100)) == list(range(12))
    assert sorted(epoch_of(stream, 3, 2000, 2100)) == [2000 + i for i in range(6)]
    orders = [epoch_of(stream, 12, 1000, 1100)[i : i + 4].tolist() for i in (0, 4, 8)]
    assert len({tuple(order) for order in orders}) > 1  # an epoch has an order of its own


def test_by_size_an_epoch_passes_every_example_once(sets):
    stream = draw_tasks(joint_tasks(sets)['train'], batch=11)
    assert sorted(epoch_of(stream, 2, 0, 10_000)) == sorted(
        [*range(12), *range(1000, 1004), *range(2000, 2006)]
    )


def test_a_task_absent_from_a_batch_has_weight_0(sets):
    stream = draw_tasks(joint_tasks(sets)['train'], batch=2)
    for step in range(10):
        for weight in stream.batch(0, step)['weight'].values():
            assert weight.mean() in (0, 1) and weight.dtype == np.float32


def test_equal_shares_are_as_equal_as_the_batch_allows(sets):
    stream = draw_tasks(joint_tasks(sets, shares='equal')['train'], batch=8)
    counts = [int((w > 0).sum()) for w in stream.batch(0, 0)['weight'].values()]
    assert counts == [3, 3, 2]
    # every half has a mixture, as devices get them
    first = [int((w[:4] > 0).sum()) for w in stream.batch(0, 0)['weight'].values()]
    assert min(first) >= 1


def test_budgets_count_labels_per_class_of_every_task(sets):
    pair = {'a': sets['parity'], 'b': sets['parity']}
    train = joint_tasks(pair, shares='equal')['train']
    chosen = per_class(train.label, 2, seed=0)
    assert [int(mask[chosen].sum()) for mask in known(train.label).values()] == [4, 4]
    drawn = np.unique(
        np.concatenate([draw_tasks(train, 8, k=2).index(0, i)['rows'] for i in range(9)])
    )
    assert len(drawn) == 8
    assert steps_of(settings(epochs=1, batch=4, per_class=2), train) == 2
    with pytest.raises(UserError, match='several labels or numbers each'):
        per_class(joint_tasks(sets)['train'].label, 2, seed=0)
    both = structured({'x': np.array([0, 1]), 'y': np.array([0, 1])})
    with pytest.raises(UserError, match='labels of several tasks each'):
        per_class(both, 1, seed=0)


def test_chosen_tasks_keep_their_examples_labels_and_shares(sets):
    joint = joint_tasks(sets, shares={'parity': 1, 'number': 1, 'tags': 2})
    train = chosen_tasks(joint, ['tags', 'number'])['train']
    assert train.task.names == ('tags', 'number') and train.size == 10
    assert train.shares == ((4, 1 / 3), (6, 2 / 3))
    assert train.take(np.arange(10))['input'][:, 0].min() == 1000
    alone = chosen_tasks(joint, ['parity'])['train']
    assert alone.shares == ((12, 1.0),) and alone.task.tasks[0].names == NAMES


def test_a_shuffled_task_has_the_same_labels_in_another_order(sets):
    joint = joint_tasks(sets)
    splits = shuffled_task(joint, like='parity', title='noise')
    label = splits['train'].label
    assert splits['train'].task.names == ('parity', 'number', 'tags', 'noise')
    is_known = known(label)
    np.testing.assert_array_equal(is_known['noise'], is_known['parity'])
    assert sorted(label['noise']) == sorted(label['parity'])
    assert (label['noise'] != label['parity']).any()
    again = shuffled_task(joint, like='parity', title='noise', seed=1)['train'].label
    assert (again['noise'] != label['noise']).any()


def test_data_are_said_in_words_and_hashed(sets):
    joint = joint_tasks(sets)
    facts = dict(summary(joint))
    assert facts['task'].startswith('3 tasks: parity (2 classes: even, odd), number (regression of')
    assert facts['train'] == '22 examples: parity 12, number 4, tags 6'
    changed = {
        **sets,
        'parity': {**sets['parity'], 'train': arrays(rows(12), 1 - np.arange(12) % 2, NAMES)},
    }
    assert signature(joint) == signature(joint_tasks(sets)) != signature(joint_tasks(changed))


def test_what_makes_no_set_of_several_tasks_is_refused_in_a_line(sets):
    unlabelled = {'train': sets['parity']['train']._replace(task=Task('unlabelled', NAMES))}
    wide = {'train': arrays(np.zeros((2, 5)), np.array([0, 1]), NAMES)}
    joint = joint_tasks(sets)
    for call, said in (
        (lambda: joint_tasks({'a': sets['parity']}), 'data.of has 1 sets: several tasks are two'),
        (lambda: joint_tasks({**sets, 'x': unlabelled}), 'data.of.x has no labels'),
        (lambda: joint_tasks({**sets, 'x': joint}), 'data.of.x has several tasks already'),
        (lambda: joint_tasks({**sets, 'x': wide}), r'different shapes \(parity \(3,\)'),
        (lambda: joint_tasks({**sets, 'a/b': sets['parity']}), "'a/b' has a slash in its name"),
        (lambda: joint_tasks(sets, {'paryti': 1}), 'data.shares.paryti is no task: did you mean'),
        (lambda: joint_tasks(sets, {'parity': 1}), 'data.shares.number=None: give every task'),
        (lambda: joint_tasks(sets, dict.fromkeys(sets, 0)), 'data.shares.parity=0: give every'),
        (lambda: joint_tasks(sets, 'even'), "data.shares='even' is not size, equal or"),
        (lambda: chosen_tasks(joint, ['tag']), "'tag' is no task: did you mean tags"),
        (lambda: chosen_tasks(joint, []), 'give one task or more, none twice'),
        (lambda: chosen_tasks(sets['parity'], ['a']), 'data.of has a single task'),
        (
            lambda: shuffled_task(joint, 'tag'),
            "data.like='tag' is no task of data.of: did you mean",
        ),
        (
            lambda: shuffled_task(joint, 'tags', 'parity'),
            "data.title='parity' is a task of data.of",
        ),
        (lambda: draw_tasks(joint_tasks(sets, 'equal')['train'], 2), 'batch=2 has no example of a'),
        (lambda: training_stream(joint['train'], 4, shuffled=True), 'shuffled=True: this data has'),
        (lambda: training_stream(joint['train'], 4, class_weights='balanced'), 'has no classes'),
    ):
        with pytest.raises(UserError, match=said):
            call()


def test_a_task_without_training_labels_or_with_equal_ones_is_refused():
    label = structured({'a': np.array([0, 1]), 'b': np.array([-1, -1])})
    task = Task.several(dict.fromkeys('ab', Task.of(NAMES)))
    inputs = arrays(rows(2), np.zeros(2))
    with pytest.raises(UserError, match='the task b has no labels in the training set'):
        refuse_nothing_to_learn(with_tasks(inputs, label, task))
    label['b'] = 1
    with pytest.raises(UserError, match='all 2 training examples are of the class odd'):
        refuse_nothing_to_learn(with_tasks(inputs, label, task))


def test_a_config_names_the_sets_of_several_tasks():
    sets = {
        'read': {'name': 'digits', 'size': 8},
        'print': {'name': 'glyphs', 'part': 'digits', 'size': 8, 'per_class': 10},
    }
    splits = load({'name': 'joint_tasks', 'of': sets, 'shares': 'equal'})
    assert splits['train'].task.names == ('read', 'print') and set(splits) >= {'train', 'test'}
    with pytest.raises(
        UserError, match='data.of.read.sizes is unknown to digits: did you mean size'
    ):
        load({'name': 'joint_tasks', 'of': {**sets, 'read': {'name': 'digits', 'sizes': 8}}})
    with pytest.raises(UserError, match='data.task=numbers: this data has several tasks'):
        load({'name': 'joint_tasks', 'of': sets, 'task': 'numbers'})


MNIST = Path(os.environ.get('TLJAX_DATA', 'nowhere'), 'mnist/raw')


@pytest.mark.slow
@pytest.mark.skipif(not MNIST.exists(), reason='TLJAX_DATA has no mnist/raw')
def test_multi_mnist_overlays_digits_of_one_split():
    splits, digits = multi_mnist(MNIST, size=36), mnist(MNIST)
    assert {name: split.size for name, split in splits.items()} == {
        name: split.size for name, split in digits.items()
    }
    for name, split in splits.items():
        some = np.arange(0, split.size, split.size // 50)
        pictures = split.take(some)['input'][..., 0]
        left = digits[name].take(some)
        # nothing lies over the first 8 rows and columns of the left digit
        np.testing.assert_array_equal(pictures[:, :8, :28], left['input'][:, :8, :, 0])
        np.testing.assert_array_equal(split.label['left'][some], left['label'])
        everything = digits[name].take(np.arange(digits[name].size))['input'][..., 0]
        corner = {}  # the lower right corner of every digit of this split
        for i, digit in enumerate(everything):
            corner.setdefault(digit[20:].tobytes(), []).append(i)
        for picture, label in zip(pictures, split.label['right'][some], strict=True):
            found = corner[np.ascontiguousarray(picture[28:, 8:]).tobytes()]
            assert label in digits[name].label[found]
    assert multi_mnist(MNIST, most=100)['train'].size == 100


def test_the_brighter_of_two_pixels_is_seen():
    left, right = np.zeros((2, 1, 28, 28), np.uint8)
    left[0, 10, 10], right[0, 2, 2] = 7, 9  # the same place of the picture
    picture = overlay(left, right)[0]
    assert picture.shape == (36, 36) and picture[10, 10] == 9 and picture.sum() == 9
