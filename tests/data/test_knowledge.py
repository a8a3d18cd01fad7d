"""Knowledge bases: their files, what is missing in them, and the real tables of AWA2 and CUB."""

import os
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from tljax.configuration import call_named
from tljax.core import UserError
from tljax.data.formats.arrays import arrays
from tljax.data.knowledge.attribute_files import attributes, numbered
from tljax.data.knowledge.characters import CODES, renderings, segments
from tljax.data.knowledge.class_texts import descriptions
from tljax.data.knowledge.word_files import words
from tljax.data.matlab import matlab
from tljax.data.wrappers.described import described
from tljax.knowledge import knowledge

DATA = os.environ.get('TLJAX_DATA')
REAL = pytest.mark.skipif(not DATA, reason='TLJAX_DATA names no folder of real data')


def write(folder: Path, **files: str) -> Path:
    """Writes files, whose names have _ for the dot before their ending."""
    for name, text in files.items():
        (folder / '.'.join(name.rsplit('_', 1))).write_text(text)
    return folder


@REAL
def test_the_zebra_of_awa2_has_stripes():
    root = Path(DATA, 'zero_shot_attributes', 'AWA2')
    for form, low in (('continuous', 40), ('binary', 1)):
        animals = attributes(root, form)
        assert animals.vectors.shape == (50, 85) and animals.attributes[10] == 'stripes'
        of_zebra = dict(zip(animals.attributes, animals.of(['zebra']).vectors[0], strict=True))
        assert min(of_zebra[name] for name in ('black', 'white', 'stripes', 'hooves')) >= low
        assert of_zebra['flippers'] == 0
    assert not np.isnan(animals.vectors).any()
    seen, unseen = (numbered(root / f'{name}classes.txt') for name in ('trainval', 'test'))
    assert len(seen) == 40 and len(unseen) == 10 and not set(seen) & set(unseen)
    assert len(animals.rows([*seen, *unseen])) == 50


@REAL
def test_cub_has_312_attributes():
    birds = attributes(Path(DATA, 'zero_shot_attributes', 'CUB'))
    assert birds.vectors.shape == (200, 312) and birds.classes[0] == '001.Black_footed_Albatross'
    assert birds.attributes[0] == 'has_bill_shape::curved_(up_or_down)' and birds.vectors.max() > 90


def test_a_table_of_ones_own(tmp_path):
    path = tmp_path / 'mine.csv'
    path.write_text('\ufeffclass, hooves ,stripes\n horse ,1,0\nzebra,1,100\n"okapi, wild",3,-1\n')
    animals = attributes(path)
    assert animals.classes == ('horse', 'zebra', 'okapi, wild')
    assert animals.attributes == ('hooves', 'stripes') and np.isnan(animals.vectors[2, 1])
    path.write_text('class,warm,depth\nhorse,1,-7\nseal,1,-1\n')  # -1 is a number among others
    assert attributes(path).vectors[1].tolist() == [1, -1]


@pytest.mark.parametrize(
    'text, said',
    [
        ('class,hooves\n', 'has no classes'),
        ('class,hooves\nhorse,yes\n', "row 2 (horse) has 'yes': give a number"),
        ('class,hooves\nhorse,1,2\n', 'row 2 (horse) has 3 cells, and the first row 2'),
        ('class,hooves\nhorse,1\nhorse,1\n', "lists the class 'horse' 2 times"),
        ('class,hooves,hooves\nhorse,1,1\n', "lists the attribute 'hooves' 2 times"),
        ('class,hooves\nhorse,1\nokapi,\n', 'describes 1 class by no number: okapi'),
        ('class,hooves\nhorse,1\nsnake,0\nworm,0\n', 'describes 2 classes by no number: snake'),
        ('class,hooves\nhorse,inf\n', 'infinite numbers'),
    ],
)
def test_a_table_that_does_not_fit_is_one_clear_line(text, said, tmp_path):
    path = tmp_path / 'mine.csv'
    path.write_text(text)
    with pytest.raises(UserError) as refused:
        attributes(path)
    assert said in str(refused.value) and '\n' not in str(refused.value)


def test_a_folder_that_does_not_fit_is_refused(tmp_path):
    with pytest.raises(UserError, match='nowhere.csv does not exist'):
        attributes('nowhere.csv')
    with pytest.raises(UserError, match='has no predicate-matrix-binary.txt'):
        attributes(tmp_path, 'binary')
    with pytest.raises(UserError, match="form='signed' is not continuous or binary"):
        attributes(tmp_path, 'signed')
    write(tmp_path, classes_txt='1 horse\n2 zebra\n', class_attributes_txt='1 0\n1 1\n0 1\n')
    with pytest.raises(UserError, match=r'2 classes and vectors of shape \(3, 2\)'):
        attributes(tmp_path)


NAMES = ['horse  ', 'zebra', 'killer+whale ']


def version_5(path):
    savemat(
        path,
        {
            'allclasses_names': np.array(NAMES, object)[:, None],
            'att': np.arange(6.0).reshape(2, 3),
            'original_att': np.array([[1.0, 0.0, -1.0], [0.0, 50.0, 20.0]]),
            'labels': np.array([[1], [3]], np.uint8),
        },
    )


