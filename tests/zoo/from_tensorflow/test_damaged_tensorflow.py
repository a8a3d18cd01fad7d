"""What is damaged, hostile or of another format is refused in one line."""

import json
import shutil
import struct
import sys
import zipfile
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from tljax.core import UserError
from tljax.zoo.weights.tensorflow import checkpoint, javascript, messages, table
from tljax.zoo.weights.tensorflow.reading import read, read_tensors
from tljax.zoo.weights.tensorflow.stored import Allowance

HERE = Path(__file__).parent


def said(path):
    with pytest.raises(UserError) as error:
        read(path)
    assert '\n' not in str(error.value) and str(path) in str(error.value)
    return str(error.value)


def varint(number):
    data = b''
    while number > 127:
        data, number = data + bytes([number & 127 | 128]), number >> 7
    return data + bytes([number])


def block(pairs, kind=0):
    """A block of a table, with keys that share what they can, and its trailer."""
    content, last = b'', b''
    for key, value in pairs:
        shared = next(
            (i for i, (a, b) in enumerate(zip(key, last, strict=False)) if a != b),
            min(len(key), len(last)),
        )
        content += varint(shared) + varint(len(key) - shared) + varint(len(value))
        content, last = content + key[shared:] + value, key
    content += struct.pack('<II', 0, 1) + bytes([kind])
    crc = google_crc32c.value(content)
    return content + struct.pack('<I', ((crc >> 15 | crc << 17) + table.MASK) & 0xFFFFFFFF)


def made(blocks, kind=0):
    """A table of blocks."""
    data, places = b'', []
    for pairs in blocks:
        part = block(pairs, kind)
        places.append((pairs[-1][0], varint(len(data)) + varint(len(part) - 5)))
        data += part
    index = block(places)
    footer = varint(0) * 2 + varint(len(data)) + varint(len(index) - 5)
    return data + index + footer.ljust(40, b'\0') + table.MAGIC


def test_a_table_of_several_blocks_is_read():
    names = sorted(f'FeatureExtractor/layer_{i}/weights'.encode() for i in range(300))
    pairs = [(name, str(i).encode() * (i % 5)) for i, name in enumerate(names)]
    assert list(table.entries(made([pairs[:100], pairs[100:101], pairs[101:]]))) == pairs


@pytest.mark.parametrize(
    'data, text',
    [
        (made([[(b'a', b'1')]], kind=1), 'is compressed'),
        (made([[(b'b', b'1')], [(b'a', b'1')]]), 'keys are out of order'),
        (made([[(b'b', b'1'), (b'b', b'1')]]), 'keys are out of order'),
        (made([[(b'a', b'12345678')]]).replace(b'12345678', b'12345679'), 'another checksum'),
        (bytes(40) + table.MAGIC, 'a block lies outside'),
        (b'\xff' * 40 + table.MAGIC, 'a number has no end'),
    ],
    ids=['snappy', 'order', 'twice', 'checksum', 'outside', 'endless'],
)
def test_a_damaged_table_is_refused(data, text):
    with pytest.raises(UserError, match=text):
        list(table.entries(data))


def test_long_keys_in_a_short_table_fill_no_memory():
    key = b'k' * 10_000
    entries = [varint(len(key) - 4) + varint(4) + varint(0) + i.to_bytes(4) for i in range(5000)]
    content = varint(0) + varint(len(key)) + varint(0) + key + b''.join(entries)
    content += struct.pack('<II', 0, 1) + b'\0'
    crc = google_crc32c.value(content)
    content += struct.pack('<I', ((crc >> 15 | crc << 17) + table.MASK) & 0xFFFFFFFF)
    index = block([(b'z', varint(0) + varint(len(content) - 5))])
    footer = varint(0) * 2 + varint(len(content)) + varint(len(index) - 5)
    with pytest.raises(UserError, match='out of order or too long'):
        list(table.entries(content + index + footer.ljust(40, b'\0') + table.MAGIC))


@pytest.mark.parametrize('number', [0, 1, -1, 63, 64, -64, -65, 8191, 8192, 2**40, -(2**40)])
def test_numbers_in_keys_are_in_order(number):
    low, high = (checkpoint.part_key('v', [(n, 1)]) for n in (number - 1, number))
    assert low < high


