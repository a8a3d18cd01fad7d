"""Transformations against NumPy, SciPy and the standard library."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from tljax.configuration import AUGMENT, TRANSFORMATIONS, call_each
from tljax.core import UserError
from tljax.nn import augment, transformations

ALL = [
    transformations.mirror(),
    transformations.upend(),
    transformations.rotate(30),
    transformations.scale(0.5),
    transformations.scale(1.5),
    transformations.hue(0.3),
    transformations.saturation(0.5),
    transformations.brightness(0.5),
    transformations.grey(),
    transformations.invert(),
    transformations.blur(0.1),
]


def picture(height=11, width=14, channels=3, seed=0):
    return np.random.default_rng(seed).random((height, width, channels), np.float32)


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('function', ALL, ids=lambda function: function.title)
def test_pictures_keep_shape_type_and_range(function, channels):
    output = np.asarray(jax.jit(function.function)(picture(channels=channels)))
    assert output.shape == (11, 14, channels) and output.dtype == np.float32
    assert output.min() >= 0 and output.max() <= 1 + 1e-6


def test_titles_tell_strengths_apart():
    assert len({function.title for function in ALL}) == len(ALL)


def test_flips_and_complements_are_numpys():
    x = picture()
    np.testing.assert_array_equal(transformations.mirror()(x), x[:, ::-1])
    np.testing.assert_array_equal(transformations.upend()(x), x[::-1])
    np.testing.assert_allclose(transformations.invert()(x), 1 - x)


@pytest.mark.parametrize('side', [8, 9])
@pytest.mark.parametrize('quarters', [1, 2, 3, -1])
def test_quarter_turns_are_exact(side, quarters):
    x = picture(side, side)
    turned = transformations.rotate(90 * quarters)(x)
    np.testing.assert_allclose(turned, np.rot90(x, quarters), atol=1e-5)


def test_other_turns_and_sizes_are_scipys():
    x = picture(12, 15, 1)
    expected = scipy.ndimage.rotate(x, 25, reshape=False, order=1, mode='grid-constant')
    np.testing.assert_allclose(transformations.rotate(25)(x), expected, atol=1e-4)
    for factor in (0.6, 1.4):
        centre = (np.array(x.shape[:2]) - 1) / 2
        expected = scipy.ndimage.affine_transform(
            x[..., 0],
            np.eye(2) / factor,
            centre - centre / factor,
            order=1,
            mode='grid-constant',
        )
        found = np.asarray(transformations.scale(factor)(x))[..., 0]
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_hue_turns_the_chroma_of_yiq():
    for seed in range(5):
        colour = 0.4 + 0.2 * np.random.default_rng(seed).random(3)  # nothing is clipped
        found = np.asarray(transformations.hue(0.2)(jnp.array(colour[None, None])))[0, 0]
        (y, i, q), (y2, i2, q2) = colorsys.rgb_to_yiq(*colour), colorsys.rgb_to_yiq(*found)
        turned = complex(i, q) * np.exp(-0.4j * np.pi)
        np.testing.assert_allclose([y2, i2, q2], [y, turned.real, turned.imag], atol=3e-3)
    grey = np.full((2, 2, 3), 0.3, np.float32)
    np.testing.assert_allclose(transformations.hue(0.2)(grey), grey, atol=1e-5)


def test_blur_is_scipys_gaussian():
    x = picture(20, 16)
    expected = scipy.ndimage.gaussian_filter(x, (1, 1, 0), mode='reflect', truncate=3)
    np.testing.assert_allclose(transformations.blur(1 / 20)(x), expected, atol=1e-5)


def test_one_of_takes_each_as_often():
    by = [transformations.brightness(0.5), transformations.brightness(0.25)]
    function = jax.jit(jax.vmap(augment.one_of(by), (0, None)))
    keys = jax.random.split(jax.random.key(0), 3000)
    outputs = np.asarray(function(keys, jnp.ones((1, 1, 1)))).ravel()
    values, counts = np.unique(outputs, return_counts=True)
    assert values.tolist() == [0.25, 0.5, 1.0]
    assert np.abs(counts - 1000).max() < 4 * np.sqrt(3000 * 2 / 9)


def test_configs_name_them():
    spec = {'name': 'one_of', 'by': ['mirror', {'name': 'rotate', 'degrees': 90}]}
    assert len(call_each(AUGMENT, [spec], 'augment')) == 1
    found = call_each(TRANSFORMATIONS, spec['by'], 'by')
    assert [function.title for function in found] == ['mirror', 'rotate 90']
    with pytest.raises(UserError, match='by.name=.mirrors. is unknown: did you mean mirror'):
        call_each(TRANSFORMATIONS, ['mirrors'], 'by')


@pytest.mark.parametrize(
    'make, said',
    [
        (lambda: transformations.scale(0), 'scale.factor=0: give a number above 0'),
        (lambda: transformations.blur(0.5), 'blur.sigma=0.5'),
        (lambda: transformations.brightness(-1), 'brightness.factor=-1'),
        (lambda: transformations.tint(2, 1, 1), 'from 0 to 1'),
        (lambda: transformations.tint(1, 1, 1)(picture(channels=1)), 'has 1 channels'),
        (lambda: augment.one_of([]), 'one_of.by is empty'),
    ],
)
def test_what_cannot_be(make, said):
    with pytest.raises(UserError, match=said):
        make()
