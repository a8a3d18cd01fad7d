"""What stored numbers of pictures mean: the values of black and white."""

import numpy as np
import pytest

from tljax import trained
from tljax.core import UserError
from tljax.data.formats.arrays import arrays
from tljax.data.formats.npz import npz
from tljax.data.ranges import (
    GIVE,
    query_range,
    range_note,
    range_of,
    refuse_channels_first,
    scale,
)
from tljax.data.summary import summary

BYTES = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3))
BYTES[0, 0, 0], BYTES[1, 0, 0] = 0, 255
LABEL = np.arange(6) % 2
SHARES = dict(validation=0.2, test=0.2)


@pytest.mark.parametrize(
    'stored, found, said',
    [
        (BYTES.astype(np.uint8), (0, 255, 'i'), ''),
        (BYTES.astype(np.int64), (0, 255, 'i'), ''),
        (BYTES.astype(np.uint16), (0, 255, 'i'), ''),
        (BYTES.astype(np.float32), (0, 255, 'f'), 'divided by 255'),
        (BYTES.astype(np.float16), (0, 255, 'f'), 'divided by 255'),
        (BYTES[..., 0].astype(np.float64), (0, 255, 'f'), 'divided by 255'),
        (BYTES / 255, (0, 1, 'f'), ''),
        ((BYTES > 99).astype(np.uint8), (0, 1, 'i'), 'masks'),
        (BYTES > 99, (0, 1, 'i'), 'masks'),
        ((BYTES > 99).astype(np.float32), (0, 1, 'f'), ''),
        (BYTES.astype(np.uint16) * 257, (0, 65535, 'i'), '16 bits'),
        (BYTES.astype(np.int32) * 257, (0, 65535, 'i'), '16 bits'),
    ],
)
def test_the_range_of_pictures(stored, found, said):
    assert range_of({'train': stored}) == found
    assert said in ' '.join(range_note(range_of({'train': stored}))) and bool(said) == bool(
        range_note(found)
    )
    scaled = scale(stored, found)
    assert (
        scaled.dtype == np.float32 and scaled.ndim == 4 and 0 <= scaled.min() <= scaled.max() == 1
    )
    if stored.dtype.kind not in 'b' and stored.max() > 1:
        np.testing.assert_allclose(scaled[..., 0], BYTES[..., 0] / 255, atol=1e-3)