@pytest.fixture
def copied(tmp_path):
    for file in HERE.glob('shards.ckpt*'):
        shutil.copy(file, tmp_path)
    return tmp_path


def test_a_checkpoint_is_read_by_its_prefix_its_index_and_its_folder(copied):
    for place in (copied, copied / 'shards.ckpt', copied / 'shards.ckpt.index'):
        assert len(read_tensors(place)) == 13


def test_a_checkpoint_without_a_file_of_numbers_is_refused(copied):
    (copied / 'shards.ckpt.data-00001-of-00002').unlink()
    with pytest.raises(UserError, match=r'lacks shards\.ckpt\.data-00001-of-00002 beside it'):
        read(copied)


def test_changed_and_cut_numbers_of_a_checkpoint_are_refused(copied):
    file = copied / 'shards.ckpt.data-00000-of-00002'
    whole = file.read_bytes()
    file.write_bytes(whole[:50] + bytes([whole[50] ^ 1]) + whole[51:])
    with pytest.raises(UserError, match='has another checksum'):
        read(copied)
    file.write_bytes(whole[:50])
    with pytest.raises(UserError, match='lies outside of'):
        read(copied)


def test_of_several_checkpoints_one_is_to_be_named(copied):
    shutil.copy(copied / 'shards.ckpt.index', copied / 'later.ckpt.index')
    assert 'several files *.index (later.ckpt.index, shards.ckpt.index): name one' in said(copied)


def test_a_huge_constant_is_refused_before_it_is_made(tmp_path):
    graph = messages.parse('Graph', b'')
    tensor = graph.node.add(name='a', op='Const').attr.add(key='value').value.tensor
    tensor.dtype, tensor.float_val[:] = 1, [1]
    for size in (2**20, 2**20):
        tensor.tensor_shape.dim.add(size=size)
    (tmp_path / 'a.pb').write_bytes(graph.SerializeToString())
    assert "with 'a' its arrays take more than 8 times its size" in said(tmp_path / 'a.pb')
    tensor.tensor_shape.dim[0].size = -1
    (tmp_path / 'a.pb').write_bytes(graph.SerializeToString())
    assert "'a' has the shape [-1, 1048576]" in said(tmp_path / 'a.pb')


def manifest(folder, data=bytes(8), paths=('a',), **weight):
    """Writes a model of TensorFlow.js."""
    weights = [{'name': 'w', 'shape': [2], 'dtype': 'float32', **weight}]
    groups = [{'paths': list(paths), 'weights': weights}]
    (folder / 'model.json').write_text(json.dumps({'weightsManifest': groups}))
    (folder / 'a').write_bytes(data)
    return folder / 'model.json'


@pytest.mark.parametrize(
    'keywords, text',
    [
        ({'paths': ['../a']}, "names the file '../a', outside of its folder"),
        ({'paths': ['/etc/passwd']}, "names the file '/etc/passwd', outside"),
        ({'paths': ['b']}, "lacks the file 'b'"),
        ({'paths': ['a', 'a']}, "lacks the file 'a' or names it twice"),
        ({'data': bytes(9)}, 'hold 1 bytes too many'),
        ({'data': bytes(7)}, "end before 'w'"),
        ({'dtype': 'complex64'}, "holds 'w' in the type 'complex64'"),
        ({'shape': [2**40]}, 'arrays take more than'),
        ({'shape': [-2]}, 'has the shape'),
        ({'shape': [True, 2]}, 'has the shape'),
        ({'shape': 2}, 'a weight of the manifest is'),
        ({'data': bytes(2), 'quantization': {'dtype': 'uint8'}}, 'has the quantisation'),
        ({'dtype': 'string', 'data': b'\xff' * 8}, 'too many|end before'),
    ],
    ids=lambda value: value if isinstance(value, str) else '',
)
def test_a_damaged_model_of_tensorflow_js_is_refused(keywords, text, tmp_path):
    path = manifest(tmp_path, **keywords)
    with pytest.raises(UserError, match=text):
        read(path)