def version_7_3(path, **layout):
    """A file as MATLAB writes it: transposed arrays, and cells as references to texts."""
    with h5py.File(path, 'w', userblock_size=512) as file:
        for name, values in {
            'att': np.arange(6.0).reshape(2, 3),
            'original_att': np.array([[1.0, 0.0, -1.0], [0.0, 50.0, 20.0]]),
            'labels': np.array([[1], [3]], np.uint8),
        }.items():
            file.create_dataset(name, data=values.T, **layout)
            file[name].attrs['MATLAB_class'] = np.bytes_(f'{values.dtype}')
        references = []
        for i, name in enumerate(NAMES):
            text = file.create_dataset(f'#refs#/{i}', data=np.array([list(map(ord, name))], 'u2').T)
            text.attrs['MATLAB_class'] = np.bytes_('char')
            references.append(text.ref)
        cell = file.create_dataset('allclasses_names', (1, 3), h5py.ref_dtype, **layout)
        cell[0] = references
        cell.attrs['MATLAB_class'] = np.bytes_('cell')
    with open(path, 'r+b') as file:
        file.write(b'MATLAB 7.3 MAT-file, Platform: GLNXA64'.ljust(124) + b'\0\2IM')


def compressed(path):
    """The same with arrays in compressed chunks."""
    version_7_3(path, compression='gzip')


@pytest.mark.parametrize('make', [version_5, version_7_3, compressed])
def test_both_kinds_of_matlab_files_give_the_same(make, tmp_path):
    make(path := tmp_path / 'att_splits.mat')
    content = matlab(path, ['att', 'labels', 'allclasses_names'], 'give a file')
    assert content['att'].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert content['labels'].tolist() == [[1], [3]]
    animals = attributes(path)
    assert animals.classes == ('horse', 'zebra', 'killer+whale')
    np.testing.assert_array_equal(animals.vectors, [[1, 0], [0, 50], [np.nan, 20]])
    with pytest.raises(UserError, match='has no variable features: give a file'):
        matlab(path, ['features'], 'give a file')


def test_objects_of_matlab_are_refused(tmp_path):
    savemat(
        path := tmp_path / 'a.mat', {'att': {'field': 1.0}, 'names': np.array([1, 'a'], object)}
    )
    for name in ('att', 'names'):
        with pytest.raises(UserError, match=f'{name} holds objects of MATLAB'):
            matlab(path, [name], 'give a file')
    (tmp_path / 'b.mat').write_bytes(path.read_bytes()[:150])
    with pytest.raises(UserError, match='b.mat cannot be read'):
        matlab(tmp_path / 'b.mat', ['att'], 'give a file')


def test_word_vectors_in_three_forms(tmp_path):
    vectors = {'killer': [1, 0, 2], 'whale': [3, 4, 0], 'New York': [9, 9, 9], 'Zebra': [0, 1, 0]}
    lines = ''.join(f'{word} {" ".join(map(str, v))}\n' for word, v in vectors.items())
    (tmp_path / 'glove.txt').write_text(lines)
    (tmp_path / 'word2vec.txt').write_text(f'4 3\n{lines}')
    (tmp_path / 'vectors.bin').write_bytes(
        b'4 3\n'
        + b''.join(
            word.replace(' ', '_').encode() + b' ' + struct.pack('<3f', *v) + b'\n'
            for word, v in vectors.items()
        )
    )
    for name in ('glove.txt', 'word2vec.txt', 'vectors.bin'):
        base = words(tmp_path / name, ['killer+whale', 'New York', 'Zebra'])
        assert base.vectors.tolist() == [[2, 2, 1], [9, 9, 9], [0, 1, 0]], name
        with pytest.raises(UserError, match="has no vector of 'okapi', a word of the class"):
            words(tmp_path / name, ['whale', 'okapi'])
    (tmp_path / 'cut.bin').write_bytes((tmp_path / 'vectors.bin').read_bytes()[:-9])
    with pytest.raises(UserError, match='cut.bin cannot be read'):
        words(tmp_path / 'cut.bin', ['whale'])


def test_texts_that_describe_classes(tmp_path):
    path = write(tmp_path, animals_csv='horse,has hooves\nzebra,"has\nstripes"\n') / 'animals.csv'
    base = descriptions(path)
    assert base.attributes == ('has', 'hooves', 'stripes') and base.vectors[0, 2] == 0
    write(tmp_path, glove_txt='hooves 1 0\nstripes 0 1\n')
    assert descriptions(path, tmp_path / 'glove.txt').vectors.tolist() == [[1, 0], [0, 1]]
    write(tmp_path, empty_csv='horse,\n', few_txt='hooves 1 0\n')
    with pytest.raises(UserError, match="the row 'horse' has 2 cells, or no text"):
        descriptions(tmp_path / 'empty.csv')
    with pytest.raises(UserError, match='has no vector of any word of a description'):
        descriptions(path, tmp_path / 'few.txt')


