"""Augmentations against NumPy, SciPy and Pillow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from PIL import Image, ImageEnhance

from tljax.core import UserError
from tljax.nn import augment

CHAIN = [
    augment.flip(),
    augment.crop(2),
    augment.affine(),
    augment.colour(),
    augment.resized_crop(),
]
IDENTITIES = [
    augment.flip(0),
    augment.crop(0),
    augment.affine(0, 0, 0, 0),
    augment.colour(0, 0, 0),
    augment.resized_crop((1, 1), (1, 1)),
]


def pictures(n=6, height=12, width=12, channels=3, seed=0):
    return np.random.default_rng(seed).random((n, height, width, channels), np.float32)


def keys(n, seed=0):
    return np.asarray(jax.random.key_data(jax.random.split(jax.random.key(seed), n)))


@pytest.mark.parametrize('functions', [[function] for function in CHAIN] + [CHAIN])
def test_an_example_depends_on_its_key_alone(functions):
    prepare = jax.jit(augment.prepare_batch(functions))
    batch = {'input': pictures(), 'label': np.arange(6), 'key': keys(6)}
    expected = prepare(batch)
    assert sorted(expected) == ['input', 'label']
    order = np.array([3, 0, 5, 1, 2, 4])
    permuted = prepare({name: value[order] for name, value in batch.items()})
    np.testing.assert_allclose(permuted['input'], np.asarray(expected['input'])[order], atol=1e-6)
    assert permuted['label'].tolist() == order.tolist()
    other = prepare({**batch, 'key': keys(6, seed=1)})
    assert np.abs(np.asarray(other['input']) - expected['input']).max() > 0.05


def test_an_example_alone_is_the_same_as_in_a_compiled_batch():
    batch = {'input': pictures(2), 'key': keys(2)}
    functions = [augment.flip(), augment.crop(2), augment.affine()]
    outputs = jax.jit(augment.prepare_batch(functions))(batch)['input']
    key, picture = jax.random.wrap_key_data(batch['key'][1]), batch['input'][1]
    for i, function in enumerate(functions):
        picture = function(jax.random.fold_in(key, i), picture)
    np.testing.assert_allclose(picture, np.asarray(outputs)[1], atol=1e-5)


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('function', CHAIN)
def test_pictures_keep_shape_type_and_range(function, channels):
    input = pictures(1, 9, 14, channels)[0]
    output = np.asarray(
        jax.jit(jax.vmap(function, (0, None)))(jax.random.split(jax.random.key(0), 20), input)
    )
    assert output.shape == (20, *input.shape) and output.dtype == np.float32
    assert output.min() >= 0 and output.max() <= 1 + 1e-6


@pytest.mark.parametrize('function', IDENTITIES)
def test_zero_strength_is_the_identity(function):
    input = pictures(1)[0]
    outputs = jax.jit(jax.vmap(function, (0, None)))(jax.random.split(jax.random.key(1), 5), input)
    np.testing.assert_allclose(outputs, np.stack([input] * 5), atol=1e-6)


def test_flip_is_numpys_and_as_frequent_as_asked():
    n = 2000
    input = np.broadcast_to(pictures(1)[0], (n, 12, 12, 3))
    output = np.asarray(
        jax.jit(augment.prepare_batch([augment.flip(0.3)]))({'input': input, 'key': keys(n)})[
            'input'
        ]
    )
    flips = (output == np.fliplr(input[0])).all((1, 2, 3))
    copies = (output == input[0]).all((1, 2, 3))
    assert (flips ^ copies).all()
    assert abs(flips.mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / n)  # four standard errors


@pytest.mark.parametrize('border, mode', [('reflect', 'reflect'), ('zero', 'constant')])
def test_crop_takes_every_window_of_numpys_padding(border, mode):
    input, padding = pictures(1, 5, 6, 1)[0], 2
    padded = np.pad(input, ((2, 2), (2, 2), (0, 0)), mode=mode)
    windows = {padded[i : i + 5, j : j + 6].tobytes() for i in range(5) for j in range(5)}
    function = augment.crop(padding, border)
    crops = jax.jit(jax.vmap(function, (0, None)))(jax.random.split(jax.random.key(0), 400), input)
    assert {crop.tobytes() for crop in np.asarray(crops)} == windows


@pytest.mark.parametrize(
    'degrees, stretch, shift',
    [(0, 1, (2, -1)), (30, 1, (0, 0)), (-70, 1.4, (0.3, 2.6)), (10, 0.5, (-3, 1))],
)
def test_warp_is_scipys_affine_transform(degrees, stretch, shift):
    input = pictures(1, 11, 14, 3)[0]
    turn = np.deg2rad(degrees)
    matrix = stretch * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    offset = np.array([5, 6.5]) - matrix @ [5, 6.5] + shift
    expected = np.stack(
        [
            scipy.ndimage.affine_transform(
                input[..., c], matrix, offset, order=1, mode='grid-constant'
            )
            for c in range(3)
        ],
        -1,
    )
    output = jax.jit(augment.warp)(input, matrix.astype(np.float32), offset.astype(np.float32))
    np.testing.assert_allclose(output, expected, atol=2e-5)


def test_affine_turns_shears_stretches_and_shifts_within_its_strengths():
    """A linear ramp shows the place of each sample: f(row, column) = a + b row + c column is exact
    under bilinear sampling."""
    side, centre, limits = 41, 20, {'degrees': 20.0, 'shear': 0.2, 'scale': 0.3, 'translate': 0.1}
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    # the third channel is 1 only where no pixel outside is sampled
    input = np.stack([rows, columns, np.ones_like(rows)], -1)
    middle = slice(centre - 6, centre + 7)
    draws = []
    outputs = jax.jit(jax.vmap(augment.affine(**limits), (0, None)))(
        jax.random.split(jax.random.key(2), 200), input
    )
    for output in np.asarray(outputs)[:, middle, middle]:
        np.testing.assert_allclose(output[..., 2], 1, atol=1e-5)
        matrix = np.stack([np.gradient(output[..., i], axis=(0, 1)) for i in range(2)]).mean((2, 3))
        # shear and stretches keep the second column's direction
        turn = np.arctan2(-matrix[0, 1], matrix[1, 1])
        rest = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) @ matrix
        assert abs(rest[0, 1]) < 1e-3
        shift = (output[6, 6, :2] - centre) / side
        draws.append([np.rad2deg(turn), rest[1, 0] / rest[0, 0], *np.log(np.diag(rest)), *shift])
    low, high = np.min(draws, 0), np.max(draws, 0)
    limit = np.array([20, 0.2, 0.3, 0.3, 0.1, 0.1])
    assert (high <= limit * 1.001).all() and (low >= -limit * 1.001).all()
    assert (high > 0.9 * limit).all() and (low < -0.9 * limit).all()


@pytest.mark.parametrize('factor', [0.0, 0.4, 1.0, 1.6])
@pytest.mark.parametrize(
    'name, enhance',
    [
        ('brightness', ImageEnhance.Brightness),
        ('contrast', ImageEnhance.Contrast),
        ('saturation', ImageEnhance.Color),
    ],
)
def test_adjust_is_pillows_enhance(name, enhance, factor):
    # reddish: grey is not the mean
    bytes = np.random.default_rng(3).integers(0, (256, 128, 64), (16, 16, 3), np.uint8)
    expected = np.asarray(enhance(Image.fromarray(bytes)).enhance(factor), np.float32) / 255
    output = jax.jit(augment.adjust)(bytes / np.float32(255), **{name: factor})
    # Pillow rounds the grey and the result to whole levels
    np.testing.assert_allclose(output, expected, atol=2 / 255)


def test_greys_that_colour_must_not_move():
    grey = np.repeat(pictures(1, channels=1)[0], 3, -1)
    plain = np.full((4, 4, 3), 0.6, np.float32)
    saturation, contrast, combination = (
        jax.jit(augment.colour(*strengths))
        for strengths in ((0, 0, 1.0), (0, 1.0, 1.0), (1.0, 1.0, 1.0))
    )
    for key in jax.random.split(jax.random.key(4), 10):
        np.testing.assert_allclose(saturation(key, grey), grey, atol=1e-6)
        np.testing.assert_allclose(contrast(key, plain), plain, atol=1e-6)
        np.testing.assert_array_equal(combination(key, np.zeros_like(plain)), 0)
        channel = combination(key, grey[..., :1])
        np.testing.assert_allclose(np.repeat(channel, 3, -1), combination(key, grey), atol=1e-6)


@pytest.mark.parametrize(
    'corner, size',
    [((0, 0), (9, 14)), ((2, 3), (4, 5)), ((1.25, 0.5), (6.5, 9.75)), ((5, 0), (4, 14))],
)
def test_window_is_pillows_resize_of_a_box(corner, size):
    input = pictures(1, 9, 14, 3)[0]
    (top, left), (height, width) = corner, size
    expected = np.stack(
        [
            np.asarray(
                Image.fromarray(input[..., c]).resize(
                    (14, 9), Image.Resampling.BILINEAR, box=(left, top, left + width, top + height)
                )
            )
            for c in range(3)
        ],
        -1,
    )
    output = jax.jit(augment.window)(
        input, np.array(corner, np.float32), np.array(size, np.float32)
    )
    np.testing.assert_allclose(output, expected, atol=1e-5)


def test_resized_crop_draws_areas_and_ratios_within_its_ranges():
    """Ramps show the window: the output's slope is the window's side over the picture's."""
    side = 32
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    input = np.stack([rows, columns], -1)
    function = augment.resized_crop((0.2, 0.5), (0.8, 1.6))
    windows = jax.jit(jax.vmap(function, (0, None)))(
        jax.random.split(jax.random.key(5), 500), input
    )
    slopes = np.asarray(windows)[:, 15:18, 15:18]
    height, width = (
        (slopes[:, 2, 1, 0] - slopes[:, 0, 1, 0]) / 2,
        (slopes[:, 1, 2, 1] - slopes[:, 1, 0, 1]) / 2,
    )
    area, ratio = height * width, width / height
    assert 0.2 - 1e-3 < area.min() < 0.22 and 0.48 < area.max() < 0.5 + 1e-3
    assert 0.8 - 1e-3 < ratio.min() < 0.82 and 1.57 < ratio.max() < 1.6 + 1e-3
    # pixel 16's centre is half a pixel past the middle
    middle = slopes[:, 1, 1] + 0.5 - np.stack([height, width], -1) / 2
    half = np.stack([height, width], -1) * side / 2
    assert (middle - half > -1e-2).all() and (middle + half < side + 1e-2).all()


