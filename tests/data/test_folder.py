"""Folders and ZIPs of pictures as data sets."""

import os
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trees import LABEL, everything, pixels, save, sizes, tarred, tree, zipped

from tljax.core import UserError
from tljax.data.formats.arrays import arrays
from tljax.data.formats.folder import folder
from tljax.data.splits import cut


@pytest.mark.parametrize('form', ['tree', 'zip'])
def test_folder_gives_each_picture_once_with_its_label(tmp_path, form):
    root = tree(tmp_path / 'set')
    splits = folder(root if form == 'tree' else zipped(root, tmp_path / 'set.zip'), size=6)
    assert sizes(splits) == {'train': 14, 'validation': 2, 'test': 4}
    label_of_picture = {}
    for split in splits.values():
        assert split.classes == ('cat', 'dog')
        batch = everything(split)
        assert batch['input'].dtype == np.float32
        np.testing.assert_array_equal(batch['label'], split.label)
        label_of_picture |= {
            image.tobytes(): label
            for image, label in zip(batch['input'], batch['label'], strict=True)
        }
    assert label_of_picture == {
        (pixels(100 * c + number) / np.float32(255)).tobytes(): c
        for c in (0, 1)
        for number in range(10)
    }


def test_folder_cut_is_that_of_cut(tmp_path):
    splits = folder(tree(tmp_path), size=6, validation=0.2, test=0.3, seed=5)
    dataset = arrays(
        np.stack([pixels(100 * c + number) for c in (0, 1) for number in range(10)]),
        LABEL,
        ('cat', 'dog'),
    )
    for name, split in cut(dataset, {'validation': 0.2, 'test': 0.3}, seed=5).items():
        np.testing.assert_array_equal(
            np.round(everything(splits[name])['input'] * 255), everything(split)['input']
        )


def test_take_is_in_the_order_asked_for(tmp_path):
    train = folder(tree(tmp_path), size=6)['train']
    examples = everything(train)
    index = np.array([[3, 0], [3, 13]])
    batch = train.take(index)
    np.testing.assert_array_equal(batch['input'], examples['input'][index])
    np.testing.assert_array_equal(batch['label'], examples['label'][index])
    assert train.take(np.array([], int))['input'].shape == (0, 6, 6, 3)


@pytest.mark.parametrize('alias', ['validation', 'val', 'valid'])
def test_split_folders_are_kept(tmp_path, alias):
    for split in ('train', alias, 'test'):
        tree(tmp_path / split, count={'train': 3, alias: 2, 'test': 1}[split])
    shutil.rmtree(tmp_path / alias / 'cat')
    splits = folder(tmp_path, size=6)
    assert sizes(splits) == {'train': 6, 'validation': 2, 'test': 2}
    assert splits['validation'].classes == ('cat', 'dog') and splits[
        'validation'
    ].label.tolist() == [1, 1]
    np.testing.assert_array_equal(
        splits['validation'].take(np.array([1]))['input'][0], pixels(101) / np.float32(255)
    )


def test_missing_splits_are_cut_from_train(tmp_path):
    tree(tmp_path / 'train')
    assert sizes(folder(tmp_path, size=6)) == {'train': 14, 'validation': 2, 'test': 4}
    tree(tmp_path / 'test', count=3)
    assert sizes(folder(tmp_path, size=6)) == {'train': 18, 'validation': 2, 'test': 6}
    tree(tmp_path / 'val', count=4)
    assert sizes(folder(tmp_path, size=6)) == {'train': 20, 'validation': 8, 'test': 6}


def test_a_class_may_be_called_train(tmp_path):
    assert folder(tree(tmp_path, ('plane', 'train')), size=6)['train'].classes == ('plane', 'train')


@pytest.mark.parametrize('form', ['tree', 'zip'])
def test_hidden_and_other_files_are_passed_over(tmp_path, form):
    root = tree(tmp_path / 'set')
    for name in (
        'cat/.01.png',
        'cat/a.txt',
        'cat/a.pdf',
        'cat/a',
        '.cache/a.png',
        '__MACOSX/cat/._00.png',
        'overview.png',
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b'no picture')
    save(root / 'cat' / '10.PNG')
    splits = folder(root if form == 'tree' else zipped(root, tmp_path / 'set.zip'), size=6)
    assert splits['train'].classes == ('cat', 'dog') and sum(sizes(splits).values()) == 21
    for split in splits.values():
        everything(split)


