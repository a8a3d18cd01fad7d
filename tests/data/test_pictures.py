"""Pictures as they are decoded, scaled, cropped, turned upright and made grey."""
import io

import jax
import numpy as np
import pytest
from PIL import Image
from trees import everything, pixels, save, tree

from tljax.core import Refused
from tljax.data.formats.folder import folder
from tljax.data.pictures import picture


def test_pictures_are_scaled_bilinearly_and_cropped_at_the_centre():
    image = pixels(1, height=14, width=22)
    file = io.BytesIO()
    Image.fromarray(image).save(file, 'PNG')
    scaled = jax.image.resize(image.astype(np.float32), (7, 11, 3), 'linear', antialias=True)
    np.testing.assert_allclose(picture(file.getvalue(), 'it', 3, size=7), scaled[:, 2:9], atol=1.5)   # each of two passes rounds


def test_pictures_stand_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6   # the top row is the right side: a quarter turn clockwise sets it upright
    tree(tmp_path)
    save(tmp_path / 'cat' / '00.png', seed=7, exif=exif)
    upright = np.rot90(pixels(7), -1) / np.float32(255)
    images = np.concatenate([everything(split)['input'] for split in folder(tmp_path, size=6).values()])
    assert (images == upright).all((1, 2, 3)).sum() == 1


def test_grey_is_the_luma_of_rec_601_and_colour_of_grey_is_grey():
    file, grey = io.BytesIO(), io.BytesIO()
    Image.fromarray(pixels(2)).save(file, 'PNG')
    luma = picture(file.getvalue(), 'it', channels=1)
    np.testing.assert_allclose(luma[..., 0], pixels(2) @ [.299, .587, .114], atol=.51)
    Image.fromarray(luma[..., 0]).save(grey, 'PNG')
    np.testing.assert_array_equal(picture(grey.getvalue(), 'it', channels=3), np.repeat(luma, 3, axis=-1))


@pytest.mark.parametrize('mode', ['RGBA', 'LA', 'P'])
def test_transparency_shows_white(mode):
    file = io.BytesIO()
    Image.new('RGBA', (4, 4), (0, 0, 0, 0)).convert(mode).save(file, 'PNG', **({'transparency': 0} if mode == 'P' else {}))
    assert (picture(file.getvalue(), 'it', channels=3) == 255).all()


def test_sixteen_bits_are_refused_not_clipped():
    file = io.BytesIO()
    Image.fromarray(np.full((4, 4), 6000, np.uint16)).save(file, 'PNG')
    with pytest.raises(Refused, match='scan.png cannot be decoded .*I;16 has more than 8 bits'):
        picture(file.getvalue(), 'scan.png', channels=1)
