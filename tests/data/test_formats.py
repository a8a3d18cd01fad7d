"""Files as data sets: folders and ZIPs of pictures, .npz, and what TensorFlow Datasets prepared; sound and damaged."""
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from tljax.build import load
from tljax.core import Refused
from tljax.data.formats.arrays import arrays
from tljax.data.formats.folder import folder
from tljax.data.formats.npz import npz
from tljax.data.formats.tfds import tfds, tfrecords
from tljax.data.pictures import picture
from tljax.data.splits import complete, cut

LABEL = np.repeat([0, 1], 10)


def pixels(seed, height=6, width=6, channels=3):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def save(path, seed=0, **keywords):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(seed)).save(path, **keywords)


def tree(root, classes=('cat', 'dog'), count=10):
    """`count` random pictures a class; picture `number` of class c has the seed 100 c + number."""
    for c, name in enumerate(classes):
        for number in range(count):
            save(root / name / f'{number:02}.png', 100 * c + number)
    return root


def zipped(root, path):
    with zipfile.ZipFile(path, 'w') as archive:
        for member in sorted(root.rglob('*')):
            archive.write(member, member.relative_to(root))
    return path


def everything(split):
    return split.take(np.arange(split.size))


def sizes(splits):
    return {name: split.size for name, split in splits.items()}


# folders and ZIPs

@pytest.mark.parametrize('form', ['tree', 'zip'])
def test_folder_gives_each_picture_once_with_its_label(tmp_path, form):
    root = tree(tmp_path / 'set')
    splits = folder(root if form == 'tree' else zipped(root, tmp_path / 'set.zip'), size=6)
    assert sizes(splits) == {'train': 14, 'validation': 2, 'test': 4}
    found = {}
    for split in splits.values():
        assert split.classes == ('cat', 'dog')
        batch = everything(split)
        assert batch['input'].dtype == np.float32
        np.testing.assert_array_equal(batch['label'], split.label)
        found |= {image.tobytes(): label for image, label in zip(batch['input'], batch['label'], strict=True)}
    assert found == {(pixels(100 * c + number) / np.float32(255)).tobytes(): c for c in (0, 1) for number in range(10)}


def test_folder_cut_is_that_of_cut(tmp_path):
    splits = folder(tree(tmp_path), size=6, validation=.2, test=.3, seed=5)
    whole = arrays(np.stack([pixels(100 * c + number) for c in (0, 1) for number in range(10)]), LABEL, ('cat', 'dog'))
    for name, split in cut(whole, {'validation': .2, 'test': .3}, seed=5).items():
        np.testing.assert_array_equal(np.round(everything(splits[name])['input'] * 255), everything(split)['input'])


def test_take_is_in_the_order_asked_for(tmp_path):
    train = folder(tree(tmp_path), size=6)['train']
    whole = everything(train)
    index = np.array([[3, 0], [3, 13]])
    batch = train.take(index)
    np.testing.assert_array_equal(batch['input'], whole['input'][index])
    np.testing.assert_array_equal(batch['label'], whole['label'][index])
    assert train.take(np.array([], int))['input'].shape == (0, 6, 6, 3)


def test_pictures_are_scaled_bilinearly_and_cropped_at_the_centre():
    image = pixels(1, height=14, width=22)
    file = io.BytesIO()
    Image.fromarray(image).save(file, 'PNG')
    scaled = jax.image.resize(image.astype(np.float32), (7, 11, 3), 'linear', antialias=True)
    np.testing.assert_allclose(picture(file.getvalue(), 'it', 3, size=7), scaled[:, 2:9], atol=1.5)   # each of two passes rounds


def test_pictures_stand_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6   # the top row is the right side: a quarter turn clockwise sets it upright
    tree(tmp_path)
    save(tmp_path / 'cat' / '00.png', seed=7, exif=exif)
    upright = np.rot90(pixels(7), -1) / np.float32(255)
    images = np.concatenate([everything(split)['input'] for split in folder(tmp_path, size=6).values()])
    assert (images == upright).all((1, 2, 3)).sum() == 1


