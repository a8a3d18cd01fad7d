"""Episodes: nothing twice, everything as often, the same for a key wherever it is computed;
Omniglot's splits and runs."""

import os
import re
import zipfile
from io import BytesIO
from pathlib import Path

import jax
import numpy as np
import pytest
from commands import call, error
from PIL import Image
from scipy.stats import chisquare

from tljax.core import UserError
from tljax.data import digits, glyphs
from tljax.data.class_splits import cut_by_class
from tljax.data.formats.arrays import arrays
from tljax.data.sets.omniglot import omniglot, one_shot_runs
from tljax.data.wrappers.episodes import episode_dataset, episode_sampler, episodes
from tljax.data.wrappers.more_classes import more_classes

DATA = Path(os.environ.get('TLJAX_DATA', 'data'), 'omniglot')
real = pytest.mark.skipif(not DATA.exists(), reason='TLJAX_DATA has no omniglot')


def numbered(counts=(4, 6, 5, 4, 9)):
    """A set whose inputs are their own row numbers, classes of different sizes and in no order."""
    label = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    return arrays(
        np.arange(len(label), dtype='f')[:, None], label, [f'class {i}' for i in range(len(counts))]
    )


def test_no_class_and_no_picture_comes_twice_and_all_come_as_often():
    data = numbered()
    batch = jax.device_get(
        jax.jit(jax.vmap(episode_sampler(data, ways=3, shots=1, queries=2)))(
            jax.random.split(jax.random.key(0), 3000)
        )
    )
    rows = np.concatenate(
        [batch[part]['input'][..., 0] for part in ('support', 'query')], -1
    ).astype(int)
    classes = data.label[rows]
    assert (classes == classes[..., :1]).all(), 'a way is one class'
    assert all(len(set(way)) == 3 for way in classes[..., 0]), 'and no two ways the same'
    assert all(len(set(episode.ravel())) == 9 for episode in rows)
    assert chisquare(np.bincount(classes[..., 0].ravel())).pvalue > 1e-3
    for number in range(len(data.classes)):
        for place in (rows[..., 0], rows[..., 2]):  # support, and a query
            seen = np.bincount(place[data.label[place] == number], minlength=data.size)[
                data.label == number
            ]
            assert chisquare(seen).pvalue > 1e-4
    assert (batch['query']['label'] == np.arange(3)[:, None]).all()


def test_classes_are_turned_and_a_class_and_its_turn_may_meet():
    pictures = np.random.default_rng(0).integers(256, size=(6, 5, 5, 1)).astype('f')
    data = arrays(pictures, np.repeat(np.arange(2), 3), 'ab')
    batch = jax.jit(jax.vmap(episode_sampler(data, ways=8, shots=1, queries=2, rotations=True)))(
        jax.random.split(jax.random.key(1), 20)
    )
    batch = jax.device_get(batch)
    class_and_turn = {
        np.rot90(picture, k).tobytes(): (row // 3, k)
        for row, picture in enumerate(pictures)
        for k in range(4)
    }
    for episode in range(20):
        members_of_way = [
            [
                class_and_turn[batch[part]['input'][episode, way, i].tobytes()]
                for part, count in (('support', 1), ('query', 2))
                for i in range(count)
            ]
            for way in range(8)
        ]
        assert (
            all(len(set(way)) == 1 for way in members_of_way)
            and len({way[0] for way in members_of_way}) == 8
        )


def test_an_episode_depends_on_its_key_alone():
    example = jax.jit(episode_sampler(numbered(), ways=2, shots=2, queries=1))
    keys = jax.random.split(jax.random.key(5), 4)
    batch = jax.device_get(jax.jit(jax.vmap(example))(keys))
    for i, key in enumerate(keys):
        jax.tree.map(lambda a, b, i=i: np.testing.assert_array_equal(a, b[i]), example(key), batch)


def test_test_episodes_are_the_same_in_any_batch_and_however_many():
    short, long = (
        episode_dataset(numbered(), 2, 1, 2, count=count, seed=(3, 1)) for count in (5, 50)
    )
    batch = long.take(np.arange(50))
    rows = np.array([31, 7, 49, 0, 8])
    jax.tree.map(
        lambda a, b: np.testing.assert_array_equal(a, b[:5]), short.take(np.arange(5)), batch
    )
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b[rows]), long.take(rows), batch)
    other_seed = episode_dataset(numbered(), 2, 1, 2, count=5, seed=(4, 1)).take(np.arange(5))
    assert (other_seed['query']['input'] != short.take(np.arange(5))['query']['input']).any()


