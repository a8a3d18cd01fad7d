"""Sets that several tests read: prepared by TensorFlow Datasets, and tiny ones of the literature in
their own formats."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from records import BUILDER, framed
from scipy.io import savemat
from tiny_sets import (
    LABEL,
    PHOTOGRAPH,
    random,
    write_idx,
    write_mnist_m,
    write_photograph,
    write_reviews,
    write_usps,
)

from tljax.data.sets.office_caltech import OFFICE_DOMAINS


@pytest.fixture(scope='session')
def prepared(tmp_path_factory):
    """The same set prepared as array_record, and as tfrecord in two shards a split, written by
    hand."""
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
        raw = builder.as_data_source(
            split['name'], deserialize_method=tensorflow_datasets.decode.DeserializeMethod.RAW_BYTES
        )
        records = [framed(raw[i]) for i in range(len(raw))]
        split['shardLengths'] = [str(len(records) - 2), '2']
        (target / f'scenes-{split["name"]}.tfrecord-00000-of-00002').write_bytes(
            b''.join(records[:-2])
        )
        (target / f'scenes-{split["name"]}.tfrecord-00001-of-00002').write_bytes(
            b''.join(records[-2:])
        )
    (target / 'dataset_info.json').write_text(json.dumps(info))
    return root


@pytest.fixture
def copy(prepared, tmp_path):
    """A copy to damage: `copy(form) -> (data_dir, the folder with the files)`."""
    return lambda form: (
        shutil.copytree(prepared / form, tmp_path / form),
        tmp_path / form / 'scenes' / '1.2.0',
    )


@pytest.fixture(scope='session')
def everything(tmp_path_factory):
    """A folder with a tiny set in every format of the literature's."""
    root = tmp_path_factory.mktemp('everything')
    (root / 'mnist').mkdir()
    for seed, name in enumerate(('train', 't10k')):
        write_idx(root / 'mnist', name, random(seed, 40, 28, 28), LABEL)
    write_usps(root / 'usps.h5')
    write_mnist_m(root / 'mnist_m.zip')
    write_photograph(root, np.full((30, 40, 3), PHOTOGRAPH))
    (root / 'photographs' / 'notes.txt').write_text('no photograph')
    for seed, name in enumerate(OFFICE_DOMAINS.values(), 5):
        savemat(
            root / f'{name}_SURF_L10.mat',
            {'fts': random(seed, 40, 800, high=5), 'labels': LABEL[:, None] + 1.0},
            do_compression=True,
        )
    for seed, split in enumerate(('train', 'test'), 9):
        write_reviews(root / f'books_{split}.svmlight.gz', random(seed, 40, 5000, high=3))
    return root


@pytest.fixture
def root(everything, tmp_path):
    """A copy of `everything` to damage."""
    return shutil.copytree(everything, tmp_path / 'set')