def test_grey_is_the_luma_of_rec_601_and_colour_of_grey_is_grey():
    file, grey = io.BytesIO(), io.BytesIO()
    Image.fromarray(pixels(2)).save(file, 'PNG')
    luma = picture(file.getvalue(), 'it', channels=1)
    np.testing.assert_allclose(luma[..., 0], pixels(2) @ [.299, .587, .114], atol=.51)
    Image.fromarray(luma[..., 0]).save(grey, 'PNG')
    np.testing.assert_array_equal(picture(grey.getvalue(), 'it', channels=3), np.repeat(luma, 3, axis=-1))


@pytest.mark.parametrize('mode', ['RGBA', 'LA', 'P'])
def test_transparency_shows_white(mode):
    file = io.BytesIO()
    Image.new('RGBA', (4, 4), (0, 0, 0, 0)).convert(mode).save(file, 'PNG', **({'transparency': 0} if mode == 'P' else {}))
    assert (picture(file.getvalue(), 'it', channels=3) == 255).all()


def test_sixteen_bits_are_refused_not_clipped():
    file = io.BytesIO()
    Image.fromarray(np.full((4, 4), 6000, np.uint16)).save(file, 'PNG')
    with pytest.raises(Refused, match='scan.png cannot be decoded .*I;16 has more than 8 bits'):
        picture(file.getvalue(), 'scan.png', channels=1)


@pytest.mark.parametrize('alias', ['validation', 'val', 'valid'])
def test_split_folders_are_kept(tmp_path, alias):
    for split in ('train', alias, 'test'):
        tree(tmp_path / split, count={'train': 3, alias: 2, 'test': 1}[split])
    shutil.rmtree(tmp_path / alias / 'cat')
    splits = folder(tmp_path, size=6)
    assert sizes(splits) == {'train': 6, 'validation': 2, 'test': 2}
    assert splits['validation'].classes == ('cat', 'dog') and splits['validation'].label.tolist() == [1, 1]
    np.testing.assert_array_equal(splits['validation'].take(np.array([1]))['input'][0], pixels(101) / np.float32(255))


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
    for name in ('cat/.01.png', 'cat/a.txt', 'cat/a.pdf', 'cat/a', '.cache/a.png', '__MACOSX/cat/._00.png', 'overview.png'):
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
        with pytest.raises(Refused, match="data.domain='paint' .* choose from photo, sketch"):
            folder(path, 6, domain='paint')
        with pytest.raises(Refused, match='lies deeper than <class>/<file>: .* photo, sketch by data.domain'):
            folder(path, 6)


def missing(root):
    return root / 'nowhere'


def flat(root):
    save(root / '0.png')
    return root


def empty_class(root):
    (tree(root) / 'eel.png').mkdir()
    return root


def folder_in_class(root):
    tree(root)
    (root / 'dog' / 'inside').mkdir()
    return root


def class_without_training(root):
    tree(root / 'train')
    tree(root / 'test', ('cat', 'cow'))
    return root


def two_validations(root):
    for name in ('train', 'val', 'valid'):
        tree(root / name)
    return root


def no_class_in_test(root):
    tree(root / 'train')
    save(root / 'test' / '0.png')
    return root


def one_picture(root):
    return tree(root, count=1)


def broken_link(root):
    (tree(root) / 'cat' / 'x.png').symlink_to(root / 'gone.png')
    return root


def no_zip(root):
    (root / 'a.zip').write_bytes(b'PK\3\4 and no more')
    return root / 'a.zip'


@pytest.mark.parametrize('make, message', [
    (missing, 'nowhere does not exist: give data.path'), (flat, 'has no class folders: put'),
    (empty_class, 'eel.png holds no pictures: add'), (folder_in_class, 'dog/inside/ lies deeper'),
    (class_without_training, 'train has no folder cow, which other splits have: add'),
    (two_validations, r'more than one validation folder \(train, val, valid\): keep one'),
    (no_class_in_test, 'test has no class folders'), (one_picture, 'the validation split is empty .*: give more'),
    (broken_link, 'x.png cannot be read .*: mend'), (no_zip, 'a.zip is no ZIP or a damaged one .*: copy')])
