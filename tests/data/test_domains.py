"""Two domains as one data set."""

import jax
import numpy as np
import pytest
from tiny import tiny
from tiny_sets import read_mnist, refused, rows, same, sizes
from trees import save, tree

from tljax.build import build, load
from tljax.core import Task
from tljax.data import arrays, unlabelled
from tljax.data import domains as paired
from tljax.data.sets.usps import usps
from tljax.data.splits import scored_splits
from tljax.data.summary import summary
from tljax.engine.train import fit


def digits(root, name, **keywords):
    path = {'mnist': root / 'mnist', 'usps': root / 'usps.h5'}[name]
    return {'name': name, 'path': str(path), 'size': 8, 'validation': 0.25, **keywords}


def domains(source, target):
    return load({'name': 'domains', 'source': source, 'target': target})


def test_splits_of_two_domains(root):
    splits = domains(digits(root, 'mnist'), digits(root, 'usps'))
    source, target = read_mnist(root, 8), usps(root / 'usps.h5', 8, validation=0.25)
    expected = {
        'train': source['train'],
        'validation': source['validation'],
        'test': target['test'],
        'target': target['train'],
    }
    assert {name: split.fingerprint for name, split in splits.items()} == {
        name: split.fingerprint for name, split in expected.items()
    }
    assert splits['train'].target is splits['target'] and splits['target'].target is None
    office = {'name': 'office_caltech', 'path': str(root)}
    assert list(domains({**office, 'domain': 'dslr'}, {**office, 'domain': 'webcam'})) == [
        'train',
        'test',
        'target',
    ]


def test_batches_carry_inputs_of_the_target_and_no_labels_of_it(root):
    run = build(
        tiny(
            {
                'data': {
                    'name': 'domains',
                    'source': digits(root, 'mnist'),
                    'target': digits(root, 'usps'),
                },
                'method': {'name': 'dann', 'width': 4},
                'batch': 15,
            }
        )
    )
    assert sizes(run.evals) == {'train': 30, 'validation': 10, 'test': 40, 'target': 30}
    # an epoch of either domain
    batches = [run.stream.batch(seed=0, step=step) for step in range(2)]
    for batch in batches:
        assert set(batch) == {'input', 'label', 'target'} and set(batch['target']) == {'input'}
    same(
        tuple(np.concatenate([batch[key] for batch in batches]) for key in ('input', 'label')),
        *rows(run.evals, 'train'),
        ordered=False,
    )
    target, _ = rows(run.evals, 'target')
    target_inputs = np.concatenate([batch['target']['input'] for batch in batches])
    assert sorted(row.tobytes() for row in target_inputs) == sorted(row.tobytes() for row in target)
    index = run.stream.index(0, 0)
    assert (index['source'] != index['target']).any()  # the domains have orders of their own


def test_domains_that_do_not_pair(root):
    refused(
        lambda: domains(digits(root, 'mnist'), digits(root, 'usps', size=16)),
        'inputs of the source are (8, 8, 1) and of the target (16, 16, 1): give both the same size '
        'and channels',
    )
    refused(
        lambda: domains(
            digits(root, 'mnist'), {'name': 'office_caltech', 'path': str(root), 'domain': 'dslr'}
        ),
        'inputs of the source are (8, 8, 1) and of the target (800,)',
    )
    refused(
        lambda: domains(digits(root, 'mnist'), digits(root, 'usps', sise=8)),
        'data.target.sise is unknown to usps',
    )
    refused(
        lambda: domains({'name': 'mnits'}, digits(root, 'usps')),
        "data.source.name='mnits' is unknown: did you mean mnist?",
    )


def test_episodes_are_no_domain():
    refused(lambda: domains({'name': 'sine'}, {'name': 'sine'}), 'data.source')


def splits_of(names, classes, start=0):
    """Splits of one number an example: start + 10 times the place of its class in the alphabet."""
    label = np.repeat(np.arange(len(classes)), 4)
    place = np.array(['abcdef'.index(name) for name in classes])[label]
    input = (start + 10 * place + np.tile(np.arange(4), len(classes)))[:, None].astype('f')
    return {name: arrays(input, label, classes) for name in names}


ALL = ('train', 'validation', 'test')


