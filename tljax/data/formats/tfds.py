"""Data sets that TensorFlow Datasets has prepared, read by random access and without TensorFlow.

The array_record library reads array_record files. A tfrecord file is a sequence of records, and
each record consists of the length of its data (8 bytes, little-endian), the masked CRC-32C of the
length (4 bytes), the data, and the masked CRC-32C of the data (4 bytes):
https://www.tensorflow.org/tutorials/load_data/tfrecord.
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
from tensorflow_datasets import features as feature_types
from tensorflow_datasets.core.file_adapters import FileFormat
from tensorflow_datasets.core.read_only_builder import builder_from_files
from tensorflow_datasets.core.registered import DatasetNotFoundError

from tljax.core import Dataset, UserError
from tljax.data.decoding import MODES, picture
from tljax.data.pictures import WORKERS
from tljax.data.ranges import BYTES, SAYS, range_note, range_of, scale
from tljax.data.splits import cut_missing
from tljax.data.tasks import infer_task
from tljax.packing import Bytes, Unpacked

REMEDY = 'copy or prepare the data set again'
CHUNK = 1024  # records in memory at once while labels are read
SAMPLE = 64  # records of a split whose inputs decide the range of all
FORMATS = (FileFormat.ARRAY_RECORD, FileFormat.TFRECORD)  # in order of preference


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
    """Reads a prepared set of TensorFlow Datasets, from its catalogue or from a builder of yours.

    The files are array_record or tfrecord. Pictures become float32 in [0, 1], (n, height, width,
    channels), upright and with the channels that the set declares. A tensor that has three or four
    axes with that of the examples counts as pictures; `ranges.range_of` finds their black and white
    from the first records of each split. Other floats become float32, other integers stay as they
    are. A ClassLabel names its classes; `tasks.infer_task` decides the task of other labels. Labels
    are read once, at the start, and inputs when they are used.

    Args:
        dataset: name of the set in the catalogue: 'mnist', 'mnist:3.0.1', 'domainnet/real'.
        data_dir: folder in which the set was prepared; `~` is expanded.
        input: name of the feature that is the input.
        label: name of the feature that is the label.
        validation: share of each class that is cut from train if the set has no such split.
        test: share of each class that is cut from train if the set has no such split.
        seed: seed of that cut.
        size: side of the pictures, in pixels: the short side is scaled to `size` bilinearly and the
            centre kept. None leaves pictures as they are.
        task: 'classes', 'labels' or 'numbers'; needed if the labels leave it open.
        range: (black, white) of the pictures; needed if their numbers leave it open.

    Splits: train, validation and test of the set are kept, others ignored. A split whose labels are
        all -1 is unlabelled and counts as missing. A missing validation or test split is cut from
        train, class by class, by the seeded permutation of `cut`.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        UserError: the set is not prepared (the error shows the command that prepares it) or has
            another file format; a feature is missing, or neither a picture nor numbers; a file is
            missing or damaged (the error names it, and for tfrecord the offset); in `take`,
            pictures have several sizes.

    >>> tfds('mnist', 'nowhere')  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    tljax.core.UserError: mnist is not prepared under nowhere: python -c "import ...
    """
    info = _info(dataset, Path(data_dir).expanduser())
    features = cast(feature_types.FeaturesDict, info.features)  # never None for a set on disk
    for feature in (input, label):
        if feature not in features:
            raise UserError(
                f'{dataset} has no feature {feature!r}: set data.input and data.label to some of '
                f'{_join(features)}'
            )
    records = _records_by_split(info, dataset)
    labels = _labels_by_split(features, label, records, dataset)
    label_type = features[label]
    names = tuple(label_type.names) if isinstance(label_type, feature_types.ClassLabel) else ()
    labels, task_of_labels, notes = infer_task(labels, names, dataset, task)
    decoder = _decoder(features, input, size, dataset)
    if _is_picture(features[input]):
        input_range = (0.0, 255.0, 'i')
    else:
        first_inputs = {
            split: _first_inputs(*records[split], decoder, f'{dataset}, {split}')
            for split in labels
        }
        input_range = range_of(first_inputs, range, dataset)
    notes += range_note(input_range, range)
    splits = {}
    for split, split_label in labels.items():
        take = _take(
            records[split][1],
            split_label,
            decoder,
            f'{dataset}, {split}',
            input_range,
            range is None,
        )
        files = [
            (path.name, os.stat(path).st_size, os.stat(path).st_mtime_ns)
            for path in info.splits[split].filepaths
        ]
        digest = hashlib.sha256(
            repr((info.full_name, split, input, label, size, range, files)).encode()
        ).hexdigest()
        splits[split] = Dataset(
            take, split_label, task_of_labels, digest, notes=notes, range=input_range
        )
    return cut_missing(splits, validation, test, seed, dataset)


def tfrecords(paths: Sequence[str | Path]) -> tuple[int, Callable[[Sequence[int]], list[bytes]]]:
    """Opens TFRecord files for random access, and verifies both checksums of each record.

    Args:
        paths: the files; their records are numbered in this order.

    Returns:
        (count, read): the number of records, and a function from a list of record numbers to the
        records' data.

    Raises:
        UserError: a record is cut off or has a wrong checksum (the error names the file and the
            offset). Lengths are checked at once, data when `read` reads them.

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
    positions = []  # a row for each record: number of its file, offset, length
    for number, path in enumerate(paths):
        positions += [(number, offset, length) for offset, length in _scan(path)]
    positions = np.array(positions, np.int64)

    def record(row):
        number, offset, length = positions[row].tolist()
        with open(paths[number], 'rb') as file:
            file.seek(offset + 12)
            data, crc = file.read(length), file.read(4)
        if crc != struct.pack('<I', masked_crc(data)):
            raise _damage_error(paths[number], offset, 'its data')
        return data

    return len(positions), lambda rows: [record(row) for row in rows]