def test_folders_that_are_refused(tmp_path, make, message):
    with pytest.raises(Refused, match=message) as refusal:
        folder(make(tmp_path), size=6)
    assert '\n' not in str(refusal.value)


@pytest.mark.parametrize('keywords, message', [
    ({'size': 0}, 'data.size=0'), ({'size': 6, 'channels': 2}, 'data.channels=2'),
    ({'size': 6, 'validation': 0}, 'data.validation=0'), ({'size': 6, 'validation': .5, 'test': .5}, 'sum is below 1')])
def test_requests_that_are_refused(tmp_path, keywords, message):
    with pytest.raises(Refused, match=message):
        folder(tree(tmp_path), **keywords)


def test_a_link_that_leads_back_up_ends(tmp_path):
    tree(tmp_path / 'set')
    (tmp_path / 'set' / 'eel').symlink_to(tmp_path / 'set')
    with pytest.raises(Refused, match='lies deeper'):
        folder(tmp_path / 'set', size=6)
    (tmp_path / 'set' / 'eel').unlink()
    (tmp_path / 'set' / 'eel').symlink_to(tmp_path / 'set' / 'cat')
    assert folder(tmp_path / 'set', size=6)['train'].classes == ('cat', 'dog', 'eel')


@pytest.mark.parametrize('damage', ['cut', 'text', 'gone'])
def test_a_picture_that_cannot_be_decoded_is_named(tmp_path, damage):
    train = folder(tree(tmp_path), size=6)['train']
    for path in tmp_path.rglob('*.png'):
        if damage == 'gone':
            path.unlink()
        else:
            path.write_bytes({'cut': path.read_bytes()[:60], 'text': b'a picture'}[damage])
    with pytest.raises(Refused, match=re.escape(str(tmp_path / 'cat')) + r'/\d+\.png cannot be'):
        train.take(np.array([0]))


def test_a_damaged_zip_member_is_named(tmp_path):
    path = zipped(tree(tmp_path / 'set'), tmp_path / 'set.zip')
    whole = path.read_bytes()
    start = whole.index(b'IHDR', whole.index(b'dog/03.png'))
    path.write_bytes(whole[:start] + b'J' + whole[start + 1:])
    splits = folder(path, size=6)
    with pytest.raises(Refused, match=r'set\.zip/dog/03\.png cannot be read .*CRC'):
        for split in splits.values():
            everything(split)
    path.write_bytes(whole[:-30])
    with pytest.raises(Refused, match='no ZIP or a damaged one'):
        folder(path, size=6)


def test_a_zip_is_read_by_many_threads_at_once(tmp_path):
    train = folder(zipped(tree(tmp_path / 'set', count=40), tmp_path / 'set.zip'), size=6)['train']
    whole = everything(train)['input']
    orders = [np.random.default_rng(seed).permutation(train.size) for seed in range(16)]
    with ThreadPoolExecutor(8) as threads:
        for order, batch in zip(orders, threads.map(train.take, orders), strict=True):
            np.testing.assert_array_equal(batch['input'], whole[order])


def test_fingerprints_follow_what_is_held(tmp_path):
    root = tree(tmp_path / 'set')

    def prints(size=6, channels=3, path=root):
        return {split.fingerprint for split in folder(path, size, channels).values()}

    first = prints()
    assert len(first) == 3 and prints() == first
    assert first.isdisjoint(prints(size=7)) and first.isdisjoint(prints(channels=1))
    packed = prints(path=zipped(root, tmp_path / 'a.zip'))
    os.utime(root / 'cat' / '00.png', (10 ** 9, 10 ** 9))
    assert not first <= prints()
    assert packed == prints(path=zipped(root, tmp_path / 'b.zip'))   # a ZIP goes by content
    save(root / 'cat' / '00.png', seed=9)
    assert packed.isdisjoint(prints(path=zipped(root, tmp_path / 'c.zip')))


