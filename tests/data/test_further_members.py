"""Further members of kinds of silent faults: arrays and columns that are nearly called right,
labels that are nearly of a kind."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from trees import save

from tljax.core import UserError
from tljax.data.decoding import picture
from tljax.data.formats.arrays import arrays
from tljax.data.formats.folder import folder
from tljax.data.formats.npz import npz
from tljax.data.ranges import range_of
from tljax.data.summary import summary
from tljax.data.tasks import infer_task
from tljax.files import console


def test_arrays_of_a_split_by_any_of_its_names_are_read_and_others_told(tmp_path):
    parts = {
        f'{name}_{key}': np.arange(n) % 2 if key == 'label' else np.zeros((n, 2))
        for name, n in (('training', 6), ('val', 4), ('testing', 2))
        for key in ('input', 'label')
    }
    np.savez(tmp_path / 'a.npz', **parts, weights=np.ones(6))
    splits = npz(tmp_path / 'a.npz')
    assert {name: split.size for name, split in splits.items()} == {
        'train': 6,
        'validation': 4,
        'test': 2,
    }
    assert splits['train'].notes == ('arrays passed over: weights',)


def test_a_column_whose_cells_are_names_of_splits_is_the_split(tmp_path):
    for i in range(12):
        save(tmp_path / f'{i}.png', i)
    lines = [
        f'{i}.png,{"ab"[i % 2]},{("train", "train", "valid", "test")[i // 2 % 4]}'
        for i in range(12)
    ]
    (tmp_path / 'l.csv').write_text('\n'.join(['file,label,subset', *lines]))
    splits = folder(tmp_path / 'l.csv', size=6)
    assert {name: split.size for name, split in splits.items()} == {
        'train': 8,
        'validation': 2,
        'test': 2,
    }
    assert splits['test'].names.tolist() == ['6.png', '7.png']


def test_texts_of_one_number_are_names(tmp_path):
    for i in range(12):
        save(tmp_path / f'{i}.png', i)
    (tmp_path / 'l.csv').write_text(
        '\n'.join(['file,label', *(f'{i}.png,{("1", "01")[i % 2]}' for i in range(12))])
    )
    assert folder(tmp_path / 'l.csv', size=6)['train'].classes == ('01', '1')


def test_a_cell_that_joins_names_says_how_to_keep_it_whole(tmp_path):
    for i in range(12):
        save(tmp_path / f'{i}.png', i)
    (tmp_path / 'l.csv').write_text(
        '\n'.join(['file,label', *(f'{i}.png,{("Felis; catus", "dog")[i % 2]}' for i in range(12))])
    )
    several = folder(tmp_path / 'l.csv', size=6)['train']
    assert several.task.kind == 'labels' and any(
        'data.task=classes' in note for note in several.notes
    )
    assert folder(tmp_path / 'l.csv', size=6, task='classes')['train'].classes == (
        'Felis; catus',
        'dog',
    )


def test_rows_that_are_nearly_of_a_kind_are_counted():
    rows = np.eye(2)[[0, 1, 1, 0]]
    rows[2] = 0
    assert '(1 of 4 have not a single 1)' in infer_task({'train': rows}, (), 'toy')[2][0]
    assert (
        'rows of -1, 1 are taken for numbers'
        in infer_task({'train': 2 * np.eye(3) - 1}, (), 'toy')[2][0]
    )


@pytest.mark.parametrize('names', [('a', 'a'), ('a', 'a ')])
def test_classes_of_one_name_are_refused(names):
    with pytest.raises(UserError, match='classes has a name twice'):
        infer_task({'train': np.array([0, 1])}, names, 'toy')


def test_bytes_beside_words_are_refused():
    words = np.full((2, 4, 4, 3), 60000, np.uint16)
    with pytest.raises(UserError, match='say data.range'):
        range_of({'train': np.full((2, 4, 4, 3), 200, np.uint8), 'test': words})


def test_pictures_of_training_that_are_scored_with_others_are_told(tmp_path, capsys):
    from tljax.studies.picture_scores import named_pictures

    for i in range(4):
        save(tmp_path / ('Train', 'test')[i % 2] / 'ants' / f'{i}.png', i)
    named_pictures([tmp_path])
    assert 'pictures of test, train are scored together' in capsys.readouterr().err
    named_pictures([tmp_path / 'test'])
    assert 'scored together' not in capsys.readouterr().err


def test_words_that_are_stored_as_bytes_are_classes(tmp_path):
    np.savez(tmp_path / 'a.npz', input=np.zeros((20, 4)), label=np.array([b'cat', b'dog'] * 10))
    splits = npz(tmp_path / 'a.npz')
    assert splits['train'].classes == ('cat', 'dog') and set(splits['train'].label) == {0, 1}


def test_words_that_a_person_takes_for_one_and_empty_ones_are_refused(tmp_path):
    for label, message in (
        (['cat', 'Cat'], "the classes 'Cat' and 'cat' differ"),
        (['cat', 'cat '], 'differ in case, blanks'),
        (['cat', ''], '10 labels are empty'),
    ):
        np.savez(tmp_path / 'a.npz', input=np.zeros((20, 4)), label=np.array(label * 10))
        with pytest.raises(UserError, match=message):
            npz(tmp_path / 'a.npz')
    np.savez(tmp_path / 'a.npz', input=np.zeros((20, 4)), label=np.array(['0.5', '1.0'] * 10))
    assert any('words that are numbers' in note for note in npz(tmp_path / 'a.npz')['train'].notes)


def test_a_split_that_is_stored_twice_is_refused(tmp_path):
    parts = {
        f'{name}{key}': np.arange(6) % 2 if key == 'label' else np.zeros((6, 2))
        for name in ('', 'val_', 'validation_')
        for key in ('input', 'label')
    }
    np.savez(tmp_path / 'a.npz', **parts)
    with pytest.raises(UserError, match='holds both validation_input and val_input: keep one'):
        npz(tmp_path / 'a.npz')


def test_hidden_and_loose_pictures_and_folders_that_may_be_no_classes_are_told(tmp_path):
    for i in range(10):
        for name in ('cat', 'dog', 'test', 'unlabeled'):
            save(tmp_path / name / f'{i}.png', i)
    save(tmp_path / '.net' / '0.png', 0)
    save(tmp_path / 'cat' / '.h.png', 0)
    save(tmp_path / 'cat' / '._0.png', 0)
    save(tmp_path / 'loose.png', 0)
    (tmp_path / '.DS_Store').write_bytes(b'')
    notes = folder(tmp_path, size=6)['train'].notes
    assert 'hidden files passed over: .net, cat/.h.png' in notes
    assert '1 picture beside the class folders passed over: loose.png' in notes
    assert [note.split('/')[0] for note in notes if 'is taken for a class' in note] == [
        'test',
        'unlabeled',
    ]


def test_members_of_an_archive_that_share_a_name_are_told(tmp_path):
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as file:
        for i in range(8):
            for name in ('cat', 'dog'):
                save(tmp_path / 'a.png', i)
                file.write(tmp_path / 'a.png', f'{name}/{i}.png')
        with pytest.warns(UserWarning, match='Duplicate name'):
            file.write(tmp_path / 'a.png', 'cat/0.png')
    assert (
        '1 files of the archive have the name of another: the last is read'
        in folder(tmp_path / 'a.zip', size=6)['train'].notes
    )


def test_a_cut_that_is_asked_for_and_cuts_nothing_is_told(tmp_path):
    for split in ('train', 'val', 'test'):
        for i in range(4):
            for name in ('cat', 'dog'):
                save(tmp_path / split / name / f'{i}.png', i)
    assert folder(tmp_path, size=6)['train'].notes == ()
    assert (
        'data.validation, data.test and data.seed cut nothing'
        in folder(tmp_path, size=6, seed=7)['train'].notes[0]
    )


def test_dark_pictures_constant_labels_and_the_spread_of_numbers_are_told():
    dark = summary(
        {'train': arrays(np.full((4, 8, 8, 1), 0.05, np.float32), np.arange(4) % 2, ('a', 'b'))}
    )
    assert any('these pictures are dark, 0.05 of white' in text for _, text in dark)
    marks = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 0]], np.float32)
    several = summary({'train': arrays(np.zeros((3, 2)), marks, ('a', 'b', 'c'))})
    assert any(
        'the label a, c is the same for all training examples' in text for _, text in several
    )
    whole = summary({'train': arrays(np.zeros((4, 2)), np.array([0, 1, 0, 1]))})
    assert any('arrays(input, label, classes) takes them for classes' in text for _, text in whole)
    numbers = summary({'train': arrays(np.zeros((4, 2)), np.array([1.0, 3.0, 5.0, 7.0]))})
    assert ('train', '4 examples, mean ± standard deviation 4 ± 2.236') in numbers


def test_sixteen_bits_that_fill_twelve_and_further_frames_are_told_once(capsys):
    console.SEEN.clear()
    grey = np.linspace(0, 4095, 64).reshape(8, 8).astype(np.uint16)
    for name, images in (
        ('a.png', [Image.fromarray(grey)]),
        ('b.png', [Image.fromarray(grey)]),
        ('c.gif', [Image.new('L', (8, 8), white) for white in (0, 255)]),
    ):
        images[0].save(
            file := io.BytesIO(),
            name[-3:].upper(),
            **(dict(save_all=True, append_images=images[1:]) if images[1:] else {}),
        )
        picture(file.getvalue(), name, 1)
    said = ' '.join(capsys.readouterr().err.split())
    assert said.count('its lightest number is 4095 where white is 65535') == 1 and 'a.png' in said
    assert 'c.gif has several frames or pages: of such files the first is read' in said
