"""Files of TensorFlow Datasets that are missing or damaged, and those of another writer."""

import shutil
import struct

import numpy as np
import pytest
from records import FORMS, crc32c, framed

from tljax.core import UserError
from tljax.data.formats.tfds import tfds, tfrecords


@FORMS
def test_tfds_files_that_are_missing(copy, form):
    root, files = copy(form)
    next(files.glob('*test*')).unlink()
    with pytest.raises(UserError, match=f'scenes-test.{form}-.* is missing .* test files'):
        tfds('scenes', root)


def test_tfds_metadata_that_is_damaged_or_of_another_format(copy):
    root, files = copy('array_record')
    metadata = (files / 'dataset_info.json').read_text()
    (files / 'dataset_info.json').write_text(metadata.replace('array_record', 'parquet'))
    with pytest.raises(UserError, match="stored as parquet: .* file_format='array_record'"):
        tfds('scenes', root)
    (files / 'dataset_info.json').write_text(metadata.replace('"train"', '"all"'))
    with pytest.raises(UserError, match='no train split, only all, test, validation'):
        tfds('scenes', root)
    (files / 'dataset_info.json').write_text(metadata[:50])
    with pytest.raises(UserError, match='scenes under .* cannot be read .*: check') as refusal:
        tfds('scenes', root)
    assert '\n' not in str(refusal.value)


@pytest.mark.parametrize('damage', ['half', 'empty', 'garbage', 'flip'])
def test_tfds_array_records_that_are_damaged(copy, damage):
    root, files = copy('array_record')
    (path,) = files.glob('*train*')
    content = path.read_bytes()
    flipped_content = content[:2000] + bytes([content[2000] ^ 1]) + content[2001:]
    path.write_bytes(
        {
            'half': content[: len(content) // 2],
            'empty': b'',
            'garbage': b'x' * len(content),
            'flip': flipped_content,
        }[damage]
    )
    with pytest.raises(
        UserError,
        match=r'scenes-train.array_record-00000-of-00001 or a file beside it is damaged \(.+\): '
        r'copy',
    ):
        tfds('scenes', root)


def test_tfds_array_records_of_another_split(copy):
    root, files = copy('array_record')
    shutil.copy(*files.glob('*test*'), *files.glob('*train*'))
    with pytest.raises(UserError, match='train holds 6 of 30 records'):
        tfds('scenes', root)


@pytest.mark.parametrize(
    'place, part',
    [
        (0, 'its length'),
        (7, 'its length'),
        (9, 'its length'),
        (12, 'its data'),
        (100, 'its data'),
        (-1, 'its data'),
    ],
)
def test_a_flipped_bit_in_a_tfrecord_is_named_by_its_offset(copy, place, part):
    root, files = copy('tfrecord')
    path = files / 'scenes-train.tfrecord-00001-of-00002'
    content = bytearray(path.read_bytes())
    offset = 16 + struct.unpack('<Q', content[:8])[0]
    content[offset + place if place >= 0 else -1] ^= 4
    path.write_bytes(content)
    with pytest.raises(
        UserError,
        match=f'scenes-train.tfrecord-00001-of-00002: the record at byte {offset} is damaged in '
        f'{part}',
    ):
        tfds('scenes', root)


def test_a_tfrecord_that_is_cut_off(copy):
    root, files = copy('tfrecord')
    path = files / 'scenes-train.tfrecord-00001-of-00002'
    content = path.read_bytes()
    offset = 16 + struct.unpack('<Q', content[:8])[0]
    for end, message in (
        (-1, f'byte {offset} is damaged in its data, which is cut'),
        (offset + 20, f'byte {offset} .* its data'),
        (offset + 5, f'byte {offset} is damaged in its header, which is cut off'),
        (10, 'byte 0 .* its header'),
        (offset, 'train holds 29 of 30 records'),
    ):
        path.write_bytes(content[:end])
        with pytest.raises(UserError, match=message):
            tfds('scenes', root)


def test_tfrecords_of_another_writer(tmp_path):
    writer = pytest.importorskip('tensorboardX.record_writer').RecordWriter(
        str(tmp_path / 'a.tfrecord')
    )
    records = [bytes(np.random.default_rng(n).integers(0, 256, n, np.uint8)) for n in (5, 0, 1000)]
    for record in records:
        writer.write(record)
    writer.close()
    assert (tmp_path / 'a.tfrecord').read_bytes() == b''.join(map(framed, records))
    count, read = tfrecords([tmp_path / 'a.tfrecord', tmp_path / 'a.tfrecord'])
    assert count == 6 and read([2, 4, 0]) == [records[2], records[1], records[0]]


def test_crc_of_this_file_against_the_published_check_value():
    assert crc32c(b'123456789') == 0xE3069283
