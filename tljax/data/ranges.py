"""The range of pictures in arrays and files, and their scaling to networks' inputs: black is 0 and
white is 1."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tljax.core import Dataset, UserError

# black, white, and 'i' (stored as integers), 'f' (stored as floats) or 'as is' (not scaled)
Range = tuple[float, float, str]
BYTES: Range = (0.0, 255.0, 'i')  # of pictures with 8 bits a channel
CHANNELS = (1, 3, 4)  # of pictures: grey, RGB, RGB with alpha
# remedies of errors about ranges: for data sets, and for trained models, which have no data.range
SAYS = 'say data.range=(black, white), or data.range=(0, 1) to take them as they are'
GIVE = 'give bytes (uint8), or fractions in [0, 1]'


def range_of(
    inputs: dict[str, np.ndarray],
    user_range: Sequence[float] | None = None,
    where: str | Path = 'the input',
    remedy: str = SAYS,
) -> Range | tuple[()]:
    """Infers the values of black and white in pictures, which are the same for all splits.

    Integers up to 1 are masks, integers up to 255 have 8 bits, and larger integers have 16. Floats
    are in [0, 1], or are bytes if they are whole numbers up to 255. Any other range is ambiguous
    and raises an error. A range is also ambiguous if all numbers are below half of white, because
    they may have fewer bits (digits from 0 to 16, or 12 bits in 16).

    Args:
        inputs: {split: numbers (n, ...)}; arrays with three or four axes are pictures.
        user_range: (black, white) as the user states it; None infers it.
        where: name of the set, for errors.
        remedy: what the user can do about an ambiguous range, for errors.

    Returns:
        (black, white, kind), or () if the inputs are no pictures.

    Raises:
        UserError: inputs are no array of numbers, splits differ in type or range, or the range is
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
        if user_range is not None:
            raise UserError(
                f'{where}: data.range={tuple(user_range)} is for pictures, (n, height, width) or '
                '(n, height, width, channels), and these inputs are none'
            )
        return ()
    kind = _shared_kind(inputs, where)
    if user_range is not None:
        black, white = _checked_range(user_range, where)
        return black, white, 'as is' if (black, white) == (0, 1) else kind
    return 0.0, _inferred_white(inputs, kind, where, remedy), kind


def _kind(input):
    """'f' for an array of floats, 'i' for one of integers or booleans."""
    return 'f' if input.dtype.kind == 'f' else 'i'


def _shared_kind(inputs, where):
    """The kind of numbers, which must be the same in all splits."""
    kinds = {_kind(input) for input in inputs.values()}
    if len(kinds) > 1:
        types = ', '.join(f'{split} {input.dtype}' for split, input in inputs.items())
        raise UserError(
            f'{where}: pictures are integers in some splits and floats in others ({types}): store '
            'all alike'
        )
    return kinds.pop()


def _inferred_white(inputs, kind, where, remedy):
    """The value of white in pictures whose black is 0; refuses an ambiguous one."""
    arrays = [input for input in inputs.values() if input.size]
    if not arrays or any(kind == 'f' and not np.isfinite(input).all() for input in arrays):
        return 1.0  # numbers that are not finite are refused when the Dataset is made
    low = min(float(input.min()) for input in arrays)
    high = max(float(input.max()) for input in arrays)
    is_whole = kind == 'i' or all((input == np.round(input)).all() for input in arrays)
    may_have_16_bits = kind == 'i' and min(input.itemsize for input in arrays) > 1
    white = None
    if low >= 0 and (is_whole or high <= 1):
        white = _white(high, may_have_16_bits)
    if white is None:
        message = f'{where}: pictures run from {low:.4g} to {high:.4g}: {remedy}'
        if remedy == SAYS and low >= 0 and is_whole and 1 < high < 65536:
            largest = 2 ** int(high).bit_length() - 1
            message += f'; their numbers fill (0, {largest}) or (0, {high:.0f})'
        raise UserError(message)
    _refuse_other_range(inputs, white, where)
    return white