@pytest.mark.skipif('TLJAX_DATA' not in os.environ, reason='TLJAX_DATA is not set: real data sets are not at hand')
def test_pacs():
    path = Path(os.environ['TLJAX_DATA'], 'pacs', 'pacs_112.zip')
    for domain, count in {'art_painting': 2048, 'cartoon': 2344, 'photo': 1670, 'sketch': 3929}.items():
        assert sum(sizes(folder(path, 112, domain=domain)).values()) == count
    splits = folder(path, 112, domain='sketch')
    assert splits['train'].classes == ('dog', 'elephant', 'giraffe', 'guitar', 'horse', 'house', 'person')
    np.testing.assert_allclose(np.bincount(splits['test'].label), [.2 * n for n in (772, 740, 753, 608, 816, 80, 160)], atol=.5)
    houses = {(image * 255).round().astype(np.uint8).tobytes() for split in splits.values()
              for image in split.take(np.flatnonzero(split.label == 5))['input']}
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.namelist() if member.startswith('sketch/house/')]
        assert houses == {Image.open(archive.open(member)).convert('RGB').tobytes() for member in members}
    with pytest.raises(Refused, match='choose from art_painting, cartoon, photo, sketch'):
        folder(path, 112, domain='drawing')


# .npz


def stored(tmp_path, **columns):
    np.savez(tmp_path / 'a.npz', **columns)
    return tmp_path / 'a.npz'


def test_npz_pictures(tmp_path):
    input = np.random.default_rng(0).integers(0, 256, (20, 4, 5), np.uint8)
    splits = npz(stored(tmp_path, input=input, label=LABEL), seed=2)
    assert sizes(splits) == {'train': 14, 'validation': 2, 'test': 4} and splits['test'].classes == ('0', '1')
    for name, split in cut(arrays(input, LABEL, ('0', '1')), {'validation': .1, 'test': .2}, seed=2).items():
        np.testing.assert_array_equal(everything(splits[name])['input'], everything(split)['input'][..., None] / np.float32(255))
        np.testing.assert_array_equal(splits[name].label, split.label)


def test_npz_keeps_its_splits_and_names(tmp_path):
    columns = {f'{split}_{key}': value for split, n in (('train', 6), ('validation', 4), ('test', 2))
               for key, value in (('input', np.arange(n) + 10. * n), ('label', np.arange(n) % 2))}
    splits = npz(stored(tmp_path, **columns, classes=np.array(['odd', 'even']), comment=np.array({'a': 1}, dtype=object)))
    assert splits['test'].classes == ('odd', 'even') and splits['test'].label.dtype == np.int32
    assert everything(splits['validation'])['input'].tolist() == [40, 41, 42, 43]
    assert everything(splits['test'])['input'].dtype == np.float32
    assert sizes(splits) == {'train': 6, 'validation': 4, 'test': 2}


def test_npz_leaves_integers_alone(tmp_path):
    tokens = np.arange(60, dtype=np.uint8).reshape(20, 3)
    train = npz(stored(tmp_path, input=tokens, label=LABEL))['train']
    assert everything(train)['input'].dtype == np.uint8
    train = npz(stored(tmp_path, input=tokens.astype(np.int64), label=LABEL))['train']
    assert everything(train)['input'].dtype == np.int64


@pytest.mark.parametrize('shape', [(20,), (20, 2)])
def test_npz_regression(tmp_path, shape):
    label = np.random.default_rng(0).normal(size=shape)
    splits = npz(stored(tmp_path, input=np.arange(20), label=label), seed=3)
    assert sizes(splits) == {'train': 14, 'validation': 2, 'test': 4}
    for split in splits.values():
        assert split.classes == () and split.label.dtype == np.float32
        np.testing.assert_array_equal(split.label, label[everything(split)['input']].astype(np.float32))
    rows = np.concatenate([everything(split)['input'] for split in splits.values()])
    assert sorted(rows) == list(range(20)) and rows.tolist() != list(range(20))


INPUT = np.zeros((20, 3))