def test_classes_are_cut_without_overlap():
    data = numbered((4,) * 10)
    splits = cut_by_class(data, {'validation': 0.2, 'test': 0.3})
    assert sorted(sum((split.classes for split in splits.values()), ())) == sorted(data.classes)
    for split in splits.values():
        batch = split.take(np.arange(split.size))
        assert [data.classes[data.label[int(row)]] for row in batch['input'][:, 0]] == [
            split.classes[label] for label in batch['label']
        ]


@pytest.mark.parametrize(
    'changes, said',
    [
        ({'ways': 6}, 'data.ways=6 is more than the 5 classes'),
        ({'shots': 3, 'queries': 2}, 'class class 0 has 4 examples, and an episode takes 5'),
        ({'queries': 0}, 'data.queries=0'),
        ({'shots': 0}, 'data.shots=0'),
        ({'ways': 1}, 'data.ways=1'),
        ({'rotations': True}, 'no square pictures'),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(changes, said):
    with pytest.raises(UserError, match=said) as refusal:
        episode_sampler(numbered(), **{'ways': 2, 'shots': 1, 'queries': 1, **changes})
    assert '\n' not in str(refusal.value)


def test_any_labelled_set_is_a_source_of_episodes():
    splits = episodes(
        digits(size=8),
        ways=3,
        shots=1,
        queries=2,
        by_class={'validation': 0.3, 'test': 0.3},
        count=7,
    )
    assert {name: split.size for name, split in splits.items()} == {
        'train': 7,
        'validation': 7,
        'test': 7,
    }
    assert splits['test'].take(np.arange(2))['support']['input'].shape == (2, 3, 1, 8, 8, 1)
    pictures = episodes(
        digits(size=8),
        ways=3,
        queries=2,
        rotations=True,
        by_class={'test': 0.3},
        count=7,
        pictures=True,
    )
    assert len(pictures['train'].classes) == 28 and pictures['test'].size == 7
    train_batch = pictures['train'].take(np.arange(pictures['train'].size))
    count = pictures['train'].size // 4
    assert (
        np.rot90(train_batch['input'][:count], 3, (1, 2)) == train_batch['input'][-count:]
    ).all()
    assert (train_batch['label'][:count] + 21 == train_batch['label'][-count:]).all()
    with pytest.raises(UserError, match='more than the 2 classes'):
        episodes(
            digits(size=8), ways=3, shots=1, queries=2, by_class={'validation': 0.2, 'test': 0.3}
        )


def test_further_classes_are_none_of_the_first():
    splits = more_classes(
        glyphs(size=8, classes=30, per_class=8), first=10, further=(5, 20), held=0.25, count=9
    )
    assert {name: split.size for name, split in splits.items()} == {
        'train': 60,
        'test': 20,
        'next 5': 9,
        'next 20': 9,
    }
    first_pictures = {
        picture.tobytes()
        for name in ('train', 'test')
        for picture in splits[name].take(np.arange(splits[name].size))['input']
    }
    assert len(first_pictures) == 80
    queries = {
        name: {
            picture.tobytes()
            for picture in splits[name].take(np.arange(9))['query']['input'].reshape(-1, 64)
        }
        for name in ('next 5', 'next 20')
    }
    assert not first_pictures & queries['next 20'] and len(
        queries['next 5'] - queries['next 20']
    ) < len(queries['next 5'])
    with pytest.raises(
        UserError, match='data.first=10 and data.further=25 are more than the 30 classes'
    ):
        more_classes(glyphs(size=8, classes=30, per_class=8), further=(25,))
    numbers = arrays(np.zeros((4, 1)), np.array([0.5, 1.5, 2.5, 3.5]))
    with pytest.raises(UserError, match='these examples have numbers'):
        more_classes({'train': numbers}, first=1, further=(1,))


@real
def test_omniglot_is_split_by_character():
    path = DATA / 'omniglot_28x28.npz'
    for split, sizes in (('random', (1100, 100, 423)), ('official', (None, None, 659))):
        splits = omniglot(path, split)
        names = [set(part.classes) for part in splits.values()]
        assert len(set.union(*names)) == sum(map(len, names)) == 1623
        assert all(
            size is None or len(part) == size for size, part in zip(sizes, names, strict=True)
        )
        assert all((np.bincount(part.label) == 20).all() for part in splits.values())
    alphabets = [{name.split('/')[0] for name in part} for part in names]
    assert [len(alphabet) for alphabet in alphabets] == [25, 5, 20] and not set.intersection(
        *alphabets
    )


@real
def test_pictures_of_the_runs_are_scaled_as_those_of_the_set():
    content = np.load(DATA / 'omniglot_28x28.npz', allow_pickle=False)
    images = np.unpackbits(content['images'], axis=1).reshape(-1, 28, 28)
    names = list(content['character_names'])
    from tljax.data.sets.omniglot import _ink

    with zipfile.ZipFile(DATA / 'images_background_small1.zip') as file:
        members = [
            name for name in file.namelist() if name.endswith('.png') and '__MACOSX' not in name
        ][::97]
        for name in members:
            alphabet, character, picture = name.split('/')[-3:]
            (row,) = np.flatnonzero(
                (content['character'] == names.index(f'{alphabet}/{character}'))
                & (content['drawer'] == int(picture[:-4].split('_')[1]))
            )
            np.testing.assert_array_equal(_ink(file, name, 28)[..., 0], images[row])


@real
def test_the_twenty_runs_are_read():
    training, test, label = one_shot_runs(DATA / 'all_runs.zip')
    assert (
        training.shape == test.shape == (20, 20, 28, 28, 1)
        and (np.sort(label, 1) == np.arange(20)).all()
    )
    with zipfile.ZipFile(DATA / 'all_runs.zip') as file:
        pairs = dict(
            line.split() for line in file.read('run07/class_labels.txt').decode().splitlines()
        )
        for place, name in enumerate(sorted(pairs)):
            picture = Image.open(BytesIO(file.read(pairs[name]))).resize((28, 28))
            np.testing.assert_array_equal(
                training[6, label[6, place], ..., 0], 1 - np.asarray(picture, np.uint8)
            )


def test_missing_files_are_named(tmp_path):
    (tmp_path / 'a.npz').write_text('no')
    with pytest.raises(UserError, match=r'a\.npz is no Omniglot'):
        omniglot(tmp_path / 'a.npz')
    with pytest.raises(UserError, match="data.split='x'"):
        omniglot(tmp_path / 'a.npz', split='x')
    for name in ('a.npz', 'nowhere.npz'):
        with pytest.raises(UserError) as refusal:
            omniglot(tmp_path / name)
        (guide,) = re.findall(r'tljax/\S+\.py', str(refusal.value))
        assert (Path(__file__).parents[2] / guide).is_file()


@pytest.mark.slow
def test_a_trained_run_is_measured_on_new_episodes(tmp_path):
    assert call('train', '--config=configs/protonet.py:smoke', f'--workdir={tmp_path}').code == 0
    code, out, _ = call(
        'few_shot', f'--workdir={tmp_path}', '--ways=2,3', '--shots=1', '--queries=2', '--count=20'
    )
    assert code == 0 and [line.split()[0] for line in out.splitlines() if 'way' in line] == [
        '2-way',
        '3-way',
    ]
    assert all(0 <= float(line.split()[2]) <= 100 for line in out.splitlines() if '-way' in line)
    for flag, expected in (
        (
            '--split=validation',
            '--split=validation: this run kept no classes for it, only for train, test',
        ),
        ('--inner_steps=1', '--inner_steps=1: protonet takes no gradient steps in a test'),
        ('--ways=50', 'data.ways=50 is more than'),
    ):
        assert expected in error(call('few_shot', f'--workdir={tmp_path}', flag))


@pytest.mark.parametrize(
    'changes, said',
    [
        (
            {'by_class': {'test': 0.1}},
            'the test split: data.ways=2 is more than the 1 classes there are: take fewer ways '
            '(data.test.ways, .shots, .queries), or change its share of the classes '
            '(data.by_class.test)',
        ),
        (
            {'by_class': {'validation': 0.1, 'test': 0.3}},
            'the validation split: data.ways=2 is more',
        ),
        ({'by_class': {'test': 0.9}}, 'the train split: data.ways=2 is more'),
        ({'by_class': {'test': 0.3}, 'test': {'queries': 9}}, 'the test split: class'),
        ({'by_class': {'test': 0.3}, 'queries': 9}, 'the train split: class'),
    ],
)
def test_what_a_split_has_not_enough_of_is_told_of_it(changes, said):
    toy = arrays(np.arange(40.0)[:, None], np.repeat(np.arange(10), 4), 'abcdefghij')
    with pytest.raises(UserError) as refused:
        episodes({'train': toy}, **{'ways': 2, 'shots': 1, 'queries': 1, **changes})
    assert said in str(refused.value)