def _white(high, may_have_16_bits):
    """White of pictures with the largest number `high`; None if it is ambiguous."""
    if high <= 1:
        return 1.0
    if 127 < high <= 255:
        return 255.0
    return 65535.0 if may_have_16_bits and 32767 < high <= 65535 else None


def _refuse_other_range(inputs, white, where):
    """Refuses a split of much smaller numbers: masks beside bytes, or bytes beside 16 bits."""
    limit = {255.0: 1, 65535.0: 255}.get(white, 0)
    for split, input in inputs.items():
        if limit and input.size and input.min() < input.max() <= limit:
            raise UserError(
                f'{where}: pictures run to {white:.0f}, but those of {split} to {input.max():.4g}: '
                'store all splits in one range'
            )


def _checked_range(user_range, where):
    try:
        black, white = (float(value) for value in user_range)
    except (TypeError, ValueError):
        raise UserError(
            f'{where}: data.range={user_range!r} is no pair of numbers (black, white)'
        ) from None
    if not black < white:
        raise UserError(f'{where}: data.range={tuple(user_range)}: give black below white')
    return black, white


def range_note(
    range: Range | tuple[()], user_range: Sequence[float] | None = None
) -> tuple[str, ...]:
    """Returns a note about an inferred range, if the user could expect another one.

    Args:
        range: result of `range_of`.
        user_range: the range that the user stated, if any; then there is no note.

    >>> range_note((0.0, 255.0, 'f'))
    ('whole numbers in floats are taken for bytes: divided by 255',)
    >>> range_note((0.0, 255.0, 'i'))
    ()
    """
    if not range or user_range is not None:
        return ()
    notes = {
        (1.0, 'i'): 'integers from 0 to 1 are taken for masks: 1 is white',
        (65535.0, 'i'): 'integers above 255 are taken for 16 bits: divided by 65535 (data.range '
        'says another range)',
        (255.0, 'f'): 'whole numbers in floats are taken for bytes: divided by 255',
    }
    _, white, kind = range
    return (notes[white, kind],) if (white, kind) in notes else ()


