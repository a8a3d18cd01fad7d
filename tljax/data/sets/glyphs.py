"""Characters of many scripts, rendered from the fonts that matplotlib ships: a source task without
a download.

A character with a numeric value in Unicode is no letter; decimal digits are a set of their own. If
several letters have the same rendering in their first font (Latin A, Greek Alpha, Cyrillic A), one
of them is a class. A letter with the rendering of a decimal digit is left out.
"""

import functools
import unicodedata
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL import __version__ as pillow_version

from tljax.core import Dataset, UserError
from tljax.data.formats.arrays import arrays
from tljax.data.splits import cut
from tljax.files.cache import cache_dir, save_npz
from tljax.files.console import progress

FONTS = (
    'DejaVuSans',
    'DejaVuSans-Bold',
    'DejaVuSans-Oblique',
    'DejaVuSans-BoldOblique',
    'DejaVuSansMono',
    'DejaVuSansMono-Bold',
    'DejaVuSansMono-Oblique',
    'DejaVuSansMono-BoldOblique',
    'DejaVuSerif',
    'DejaVuSerif-Bold',
    'DejaVuSerif-Italic',
    'DejaVuSerif-BoldItalic',
    'STIXGeneral',
    'STIXGeneralBol',
    'STIXGeneralItalic',
    'STIXGeneralBolIta',
)
# size of the font, and side in pixels of a canvas that holds any affine map of a character
POINTS, CANVAS = 40, 96


def glyphs(
    part: str = 'letters',
    size: int = 16,
    resolution: int | None = None,
    classes: int = 600,
    per_class: int = 40,
    seed: int = 0,
) -> dict[str, Dataset]:
    """Renders characters, white on black, float32 in [0, 1], (n, size, size, 1).

    Each picture has a random font, a stroke that is 0 to 2 pixels wider, and a random affine map: a
    rotation within 15 degrees, a shear within 0.25, and a scale within e^±0.2 for each axis. The
    character then fills the picture. A picture depends on its character, its number and `seed`
    alone. The pictures are drawn once and cached under `cache_dir()`.

    Args:
        part: 'letters' (without numeric value), 'digits' (0 to 9, ten classes) or 'decimals' (every
            Unicode decimal digit that the fonts have, one class per character).
        size: side of the pictures, in pixels.
        resolution: side at which characters are drawn before they are enlarged bilinearly to
            `size`; None means `size`. The handwritten digits have 8.
        classes: number of letters; those in most fonts come first. Other parts ignore it.
        per_class: number of pictures of each class.
        seed: seed of fonts, strokes and affine maps.

    Splits: 10 % of each class for validation and 10 % for the test, by the seeded permutation of
        `cut`.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        UserError: the part is unknown, or has fewer characters than `classes`.

    >>> splits = glyphs('digits', size=8, per_class=10)
    >>> {name: split.size for name, split in splits.items()}
    {'train': 80, 'validation': 10, 'test': 10}
    >>> splits['train'].take(np.array([0]))['input'].shape
    (1, 8, 8, 1)
    """
    symbols, pictures = _cached_pictures(part, size, resolution, classes, per_class, seed)
    label = np.repeat(np.arange(len(symbols), dtype=np.int32), per_class)
    names = symbols
    if part != 'digits':
        names = [unicodedata.name(symbol, f'U+{ord(symbol):04X}') for symbol in symbols]
    dataset = arrays(pictures[..., None] / np.float32(255), label, tuple(names))
    return cut(dataset, {'validation': 0.1, 'test': 0.1})


def _cached_pictures(part, size, resolution, classes, per_class, seed):
    """The characters of a part, and `per_class` renderings of each, (n, size, size) uint8.

    Both come from the cache if they are there: to find the characters, all must be drawn.
    """
    settings = (
        part,
        size,
        resolution or size,
        classes if part == 'letters' else 'all',
        per_class,
        seed,
        version('matplotlib'),
        pillow_version,
    )
    path = cache_dir() / f'{"-".join(map(str, ("characters", *settings)))}.npz'
    if not path.exists():
        symbols = _first_characters(part, classes)
        pictures = []
        for symbol in progress(symbols, f'drawing {len(symbols)} characters'):
            for number in range(per_class):
                rng = np.random.default_rng([seed, ord(symbol), number])
                pictures.append(render(symbol, size, rng, resolution))
        save_npz(path, symbols=np.array(symbols), input=np.stack(pictures))
    with np.load(path, allow_pickle=False) as file:
        return file['symbols'].tolist(), file['input']


