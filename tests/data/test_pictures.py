"""Pictures as they are decoded, scaled, cropped, turned upright and made grey."""

import io
import struct
import zlib

import jax
import numpy as np
import pytest
from PIL import Image
from trees import everything, pixels, save, tree

from tljax.core import UserError
from tljax.data.decoding import picture
from tljax.data.formats.folder import folder


def test_pictures_are_scaled_bilinearly_and_cropped_at_the_centre():
    image = pixels(1, height=14, width=22)
    file = io.BytesIO()
    Image.fromarray(image).save(file, 'PNG')
    scaled = jax.image.resize(image.astype(np.float32), (7, 11, 3), 'linear', antialias=True)
    # each of two passes rounds
    np.testing.assert_allclose(picture(file.getvalue(), 'it', 3, size=7), scaled[:, 2:9], atol=1.5)


def test_pictures_stand_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the top row is the right side: a quarter turn clockwise sets it upright
    tree(tmp_path)
    save(tmp_path / 'cat' / '00.png', seed=7, exif=exif)
    upright = np.rot90(pixels(7), -1) / np.float32(255)
    images = np.concatenate(
        [everything(split)['input'] for split in folder(tmp_path, size=6).values()]
    )
    assert (images == upright).all((1, 2, 3)).sum() == 1


def test_grey_is_the_luma_of_rec_601_and_colour_of_grey_is_grey():
    file, grey = io.BytesIO(), io.BytesIO()
    Image.fromarray(pixels(2)).save(file, 'PNG')
    luma = picture(file.getvalue(), 'it', channels=1)
    np.testing.assert_allclose(luma[..., 0], pixels(2) @ [0.299, 0.587, 0.114], atol=0.51)
    Image.fromarray(luma[..., 0]).save(grey, 'PNG')
    np.testing.assert_array_equal(
        picture(grey.getvalue(), 'it', channels=3), np.repeat(luma, 3, axis=-1)
    )


@pytest.mark.parametrize('mode', ['RGBA', 'LA', 'P'])
def test_transparency_shows_white(mode):
    file = io.BytesIO()
    Image.new('RGBA', (4, 4), (0, 0, 0, 0)).convert(mode).save(
        file, 'PNG', **({'transparency': 0} if mode == 'P' else {})
    )
    assert (picture(file.getvalue(), 'it', channels=3) == 255).all()


def encoded(image, kind='PNG', **keywords):
    file = io.BytesIO()
    image.save(file, kind, **keywords)
    return file.getvalue()


def scaled_then_cropped(data, size, resize):
    """What the whole picture gives when it is scaled first."""
    image = Image.open(io.BytesIO(data))
    scale = resize / min(image.size)
    image = image.resize(
        [max(round(side * scale), resize) for side in image.size], Image.Resampling.BILINEAR
    )
    left, top = ((side - size) // 2 for side in image.size)
    return np.asarray(image.crop((left, top, left + size, top + size)))


@pytest.mark.parametrize('mode', ['RGB', 'L'])
@pytest.mark.parametrize(
    'height, width', [(60, 60), (61, 83), (90, 31), (20, 200), (5, 9), (33, 32), (128, 7)]
)
def test_a_crop_before_scaling_shows_what_it_shows_afterwards(mode, height, width):
    image = Image.fromarray(pixels(height, height, width, channels=len(mode)).squeeze())
    for size, resize in ((32, 32), (28, 32), (16, 64), (1, 5)):
        found = picture(encoded(image), 'it', len(mode), size, resize)
        expected = scaled_then_cropped(encoded(image), size, resize).reshape(found.shape)
        np.testing.assert_allclose(found.astype(int), expected, atol=1)


def test_a_crop_of_whole_pixels_is_the_same_to_the_bit():
    image = Image.fromarray(pixels(0, height=64, width=96))
    np.testing.assert_array_equal(
        picture(encoded(image), 'it', 3, 16, 32), scaled_then_cropped(encoded(image), 16, 32)
    )


@pytest.mark.parametrize('sides', [(4000, 1), (1, 4000), (3000, 2)])
def test_nothing_larger_than_the_output_is_made(sides, monkeypatch):
    made, resize = [], Image.Image.resize

    def watched(image, size, *arguments, **keywords):
        made.append(tuple(size))
        return resize(image, size, *arguments, **keywords)

    monkeypatch.setattr(Image.Image, 'resize', watched)
    strip = encoded(Image.new('RGB', sides, 'red'))
    for keywords in ({'size': 224, 'resize': 256}, {'size': 224}):
        assert (picture(strip, 'strip.png', 3, **keywords) == [255, 0, 0]).all()
    assert made == [(224, 224)] * 2


GREY = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)