def scale(input: np.ndarray, range: Range | tuple[()] = (), remedy: str = SAYS) -> np.ndarray:
    """Scales pictures so that black is 0 and white is 1.

    Args:
        input: numbers, (n, ...); pictures have three or four axes.
        range: (black, white, kind), or () for inputs that are no pictures.
        remedy: what the user can do about pictures beyond black or white, for errors.

    Returns:
        Pictures as float32 (n, height, width, channels). Of other inputs, floats become float32 and
        integers are unchanged.

    Raises:
        UserError: numbers lie beyond black or white by more than 1 % of the range.

    >>> pictures = np.full((2, 4, 4), 51, np.uint8)
    >>> scaled = scale(pictures, (0.0, 255.0, 'i'))
    >>> scaled.shape, float(scaled.max())
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
    """Returns the range in which a model expects its inputs, from its training set.

    Args:
        train: the training set.
        count: number of examples to read if the set states no range.

    Returns:
        The range by which the loader has scaled pictures. For pictures that were not scaled,
        (smallest number, largest number, 'as is'). () for all other inputs and for unscaled
        pictures in [0, 1].

    >>> from tljax.data.formats.arrays import arrays
    >>> input_range(arrays(np.full((1, 8, 8, 3), 255.0), np.zeros(1, int), ('a',)))
    (255.0, 255.0, 'as is')
    >>> input_range(arrays(np.eye(2), np.arange(2)))
    ()
    """
    is_unscaled = train.range[2:] == ('as is',)
    if train.range and not is_unscaled or not train.size:
        return train.range
    input = train.take(np.arange(min(count, train.size))).get('input')
    if not is_unscaled and (np.ndim(input) != 4 or 0 <= np.min(input) <= np.max(input) <= 1):
        return ()
    return float(np.min(input)), float(np.max(input)), 'as is'


def query_range(inputs: np.ndarray, training_range: Range | tuple[()]) -> Range | tuple[()]:
    """Returns the range by which new inputs of a trained model are scaled.

    This is the training range if the new inputs are numbers of the same kind. Fractions in [0, 1]
    are pictures that are already scaled, and so are masks of 0 and 1. Otherwise the range is
    inferred from the inputs.

    Args:
        inputs: (n, ...) numbers.
        training_range: result of `input_range` for the training set.

    Raises:
        UserError: the model was trained on unscaled arrays and the inputs are in another range, or
            the range is ambiguous.

    >>> query_range(np.full((1, 8, 8, 3), 51.0), (0.0, 255.0, 'f'))
    (0.0, 255.0, 'f')
    >>> query_range(np.full((1, 8, 8, 3), 0.2), (0.0, 255.0, 'f'))
    (0.0, 1.0, 'f')
    """
    if not training_range or not inputs.size or training_range == (0.0, 1.0, 'f'):
        return _own_range(inputs)
    low, high, kind = training_range
    in_unit_interval = 0 <= inputs.min() <= inputs.max() <= 1
    are_fractions = (
        in_unit_interval and inputs.dtype.kind == 'f' and (inputs != np.round(inputs)).any()
    )
    if kind == 'as is':
        _refuse_far_from_training(inputs, low, high, are_fractions)
        return training_range
    if in_unit_interval and inputs.max() == 1:
        return 0.0, 1.0, _kind(inputs)
    is_same_kind = kind == _kind(inputs)
    has_fewer_bits = is_same_kind and (high, kind) == (65535.0, 'i') and inputs.itemsize == 1
    if is_same_kind and not has_fewer_bits and not are_fractions:
        return training_range
    return _own_range(inputs)


def _refuse_far_from_training(inputs, low, high, are_fractions):
    """Refuses inputs that lie far outside [low, high], or are scaled to [0, 1] unlike training."""
    width = high - low
    is_near = low - width <= inputs.min() <= inputs.max() <= high + width
    if not is_near or are_fractions and width > 100:
        raise UserError(
            f'inputs run from {inputs.min():.4g} to {inputs.max():.4g}, those of the training '
            f'from {low:.4g} to {high:.4g}: give them as the training had them'
        )


def _own_range(inputs):
    """The range of inputs from their type and numbers only; uint8 has 8 bits even if it is dark."""
    if inputs.ndim == 4 and inputs.dtype == np.uint8 and inputs.max(initial=0) > 1:
        return 0.0, 255.0, 'i'
    return range_of({'given': inputs}, remedy=GIVE)


def refuse_unlike(splits: dict[str, Dataset], count: int = 64) -> None:
    """Refuses splits of pictures that differ in range, for sets made in Python.

    Args:
        splits: {name: Dataset}, with 'train'.
        count: number of examples to read from each split.

    Raises:
        UserError: pictures of one split lie in [0, 1], and those of another exceed 16.

    >>> from tljax.data.formats.arrays import arrays
    >>> splits = {
    ...     'train': arrays(np.full((2, 4, 4, 1), 255.0), np.zeros(2)),
    ...     'test': arrays(np.full((2, 4, 4, 1), 1.0), np.zeros(2)),
    ... }
    >>> refuse_unlike(splits)
    Traceback (most recent call last):
    tljax.core.UserError: pictures of train run to 255 and those of test to 1: give all in one range
    """
    largest = {}
    for name, split in splits.items():
        if not split.size:
            continue
        input = split.take(np.arange(min(count, split.size))).get('input')
        if np.ndim(input) == 4:
            largest[name] = float(np.max(input))
    if not largest:
        return
    bright, dark = max(largest, key=largest.__getitem__), min(largest, key=largest.__getitem__)
    if largest[bright] > 16 and 0 < largest[dark] <= 1:
        raise UserError(
            f'pictures of {bright} run to {largest[bright]:.4g} and those of {dark} to '
            f'{largest[dark]:.4g}: give all in one range'
        )


def refuse_channels_first(shape: tuple[int, ...]) -> None:
    """Refuses pictures with the channels on the first axis.

    Args:
        shape: shape of one input.

    Raises:
        UserError: the first of three axes has length 1, 3 or 4 and is the shortest, and the last
            has another length.

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
