"""The embedded data sets, their splits, subsets of labels, and batches by random access."""

import unicodedata

import jax
import numpy as np
import pytest
from sklearn.datasets import load_digits
from trees import LABEL, sizes

from tljax.core import UserError
from tljax.data.formats.arrays import arrays
from tljax.data.sets.digits import digits
from tljax.data.sets.glyphs import characters, glyphs, render
from tljax.data.splits import cut, cut_missing, per_class
from tljax.data.streams import device_stream, draw, examples_of, with_keys
from tljax.data.wrappers.without_labels import without_labels
from tljax.parts import load


def test_no_character_with_a_numeric_value_is_among_the_letters():
    letters = characters('letters')
    assert len(letters) > 1000 and len(set(letters)) == len(letters)
    assert not [
        c
        for c in letters
        if unicodedata.category(c).startswith('N') or unicodedata.numeric(c, None) is not None
    ]
    assert not [c for c in letters if any(d.isdecimal() for d in unicodedata.normalize('NFKC', c))]


def test_no_letter_is_drawn_like_a_decimal_digit():
    shape = lambda c: (render(c) > 127).tobytes()  # noqa: E731
    assert not {shape(c) for c in characters('letters')} & {
        shape(c) for c in characters('decimals')
    }


def test_decimal_digits_are_there_apart():
    splits = glyphs('digits', size=8, per_class=10)
    assert splits['train'].classes == tuple('0123456789')
    decimals = characters('decimals')
    assert set('0123456789٣໕') <= set(decimals) and all(
        unicodedata.decimal(c, None) is not None for c in decimals
    )


def test_glyphs_are_the_same_whenever_they_are_drawn(tmp_path, monkeypatch):
    monkeypatch.setenv('TLJAX_CACHE', str(tmp_path / 'one'))
    one = glyphs(size=8, classes=5, per_class=10)
    monkeypatch.setenv('TLJAX_CACHE', str(tmp_path / 'two'))
    two = glyphs(size=8, classes=5, per_class=10)
    assert one['train'].fingerprint == two['train'].fingerprint
    pictures = one['train'].take(np.arange(one['train'].size))['input']
    assert pictures.shape == (40, 8, 8, 1) and pictures.min() == 0 and 0 < pictures.mean() < 0.7
    assert len({picture.tobytes() for picture in pictures}) == 40, 'every picture varies'


def test_digits_are_those_of_scikit_learn_in_disjoint_splits():
    splits = digits(size=8)
    everything = np.concatenate(
        [split.take(np.arange(split.size))['input'] for split in splits.values()]
    )
    known = load_digits().images / 16
    assert sorted(map(bytes, (everything[..., 0] * 16).round().astype(np.uint8))) == sorted(
        map(bytes, (known * 16).astype(np.uint8))
    )
    for split, share in (('validation', 0.2), ('test', 0.3)):
        np.testing.assert_allclose(
            np.bincount(splits[split].label), share * np.bincount(load_digits().target), atol=0.5
        )


def test_a_cut_is_by_class_disjoint_and_seeded():
    label = np.repeat(np.arange(3), [10, 20, 30])
    data = arrays(np.arange(60.0), label, 'abc')
    one, two, other = (cut(data, {'validation': 0.1, 'test': 0.2}, seed) for seed in (0, 0, 1))
    rows = {
        name: split.take(np.arange(split.size))['input'].tolist() for name, split in one.items()
    }
    assert sorted(sum(rows.values(), [])) == list(range(60))
    assert np.bincount(one['test'].label).tolist() == [2, 4, 6] and np.bincount(
        one['validation'].label
    ).tolist() == [1, 2, 3]
    assert two['test'].fingerprint == one['test'].fingerprint != other['test'].fingerprint