def by_name(split):
    """{class: places in the alphabet of its examples}."""
    batch = split.take(np.arange(split.size))
    assert batch['label'].tolist() == split.label.tolist()
    return {
        split.classes[i]: set((batch['input'][split.label == i] // 10).ravel().tolist())
        for i in np.unique(split.label)
    }


def relabelled(splits, change):
    """The splits with other labels."""
    return {
        name: split._replace(
            label=change(split.label),
            take=lambda index, split=split: {
                **split.take(index),
                'label': change(split.label)[index],
            },
        )
        for name, split in splits.items()
    }


def equal(params, other_params):
    return all(
        (a == b).all() for a, b in zip(*map(jax.tree.leaves, (params, other_params)), strict=True)
    )


def test_classes_are_matched_by_name():
    splits = paired(splits_of(ALL, 'abc'), splits_of(ALL, 'cab'))
    for split in (splits['train'], splits['test'], splits['target'], splits['train'].target):
        assert split.classes == tuple('abc') and by_name(split) == {'a': {0}, 'b': {1}, 'c': {2}}
    assert splits['train'].notes == ()


def test_a_target_with_some_of_the_classes_is_told_and_trained_as_it_is():
    splits = paired(splits_of(ALL, 'abc'), splits_of(ALL, 'ca'))
    assert splits['train'].notes == ('the target has no examples of b',)
    assert splits['target'].classes == tuple('abc')
    assert by_name(splits['target']) == {'a': {0}, 'c': {2}}
    assert by_name(splits['train']) == {'a': {0}, 'b': {1}, 'c': {2}}
    assert ('note', 'the target has no examples of b') in summary(splits)


def test_a_target_with_further_classes_is_refused_or_cut_down():
    source = splits_of(ALL, 'abc')
    refused(
        lambda: paired(source, splits_of(ALL, 'cde')),
        'the target has classes that the source lacks: d, e',
        'shared=True of the domains',
    )
    splits = paired(source, splits_of(ALL, 'cbd'), shared=True)
    assert splits['train'].notes == (
        'a of the source is left aside',
        'd of the target is left aside',
    )
    for name in ('train', 'validation', 'test', 'target'):
        assert splits[name].classes == ('b', 'c') and by_name(splits[name]) == {'b': {1}, 'c': {2}}
    for shared in (False, True):
        refused(
            lambda shared=shared: paired(source, splits_of(ALL, 'def'), shared=shared),
            'no class is in both',
            "name='unlabelled'",
        )
    lower, upper = (
        {
            name: split._replace(task=Task.of(classes))
            for name, split in splits_of(ALL, 'ab').items()
        }
        for classes in (('ant', 'bee'), ('ant', 'beee'))
    )
    refused(lambda: paired(lower, upper), 'beee (did you mean bee?)')


@pytest.fixture
def folders(tmp_path):
    """A source of two classes, and pictures without labels in folders that mean nothing."""
    tree(tmp_path / 'source')
    for i in range(6):
        save(tmp_path / 'target' / ('' if i % 2 else f'batch{i}') / f'{i}.png', 900 + i)
    return tmp_path


def test_a_target_without_labels(folders):
    target = {'name': 'unlabelled', 'path': str(folders / 'target'), 'size': 6}
    splits = domains({'name': 'folder', 'path': str(folders / 'source'), 'size': 6}, target)
    assert sizes(splits) == {'train': 14, 'validation': 2, 'target': 6}
    assert list(scored_splits(splits)) == ['train', 'validation']
    assert splits['target'].task == Task('unlabelled', ('cat', 'dog'))
    assert {name.rpartition('/')[2] for name in splits['target'].names} == {
        f'{i}.png' for i in range(6)
    } and set(splits['target'].label) == {-1}
    lines = dict(summary(splits))
    assert lines['target'] == '6 examples without labels'
    assert lines['note'] == 'the target has no labels: it is judged without them'
    refused(lambda: paired(splits, {'train': splits['target']}, shared=True), 'data.shared=True')
    refused(lambda: paired({'train': splits['target']}, splits), 'the source has no labels')


def test_what_is_no_folder_without_labels(folders, tmp_path):
    refused(lambda: unlabelled(folders / 'nowhere', 6), 'nowhere does not exist')
    (tmp_path / 'empty').mkdir()
    refused(lambda: unlabelled(tmp_path / 'empty', 6), 'holds no pictures')
    refused(lambda: unlabelled(folders / 'target', 6, channels=2), 'data.channels=2')
    data = {'name': 'unlabelled', 'path': str(folders / 'target'), 'size': 8, 'channels': 1}
    refused(
        lambda: build(tiny({'data': data})),
        "method.name='finetune' learns from labels, and these examples have none",
    )


@pytest.mark.parametrize('method', ['dann', 'adabn'])
def test_labels_of_the_target_change_nothing_in_training(method, tmp_path):
    source, target = (splits_of(ALL, 'abc', start) for start in (0, 1))
    settings = tiny(
        {
            'net': {'name': 'mlp', 'widths': [3], 'norm': 'batch'},
            'method': {'name': method},
            'steps': 2,
        }
    )
    params, other_params = (
        fit(build(settings, splits=paired(source, target_splits)), tmp_path / str(i)).params
        for i, target_splits in enumerate((target, relabelled(target, lambda x: (x + 1) % 3)))
    )
    assert equal(params, other_params)


def test_a_method_that_takes_the_network_of_the_source_sees_no_label_of_the_target(tmp_path):
    settings = {'net': {'name': 'mlp', 'widths': [3]}, 'steps': 2}
    source, target = (splits_of(ALL, 'abc', start) for start in (0, 1))
    fit(build(tiny(settings), splits=source), tmp_path / 'source')
    donor = {'path': str(tmp_path / 'source'), 'rules': [['.*', None]]}
    shot = {'method': {'name': 'shot'}, 'pseudo': {'name': 'centroids'}, 'init': donor}
    bare = {'train': target['train']._replace(task=Task('unlabelled'), label=np.full(12, -1))}
    params = []
    for i, target_splits in enumerate((target, relabelled(target, lambda x: 0 * x), bare)):
        splits = paired(source, target_splits, alone=True)
        assert splits['train'].target is None and splits['train'].classes == tuple('abc')
        params.append(fit(build(tiny(settings, shot), splits=splits), tmp_path / str(i)).params)
    assert equal(params[0], params[1]) and equal(params[0], params[2])


def test_domains_that_ask_for_other_tasks_are_refused():
    classes = {'train': arrays(np.zeros((2, 1)), np.array([0, 1]), ('a', 'b'))}
    numbers = {'train': arrays(np.zeros((2, 1)), np.array([0.5, 1.5]))}
    refused(
        lambda: paired(classes, numbers), 'the source asks for classes and the target for numbers'
    )


def test_classes_are_matched_whatever_their_case():
    label = np.arange(6) % 2
    source = {'train': arrays(np.eye(6), label, ('cat', 'dog'))}
    target = {name: arrays(np.eye(6), label, ('Dog', 'Cat ')) for name in ('train', 'test')}
    splits = paired(source, target)
    assert (
        splits['test'].classes == ('cat', 'dog')
        and splits['test'].label.tolist() == (1 - label).tolist()
    )
    assert splits['train'].notes == (
        'the classes of the target are called as those of the source: Dog is dog, Cat  is cat',
    )


def test_several_labels_of_an_example_are_matched_by_name():
    rows = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1]], np.float32)
    source = {'train': arrays(np.zeros((4, 1)), rows, ('a', 'b', 'c'))}
    target = {
        name: arrays(np.zeros((4, 1)), rows[:, [2, 0, 1]], ('c', 'a', 'b'))
        for name in ('train', 'test')
    }
    splits = paired(source, target)
    assert splits['test'].task == Task('labels', ('a', 'b', 'c'))
    assert splits['test'].label.tolist() == rows.tolist()
    assert splits['test'].take(np.array([2]))['label'].tolist() == [[0, 0, 1]]
    fewer = {'train': arrays(np.zeros((4, 1)), rows[:, [1, 0]], ('b', 'a'))}
    refused(lambda: paired(source, fewer), 'no column for the labels c', 'shared=True')
    splits = paired(source, fewer, shared=True)
    assert splits['train'].task == splits['target'].task == Task('labels', ('a', 'b'))
    assert splits['train'].label.tolist() == splits['target'].label.tolist()
    assert splits['train'].notes[-1] == 'c of the source is left aside'