def _first_characters(part, classes):
    """The characters of a part; of letters the first `classes`."""
    symbols = characters(part)
    if part != 'letters':
        return symbols
    if not 1 < classes <= len(symbols):
        raise UserError(
            f'data.classes={classes}: the fonts have {len(symbols)} letters to choose from'
        )
    return symbols[:classes]


def characters(part: str = 'letters') -> list[str]:
    """Returns the characters of a part; letters are sorted by their number of fonts.

    Args:
        part: 'letters', 'digits' (0 to 9) or 'decimals' (decimal digits of all scripts).

    Raises:
        UserError: the part is unknown.

    >>> characters('digits')
    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']
    >>> '٣' in characters('decimals'), '²' in characters('letters')
    (True, False)
    """
    fonts = _fonts_by_character()
    decimals = sorted(c for c in fonts if unicodedata.decimal(c, None) is not None)
    if part == 'digits':
        return [c for c in decimals if c.isascii()]
    if part == 'decimals':
        return decimals
    if part != 'letters':
        raise UserError(f'data.part={part!r} is not letters, digits or decimals')
    letters = [
        c
        for c in fonts
        if unicodedata.category(c) in ('Lu', 'Ll', 'Lt', 'Lo')
        and len(fonts[c]) > 1
        and unicodedata.numeric(c, None) is None
        and not unicodedata.decomposition(c)
    ]
    seen = {(render(c) > 127).tobytes() for c in decimals}
    distinct_letters = []
    for letter in sorted(letters, key=lambda c: (-len(fonts[c]), c)):
        picture = render(letter)
        shape = (picture > 127).tobytes()
        if picture.any() and shape not in seen:
            seen.add(shape)
            distinct_letters.append(letter)
    return distinct_letters


def render(
    character: str,
    size: int = 16,
    rng: np.random.Generator | None = None,
    resolution: int | None = None,
) -> np.ndarray:
    """Renders one picture of a character, (size, size) uint8.

    Args:
        character: a character that one of the fonts has.
        size: side of the picture, in pixels.
        rng: draws font, stroke and affine map (see `glyphs`); None means the first font, unchanged.
        resolution: side at which the character is drawn, as for `glyphs`; None means `size`.

    >>> for row in render('L', size=6):
    ...     print(''.join('#' if value > 60 else '.' for value in row))
    .#....
    .#....
    .#....
    .#....
    .#....
    .####.
    """
    fonts = _fonts_by_character()[character]
    font = fonts[0] if rng is None else fonts[rng.integers(len(fonts))]
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
    side = resolution or size
    width, height = (max(1, round(length * side / max(picture.size))) for length in picture.size)
    frame = Image.new('L', (side, side))
    frame.paste(
        picture.resize((width, height), Image.Resampling.BOX),
        ((side - width) // 2, (side - height) // 2),
    )
    return np.asarray(frame.resize((size, size), Image.Resampling.BILINEAR))


def _affine(rng):
    """The six numbers, for Pillow, of a random affine map about the centre of the canvas."""
    angle, shear = np.deg2rad(rng.uniform(-15, 15)), rng.uniform(-0.25, 0.25)
    matrix = (
        np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        @ np.array([[1, shear], [0, 1]])
        @ np.diag(np.exp(rng.uniform(-0.2, 0.2, 2)))
    )
    centre = np.full(2, CANVAS / 2)
    return np.column_stack([matrix, centre - matrix @ centre]).ravel().tolist()


@functools.cache
def _fonts_by_character():
    """{character: the fonts that have it}."""
    from matplotlib.ft2font import FT2Font  # imported late, for a quick start

    fonts = {}
    for font in FONTS:
        for code in FT2Font(_path(font)).get_charmap():
            fonts.setdefault(chr(code), []).append(font)
    return fonts


@functools.cache
def _load(font):
    return ImageFont.truetype(_path(font), POINTS)


def _path(font):
    import matplotlib  # imported late, for a quick start

    return str(Path(matplotlib.get_data_path(), 'fonts', 'ttf', f'{font}.ttf'))