@pytest.mark.parametrize(
    'dtype, data, quantization, expected',
    [
        ('int32', np.int32([-3, 7]), None, [-3, 7]),
        ('bool', np.uint8([0, 1]), None, [False, True]),
        ('float32', np.float16([0.5, -2]), {'dtype': 'float16'}, [0.5, -2]),
        ('float32', np.uint16([0, 4]), {'dtype': 'uint16', 'scale': 0.5, 'min': -1}, [-1, 1]),
        ('int32', np.uint8([0, 9]), {'dtype': 'uint8', 'scale': 1.0, 'min': -4.0}, [-4, 5]),
    ],
    ids=['int32', 'bool', 'float16', 'uint16', 'int32 in 8 bits'],
)
def test_types_of_tensorflow_js(dtype, data, quantization, expected, tmp_path):
    path = manifest(tmp_path, data.tobytes(), dtype=dtype, quantization=quantization)
    array = read_tensors(path)['w']
    assert array.dtype == dtype and array.tolist() == expected


def test_texts_of_tensorflow_js_are_passed_over(tmp_path):
    path = manifest(tmp_path)
    text = json.loads(path.read_text())
    text['weightsManifest'][0]['weights'].insert(0, {'name': 't', 'shape': [2], 'dtype': 'string'})
    path.write_text(json.dumps(text))
    words = b''.join(len(word).to_bytes(4, 'little') + word for word in (b'ant', b''))
    (tmp_path / 'a').write_bytes(words + np.float32([1, 2]).tobytes())
    assert {name: array.tolist() for name, array in read_tensors(path).items()} == {'w': [1, 2]}


def zipped(path):
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('model.ckpt.index', b'')


@pytest.mark.parametrize(
    'name, write, text',
    [
        ('a.zip', zipped, 'is an archive: unpack it'),
        ('a.tar.gz', lambda path: path.write_bytes(b'\x1f\x8b\x08'), 'is an archive: unpack it'),
        ('a.pkl', lambda path: path.write_bytes(b'\x80\x04.'), 'is a pickle, which stays unread'),
        ('a.h5', lambda path: path.write_bytes(b'\x89HDF\r\n\x1a\n'), 'is no file of weights of'),
        ('model.ckpt', lambda path: path.write_bytes(b'a' * 99 + table.MAGIC), 'of version 1'),
        ('a.ckpt.data-00000-of-00001', lambda path: path.write_bytes(b'a'), 'is a part of a'),
        ('a.json', lambda path: path.write_text('{}'), 'it has no weightsManifest'),
        ('a.json', lambda path: path.write_text('[' * 10**5), 'it is no JSON'),
        ('a.pb', lambda path: path.write_bytes(b''), 'it has no constants'),
        ('a.pb', lambda path: path.write_bytes(b'\n\xff'), 'it is no message Graph'),
        ('a.tflite', lambda path: path.write_bytes(b'\xff' * 4 + b'TFL3'), 'is cut off or damaged'),
        ('folder', lambda path: path.mkdir(), 'holds no weights of TensorFlow'),
    ],
    ids=lambda value: value if isinstance(value, str) else '',
)
def test_other_files_are_refused(name, write, text, tmp_path):
    write(tmp_path / name)
    assert text in said(tmp_path / name)


def test_a_saved_model_is_read_by_its_variables(copied):
    (copied / 'model').mkdir()
    (copied / 'model' / 'saved_model.pb').touch()
    assert 'is a SavedModel: name its variables' in said(copied / 'model')


@pytest.mark.parametrize('library', ['tflite', 'google.protobuf'])
def test_a_library_that_is_absent_is_named(library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    messages._classes.cache_clear()
    file = 'int8.tflite' if library == 'tflite' else 'constants.pb'
    with pytest.raises(UserError, match=r"needs the library \w+: pip install 'tljax\[detection\]'"):
        read(HERE / file)
    monkeypatch.undo()
    messages._classes.cache_clear()


def test_arrays_of_one_file_share_an_allowance():
    allowance = Allowance(0)
    for _ in range(4):
        allowance.take('a', (2**22,), 4)
    with pytest.raises(UserError, match='damaged'):
        allowance.take('a', (1,), 1)


def test_a_text_longer_than_any_model_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(javascript, 'LARGEST_TEXT', 10)
    assert 'more than the 10 of a model.json' in said(manifest(tmp_path))
