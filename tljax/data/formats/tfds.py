"""Data sets that TensorFlow Datasets has prepared, read by random access and without TensorFlow.

array_record is read by its own library. A tfrecord file holds for each record: its length, 8 bytes
little-endian; the masked CRC-32C of these bytes, 4 bytes; the data; its masked CRC-32C
(https://www.tensorflow.org/tutorials/load_data/tfrecord).
"""

import hashlib
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import google_crc32c
import numpy as np
from array_record.python.array_record_data_source import ArrayRecordDataSource
from tensorflow_datasets import decode
from tensorflow_datasets import features as kinds
from tensorflow_datasets.core.file_adapters import FileFormat
from tensorflow_datasets.core.read_only_builder import builder_from_files
from tensorflow_datasets.core.registered import DatasetNotFoundError

from tljax.core import Dataset, UserError
from tljax.data.decoding import MODES, picture
from tljax.data.pictures import WORKERS
from tljax.data.ranges import SAYS, range_note, range_of, scale
from tljax.data.splits import cut_missing
from tljax.data.tasks import infer_task

AGAIN = 'copy or prepare the data set again'
CHUNK = 1024  # records that are held at once while labels are read
LOOKED_AT = 64  # records of a split whose inputs tell the range of all


def tfds(
    dataset: str,
    data_dir: str | Path,
    input: str = 'image',
    label: str = 'label',
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    size: int | None = None,
    task: str = '',
    range: Sequence[float] | None = None,
) -> dict[str, Dataset]:
    """A data set of the TensorFlow Datasets catalogue, or of one's own builder, prepared as
    array_record or tfrecord.

    Pictures become float32 in [0, 1], (n, height, width, channels), upright and in the channels
    that the set declares; tensors of three or four axes with the examples count as pictures, whose
    range the first records of each split tell (`ranges.range_of`). Other floats become float32,
    other integers stay what they are. Labels that are a ClassLabel carry its names; what others
    ask, `tasks.understood` tells. Labels are read once, at the start; inputs when they are asked
    for.

    Args:
        dataset: name of the set, as the catalogue writes it: 'mnist', 'mnist:3.0.1',
            'domainnet/real'.
        data_dir: where it was prepared; `~` is expanded.
        input: the feature to read as the input.
        label: the feature to read as the label.
        validation: share of each class that is cut from train where the set has no such split.
        test: share of each class that is cut from train where the set has no such split.
        seed: of that cut.
        size: None for pictures as they are; otherwise the short side is scaled to `size` bilinearly
            and the centre kept.
        task: 'classes', 'labels' or 'numbers', where the labels alone do not say it.
        range: (black, white) of the pictures, where their numbers alone do not say it.

    Splits: train, validation and test of the set are kept, others left out; a split whose labels
    are all -1 is unlabelled and counts as missing. A missing validation or test split is cut from
    train by the seeded permutation of `cut`, class by class.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        UserError: for a set that is not prepared (with the command that does it), another file
            format, a feature that is not there or is no picture and no number, missing or damaged
            files (named, for tfrecord with the offset); by `take`, for pictures of several sizes.

    >>> tfds('mnist', 'nowhere')  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    tljax.core.UserError: mnist is not prepared under nowhere: python -c "import ...
    """
    info = _info(dataset, Path(data_dir).expanduser())
    features = cast(kinds.FeaturesDict, info.features)  # of a set that was read, never None
    for feature in (input, label):
        if feature not in features:
            raise UserError(
                f'{dataset} has no feature {feature!r}: set data.input and data.label to some of '
                f'{_names(features)}'
            )
    records = {
        split: _records(info, split)
        for split in ('train', 'validation', 'test')
        if split in info.splits and info.splits[split].num_examples
    }
    if 'train' not in records:
        raise UserError(
            f'{dataset} has no train split, only {_names(info.splits) or "empty ones"}: prepare it '
            'with one'
        )
    labels = {split: _labels(features, label, *held, dataset) for split, held in records.items()}
    labels = {
        split: held for split, held in labels.items() if split == 'train' or not (held == -1).all()
    }
    of_label = features[label]
    names = tuple(of_label.names) if isinstance(of_label, kinds.ClassLabel) else ()
    labels, asked, notes = infer_task(labels, names, dataset, task)
    decoder = _decoder(features, input, size, dataset)
    found = (
        (0.0, 255.0, 'i')
        if _is_picture(features[input])
        else range_of(
            {split: _first(records[split], decoder, f'{dataset}, {split}') for split in labels},
            range,
            dataset,
        )
    )
    notes += range_note(found, range)
    splits = {}
    for split, held in labels.items():
        files = [
            (path.name, os.stat(path).st_size, os.stat(path).st_mtime_ns)
            for path in info.splits[split].filepaths
        ]
        digest = hashlib.sha256(
            repr((info.full_name, split, input, label, size, range, files)).encode()
        ).hexdigest()
        take = _take(records[split][1], held, decoder, f'{dataset}, {split}', found, range is None)
        splits[split] = Dataset(take, held, asked, digest, notes=notes, range=found)
    return cut_missing(splits, validation, test, seed, dataset)