def test_domain_picks_a_subfolder(tmp_path):
    tree(tmp_path / 'set' / 'photo')
    tree(tmp_path / 'set' / 'sketch', ('cat', 'cow', 'dog'))
    for path in (tmp_path / 'set', zipped(tmp_path / 'set', tmp_path / 'set.zip')):
        assert folder(path, 6, domain='sketch')['train'].classes == ('cat', 'cow', 'dog')
        assert folder(path, 6, domain='photo/')['train'].classes == ('cat', 'dog')
        with pytest.raises(UserError, match="data.domain='paint' .* choose from photo, sketch"):
            folder(path, 6, domain='paint')
        with pytest.raises(
            UserError, match='lies deeper than <class>/<file>: .* photo, sketch by data.domain'
        ):
            folder(path, 6)


def test_a_link_that_leads_back_up_ends(tmp_path):
    tree(tmp_path / 'set')
    (tmp_path / 'set' / 'eel').symlink_to(tmp_path / 'set')
    with pytest.raises(UserError, match='class folder .*eel holds no pictures'):
        folder(tmp_path / 'set', size=6)
    (tmp_path / 'set' / 'eel').unlink()
    (tmp_path / 'set' / 'eel').symlink_to(tmp_path / 'set' / 'cat')
    assert folder(tmp_path / 'set', size=6)['train'].classes == ('cat', 'dog', 'eel')


def test_a_zip_is_read_by_many_threads_at_once(tmp_path):
    train = folder(zipped(tree(tmp_path / 'set', count=40), tmp_path / 'set.zip'), size=6)['train']
    inputs = everything(train)['input']
    orders = [np.random.default_rng(seed).permutation(train.size) for seed in range(16)]
    with ThreadPoolExecutor(8) as threads:
        for order, batch in zip(orders, threads.map(train.take, orders), strict=True):
            np.testing.assert_array_equal(batch['input'], inputs[order])


def test_fingerprints_follow_what_is_held(tmp_path):
    root = tree(tmp_path / 'set')

    def prints(size=6, channels=3, path=root):
        return {split.fingerprint for split in folder(path, size, channels).values()}

    fingerprints = prints()
    assert len(fingerprints) == 3 and prints() == fingerprints
    assert fingerprints.isdisjoint(prints(size=7)) and fingerprints.isdisjoint(prints(channels=1))
    packed = prints(path=zipped(root, tmp_path / 'a.zip'))
    os.utime(root / 'cat' / '00.png', (10**9, 10**9))
    assert not fingerprints <= prints()
    assert packed == prints(path=zipped(root, tmp_path / 'b.zip'))  # a ZIP goes by content
    save(root / 'cat' / '00.png', seed=9)
    assert packed.isdisjoint(prints(path=zipped(root, tmp_path / 'c.zip')))


@pytest.mark.parametrize(
    'train, validation, test',
    [('Train', 'Val', 'TEST'), ('Training', 'Validation', 'Testing'), ('train', 'valid', 'Test')],
)
def test_split_folders_are_called_as_people_call_them(tmp_path, train, validation, test):
    for count, split in ((3, train), (2, validation), (1, test)):
        tree(tmp_path / split, count=count)
    splits = folder(tmp_path, size=6)
    assert sizes(splits) == {'train': 6, 'validation': 4, 'test': 2}
    assert splits['test'].names.tolist() == [f'{test}/cat/00.png', f'{test}/dog/00.png']


def form(kind, root, place):
    return {
        'tree': lambda: root,
        'zip': lambda: zipped(root, place / 'set.zip'),
        'tar': lambda: tarred(root, place / 'set.tar'),
        'gz': lambda: tarred(root, place / 'set.tgz', 'w:gz'),
        'bz2': lambda: tarred(root, place / 'set', 'w:bz2'),
        'xz': lambda: tarred(root, place / 'set.txt', 'w:xz'),
    }[kind]()