def masked_crc(data: bytes) -> int:
    """Masked CRC-32C of TFRecord files: the CRC-32C rotated right by 15 bits, plus a constant.

    Args:
        data: the bytes.

    >>> hex(masked_crc(bytes(32)))  # the CRC-32C is 0x8a9136aa (RFC 3720, B.4)
    '0xfd7fffa'
    """
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _scan(path):
    """Yields (offset, length of the data) of each record after checks of its length and end."""
    size = os.path.getsize(path)
    with open(path, 'rb') as file:
        offset = 0
        while offset < size:
            file.seek(offset)
            header = file.read(12)
            if len(header) < 12:
                raise _damage_error(path, offset, 'its header, which is cut off')
            if header[8:] != struct.pack('<I', masked_crc(header[:8])):
                raise _damage_error(path, offset, 'its length')
            (length,) = struct.unpack('<Q', header[:8])
            if offset + 16 + length > size:
                raise _damage_error(path, offset, 'its data, which is cut off')
            yield offset, length
            offset += 16 + length


def _damage_error(path, offset, part):
    """The error for a record whose `part` is damaged."""
    return UserError(f'{path}: the record at byte {offset} is damaged in {part}: {REMEDY}')


def _info(name, data_dir):
    """The DatasetInfo of a prepared set, read without the code of its builder."""
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
        # a wrong name and damaged metadata raise errors of JSON, of protobuf or of TFDS
        raise UserError(
            f'{name} under {data_dir} cannot be read ({_line(error)}): check the name, or {REMEDY}'
        ) from error
    readable_formats = [format for format in FORMATS if format in formats]
    if not readable_formats:
        raise UserError(
            f'{name} under {data_dir} is stored as {_join(format.value for format in formats)}: '
            "prepare it again, in another data_dir, with file_format='array_record'"
        )
    if info.file_format != readable_formats[0]:
        info.set_file_format(readable_formats[0], override=True, override_if_initialized=True)
    return info


def _records_by_split(info, dataset):
    """{split: (count, read)} of the splits that have records, train among them."""
    records = {
        split: _records(info, split)
        for split in ('train', 'validation', 'test')
        if split in info.splits and info.splits[split].num_examples
    }
    if 'train' not in records:
        raise UserError(
            f'{dataset} has no train split, only {_join(info.splits) or "empty ones"}: prepare it '
            'with one'
        )
    return records


def _records(info, split):
    """(count, read) of a split's records, as `tfrecords` returns them."""
    paths = [os.fspath(path) for path in info.splits[split].filepaths]
    absent_files = [path for path in paths if not os.path.isfile(path)]
    if absent_files:
        raise UserError(
            f'{absent_files[0]} is missing ({len(absent_files)} of {len(paths)} {split} files): '
            f'{REMEDY}'
        )
    if info.file_format == FileFormat.TFRECORD:
        count, read = tfrecords(paths)
    else:
        count, read = _array_records(paths)
    if count != info.splits[split].num_examples:
        raise UserError(
            f'{os.path.dirname(paths[0])}: {split} holds {count} of '
            f'{info.splits[split].num_examples} records: {REMEDY}'
        )
    return count, read


def _array_records(paths):
    """(count, read) of array_record files, as `tfrecords` returns them."""

    def call(function, *arguments):
        try:
            return function(*arguments)
        except (RuntimeError, ValueError, OSError) as error:
            raise UserError(
                f'{paths[0]} or a file beside it is damaged ({_line(error)}): {REMEDY}'
            ) from error

    source = call(ArrayRecordDataSource, paths)
    return len(source), lambda rows: call(source.__getitems__, rows)


