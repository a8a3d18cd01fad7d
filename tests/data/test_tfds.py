"""What TensorFlow Datasets prepared, as array_record and as tfrecord."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from records import FORMS
from trees import everything, sizes

from tljax.build import load
from tljax.core import UserError
from tljax.data.formats.tfds import tfds


def drawn(part, count):
    """The pictures and labels of a split, from the seeds they were made by."""
    return {
        (
            np.random.default_rng([part, number]).integers(0, 256, (6, 5, 3), np.uint8)
            / np.float32(255)
        ).tobytes(): number % 2
        for number in range(count)
    }


@FORMS
def test_tfds_pictures_and_labels(prepared, form):
    splits = tfds('scenes', prepared / form, seed=4)
    # validation brings no labels: another is cut
    assert sizes(splits) == {'train': 26, 'validation': 4, 'test': 6}
    assert splits['train'].classes == ('sea', 'hill')
    label_of_picture = {}
    for split in splits.values():
        batch = everything(split)
        assert batch['input'].shape == (split.size, 6, 5, 3) and batch['input'].dtype == np.float32
        np.testing.assert_array_equal(batch['label'], split.label)
        label_of_picture |= {
            image.tobytes(): label
            for image, label in zip(batch['input'], batch['label'], strict=True)
        }
    assert label_of_picture == drawn(0, 30) | drawn(2, 6)
    assert {image.tobytes() for image in everything(splits['test'])['input']} == set(drawn(2, 6))
    for index in (np.array([[3, 0], [5, 3]]), np.array([-1]), np.array([], int)):
        np.testing.assert_array_equal(
            splits['test'].take(index)['input'], everything(splits['test'])['input'][index]
        )


def test_a_config_reaches_tfds(prepared):
    splits = load({'name': 'tfds', 'dataset': 'scenes', 'data_dir': str(prepared / 'array_record')})
    assert (
        splits['train'].fingerprint
        == tfds('scenes', prepared / 'array_record')['train'].fingerprint
    )


def test_tfds_agrees_with_its_own_reader(prepared):
    import tensorflow_datasets

    split = tfds('scenes:1.2.0', prepared / 'array_record')['test']
    reference = tensorflow_datasets.data_source(
        'scenes', data_dir=prepared / 'array_record', split='test', download=False
    )
    batch = everything(split)
    for i in range(6):
        np.testing.assert_array_equal(np.round(batch['input'][i] * 255), reference[i]['image'])
        assert batch['label'][i] == reference[i]['label']


@FORMS
def test_tfds_numbers(prepared, form):
    splits = tfds('scenes', prepared / form, input='vector', label='height')
    batch = everything(splits['validation'])
    assert splits['train'].classes == () and sizes(splits) == {
        'train': 30,
        'validation': 5,
        'test': 6,
    }
    np.testing.assert_array_equal(
        batch['input'], np.stack([np.ones(5), batch['label'] * 2, np.full(5, 0.5)], axis=1)
    )
    counted = tfds('scenes', prepared / form, label='count')
    assert counted['train'].classes == tuple(map(str, range(30)))


def test_tfds_grey_pictures_of_several_sizes(prepared):
    with pytest.raises(
        UserError,
        match=r'shapes \(8, 10, 3\), \(8, 11, 3\), .*: give pictures a data.size',
    ):
        everything(tfds('scenes', prepared / 'array_record', input='photo', label='height')['test'])
    batch = everything(
        tfds('scenes', prepared / 'array_record', input='photo', label='height', size=4)['test']
    )
    # a picture's height label is half its grey
    grey = (batch['label'] * 2 / np.float32(255))[:, None, None, None]
    np.testing.assert_array_equal(batch['input'], np.broadcast_to(grey, (6, 4, 4, 3)))


@FORMS
def test_tfds_never_imports_tensorflow(prepared, tmp_path, form):
    (tmp_path / 'tensorflow').mkdir()
    (tmp_path / 'tensorflow' / '__init__.py').write_text(
        'raise SystemExit("tensorflow was imported")'
    )
    program = (
        'import sys\n'
        'import numpy as np\n'
        'from tljax.data.formats.tfds import tfds\n'
        'splits = tfds("scenes", sys.argv[1])\n'
        'for split in splits.values():\n'
        '    split.take(np.arange(split.size))\n'
        'assert not [name for name in sys.modules if name.split(".")[0] in ("tensorflow", '
        '"torch")]\n'
        'print("read")'
    )
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    done = subprocess.run(
        [sys.executable, '-c', program, prepared / form],
        env=os.environ | {'PYTHONPATH': path},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == 'read', done.stderr


@FORMS
def test_tfds_fingerprints(prepared, form):
    def prints(**keywords):
        return {split.fingerprint for split in tfds('scenes', prepared / form, **keywords).values()}

    fingerprints = prints()
    assert len(fingerprints) == 3 and fingerprints == prints()
    assert fingerprints.isdisjoint(prints(size=4)) and fingerprints.isdisjoint(
        prints(input='vector')
    )
    assert len(fingerprints & prints(seed=1)) == 1  # only test is no cut


@pytest.mark.parametrize(
    'name, keywords, message',
    [
        (
            'mnist',
            {},
            "mnist is not prepared under .*builder\\('mnist', file_format='array_record', "
            "data_dir='.*prepare.*tensorflow",
        ),
        ('scenes:9.9.9', {}, 'scenes:9.9.9 is not prepared'),
        ('no name', {}, 'no name under .*: check the name'),
        (
            'scenes',
            {'input': 'picture'},
            "no feature 'picture': .* of count, height, image, label, note, photo, vector",
        ),
        ('scenes', {'label': 'class'}, "no feature 'class'"),
        ('scenes', {'label': 'note'}, "'note' is of kind Text, which is no label"),
        ('scenes', {'label': 'image'}, "'image' is of kind Image, which is no label"),
        ('scenes', {'input': 'note'}, "'note' is of kind Text: set data.input"),
        ('scenes', {'input': 'vector', 'size': 8}, 'which take no data.size'),
    ],
)
def test_tfds_requests_that_are_refused(prepared, name, keywords, message):
    with pytest.raises(UserError, match=message) as refusal:
        tfds(name, prepared / 'array_record', **keywords)
    assert '\n' not in str(refusal.value)