@pytest.mark.parametrize(
    'values, kind',
    [
        (GREY, 'PNG'),
        (GREY, 'TIFF'),
        (GREY.astype('>u2'), 'TIFF'),
        (GREY.astype(np.int32), 'PPM'),
        (GREY, 'JPEG2000'),
    ],
    ids=['png', 'tiff', 'big-endian', 'pgm', 'jp2'],
)
@pytest.mark.parametrize('channels', [1, 3])
def test_sixteen_bits_are_scaled_by_their_range(values, kind, channels):
    found = picture(encoded(Image.fromarray(values), kind), 'scan', channels)
    np.testing.assert_array_equal(found, np.repeat(np.round(GREY / 257)[..., None], channels, -1))


def test_sixteen_bits_may_be_white_at_zero_and_have_a_colour_that_is_transparent():
    tiff = bytearray(encoded(Image.fromarray(GREY), 'TIFF'))
    tag = tiff.index(struct.pack('<HHI', 262, 3, 1))  # PhotometricInterpretation
    tiff[tag + 8 : tag + 10] = struct.pack('<H', 0)
    np.testing.assert_array_equal(
        picture(bytes(tiff), 'scan', 1)[..., 0], 255 - np.round(GREY / 257)
    )
    found = picture(encoded(Image.fromarray(GREY), transparency=int(GREY[1, 1])), 'scan', 1)[
        ..., 0
    ].copy()
    assert found[1, 1] == 255
    found[1, 1] = round(GREY[1, 1] / 257)
    np.testing.assert_array_equal(found, np.round(GREY / 257))


@pytest.mark.parametrize('kind', [np.float32, np.int32])
def test_numbers_of_no_stated_range_are_refused(kind):
    data = encoded(Image.fromarray(GREY.astype(kind)), 'TIFF')
    with pytest.raises(UserError, match=r'scan.tif holds numbers \(mode [FI]\) whose range no'):
        picture(data, 'scan.tif', channels=1)


def bomb(width, height):
    """A PNG of a few bytes that claims to be large."""

    def chunk(name, data):
        crc = zlib.crc32(name + data)
        return struct.pack('>I', len(data)) + name + data + struct.pack('>I', crc)

    return (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
        + chunk(b'IDAT', b'')
    )


@pytest.mark.parametrize(
    'width, height, told', [(15_000, 12_000, '15000 x 12000'), (40_000, 40_000, '1600000000')]
)
def test_the_limit_of_pixels_is_told_with_the_picture_s_own(width, height, told):
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(
        UserError,
        match=f'{told} pixels, and at most 178,956,970 are read: .* data.pixels={width * height} '
        f'or --pixels={width * height}',
    ):
        picture(bomb(width, height), 'scan.png', 3, 8)
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize('kind', ['PNG', 'TIFF', 'WEBP', 'GIF', 'JPEG'])
def test_the_limit_is_raised_to_a_number(kind, monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)  # as if Pillow's own limit were so small
    data = encoded(Image.new('RGB', (50, 40)), kind)
    assert picture(data, 'scan', 3, 8, pixels=2000).shape == (8, 8, 3)
    with pytest.raises(UserError, match='has 50 x 40 pixels, and at most 1,999'):
        picture(data, 'scan', 3, 8, pixels=1999)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_a_program_is_no_picture():
    data = encoded(Image.new('RGB', (4, 4)), 'EPS')
    # Pillow would run Ghostscript on it
    with pytest.raises(UserError, match='of no format that Pillow knows'):
        picture(data, 'a.png', 3)
