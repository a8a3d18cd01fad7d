"""Characters of many scripts, rendered from the fonts that matplotlib ships: an embedded source
task that needs no download.

Every character that Unicode gives a numeric value is left out of the letters; decimal digits are
there apart. Two characters whose first renderings look alike (Latin A, Greek Alpha, Cyrillic A) are
one class, and a letter that looks like a decimal digit is none.
"""

import functools
import unicodedata
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFont
from PIL import __version__ as pillow_version

from tljax.core import Dataset, UserError
from tljax.data.formats.arrays import arrays
from tljax.data.splits import cut
from tljax.files.cache import cache_dir, save_npz
from tljax.files.console import progress

FONTS = (
    tuple(
        f'DejaVu{family}{style}'
        for family in ('Sans', 'SansMono')
        for style in ('', '-Bold', '-Oblique', '-BoldOblique')
    )
    + tuple(f'DejaVuSerif{style}' for style in ('', '-Bold', '-Italic', '-BoldItalic'))
    + ('STIXGeneral', 'STIXGeneralBol', 'STIXGeneralItalic', 'STIXGeneralBolIta')
)
# a character is drawn this large, on a canvas with room for any turn of it
POINTS, CANVAS = 40, 96


def glyphs(
    part: str = 'letters',
    size: int = 16,
    resolution: int | None = None,
    classes: int = 600,
    per_class: int = 40,
    seed: int = 0,
) -> dict[str, Dataset]:
    """Rendered characters, white on black, float32 in [0, 1], (n, size, size, 1); drawn once and
    cached under `cache_dir()`.

    Each picture takes one of the fonts that have the character, a stroke up to two pixels wider,
    and an affine map (turn within 15 degrees, shear within 0.25, each axis scaled within e^±0.2),
    then fills its box. A picture depends on its character, its number and `seed` alone.

    Args:
        part: 'letters' (no character with a numeric value), 'digits' (0 to 9, ten classes) or
            'decimals' (every Unicode decimal digit that the fonts have, a class per character).
        size: side of a picture, pixels.
        resolution: pixels a side to draw at before enlarging bilinearly to `size`; none: `size`
            (the handwritten digits have 8).
        classes: the first so many letters, those in most fonts first.
        per_class: pictures of each class.
        seed: draws the pictures.

    Splits: of each class, by the seeded permutation of `cut`, 10 % validation and 10 % test.

    Raises:
        UserError: for an unknown part, or more classes than there are.

    >>> glyphs('digits', per_class=10)['train'].classes[:2]
    ('0', '1')
    """
    chosen = characters(part)
    if part == 'letters':
        if not 1 < classes <= len(chosen):
            raise UserError(
                f'data.classes={classes}: the fonts have {len(chosen)} letters to choose from'
            )
        chosen = chosen[:classes]
    settings = (
        part,
        size,
        resolution or size,
        len(chosen),
        per_class,
        seed,
        matplotlib.__version__,
        pillow_version,
    )
    path = cache_dir() / f'{"-".join(map(str, ("glyphs", *settings)))}.npz'
    if not path.exists():
        pictures = np.stack(
            [
                render(
                    character,
                    size,
                    np.random.default_rng([seed, ord(character), number]),
                    resolution,
                )
                for character in progress(chosen, f'drawing {len(chosen)} characters')
                for number in range(per_class)
            ]
        )
        save_npz(path, input=pictures)
    with np.load(path, allow_pickle=False) as stored:
        pictures = stored['input'][..., None] / np.float32(255)
    label = np.repeat(np.arange(len(chosen), dtype=np.int32), per_class)
    names = tuple(
        chosen
        if part == 'digits'
        else (unicodedata.name(character, f'U+{ord(character):04X}') for character in chosen)
    )
    return cut(arrays(pictures, label, names), {'validation': 0.1, 'test': 0.1})


def characters(part: str = 'letters') -> list[str]:
    """The characters of a part, those that most fonts have first.

    Args:
        part: 'letters', 'digits' (0 to 9) or 'decimals' (of all scripts).

    >>> characters('digits')
    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']
    >>> any(unicodedata.numeric(character, None) is not None for character in characters('letters'))
    False
    """
    fonts = _fonts_of()
    decimals = sorted(c for c in fonts if unicodedata.decimal(c, None) is not None)
    if part == 'digits':
        return [c for c in decimals if c.isascii()]
    if part == 'decimals':
        return decimals
    if part != 'letters':
        raise UserError(f'data.part={part!r} is not letters, digits or decimals')
    letters = [
        c
        for c, having in fonts.items()
        if unicodedata.category(c) in ('Lu', 'Ll', 'Lt', 'Lo')
        and len(having) > 1
        and unicodedata.numeric(c, None) is None
        and not unicodedata.decomposition(c)
    ]
    seen = {(render(c) > 127).tobytes() for c in decimals}
    kept = []
    for character in sorted(letters, key=lambda c: (-len(fonts[c]), c)):
        shape = render(character)
        if shape.any() and (shape > 127).tobytes() not in seen:
            seen.add((shape > 127).tobytes())
            kept.append(character)
    return kept


def render(
    character: str,
    size: int = 16,
    rng: np.random.Generator | None = None,
    resolution: int | None = None,
) -> np.ndarray:
    """One picture of a character, (size, size) uint8: in its first font as it stands, or varied by
    `rng` (see `glyphs`).

    Args:
        character: one that a font has.
        size: side of the picture, pixels.
        rng: draws font, stroke and shape; None: the first font as it stands.
        resolution: pixels a side to draw at, as `glyphs`; None: `size`.

    >>> render('L').shape
    (16, 16)
    """
    having = _fonts_of()[character]
    font = having[0] if rng is None else having[rng.integers(len(having))]
    picture = Image.new('L', (CANVAS, CANVAS))
    ImageDraw.Draw(picture).text(
        (CANVAS / 2, CANVAS / 2),
        character,
        fill=255,
        font=_load(font),
        anchor='mm',
        stroke_width=0 if rng is None else int(rng.integers(3)),
    )
    if rng is not None:
        picture = picture.transform(
            picture.size, Image.Transform.AFFINE, _affine(rng), Image.Resampling.BILINEAR
        )
    box = picture.getbbox()
    if box is None:
        return np.zeros((size, size), np.uint8)
    picture = picture.crop(box)
    drawn = resolution or size
    width, height = (max(1, round(side * drawn / max(picture.size))) for side in picture.size)
    framed = Image.new('L', (drawn, drawn))
    framed.paste(
        picture.resize((width, height), Image.Resampling.BOX),
        ((drawn - width) // 2, (drawn - height) // 2),
    )
    return np.asarray(framed.resize((size, size), Image.Resampling.BILINEAR))


def _affine(rng):
    turn, shear = np.deg2rad(rng.uniform(-15, 15)), rng.uniform(-0.25, 0.25)
    matrix = (
        np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        @ np.array([[1, shear], [0, 1]])
        @ np.diag(np.exp(rng.uniform(-0.2, 0.2, 2)))
    )
    centre = np.full(2, CANVAS / 2)
    return np.column_stack([matrix, centre - matrix @ centre]).ravel().tolist()


@functools.cache
def _fonts_of():
    having = {}
    for font in FONTS:
        for code in FT2Font(_path(font)).get_charmap():
            having.setdefault(chr(code), []).append(font)
    return having


@functools.cache
def _load(font):
    return ImageFont.truetype(_path(font), POINTS)


def _path(font):
    return str(Path(matplotlib.get_data_path(), 'fonts', 'ttf', f'{font}.ttf'))