def tfrecords(paths: Sequence[str | Path]) -> tuple[int, Callable[[Sequence[int]], list[bytes]]]:
    """Random access to the records of TFRecord files, both checksums verified.

    Args:
        paths: the files, read in this order; their offsets are scanned once.

    Returns:
        (count, read): `read(rows)` gives the records at a list of rows, as bytes.

    Raises:
        UserError: names the file and the offset of a record that is cut off or has a wrong
            checksum: its length's at once, its data's when it is read.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'a.tfrecord')
    >>> length, data = struct.pack('<Q', 5), b'hello'
    >>> path.write_bytes(
    ...     length
    ...     + struct.pack('<I', masked_crc(length))
    ...     + data
    ...     + struct.pack('<I', masked_crc(data))
    ... )
    21
    >>> count, read = tfrecords([path])
    >>> count, read([0])
    (1, [b'hello'])
    """
    places = np.array(
        [
            (shard, offset, length)
            for shard, path in enumerate(paths)
            for offset, length in _scan(path)
        ],
        np.int64,
    )

    def record(row):
        shard, offset, length = places[row].tolist()
        with open(paths[shard], 'rb') as file:
            file.seek(offset + 12)
            data, crc = file.read(length), file.read(4)
        if crc != struct.pack('<I', masked_crc(data)):
            raise _damaged(paths[shard], offset, 'its data')
        return data

    return len(places), lambda rows: [record(row) for row in rows]


def masked_crc(data: bytes) -> int:
    """The CRC-32C of bytes, rotated right by 15 bits plus a constant, as TFRecord files store it.

    Args:
        data: the bytes.

    >>> hex(masked_crc(bytes(32)))  # its CRC-32C is 0x8a9136aa (RFC 3720, B.4)
    '0xfd7fffa'
    """
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _scan(path):
    """(offset, length) of each record, whose length's checksum is right and whose end lies in the
    file."""
    size = os.path.getsize(path)
    with open(path, 'rb') as file:
        offset = 0
        while offset < size:
            file.seek(offset)
            header = file.read(12)
            if len(header) < 12:
                raise _damaged(path, offset, 'its header, which is cut off')
            if header[8:] != struct.pack('<I', masked_crc(header[:8])):
                raise _damaged(path, offset, 'its length')
            (length,) = struct.unpack('<Q', header[:8])
            if offset + 16 + length > size:
                raise _damaged(path, offset, 'its data, which is cut off')
            yield offset, length
            offset += 16 + length


def _damaged(path, offset, part):
    return UserError(f'{path}: the record at byte {offset} is damaged in {part}: {AGAIN}')


def _info(name, data_dir):
    """What TFDS knows of a prepared set; the code that made it is not needed."""
    command = (
        f'python -c "import tensorflow_datasets as tfds; tfds.builder({name!r}, '
        "file_format='array_record', "
        f'data_dir={str(data_dir)!r}).download_and_prepare()"'
    )
    try:
        info = builder_from_files(name, data_dir=data_dir).info
        formats = info.available_file_formats()
    except DatasetNotFoundError as error:
        raise UserError(
            f'{name} is not prepared under {data_dir}: {command} prepares it (which for most sets '
            'needs tensorflow installed; reading never does)'
        ) from error
    except Exception as error:
        # a wrong name and damaged metadata fail in JSON, in protobuf or in TFDS itself
        raise UserError(
            f'{name} under {data_dir} cannot be read ({_line(error)}): check the name, or {AGAIN}'
        ) from error
    known = [known for known in (FileFormat.ARRAY_RECORD, FileFormat.TFRECORD) if known in formats]
    if not known:
        raise UserError(
            f'{name} under {data_dir} is stored as '
            f'{_names(held.value for held in formats)}: prepare it again, in '
            "another data_dir, with file_format='array_record'"
        )
    if info.file_format != known[0]:
        info.set_file_format(known[0], override=True, override_if_initialized=True)
    return info