def test_segments_tell_all_characters_apart_but_two_pairs():
    base = segments()
    assert base.vectors.shape == (36, 16) and base.vectors.sum() == sum(map(len, CODES.values()))
    codes = {}
    for name, code in zip(base.classes, map(tuple, base.vectors), strict=True):
        codes.setdefault(code, []).append(name)
    assert [names for names in codes.values() if len(names) > 1] == [['0', 'O'], ['5', 'S']]
    with pytest.raises(UserError, match="'a' has no code"):
        segments('a')
    assert renderings(size=5).vectors.shape == (36, 25)


def test_a_config_names_a_knowledge_base_inside_a_set():
    spec = {
        'name': 'described',
        'of': {'name': 'glyphs', 'part': 'digits', 'size': 8, 'per_class': 10},
        'knowledge': {'name': 'segments'},
        'unseen': ['7', '8'],
        'validation': ['9'],
    }
    splits = call_named('tljax.data', spec, 'data')
    found = {name: set(split.label.tolist()) for name, split in splits.items()}
    assert found == {'train': {*range(7)}, 'validation': {9}, 'test': {7, 8}, 'seen': {*range(7)}}
    assert len(splits['train'].classes) == 36 and splits['test'].size == 20
    batch = splits['test'].take(np.arange(20))
    np.testing.assert_array_equal(batch['label'], splits['test'].label)


ANIMALS = knowledge(['horse', 'tiger', 'zebra', 'okapi'], np.eye(4))
TOY = arrays(np.zeros((6, 2)), np.arange(6) % 3, ('horse', 'tiger', 'zebra'))


@pytest.mark.parametrize(
    'keywords, said',
    [
        (dict(unseen=['zebra'], validation=['zebra']), 'zebra, which data.unseen keeps'),
        (dict(unseen=['zebras']), "no example has the class 'zebras': did you mean zebra"),
        (dict(unseen=['okapi']), "no example has the class 'okapi'"),
        (dict(unseen=['zebra', 'horse']), 'leave 1 class to train on'),
    ],
)
def test_a_split_that_leaks_a_test_class_or_leaves_none_is_refused(keywords, said):
    with pytest.raises(UserError, match=said):
        described({'train': TOY, 'test': TOY}, ANIMALS, **keywords)


def test_a_knowledge_base_that_lacks_a_class_is_refused():
    with pytest.raises(UserError, match="lacks the class 'zebra': did you mean zebras"):
        described({'train': TOY}, knowledge(['horse', 'tiger', 'zebras'], np.eye(3)))


def write_proposed_split(folder, **changes):
    """A set of four classes with two pictures each, of which the last is unseen."""
    label = np.repeat(np.arange(1, 5), 2).astype(np.uint8)
    savemat(folder / 'res101.mat', {'features': np.arange(24.0).reshape(3, 8), 'labels': label})
    places = dict(
        train_loc=[1, 3],
        val_loc=[5, 6],
        trainval_loc=[1, 3, 5],
        test_seen_loc=[2, 4, 6],
        test_unseen_loc=[7, 8],
    )
    names = np.array([*NAMES, 'seal'], object)
    savemat(folder / 'att_splits.mat', {'allclasses_names': names, **places, **changes})


def test_the_splits_of_the_field(tmp_path):
    write_proposed_split(tmp_path)
    spec = {'name': 'proposed_split', 'path': str(tmp_path)}
    splits = call_named('tljax.data', spec, 'data')
    assert {name: split.label.tolist() for name, split in splits.items()} == {
        'train': [0, 1, 2],
        'seen': [0, 1, 2],
        'test': [3, 3],
    }
    assert splits['test'].take(np.array([1]))['input'].tolist() == [[7, 15, 23]]
    assert splits['train'].classes == ('horse', 'zebra', 'killer+whale', 'seal')
    assert 'ImageNet' in splits['train'].notes[0]
    splits = call_named('tljax.data', {**spec, 'choosing': True}, 'data')
    assert {name: split.label.tolist() for name, split in splits.items()} == {
        'train': [0, 1],
        'validation': [2, 2],
    }
    seen, unseen = (
        call_named('tljax.data', {**spec, 'part': part}, 'data') for part in ('seen', 'unseen')
    )
    assert seen['test'].classes == ('horse', 'zebra', 'killer+whale')
    assert unseen['test'].classes == ('seal',) and unseen['test'].label.tolist() == [0, 0]
    with pytest.raises(UserError, match="part='seen'"):
        call_named('tljax.data', {**spec, 'choosing': True, 'part': 'seen'}, 'data')


@pytest.mark.parametrize(
    'changes, said',
    [
        (dict(trainval_loc=[1, 3, 7]), "the class 'seal' is trained on and in test"),
        (dict(test_seen_loc=[1, 4]), '1 examples are in both train and seen'),
        (dict(test_unseen_loc=[7, 9]), 'test_unseen_loc names example 9 of 8'),
    ],
)
def test_published_splits_that_leak_are_refused(changes, said, tmp_path):
    write_proposed_split(tmp_path, **changes)
    with pytest.raises(UserError, match=said):
        call_named('tljax.data', {'name': 'proposed_split', 'path': str(tmp_path)}, 'data')
