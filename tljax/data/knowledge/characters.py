"""Digits and capital letters, described by the segments of a display or by a drawing of each."""

from collections.abc import Sequence

import numpy as np

from tljax.core import UserError, nearest_name
from tljax.data.sets.glyphs import render
from tljax.knowledge import Knowledge, knowledge

# 16 segments of a display:
#
#       a   b
#     h k m n c
#       u   p
#     g t s r d
#       f   e
#
# a, b, p, u, e and f are the halves of the three horizontal bars. c, d, g and h are the bars at the
# sides, m and s those in the centre, and k, n, r and t the diagonals. Digits are those of displays
# of seven segments, whose bars are two segments here.
SEGMENTS = 'abcdefghkmnprstu'
CODES = {
    '0': 'abcdefgh',
    '1': 'cd',
    '2': 'abcefgpu',
    '3': 'abcdefpu',
    '4': 'cdhpu',
    '5': 'abdefhpu',
    '6': 'abdefghpu',
    '7': 'abcd',
    '8': 'abcdefghpu',
    '9': 'abcdefhpu',
    'A': 'abcdghpu',
    'B': 'abcdefmps',
    'C': 'abefgh',
    'D': 'abcdefms',
    'E': 'abefghpu',
    'F': 'abghpu',
    'G': 'abdefghp',
    'H': 'cdghpu',
    'I': 'abefms',
    'J': 'cdefg',
    'K': 'ghnru',
    'L': 'efgh',
    'M': 'cdghkn',
    'N': 'cdghkr',
    'O': 'abcdefgh',
    'P': 'abcghpu',
    'Q': 'abcdefghr',
    'R': 'abcghpru',
    'S': 'abdefhpu',
    'T': 'abms',
    'U': 'cdefgh',
    'V': 'ghnt',
    'W': 'cdghrt',
    'X': 'knrt',
    'Y': 'kns',
    'Z': 'abefnt',
}


def segments(classes: Sequence[str] = tuple(CODES)) -> Knowledge:
    """The segments that a display lights for each character, (characters, 16) of 0 and 1.

    0 and O have one code, and so have 5 and S.

    Args:
        classes: the characters, '0' to '9' and 'A' to 'Z'.

    Raises:
        UserError: a character has no code.

    >>> for name, code in zip('LT', segments('LT').vectors.astype(int)):
    ...     print(name, *code)
    L 0 0 0 0 1 1 1 1 0 0 0 0 0 0 0 0
    T 1 1 0 0 0 0 0 0 0 1 0 0 0 1 0 0
    """
    for character in classes:
        if character not in CODES:
            raise UserError(
                f'knowledge.classes: {character!r} has no code of 16 segments: '
                f'{nearest_name(character, CODES)}'
            )
    table = [[segment in CODES[character] for segment in SEGMENTS] for character in classes]
    return knowledge(classes, table, tuple(SEGMENTS), 'knowledge=segments')


def renderings(classes: Sequence[str] = tuple(CODES), size: int = 7) -> Knowledge:
    """Grey levels of each character in the first font of `glyphs`, (characters, size * size).

    The authors describe characters by pictures of 7x5 pixels.

    Args:
        classes: characters that the font has.
        size: side of a drawing, in pixels.

    Raises:
        UserError: the size is below 2.

    Source: Larochelle, Erhan and Bengio, Zero-data learning of new tasks, 2008
        (https://dl.acm.org/doi/10.5555/1620163.1620172).

    >>> vectors = renderings('IO', size=3).vectors
    >>> (vectors > 0.3).astype(int).reshape(2, 3, 3).tolist()
    [[[0, 1, 0], [0, 1, 0], [0, 1, 0]], [[1, 1, 1], [1, 0, 1], [1, 1, 1]]]
    """
    if size < 2:
        raise UserError(f'knowledge.size={size}: give two pixels or more')
    pictures = np.stack([render(character, size) for character in classes]) / 255
    return knowledge(classes, pictures.reshape(len(pictures), -1), (), 'knowledge=renderings')