@pytest.mark.parametrize('k', [1, 2, 5, 9])
def test_label_subsets_are_nested_balanced_and_seeded(k):
    label = np.random.default_rng(0).integers(0, 4, 200)
    small, large, all_of_them = (
        set(per_class(label, n, seed=3).tolist()) for n in (k, k + 1, None)
    )
    assert small < large < all_of_them and len(all_of_them) == 200
    assert np.bincount(label[sorted(small)]).tolist() == [k] * 4
    assert small != set(per_class(label, k, seed=4).tolist())


def test_examples_without_labels_are_drawn_whatever_their_classes():
    known = {'train': arrays(np.arange(120.0), np.repeat([0, 1], [20, 100]), 'ab')}
    withheld = without_labels(known)
    train = withheld['train']
    assert (train.size, train.task.kind) == (120, 'unlabelled')
    small, large = (set(per_class(train.label, k, seed=3).tolist()) for k in (40, 80))
    assert small < large and len(small) == 40
    assert small != set(per_class(train.label, 40, seed=4).tolist())
    assert np.bincount(known['train'].label[sorted(small)]).tolist() != [20, 20]
    drawn = examples_of(train, seed=3, k=40).take(np.arange(40))
    assert drawn['label'].tolist() == [-1] * 40
    rows = sorted(small)
    assert drawn['input'].tolist() == known['train'].take(np.array(rows))['input'].tolist()
    with pytest.raises(UserError, match='per_class=121: there are 120 examples without labels'):
        per_class(train.label, 121, seed=0)


def test_batches_cover_each_epoch_once_and_depend_on_seed_and_step_alone():
    data = arrays(np.arange(30.0), np.arange(30) % 3, 'abc')
    source, again = draw(data, batch=8), draw(data, batch=8)
    rows = np.concatenate([source.index(5, step) for step in range(15)])
    assert all(sorted(rows[start : start + 30]) == list(range(30)) for start in range(0, 120, 30))
    np.testing.assert_array_equal(again.index(5, 11), source.index(5, 11))
    assert source.index(5, 0).tolist() != source.index(6, 0).tolist()
    few = draw(data, batch=8, k=1)
    assert len(np.unique(np.concatenate([few.index(5, step) for step in range(9)]))) == 3, (
        'a batch larger than the subset repeats it'
    )


def test_shuffled_labels_keep_their_counts_and_lose_their_meaning():
    data = arrays(np.arange(3000.0), np.arange(3000) % 3, 'abc')
    batch = (shuffled := draw(data, batch=3000, shuffled=True)).batch(0, 0)
    assert np.bincount(batch['label']).tolist() == [1000] * 3
    assert abs((batch['label'] == batch['input'] % 3).mean() - 1 / 3) < 0.03
    later = shuffled.batch(0, 1)
    order = lambda each: each['label'][np.argsort(each['input'])].tolist()  # noqa: E731
    assert order(batch) == order(later), 'an example keeps its wrong label'
    assert order(batch) != order(shuffled.batch(1, 0)), 'another seed draws another permutation'


@pytest.mark.parametrize('shuffled', [False, True], ids=['labels', 'shuffled labels'])
def test_seeds_may_share_a_draw_of_labels(shuffled):
    data, draws = arrays(np.arange(60.0), np.arange(60) % 3, 'abc'), {7: 1, 8: 1, 9: 2}
    stream = draw(data, batch=12, k=4, shuffled=shuffled, draws=draws)
    drawn, order = {}, {}
    for seed in draws:
        batch = stream.batch(seed, 0)  # an epoch
        pairs = [*zip(batch['input'].tolist(), batch['label'].tolist(), strict=True)]
        drawn[seed], order[seed] = sorted(pairs), pairs
        examples = examples_of(data, seed, 4, shuffled, draws=draws).take(np.arange(12))
        same = zip(examples['input'].tolist(), examples['label'].tolist(), strict=True)
        assert sorted(same) == drawn[seed]
    assert drawn[7] == drawn[8] != drawn[9] and order[7] != order[8]
    batch = draw(data, batch=12, k=4, shuffled=shuffled).batch(1, 0)
    assert sorted(batch['input'].tolist()) == [input for input, _ in drawn[7]]