@pytest.mark.parametrize('columns, message', [
    ({'x': INPUT, 'y': LABEL}, 'lacks train_input, train_label; it holds x, y: name'),
    ({'input': INPUT}, 'lacks label; it holds input'),
    ({'input': INPUT, 'label': LABEL, 'test_input': INPUT}, 'lacks test_label; it holds input, label, test_input'),
    ({'test_input': INPUT, 'test_label': LABEL}, 'lacks train_input, train_label'), ({}, 'it holds nothing'),
    ({'input': INPUT, 'train_input': INPUT, 'train_label': LABEL}, 'both input and train_input'),
    ({'input': INPUT, 'label': LABEL + 1}, 'run from 1 to 2 with 2 distinct values: number them from 0'),
    ({'input': INPUT, 'label': LABEL * 2}, 'run from 0 to 2 with 2 distinct'),
    ({'input': INPUT, 'label': LABEL, 'classes': ['a']}, 'run from 0 to 1 but there are 1 classes'),
    ({'input': INPUT, 'label': LABEL, 'test_input': INPUT, 'test_label': LABEL + 1}, 'test labels run from 1 to 2 but there'),
    ({'input': INPUT, 'label': LABEL.astype(str)}, 'np.unique'), ({'input': INPUT, 'label': LABEL[:, None]}, r'shape \(20, 1\)'),
    ({'input': INPUT, 'label': LABEL / 2, 'classes': ['a', 'b']}, 'no classes for regression'),
    ({'input': INPUT, 'label': LABEL * np.nan}, 'labels are not finite'),
    ({'input': INPUT * np.nan, 'label': LABEL}, 'train: 60 input values are not finite'),
    ({'input': INPUT, 'label': LABEL[:5]}, 'train: 20 inputs but 5 labels'),
    ({'input': INPUT.astype(str), 'label': LABEL}, 'train: the input is <U'),
    ({'input': INPUT[:0], 'label': LABEL[:0]}, 'no training examples'),
    ({'input': INPUT, 'label': LABEL, 'test_input': INPUT[:0], 'test_label': LABEL[:0]}, 'the test split is empty'),
    ({'input': INPUT.astype(object), 'label': LABEL}, 'input is no plain array .*: save numbers')])
def test_npz_that_are_refused(tmp_path, columns, message):
    with pytest.raises(Refused, match=message) as refusal:
        npz(stored(tmp_path, **columns))
    assert 'a.npz' in str(refusal.value) and '\n' not in str(refusal.value)


def test_npz_that_are_damaged(tmp_path):
    with pytest.raises(Refused, match='b.npz does not exist: give'):
        npz(tmp_path / 'b.npz')
    path = stored(tmp_path, input=np.ones((20, 30)), label=LABEL)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    with pytest.raises(Refused, match='is no .npz or is damaged'):
        npz(path)
    path.write_bytes(whole[:900] + b'damage' + whole[906:])
    with pytest.raises(Refused, match='input is damaged'):
        npz(path)


# TensorFlow Datasets

BUILDER = '''
import io
import numpy as np
import tensorflow_datasets as tfds
from PIL import Image


class Scenes(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version('1.2.0')

    def _info(self):
        kinds = tfds.features
        return self.dataset_info_from_configs(features=kinds.FeaturesDict({
            'image': kinds.Image(shape=(6, 5, 3)), 'photo': kinds.Image(), 'vector': kinds.Tensor(shape=(3,), dtype=np.float32),
            'label': kinds.ClassLabel(names=['sea', 'hill']), 'count': kinds.Scalar(np.int64), 'height': kinds.Scalar(np.float32),
            'note': kinds.Text()}))

    def _split_generators(self, manager):
        return {'train': self._generate_examples(0, 30), 'validation': self._generate_examples(1, 5),
                'test': self._generate_examples(2, 6)}

    def _generate_examples(self, part, count):
        for number in range(count):
            pixels = np.random.default_rng([part, number]).integers(0, 256, (6, 5, 3), np.uint8)
            yield number, {'image': png(pixels), 'photo': png(np.full((8, 9 + number), number, np.uint8)),
                           'vector': np.float32([part, number, .5]), 'label': -1 if part == 1 else number % 2, 'count': number,
                           'height': number / 2, 'note': 'none'}


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'PNG')
    file.seek(0)
    return file
'''


