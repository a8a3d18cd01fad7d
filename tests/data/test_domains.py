"""Two domains as one data set."""
import numpy as np
from tiny import tiny
from tiny_sets import read_mnist, refused, rows, same, sizes

from tljax.build import build, load
from tljax.data.sets.usps import usps


def digits(root, name, **keywords):
    path = {'mnist': root / 'mnist', 'usps': root / 'usps.h5'}[name]
    return {'name': name, 'path': str(path), 'size': 8, 'validation': .25, **keywords}


def domains(source, target):
    return load({'name': 'domains', 'source': source, 'target': target})


def test_splits_of_two_domains(root):
    splits = domains(digits(root, 'mnist'), digits(root, 'usps'))
    source, target = read_mnist(root, 8), usps(root / 'usps.h5', 8, validation=.25)
    expected = {'train': source['train'], 'validation': source['validation'], 'test': target['test'], 'target': target['train']}
    assert {name: split.fingerprint for name, split in splits.items()} == {name: split.fingerprint for name, split in expected.items()}
    assert splits['train'].target is splits['target'] and splits['target'].target is None
    office = {'name': 'office_caltech', 'path': str(root)}
    assert list(domains({**office, 'domain': 'dslr'}, {**office, 'domain': 'webcam'})) == ['train', 'test', 'target']


def test_batches_carry_inputs_of_the_target_and_no_labels_of_it(root):
    run = build(tiny({'data': {'name': 'domains', 'source': digits(root, 'mnist'), 'target': digits(root, 'usps')},
                      'method': {'name': 'dann', 'width': 4}, 'batch': 15}))
    assert sizes(run.evals) == {'train': 30, 'validation': 10, 'test': 40, 'target': 30}
    batches = [run.stream.batch(seed=0, step=step) for step in range(2)]   # an epoch of either domain
    for batch in batches:
        assert set(batch) == {'input', 'label', 'target'} and set(batch['target']) == {'input'}
    same(tuple(np.concatenate([batch[key] for batch in batches]) for key in ('input', 'label')), *rows(run.evals, 'train'), ordered=False)
    target, _ = rows(run.evals, 'target')
    found = np.concatenate([batch['target']['input'] for batch in batches])
    assert sorted(row.tobytes() for row in found) == sorted(row.tobytes() for row in target)
    index = run.stream.index(0, 0)
    assert (index['source'] != index['target']).any()   # the domains have orders of their own


def test_domains_that_do_not_pair(root):
    refused(lambda: domains(digits(root, 'mnist'), digits(root, 'usps', size=16)),
            'inputs of the source are (8, 8, 1) and of the target (16, 16, 1): give both the same size and channels')
    refused(lambda: domains(digits(root, 'mnist'), {'name': 'office_caltech', 'path': str(root), 'domain': 'dslr'}),
            'the source tells 0, 1, 2', 'and the target backpack, bike', 'needs the same classes in the same order')
    refused(lambda: domains(digits(root, 'mnist'), digits(root, 'usps', sise=8)), 'data.target.sise is unknown to usps')
    refused(lambda: domains({'name': 'mnits'}, digits(root, 'usps')), "data.source.name='mnits' is unknown: did you mean mnist?")


def test_episodes_are_no_domain():
    refused(lambda: domains({'name': 'sine'}, {'name': 'sine'}), 'data.source')