@pytest.mark.parametrize(
    'make, message',
    [
        (lambda: augment.flip(1.5), 'flip.probability=1.5'),
        (lambda: augment.flip(float('nan')), 'flip.probability=nan'),
        (lambda: augment.crop(-1), 'crop.padding=-1'),
        (lambda: augment.crop(2.5), 'crop.padding=2.5'),
        (lambda: augment.crop(border='wrap'), "crop.border='wrap'"),
        (lambda: augment.affine(degrees=-5), 'affine.degrees=-5'),
        (lambda: augment.affine(translate=-0.1), 'affine.translate=-0.1'),
        (lambda: augment.colour(contrast=-0.2), 'colour.contrast=-0.2'),
        (lambda: augment.colour()(jax.random.key(0), jnp.ones((2, 2, 4))), '4 channels'),
        (lambda: augment.resized_crop(scale=(1.0, 0.3)), 'resized_crop.scale=(1.0, 0.3)'),
        (lambda: augment.resized_crop(scale=(0.5, 1.5)), 'resized_crop.scale=(0.5, 1.5)'),
        (lambda: augment.resized_crop(ratio=(0, 1)), 'resized_crop.ratio=(0, 1)'),
    ],
)
def test_wrong_strengths_are_refused_in_one_line(make, message):
    with pytest.raises(UserError) as refusal:
        make()
    assert message in str(refusal.value) and '\n' not in str(refusal.value)
