"""Numbers of files as networks take them: pictures run from black at 0 to white at 1."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tljax.core import Dataset, UserError

# black, white, and 'i' or 'f' (integers or floats are stored) or 'as is'
Range = tuple[float, float, str]
CHANNELS = (1, 3, 4)  # of pictures: grey, RGB, RGB with alpha
SAYS = 'say data.range=(black, white), or data.range=(0, 1) to take them as they are'
GIVE = 'give bytes (uint8), or fractions in [0, 1]'  # to a trained model, which has no data.range


def range_of(
    inputs: dict[str, np.ndarray],
    given: Sequence[float] | None = None,
    where: str | Path = 'the input',
    remedy: str = SAYS,
) -> Range | tuple[()]:
    """The values of black and white in pictures, which all splits share.

    Integers to 1 are masks, those to 255 have 8 bits, larger ones 16. Floats are in [0, 1]; whole
    ones to 255 have been bytes. All else is ambiguous, and is asked for: what stays below half of
    white, too, which may have fewer bits (digits from 0 to 16, 12 bits in 16).

    Args:
        inputs: {split: numbers (n, ...)}; those with three or four axes are pictures.
        given: (black, white), where the user says it.
        where: name of the set, for errors.
        remedy: what the user can do about an ambiguous range, for errors.

    Returns:
        (black, white, kind), or () for inputs that are no pictures.

    Raises:
        UserError: no array of numbers, splits of different kinds or ranges, or a range that is
            ambiguous.

    >>> range_of({'train': np.full((2, 4, 4), 204, np.uint8)})
    (0.0, 255.0, 'i')
    >>> range_of({'train': np.full((2, 4, 4, 3), 127.5)}, where='a.npz')
    Traceback (most recent call last):
    tljax.core.UserError: a.npz: pictures run from 127.5 to 127.5: say ...
    """
    inputs = {split: np.asarray(input) for split, input in inputs.items()}
    for split, input in inputs.items():
        if input.dtype.kind not in 'biuf' or not input.ndim:
            raise UserError(
                f'{where}: the {split} input is {input.dtype} of shape {input.shape}: give an '
                'array of numbers with the examples on axis 0'
            )
    if any(input.ndim not in (3, 4) for input in inputs.values()):
        if given is not None:
            raise UserError(
                f'{where}: data.range={tuple(given)} is of pictures, (n, height, width) or (n, '
                'height, width, channels), and these inputs are none'
            )
        return ()
    kinds = {split: 'f' if input.dtype.kind == 'f' else 'i' for split, input in inputs.items()}
    if len(set(kinds.values())) > 1:
        told = ', '.join(f'{split} {input.dtype}' for split, input in inputs.items())
        raise UserError(
            f'{where}: pictures are integers here and floats there ({told}): store all alike'
        )
    kind = next(iter(kinds.values()))
    if given is not None:
        black, white = _given(given, where)
        return black, white, 'as is' if (black, white) == (0, 1) else kind
    parts = [input for input in inputs.values() if input.size]
    if not parts or any(kind == 'f' and not np.isfinite(input).all() for input in parts):
        return 0.0, 1.0, kind  # what is not finite is refused where the set is made
    low, high = (
        min(float(input.min()) for input in parts),
        max(float(input.max()) for input in parts),
    )
    whole = kind == 'i' or all((input == np.round(input)).all() for input in parts)
    words = kind == 'i' and min(input.itemsize for input in parts) > 1
    white = _white(high, words) if low >= 0 and (whole or high <= 1) else None
    if white is None:
        guess = remedy == SAYS and low >= 0 and whole and 1 < high < 65536
        most = 2 ** int(high).bit_length() - 1
        raise UserError(
            f'{where}: pictures run from {low:.4g} to {high:.4g}: {remedy}'
            + (f'; their numbers fill (0, {most}) or (0, {high:.0f})' if guess else '')
        )
    _refuse_other_range(inputs, white, where)
    return 0.0, white, kind


def _white(high, words):
    """White of whole numbers from 0, or of fractions, or None where it is not clear; `words` may
    have 16 bits."""
    if high <= 1:
        return 1.0
    if 127 < high <= 255:
        return 255.0
    return 65535.0 if words and 32767 < high <= 65535 else None


def _refuse_other_range(inputs, white, where):
    """Refuses splits of smaller numbers than the others: masks beside bytes, bytes beside words."""
    limit = {255.0: 1, 65535.0: 255}.get(white, 0)
    for split, input in inputs.items():
        if limit and input.size and input.min() < input.max() <= limit:
            raise UserError(
                f'{where}: pictures run to {white:.0f}, but those of {split} to {input.max():.4g}: '
                'store all splits in one range'
            )


def _given(given, where):
    try:
        black, white = (float(value) for value in given)
    except (TypeError, ValueError):
        raise UserError(
            f'{where}: data.range={given!r} is no pair of numbers (black, white)'
        ) from None
    if not black < white:
        raise UserError(f'{where}: data.range={tuple(given)}: give black below white')
    return black, white


def range_note(found: Range | tuple[()], given: Sequence[float] | None = None) -> tuple[str, ...]:
    """What is said of a range that was found rather than given; nothing where it is that of the
    stored numbers.

    Args:
        found: as `range_of` gives it.
        given: what the user said.

    >>> range_note((0.0, 255.0, 'f'))
    ('whole numbers in floats are taken for bytes: divided by 255',)
    """
    if not found or given is not None or found[1:] in ((255.0, 'i'), (1.0, 'f')):
        return ()
    told = {
        (1.0, 'i'): 'integers from 0 to 1 are taken for masks: 1 is white',
        (65535.0, 'i'): 'integers above 255 are taken for 16 bits: divided by 65535 (data.range '
        'says another range)',
        (255.0, 'f'): 'whole numbers in floats are taken for bytes: divided by 255',
    }
    return (told[found[1:]],)


def scale(input: np.ndarray, range: Range | tuple[()] = (), remedy: str = SAYS) -> np.ndarray:
    """Numbers as networks take them.

    Args:
        input: numbers, (n, ...); pictures have three or four axes.
        range: (black, white, kind), or () for what is no picture.
        remedy: what the user can do about pictures beyond black or white, for errors.

    Returns:
        Pictures as float32 (n, height, width, channels), black at 0 and white at 1. Otherwise
        floats as float32, and integers as they are.

    Raises:
        UserError: pictures beyond black or white.

    >>> bytes = np.full((2, 4, 4), 51, np.uint8)
    >>> scale(bytes, (0.0, 255.0, 'i')).shape, float(scale(bytes, (0.0, 255.0, 'i')).max())
    ((2, 4, 4, 1), 0.20000000298023224)
    """
    if not range:
        return input.astype(np.float32, copy=False) if input.dtype.kind == 'f' else input
    black, white, kind = range
    input = input if input.ndim == 4 else input[..., None]
    if kind == 'as is' or (black, white, kind) == (0.0, 1.0, 'f'):
        return input.astype(np.float32, copy=False)
    slack = (white - black) / 100
    if input.size and not black - slack <= input.min() <= input.max() <= white + slack:
        raise UserError(
            f'pictures run from {input.min():.4g} to {input.max():.4g}, and here black is '
            f'{black:g} and white {white:g}: {remedy}'
        )
    scaled = (input - np.float32(black) if black else input) / np.float32(white - black)
    return scaled.astype(np.float32, copy=False)


def input_range(train: Dataset, count: int = 64) -> Range | tuple[()]:
    """The range that a model's inputs are given in: what its loader has scaled by, or as they are.

    Args:
        train: the training set.
        count: examples that are looked at.

    >>> from tljax.data.formats.arrays import arrays
    >>> (
    ...     input_range(arrays(np.full((1, 8, 8, 3), 255.0), np.zeros(1, int), ('a',))),
    ...     input_range(arrays(np.eye(2), np.arange(2))),
    ... )
    ((255.0, 255.0, 'as is'), ())
    """
    as_they_are = train.range[2:] == ('as is',)
    if train.range and not as_they_are or not train.size:
        return train.range
    input = train.take(np.arange(min(count, train.size))).get('input')
    if not as_they_are and (np.ndim(input) != 4 or 0 <= np.min(input) <= np.max(input) <= 1):
        return ()
    return float(np.min(input)), float(np.max(input)), 'as is'


def query_range(inputs: np.ndarray, trained: Range | tuple[()]) -> Range | tuple[()]:
    """What the arrays that a model is asked about are scaled by.

    They are taken as those of its training, where they are numbers of the same kind; fractions in
    [0, 1] are pictures that are scaled already, and so are masks of 0 and 1.

    Args:
        inputs: (n, ...) numbers.
        trained: as `input_range` gave it for the training set.

    Raises:
        UserError: arrays that cannot be in the range of a training on arrays as they were.

    >>> (
    ...     query_range(np.full((1, 8, 8, 3), 51.0), (0.0, 255.0, 'f')),
    ...     query_range(np.full((1, 8, 8, 3), 0.2), (0.0, 255.0, 'f')),
    ... )
    ((0.0, 255.0, 'f'), (0.0, 1.0, 'f'))
    """
    if not trained or not inputs.size or trained == (0.0, 1.0, 'f'):
        return _alone(inputs)
    low, high, kind = trained
    inside = 0 <= inputs.min() <= inputs.max() <= 1
    fractions = inside and inputs.dtype.kind == 'f' and (inputs != np.round(inputs)).any()
    if kind == 'as is':
        wide = high - low
        if (
            fractions
            and wide > 100
            or not low - wide <= inputs.min() <= inputs.max() <= high + wide
        ):
            raise UserError(
                f'inputs run from {inputs.min():.4g} to {inputs.max():.4g}, those of the training '
                f'from {low:.4g} to {high:.4g}: give them as the training had them'
            )
        return trained
    if inside and inputs.max() == 1:
        return 0.0, 1.0, 'f' if inputs.dtype.kind == 'f' else 'i'
    same = kind == ('f' if inputs.dtype.kind == 'f' else 'i')
    bytes_of_words = same and (high, kind) == (65535.0, 'i') and inputs.itemsize == 1
    return trained if same and not bytes_of_words and not fractions else _alone(inputs)


def _alone(inputs):
    """The range of pictures that only their dtype and their numbers tell: a dark picture of bytes
    is one of bytes."""
    if inputs.ndim == 4 and inputs.dtype == np.uint8 and inputs.max(initial=0) > 1:
        return 0.0, 255.0, 'i'
    return range_of({'given': inputs}, remedy=GIVE)


def refuse_unlike(splits: dict[str, Dataset], count: int = 64) -> None:
    """Refuses splits of arrays that were made in Python in different ranges.

    Args:
        splits: {name: Dataset}, 'train' among them.
        count: examples of each that are looked at.

    Raises:
        UserError: pictures of one split lie in [0, 1], those of another run beyond 16.

    >>> from tljax.data.formats.arrays import arrays
    >>> made = {
    ...     name: arrays(np.full((2, 4, 4, 1), white), np.zeros(2))
    ...     for name, white in (('train', 255.0), ('test', 1.0))
    ... }
    >>> refuse_unlike(made)
    Traceback (most recent call last):
    tljax.core.UserError: pictures of train run to 255 and those of test to 1: give all in one range
    """
    found = {}
    for name, split in splits.items():
        if not split.size:
            continue
        input = split.take(np.arange(min(count, split.size))).get('input')
        if np.ndim(input) == 4:
            found[name] = float(np.max(input))
    most, least = (choose(found, key=lambda name: found[name], default='') for choose in (max, min))
    if found and found[most] > 16 and 0 < found[least] <= 1:
        raise UserError(
            f'pictures of {most} run to {found[most]:.4g} and those of {least} to '
            f'{found[least]:.4g}: give all in one range'
        )


def refuse_channels_first(shape: tuple[int, ...]) -> None:
    """Refuses pictures whose channels stand before height and width.

    Args:
        shape: of one input.

    Raises:
        UserError: the first axis is 1, 3 or 4 long, and the last is not.

    >>> refuse_channels_first((32, 32, 3))
    >>> refuse_channels_first((3, 32, 32))
    Traceback (most recent call last):
    tljax.core.UserError: inputs are (3, 32, 32): channels last is meant, (32, 32, 3): ...
    """
    if (
        len(shape) == 3
        and shape[0] in CHANNELS
        and shape[-1] not in CHANNELS
        and shape[0] < min(shape[1:])
    ):
        raise UserError(
            f'inputs are {tuple(shape)}: channels last is meant, {(*shape[1:], shape[0])}: '
            'np.moveaxis(input, 1, -1)'
        )