def crc32c(data):
    """CRC-32C bit by bit: reflected polynomial 0x82f63b78."""
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def framed(data):
    def masked(part):
        crc = crc32c(part)
        return struct.pack('<I', ((crc >> 15 | crc << 17 & 0xffffffff) + 0xa282ead8) & 0xffffffff)

    length = struct.pack('<Q', len(data))
    return length + masked(length) + data + masked(data)


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    """The same set prepared as array_record, and as tfrecord in two shards a split, written by hand."""
    import tensorflow_datasets
    root = tmp_path_factory.mktemp('tfds')
    (root / 'code' / 'scenes_code').mkdir(parents=True)
    (root / 'code' / 'scenes_code' / '__init__.py').write_text(BUILDER)
    tensorflow_datasets.disable_progress_bar()
    sys.path.insert(0, str(root / 'code'))
    try:
        from scenes_code import Scenes
    finally:
        sys.path.remove(str(root / 'code'))
    builder = Scenes(data_dir=root / 'array_record', file_format='array_record')
    builder.download_and_prepare()
    source, target = Path(builder.data_dir), root / 'tfrecord' / 'scenes' / '1.2.0'
    target.mkdir(parents=True)
    for name in ('features.json', 'label.labels.txt'):
        shutil.copy(source / name, target / name)
    info = json.loads((source / 'dataset_info.json').read_text()) | {'fileFormat': 'tfrecord'}
    for split in info['splits']:
        raw = builder.as_data_source(split['name'], deserialize_method=tensorflow_datasets.decode.DeserializeMethod.RAW_BYTES)
        records = [framed(raw[i]) for i in range(len(raw))]
        split['shardLengths'] = [str(len(records) - 2), '2']
        (target / f'scenes-{split["name"]}.tfrecord-00000-of-00002').write_bytes(b''.join(records[:-2]))
        (target / f'scenes-{split["name"]}.tfrecord-00001-of-00002').write_bytes(b''.join(records[-2:]))
    (target / 'dataset_info.json').write_text(json.dumps(info))
    return root


@pytest.fixture
def copy(prepared, tmp_path):
    """A copy to damage: `copy(form) -> (data_dir, the folder with the files)`."""
    return lambda form: (shutil.copytree(prepared / form, tmp_path / form), tmp_path / form / 'scenes' / '1.2.0')


FORMS = pytest.mark.parametrize('form', ['array_record', 'tfrecord'])


def drawn(part, count):
    """The pictures and labels of a split, from the seeds they were made by."""
    return {(np.random.default_rng([part, number]).integers(0, 256, (6, 5, 3), np.uint8) / np.float32(255)).tobytes(): number % 2
            for number in range(count)}


@FORMS
def test_tfds_pictures_and_labels(prepared, form):
    splits = tfds('scenes', prepared / form, seed=4)
    assert sizes(splits) == {'train': 26, 'validation': 4, 'test': 6}   # validation brings no labels: another is cut
    assert splits['train'].classes == ('sea', 'hill')
    found = {}
    for split in splits.values():
        batch = everything(split)
        assert batch['input'].shape == (split.size, 6, 5, 3) and batch['input'].dtype == np.float32
        np.testing.assert_array_equal(batch['label'], split.label)
        found |= {image.tobytes(): label for image, label in zip(batch['input'], batch['label'], strict=True)}
    assert found == drawn(0, 30) | drawn(2, 6)
    assert {image.tobytes() for image in everything(splits['test'])['input']} == set(drawn(2, 6))
    for index in (np.array([[3, 0], [5, 3]]), np.array([-1]), np.array([], int)):
        np.testing.assert_array_equal(splits['test'].take(index)['input'], everything(splits['test'])['input'][index])


def test_a_config_reaches_tfds(prepared):
    found = load({'name': 'tfds', 'dataset': 'scenes', 'data_dir': str(prepared / 'array_record')})
    assert found['train'].fingerprint == tfds('scenes', prepared / 'array_record')['train'].fingerprint


def test_tfds_agrees_with_its_own_reader(prepared):
    import tensorflow_datasets
    split = tfds('scenes:1.2.0', prepared / 'array_record')['test']
    own = tensorflow_datasets.data_source('scenes', data_dir=prepared / 'array_record', split='test', download=False)
    batch = everything(split)
    for i in range(6):
        np.testing.assert_array_equal(np.round(batch['input'][i] * 255), own[i]['image'])
        assert batch['label'][i] == own[i]['label']


