"""Further members of kinds of silent faults: arrays and columns that are nearly called right, labels that are nearly of a kind."""
import numpy as np
import pytest
from trees import save

from tljax.core import Refused
from tljax.data.formats.folder import folder
from tljax.data.formats.npz import npz
from tljax.data.ranges import range_of
from tljax.data.tasks import understood


def test_arrays_of_a_split_by_any_of_its_names_are_read_and_others_told(tmp_path):
    parts = {f'{name}_{key}': np.arange(n) % 2 if key == 'label' else np.zeros((n, 2))
             for name, n in (('training', 6), ('val', 4), ('testing', 2)) for key in ('input', 'label')}
    np.savez(tmp_path / 'a.npz', **parts, weights=np.ones(6))
    splits = npz(tmp_path / 'a.npz')
    assert {name: split.size for name, split in splits.items()} == {'train': 6, 'validation': 4, 'test': 2}
    assert splits['train'].notes == ('arrays passed over: weights',)


def test_a_column_whose_cells_are_names_of_splits_is_the_split(tmp_path):
    for i in range(12):
        save(tmp_path / f'{i}.png', i)
    lines = [f'{i}.png,{"ab"[i % 2]},{("train", "train", "valid", "test")[i // 2 % 4]}' for i in range(12)]
    (tmp_path / 'l.csv').write_text('\n'.join(['file,label,subset', *lines]))
    splits = folder(tmp_path / 'l.csv', size=6)
    assert {name: split.size for name, split in splits.items()} == {'train': 8, 'validation': 2, 'test': 2}
    assert splits['test'].names.tolist() == ['6.png', '7.png']


def test_texts_of_one_number_are_names(tmp_path):
    for i in range(12):
        save(tmp_path / f'{i}.png', i)
    (tmp_path / 'l.csv').write_text('\n'.join(['file,label', *(f'{i}.png,{("1", "01")[i % 2]}' for i in range(12))]))
    assert folder(tmp_path / 'l.csv', size=6)['train'].classes == ('01', '1')


def test_a_cell_that_joins_names_says_how_to_keep_it_whole(tmp_path):
    for i in range(12):
        save(tmp_path / f'{i}.png', i)
    (tmp_path / 'l.csv').write_text('\n'.join(['file,label', *(f'{i}.png,{("Felis; catus", "dog")[i % 2]}' for i in range(12))]))
    several = folder(tmp_path / 'l.csv', size=6)['train']
    assert several.task.kind == 'labels' and any('data.task=classes' in note for note in several.notes)
    assert folder(tmp_path / 'l.csv', size=6, task='classes')['train'].classes == ('Felis; catus', 'dog')


def test_rows_that_are_nearly_of_a_kind_are_counted():
    rows = np.eye(2)[[0, 1, 1, 0]]
    rows[2] = 0
    assert '(1 of 4 have not a single 1)' in understood({'train': rows}, (), 'toy')[2][0]
    assert 'rows of -1, 1 are taken for numbers' in understood({'train': 2 * np.eye(3) - 1}, (), 'toy')[2][0]


@pytest.mark.parametrize('names', [('a', 'a'), ('a', 'a ')])
def test_classes_of_one_name_are_refused(names):
    with pytest.raises(Refused, match='classes has a name twice'):
        understood({'train': np.array([0, 1])}, names, 'toy')


def test_bytes_beside_words_are_refused():
    words = np.full((2, 4, 4, 3), 60000, np.uint16)
    with pytest.raises(Refused, match='say data.range'):
        range_of({'train': np.full((2, 4, 4, 3), 200, np.uint8), 'test': words})


def test_pictures_of_training_that_are_scored_with_others_are_told(tmp_path, capsys):
    from tljax.studies.picture_scores import named
    for i in range(4):
        save(tmp_path / ('Train', 'test')[i % 2] / 'ants' / f'{i}.png', i)
    named([tmp_path])
    assert 'pictures of test, train are scored together' in capsys.readouterr().err
    named([tmp_path / 'test'])
    assert 'scored together' not in capsys.readouterr().err


def test_words_that_are_stored_as_bytes_are_classes(tmp_path):
    np.savez(tmp_path / 'a.npz', input=np.zeros((20, 4)), label=np.array([b'cat', b'dog'] * 10))
    splits = npz(tmp_path / 'a.npz')
    assert splits['train'].classes == ('cat', 'dog') and set(splits['train'].label) == {0, 1}