def _labels_by_split(features, label, records, dataset):
    """{split: labels} of train and of those other splits that have labels (not all -1)."""
    labels = {}
    for split, (count, read) in records.items():
        split_label = _labels(features, label, count, read, dataset)
        if split == 'train' or not (split_label == -1).all():
            labels[split] = split_label
    return labels


def _labels(features, label, count, read, name):
    """The labels of all records of a split."""
    feature = features[label]
    if not _is_numeric(feature) or len(feature.shape) > 1 or None in feature.shape:
        raise UserError(
            f'{name}: the feature {label!r} is of kind {type(feature).__name__}, which is no '
            f'label: set data.label to a class or a number among {_join(features)}'
        )
    parser = _parser(features, label)  # of this feature: pictures are not decoded
    labels = []
    for start in range(0, count, CHUNK):
        rows = list(range(start, min(start + CHUNK, count)))
        labels += [parser.deserialize_example_np(record)[label] for record in read(rows)]
    return np.array(labels)


def _decoder(features, input, size, name):
    """A function (record, name of the record for errors) -> picture or array."""
    feature, parser = features[input], _parser(features, input)
    if not _is_picture(feature):
        if not _is_numeric(feature) or size is not None:
            raise UserError(
                f'{name}: the feature {input!r} is of kind {type(feature).__name__}: set '
                'data.input to a picture, or to numbers (which take no data.size), among '
                f'{_join(features)}'
            )
        return lambda record, _: np.asarray(parser.deserialize_example_np(record)[input])
    channels = feature.shape[-1]
    if feature.np_dtype != np.uint8 or channels not in MODES:
        raise UserError(
            f'{name}: the pictures {input!r} are {np.dtype(feature.np_dtype)} with {channels} '
            'channels: set data.input to pictures in uint8 with 1, 3 or 4'
        )
    skip = {input: decode.SkipDecoding()}
    return lambda record, where: picture(
        parser.deserialize_example_np(record, decoders=skip)[input], where, channels, size
    )


def _first_inputs(count, read, decoder, where):
    """The inputs of the first records of a split, which decide the range of all."""
    rows = list(range(min(count, SAMPLE)))
    return _decode(read(rows), rows, decoder, where)


def _decode(records, rows, decoder, where, map_function: Callable[..., Iterator] = map):
    """The inputs of records as one array; `map_function` may be the `map` of a thread pool."""
    examples = list(map_function(decoder, records, [f'{where}, record {row}' for row in rows]))
    shapes = {example.shape for example in examples}
    if len(shapes) > 1:
        raise UserError(
            f'{where}: the inputs of one batch have the shapes {_join(map(str, shapes))}: give '
            'pictures a data.size, or prepare the set with one shape'
        )
    return np.stack(examples)


def _take(read, label, decoder, where, input_range, check):
    """The `take` of a split; with `check`, an input beyond the range raises an error."""
    pool = ThreadPoolExecutor(WORKERS)

    def take(index):
        index = np.arange(len(label))[index]
        rows = index.ravel().tolist() or [0]  # an empty batch needs the shape of an input
        numbers = _decode(read(rows), rows, decoder, where, pool.map)
        if input_range and check:
            black, white, _ = input_range
            if not black <= numbers.min() <= numbers.max() <= white:
                raise UserError(
                    f'{where}: pictures run from {numbers.min():.4g} to {numbers.max():.4g}, the '
                    f'first ones from {black:g} to {white:g}: {SAYS}'
                )
        if numbers.dtype == np.uint8 and input_range == BYTES:
            pictures = (numbers if numbers.ndim == 4 else numbers[..., None])[: index.size]
            input = Bytes(pictures.reshape(*index.shape, *pictures.shape[1:]))
        else:
            input = scale(numbers, input_range)[: index.size]
            input = input.reshape(*index.shape, *input.shape[1:])
        return {'input': input, 'label': label[index]}

    return Unpacked(take)


def _parser(features, name) -> Any:  # TFDS's annotations leave the type open
    """A parser of one feature of a record that skips all others."""
    return feature_types.FeaturesDict({name: features[name]})


def _is_picture(feature):
    return isinstance(feature, feature_types.Image)


def _is_numeric(feature):
    return isinstance(feature.shape, tuple) and np.dtype(feature.np_dtype).kind in 'biuf'


def _join(names):
    return ', '.join(sorted(names))


def _line(error):
    """The text of an error in one line."""
    return ' '.join(str(error).split()) or type(error).__name__