def _records(info, split):
    """(count, read) of a split's records."""
    paths = [os.fspath(path) for path in info.splits[split].filepaths]
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        raise UserError(
            f'{missing[0]} is missing ({len(missing)} of {len(paths)} {split} files): {AGAIN}'
        )
    count, read = (
        tfrecords(paths) if info.file_format == FileFormat.TFRECORD else _array_records(paths)
    )
    if count != info.splits[split].num_examples:
        raise UserError(
            f'{os.path.dirname(paths[0])}: {split} holds {count} of '
            f'{info.splits[split].num_examples} records: {AGAIN}'
        )
    return count, read


def _array_records(paths):
    def guarded(function, *arguments):
        try:
            return function(*arguments)
        except (RuntimeError, ValueError, OSError) as error:
            raise UserError(
                f'{paths[0]} or a file beside it is damaged ({_line(error)}): {AGAIN}'
            ) from error

    source = guarded(ArrayRecordDataSource, paths)
    return len(source), lambda rows: guarded(source.__getitems__, rows)


def _labels(features, label, count, read, name):
    feature = features[label]
    if not _numeric(feature) or len(feature.shape) > 1 or None in feature.shape:
        raise UserError(
            f'{name}: the feature {label!r} is of kind {type(feature).__name__}, which is no '
            f'label: set data.label to a class or a number among {_names(features)}'
        )
    # parses this feature alone: the picture beside it is never decoded
    only = _alone(features, label)
    return np.array(
        [
            only.deserialize_example_np(record)[label]
            for start in range(0, count, CHUNK)
            for record in read(list(range(start, min(start + CHUNK, count))))
        ]
    )


def _decoder(features, input, size, name):
    """What turns a record, and its name for errors, into a picture or an array."""
    feature, only = features[input], _alone(features, input)
    if not _is_picture(feature):
        if not _numeric(feature) or size is not None:
            raise UserError(
                f'{name}: the feature {input!r} is of kind {type(feature).__name__}: set '
                'data.input to a picture, or to numbers (which take no data.size), among '
                f'{_names(features)}'
            )
        return lambda record, _: np.asarray(only.deserialize_example_np(record)[input])
    channels = feature.shape[-1]
    if feature.np_dtype != np.uint8 or channels not in MODES:
        raise UserError(
            f'{name}: the pictures {input!r} are {np.dtype(feature.np_dtype)} with {channels} '
            'channels: set data.input to pictures in uint8 with 1, 3 or 4'
        )
    skip = {input: decode.SkipDecoding()}
    return lambda record, where: picture(
        only.deserialize_example_np(record, decoders=skip)[input], where, channels, size
    )


def _first(records, decoder, where):
    """The inputs of the first records of a split, which tell the range of all."""
    count, read = records
    rows = list(range(min(count, LOOKED_AT)))
    return _stacked(read(rows), rows, decoder, where)


def _stacked(records, rows, decoder, where, pool: Callable[..., Iterator] = map):
    examples = list(pool(decoder, records, [f'{where}, record {row}' for row in rows]))
    shapes = {example.shape for example in examples}
    if len(shapes) > 1:
        raise UserError(
            f'{where}: the inputs of one batch have the shapes {_names(map(str, shapes))}: give '
            'pictures a data.size, or prepare the set with one shape'
        )
    return np.stack(examples)


def _take(read, label, decoder, where, found, checked):
    pool = ThreadPoolExecutor(WORKERS)

    def take(index):
        index = np.arange(len(label))[index]
        rows = index.ravel().tolist() or [0]  # an empty batch has its inputs' shape too
        stored = _stacked(read(rows), rows, decoder, where, pool.map)
        if found and checked and not found[0] <= stored.min() <= stored.max() <= found[1]:
            raise UserError(
                f'{where}: pictures run from {stored.min():.4g} to {stored.max():.4g}, those '
                f'before from {found[0]:g} to {found[1]:g}: {SAYS}'
            )
        input = scale(stored, found)[: index.size]
        return {'input': input.reshape(*index.shape, *input.shape[1:]), 'label': label[index]}

    return take


def _alone(features, name) -> Any:  # by TFDS's annotations it may give anything
    """What parses one feature of a record and no other."""
    return kinds.FeaturesDict({name: features[name]})


def _is_picture(feature):
    return isinstance(feature, kinds.Image)


def _numeric(feature):
    return isinstance(feature.shape, tuple) and np.dtype(feature.np_dtype).kind in 'biuf'


def _names(names):
    return ', '.join(sorted(names))


def _line(error):
    return ' '.join(str(error).split()) or type(error).__name__