@pytest.mark.parametrize('kind', ['tree', 'zip', 'tar', 'gz', 'bz2', 'xz'])
def test_a_wrapping_folder_is_stepped_into(tmp_path, kind):
    for split in ('train', 'val', 'test'):
        tree(tmp_path / 'in' / 'pets' / 'v2' / split, count=3)
    (tmp_path / 'in' / 'readme.txt').write_text('pets')
    splits = folder(form(kind, tmp_path / 'in', tmp_path), size=6)
    assert sizes(splits) == {'train': 6, 'validation': 6, 'test': 6} and splits[
        'train'
    ].classes == ('cat', 'dog')
    assert 'read from pets/v2/, the only folder' in splits['train'].notes
    assert splits['validation'].names[0] == 'pets/v2/val/cat/00.png'
    np.testing.assert_array_equal(
        splits['test'].take(np.array([4]))['input'][0], pixels(101) / np.float32(255)
    )


@pytest.mark.parametrize('kind', ['tree', 'zip', 'tar'])
def test_a_domain_is_found_below_a_wrapping_folder(tmp_path, kind):
    tree(tmp_path / 'in' / 'pets' / 'photo', ('cat', 'cow'))
    tree(tmp_path / 'in' / 'pets' / 'sketch')
    path = form(kind, tmp_path / 'in', tmp_path)
    assert folder(path, 6, domain='photo')['train'].classes == ('cat', 'cow')
    with pytest.raises(UserError, match="domain='oil' .* choose from photo, sketch"):
        folder(path, 6, domain='oil')


def test_an_unlabelled_test_folder_is_left_aside(tmp_path):
    tree(tmp_path / 'train')
    save(tmp_path / 'test' / '1.png')
    save(tmp_path / 'unlabelled' / '2.png')
    splits = folder(tmp_path, size=6)
    assert sizes(splits) == {'train': 14, 'validation': 2, 'test': 4} and splits['test'].names[
        0
    ].startswith('train/')
    note = 'test/ holds 1 file and no class folders: left aside; test is cut from train'
    assert note in splits['train'].notes
    assert 'unlabelled/ holds 1 files without labels: left aside' in splits['train'].notes
    shutil.rmtree(tmp_path / 'test')
    (tmp_path / 'test').mkdir()
    note = 'test/ holds nothing: left aside; test is cut from train'
    assert note in folder(tmp_path, size=6)['train'].notes


def test_names_follow_the_examples(tmp_path):
    splits = folder(tree(tmp_path), size=6)
    stored_names = np.concatenate([split.names for split in splits.values()])
    assert sorted(stored_names) == sorted(
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob('*.png')
    )
    for split in splits.values():
        assert [name.split('/')[0] for name in split.names] == [
            split.classes[i] for i in split.label
        ]
        for row, name in enumerate(split.names):
            seed = 100 * ('dog' in name) + int(Path(name).stem)
            np.testing.assert_array_equal(
                split.take(np.array([row]))['input'][0], pixels(seed) / np.float32(255)
            )


@pytest.mark.skipif(
    'TLJAX_DATA' not in os.environ, reason='TLJAX_DATA is not set: real data sets are not at hand'
)
def test_pacs():
    path = Path(os.environ['TLJAX_DATA'], 'pacs', 'pacs_112.zip')
    for domain, count in {
        'art_painting': 2048,
        'cartoon': 2344,
        'photo': 1670,
        'sketch': 3929,
    }.items():
        assert sum(sizes(folder(path, 112, domain=domain)).values()) == count
    splits = folder(path, 112, domain='sketch')
    assert splits['train'].classes == (
        'dog',
        'elephant',
        'giraffe',
        'guitar',
        'horse',
        'house',
        'person',
    )
    np.testing.assert_allclose(
        np.bincount(splits['test'].label),
        [0.2 * n for n in (772, 740, 753, 608, 816, 80, 160)],
        atol=0.5,
    )
    houses = {
        (image * 255).round().astype(np.uint8).tobytes()
        for split in splits.values()
        for image in split.take(np.flatnonzero(split.label == 5))['input']
    }
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.namelist() if member.startswith('sketch/house/')]
        assert houses == {
            Image.open(archive.open(member)).convert('RGB').tobytes() for member in members
        }
    with pytest.raises(UserError, match='choose from art_painting, cartoon, photo, sketch'):
        folder(path, 112, domain='drawing')