@FORMS
def test_tfds_numbers(prepared, form):
    splits = tfds('scenes', prepared / form, input='vector', label='height')
    batch = everything(splits['validation'])
    assert splits['train'].classes == () and sizes(splits) == {'train': 30, 'validation': 5, 'test': 6}
    np.testing.assert_array_equal(batch['input'], np.stack([np.ones(5), batch['label'] * 2, np.full(5, .5)], axis=1))
    counted = tfds('scenes', prepared / form, label='count')
    assert counted['train'].classes == tuple(map(str, range(30)))


def test_tfds_grey_pictures_of_several_sizes(prepared):
    with pytest.raises(Refused, match=r'shapes \(8, 10, 3\), \(8, 11, 3\), .*: give pictures a data.size'):
        everything(tfds('scenes', prepared / 'array_record', input='photo', label='height')['test'])
    batch = everything(tfds('scenes', prepared / 'array_record', input='photo', label='height', size=4)['test'])
    grey = (batch['label'] * 2 / np.float32(255))[:, None, None, None]   # a picture's height label is half its grey
    np.testing.assert_array_equal(batch['input'], np.broadcast_to(grey, (6, 4, 4, 3)))


@FORMS
def test_tfds_never_imports_tensorflow(prepared, tmp_path, form):
    (tmp_path / 'tensorflow').mkdir()
    (tmp_path / 'tensorflow' / '__init__.py').write_text('raise SystemExit("tensorflow was imported")')
    program = ('import sys\nimport numpy as np\nfrom tljax.data.formats.tfds import tfds\n'
               'splits = tfds("scenes", sys.argv[1])\nfor split in splits.values():\n    split.take(np.arange(split.size))\n'
               'assert not [name for name in sys.modules if name.split(".")[0] in ("tensorflow", "torch")]\nprint("read")')
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])])
    done = subprocess.run([sys.executable, '-c', program, prepared / form], env=os.environ | {'PYTHONPATH': path},
                          capture_output=True, text=True)
    assert done.stdout.strip() == 'read', done.stderr


@FORMS
def test_tfds_fingerprints(prepared, form):
    def prints(**keywords):
        return {split.fingerprint for split in tfds('scenes', prepared / form, **keywords).values()}

    first = prints()
    assert len(first) == 3 and first == prints()
    assert first.isdisjoint(prints(size=4)) and first.isdisjoint(prints(input='vector'))
    assert len(first & prints(seed=1)) == 1   # only test is no cut


@pytest.mark.parametrize('name, keywords, message', [
    ('mnist', {}, "mnist is not prepared under .*builder\\('mnist', file_format='array_record', data_dir='.*prepare.*tensorflow"),
    ('scenes:9.9.9', {}, 'scenes:9.9.9 is not prepared'), ('no name', {}, 'no name under .*: check the name'),
    ('scenes', {'input': 'picture'}, "no feature 'picture': .* of count, height, image, label, note, photo, vector"),
    ('scenes', {'label': 'class'}, "no feature 'class'"),
    ('scenes', {'label': 'note'}, "'note' is of kind Text, which is no label"),
    ('scenes', {'label': 'image'}, "'image' is of kind Image, which is no label"),
    ('scenes', {'input': 'note'}, "'note' is of kind Text: set data.input"),
    ('scenes', {'input': 'vector', 'size': 8}, 'which take no data.size')])
def test_tfds_requests_that_are_refused(prepared, name, keywords, message):
    with pytest.raises(Refused, match=message) as refusal:
        tfds(name, prepared / 'array_record', **keywords)
    assert '\n' not in str(refusal.value)


@FORMS
def test_tfds_files_that_are_missing(copy, form):
    root, files = copy(form)
    next(files.glob('*test*')).unlink()
    with pytest.raises(Refused, match=f'scenes-test.{form}-.* is missing .* test files'):
        tfds('scenes', root)