def test_keys_of_examples_are_all_different_and_reproducible():
    source = with_keys(draw(arrays(np.arange(30.0), np.arange(30)), batch=30), lambda batch: batch)
    keys = np.concatenate(
        [source.batch(seed, step)['key'] for seed in range(3) for step in range(3)]
    )
    assert len(np.unique(keys, axis=0)) == 270
    np.testing.assert_array_equal(source.batch(1, 2)['key'], source.batch(1, 2)['key'])


def test_shuffled_labels_of_a_subset_keep_its_counts():
    data = arrays(np.arange(300.0), np.arange(300) % 3, 'abc')
    assert np.bincount(draw(data, batch=6, k=2, shuffled=True).batch(0, 0)['label']).tolist() == [
        2,
        2,
        2,
    ]


def test_examples_made_on_the_device_depend_on_their_key_alone():
    source = device_stream(
        lambda key: {'input': jax.random.normal(key, (2,)), 'label': jax.random.bernoulli(key)},
        batch=6,
    )
    whole = source.batch(seed=1, step=4)
    half = jax.jit(source.prepare)(source.take(source.index(1, 4)[3:]))
    np.testing.assert_allclose(whole['input'][3:], half['input'], rtol=1e-6)
    assert (
        len(np.unique(np.concatenate([source.batch(1, step)['input'][:, 0] for step in range(4)])))
        == 24
    )


@pytest.mark.parametrize(
    'input, label, classes, said',
    [
        (np.zeros(3), np.zeros(2, int), 'a', '3 inputs but 2 labels'),
        (np.zeros(2), np.array([0, 2]), 'ab', 'labels run from 0 to 2 but there are 2 classes'),
        (np.array([0, np.nan]), np.zeros(2, int), 'a', '1 input values are not finite'),
    ],
)
def test_arrays_that_do_not_fit_are_refused(input, label, classes, said):
    with pytest.raises(UserError, match=said):
        arrays(input, label, classes)


def test_complete_leaves_given_splits_alone():
    whole = arrays(np.arange(20), LABEL, ('a', 'b'))
    given = {'train': whole, 'validation': whole, 'test': whole}
    splits = cut_missing(given, 0.1, 0.2, 0, 'toy')
    assert sizes(splits) == {'train': 20, 'validation': 20, 'test': 20} and splits['test'] is whole


@pytest.mark.parametrize('sizes, lacking', [((8, 8, 3, 4), set()), ((8, 8, 2, 1), {2, 3})])
def test_every_class_of_three_or_more_stands_in_every_split(sizes, lacking):
    label = np.repeat(np.arange(len(sizes)), sizes)
    for seed in range(5):
        splits = cut(
            arrays(np.arange(len(label)), label, 'abcd'), {'validation': 0.1, 'test': 0.2}, seed
        )
        assert set(splits['train'].label) == {0, 1, 2, 3}
        for name in ('validation', 'test'):
            assert set(splits[name].label) == {0, 1, 2, 3} - lacking
        rows = np.concatenate(
            [split.take(np.arange(split.size))['input'] for split in splits.values()]
        )
        assert sorted(rows) == list(range(len(label)))


@pytest.mark.parametrize(
    'stored, said',
    [
        (
            {'label': np.zeros(20, int)},
            'all 14 training examples are of the class 0: there is nothing to learn',
        ),
        ({'label': np.zeros(20, int), 'classes': ['ants', 'bees']}, 'of the class ants'),
        ({'label': np.full(20, 3.0)}, 'all 14 training labels are 3.0'),
        ({'label': np.full((20, 2), 3.0)}, r'all 14 training labels are \[3. 3.\]'),
    ],
)
def test_a_task_with_nothing_to_learn_is_refused(stored, said, tmp_path):
    np.savez(tmp_path / 'a.npz', input=np.zeros((20, 2), 'f'), **stored)
    with pytest.raises(UserError, match=said):
        load({'name': 'npz', 'path': str(tmp_path / 'a.npz')})