@pytest.mark.parametrize(
    'stored, message',
    [
        (BYTES / 1.7, 'pictures run from 0 to 150: say data.range'),
        (BYTES / 127.5 - 1, 'pictures run from -1 to 1: say data.range'),
        ((BYTES - 120.0) / 60, 'pictures run from -2 to 2.25: say'),
        (BYTES - 1000, 'pictures run from -1000 to -745: say'),
        (BYTES * 1000, 'pictures run from 0 to 2.55e+05: say'),
        (BYTES * 4.0, 'pictures run from 0 to 1020: say'),
        # scikit-learn's digits
        ((BYTES // 16).astype(np.uint8), r'from 0 to 15: say data.range=.*fill .0, 15. or .0, 15.'),
        ((BYTES // 16) * 1.0, 'from 0 to 15: say data.range'),
        (
            BYTES.astype(np.uint16) * 16,
            r'from 0 to 4080: say data.range=.*; their numbers fill .0, 4095. or .0, 4080.',
        ),
        (BYTES.astype(complex), 'the train input is complex128'),
    ],
)
def test_ranges_that_are_asked_for(stored, message):
    with pytest.raises(UserError, match=message.replace('+', r'\+')):
        range_of({'train': stored})


def test_a_range_that_is_given():
    stored = BYTES / 127.5 - 1
    found = range_of({'train': stored}, (-1, 1))
    np.testing.assert_allclose(scale(stored, found), BYTES / 255, atol=1e-6)
    assert range_note(found, (-1, 1)) == ()
    np.testing.assert_allclose(
        scale(stored, range_of({'train': stored}, (0, 1))), stored, atol=1e-6
    )
    for wrong in ((1, 0), (1,), 'byte', 3):
        with pytest.raises(UserError, match='data.range='):
            range_of({'train': stored}, wrong)
    with pytest.raises(UserError, match='these inputs are none'):
        range_of({'train': np.zeros((3, 2))}, (0, 1))


def test_splits_share_a_range():
    """A dark test split is not taken for a mask, and bytes do not stand beside fractions."""
    dark = np.ones((2, 4, 5, 3), np.uint8)
    assert range_of({'train': BYTES.astype(np.uint8), 'test': dark}) == (0, 255, 'i')
    mask, words = BYTES > 99, BYTES.astype(np.uint16)
    with pytest.raises(
        UserError,
        match='pictures run to 255, but those of test to 1: store all splits in one range',
    ):
        range_of({'train': BYTES.astype(np.uint8), 'test': mask.astype(np.uint8)})
    with pytest.raises(UserError, match='run to 255, but those of train to 1'):
        range_of({'train': mask * 1.0, 'test': BYTES * 1.0})
    with pytest.raises(UserError, match='run to 65535, but those of test to 255'):
        range_of({'train': words * 257, 'test': words})
    with pytest.raises(UserError, match='train uint8, test float64'):
        range_of({'train': BYTES.astype(np.uint8), 'test': dark / 255})


def test_npz_scales_floats_as_bytes_and_says_so(tmp_path):
    for name, input in (('bytes', BYTES.astype(np.uint8)), ('floats', BYTES.astype(np.float32))):
        np.savez(tmp_path / name, input=input, label=LABEL)
    bytes, floats = (
        npz(tmp_path / f'{name}.npz', **SHARES)['train'] for name in ('bytes', 'floats')
    )
    rows = np.arange(bytes.size)
    np.testing.assert_array_equal(bytes.take(rows)['input'], floats.take(rows)['input'])
    assert ('note', 'whole numbers in floats are taken for bytes: divided by 255') in summary(
        {'train': floats}
    )
    asis = npz(tmp_path / 'floats.npz', **SHARES, range=(0, 1))['train']
    assert asis.take(rows)['input'].max() > 1
    assert ('note', 'networks of the zoo take pictures in [0, 1], and these are not') in summary(
        {'train': asis}
    )


def test_a_model_takes_arrays_in_the_range_of_its_training(tmp_path):
    stored = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1))
    splits = {
        'train': arrays(scale(stored.astype(float), (0.0, 255.0, 'f')), LABEL, ('a', 'b'))._replace(
            range=(0.0, 255.0, 'f')
        )
    }
    net = {'name': 'conv4', 'width': 4, 'blocks': 1, 'size': 8}
    model = trained.train(splits, net, steps=3, batch=2, workdir=tmp_path, optim={'lr': 0.1})
    expected = model.predict(stored.astype(float))
    assert np.ptp(expected) > 0.01
    for same in (stored.astype(np.uint8), stored.astype(np.int64)):
        np.testing.assert_allclose(model.predict(same), expected, rtol=1e-6)
    np.testing.assert_allclose(model.predict(stored / 255), expected, rtol=1e-5)  # scaled already
    with pytest.raises(UserError, match='pictures run from -'):
        model.predict(stored / 1.0 - 99)
    mask = stored > 99
    # 0 and 1 are black and white in any numbers
    for same in (mask, mask.astype(np.uint8), mask.astype(float)):
        np.testing.assert_allclose(model.predict(same), model.predict(255.0 * mask), rtol=1e-5)
    with pytest.raises(UserError, match='pictures run from 0 to 510'):
        model.predict(stored * 2.0)


@pytest.mark.parametrize('trained', [(0.0, 1.0, 'f'), (0.0, 255.0, 'f'), (0.0, 255.0, 'i'), ()])
def test_a_dark_picture_of_bytes_is_one_of_bytes(trained):
    dark = np.full((1, 8, 8, 1), 51, np.uint8)
    found = query_range(dark, trained)
    np.testing.assert_allclose(scale(dark, found), 0.2, rtol=1e-6)
    black = np.zeros((1, 8, 8, 1), np.uint8)
    assert not scale(black, query_range(black, trained)).any()


def test_what_a_trained_model_is_asked_has_a_remedy_of_its_own():
    with pytest.raises(
        UserError, match=r'from 51 to 51: give bytes \(uint8\), or fractions'
    ) as error:
        query_range(np.full((1, 8, 8, 1), 51), (0.0, 1.0, 'f'))
    assert 'data.range' not in str(error.value) and 'fill' not in str(error.value)
    with pytest.raises(UserError, match=r'white 255: give bytes'):
        beyond = np.full((1, 8, 8, 1), 300)
        scale(beyond, query_range(beyond, (0.0, 255.0, 'i')), GIVE)


@pytest.mark.parametrize(
    'shape, refused',
    [
        ((3, 32, 40), True),
        ((1, 28, 28), True),
        ((4, 8, 8), True),
        ((28, 28, 1), False),
        ((32, 32, 3), False),
        ((3, 3, 3), False),
        ((3, 5, 3), False),
        ((4, 4, 16), False),
        ((13, 32, 32), False),
        ((28, 28), False),
        ((3,), False),
    ],
)
def test_channels_first(shape, refused):
    if refused:
        with pytest.raises(UserError, match='channels last is meant'):
            refuse_channels_first(shape)
    else:
        refuse_channels_first(shape)


def test_a_run_refuses_channels_first_whoever_reads_them(tmp_path):
    pictures = np.zeros((6, 3, 8, 8), np.uint8)
    np.savez(tmp_path / 'a.npz', input=pictures, label=LABEL)
    net = {'name': 'conv4', 'width': 4, 'blocks': 1, 'size': 8}
    for data in (
        {'name': 'npz', 'path': str(tmp_path / 'a.npz'), **SHARES},
        {'train': arrays(pictures / 1.0, LABEL, ('a', 'b'))},
    ):
        with pytest.raises(
            UserError,
            match=r'inputs are \(3, 8, 8\): channels last is meant, \(8, 8, 3\)',
        ):
            trained.train(data, net, workdir=tmp_path / 'run')


def test_a_run_on_pictures_as_they_are_predicts_them_as_they_are(tmp_path):
    """Arrays that are handed over in Python are not scaled, in training and afterwards alike."""
    stored = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1)).astype(np.uint8)
    net = {'name': 'conv4', 'width': 4, 'blocks': 1, 'size': 8}
    kept = dict(steps=3, batch=2, optim={'lr': 0.1})
    raw = trained.train(
        {'train': arrays(stored, LABEL, ('a', 'b'))}, net, workdir=tmp_path / 'raw', **kept
    )
    floats = trained.train(
        {'train': arrays(stored.astype('f'), LABEL, ('a', 'b'))},
        net,
        workdir=tmp_path / 'floats',
        **kept,
    )
    assert raw.record['range'][2] == 'as is' and raw.record['range'][1] > 200
    with pytest.raises(UserError, match='those of the training from'):
        raw.predict(stored / 255)
    with pytest.raises(UserError, match='those of the training from'):
        raw.predict(stored * 1000.0)
    with pytest.raises(UserError, match='give arrays'):
        raw.pictures([])
    np.testing.assert_allclose(raw.predict(stored), floats.predict(stored.astype('f')), rtol=1e-5)