def test_tfds_metadata_that_is_damaged_or_of_another_format(copy):
    root, files = copy('array_record')
    whole = (files / 'dataset_info.json').read_text()
    (files / 'dataset_info.json').write_text(whole.replace('array_record', 'parquet'))
    with pytest.raises(Refused, match="stored as parquet: .* file_format='array_record'"):
        tfds('scenes', root)
    (files / 'dataset_info.json').write_text(whole.replace('"train"', '"all"'))
    with pytest.raises(Refused, match='no train split, only all, test, validation'):
        tfds('scenes', root)
    (files / 'dataset_info.json').write_text(whole[:50])
    with pytest.raises(Refused, match='scenes under .* cannot be read .*: check') as refusal:
        tfds('scenes', root)
    assert '\n' not in str(refusal.value)


@pytest.mark.parametrize('damage', ['half', 'empty', 'garbage', 'flip'])
def test_tfds_array_records_that_are_damaged(copy, damage):
    root, files = copy('array_record')
    path, = files.glob('*train*')
    whole = path.read_bytes()
    flipped = whole[:2000] + bytes([whole[2000] ^ 1]) + whole[2001:]
    path.write_bytes({'half': whole[:len(whole) // 2], 'empty': b'', 'garbage': b'x' * len(whole), 'flip': flipped}[damage])
    with pytest.raises(Refused, match=r'scenes-train.array_record-00000-of-00001 or a file beside it is damaged \(.+\): copy'):
        tfds('scenes', root)


def test_tfds_array_records_of_another_split(copy):
    root, files = copy('array_record')
    shutil.copy(*files.glob('*test*'), *files.glob('*train*'))
    with pytest.raises(Refused, match='train holds 6 of 30 records'):
        tfds('scenes', root)


@pytest.mark.parametrize('place, part', [(0, 'its length'), (7, 'its length'), (9, 'its length'), (12, 'its data'),
                                         (100, 'its data'), (-1, 'its data')])
def test_a_flipped_bit_in_a_tfrecord_is_named_by_its_offset(copy, place, part):
    root, files = copy('tfrecord')
    path = files / 'scenes-train.tfrecord-00001-of-00002'
    whole = bytearray(path.read_bytes())
    second = 16 + struct.unpack('<Q', whole[:8])[0]
    whole[second + place if place >= 0 else -1] ^= 4
    path.write_bytes(whole)
    with pytest.raises(Refused, match=f'scenes-train.tfrecord-00001-of-00002: the record at byte {second} is damaged in {part}'):
        tfds('scenes', root)


def test_a_tfrecord_that_is_cut_off(copy):
    root, files = copy('tfrecord')
    path = files / 'scenes-train.tfrecord-00001-of-00002'
    whole = path.read_bytes()
    second = 16 + struct.unpack('<Q', whole[:8])[0]
    for end, message in ((-1, f'byte {second} is damaged in its data, which is cut'), (second + 20, f'byte {second} .* its data'),
                         (second + 5, f'byte {second} is damaged in its header, which is cut off'), (10, 'byte 0 .* its header'),
                         (second, 'train holds 29 of 30 records')):
        path.write_bytes(whole[:end])
        with pytest.raises(Refused, match=message):
            tfds('scenes', root)


def test_tfrecords_of_another_writer(tmp_path):
    writer = pytest.importorskip('tensorboardX.record_writer').RecordWriter(str(tmp_path / 'a.tfrecord'))
    records = [bytes(np.random.default_rng(n).integers(0, 256, n, np.uint8)) for n in (5, 0, 1000)]
    for record in records:
        writer.write(record)
    writer.close()
    assert (tmp_path / 'a.tfrecord').read_bytes() == b''.join(map(framed, records))
    count, read = tfrecords([tmp_path / 'a.tfrecord', tmp_path / 'a.tfrecord'])
    assert count == 6 and read([2, 4, 0]) == [records[2], records[1], records[0]]


def test_crc_of_this_file_against_the_published_check_value():
    assert crc32c(b'123456789') == 0xe3069283


def test_complete_leaves_given_splits_alone():
    whole = arrays(np.arange(20), LABEL, ('a', 'b'))
    given = {'train': whole, 'validation': whole, 'test': whole}
    splits = complete(given, .1, .2, 0, 'toy')
    assert sizes(splits) == {'train': 20, 'validation': 20, 'test': 20} and splits['test'] is whole
