"""A knowledge base: what is known of classes beside their examples.

A row describes a class by numbers, such as attributes, a vector of its name, or pixels of a drawing
of it. The base lists all classes, those with examples and those without, and the labels of
zero-shot learning number its rows. Classes with training examples are called seen, the others
unseen.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tljax.core import UserError, abbreviated, nearest_name


class Knowledge(NamedTuple):
    """Descriptions of classes.

    Attributes:
        classes: names of all classes.
        vectors: description of each class, (c, a); NaN where a number is not known.
        attributes: names of the columns, (a,); empty where they have none.
        place: file or function that it comes from, for errors.

    >>> animals = knowledge(['horse', 'zebra'], [[1, 0], [1, 1]], ['hooves', 'stripes'])
    >>> animals.rows(['zebra']).tolist()
    [1]
    """

    classes: tuple[str, ...]
    vectors: np.ndarray
    attributes: tuple[str, ...] = ()
    place: str = 'the knowledge base'

    def rows(self, names: Sequence[str]) -> np.ndarray:
        """The rows of some classes, (n,) integers.

        Args:
            names: names of the classes.

        Raises:
            UserError: a class is not in the base; names the nearest one.

        >>> knowledge(['horse', 'zebra'], np.eye(2)).rows(['zebras'])
        Traceback (most recent call last):
        tljax.core.UserError: the knowledge base lacks the class 'zebras': did you mean zebra?
        """
        row_of = {name: row for row, name in enumerate(self.classes)}
        missing = [name for name in names if name not in row_of]
        if missing:
            raise UserError(
                f'{self.place} lacks the class {missing[0]!r}: '
                f'{nearest_name(missing[0], self.classes)}'
            )
        return np.array([row_of[name] for name in names], int)

    def of(self, names: Sequence[str]) -> 'Knowledge':
        """The base of some classes, in their order.

        Args:
            names: names of the classes.

        Raises:
            UserError: as `rows`.

        >>> knowledge('abc', np.eye(3)).of('ca').vectors.tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
        """
        return self._replace(classes=tuple(names), vectors=self.vectors[self.rows(names)])


def knowledge(
    classes: Sequence[str],
    vectors: ArrayLike,
    attributes: Sequence[str] = (),
    place: str = 'the knowledge base',
) -> Knowledge:
    """Makes a knowledge base, and refuses one that cannot tell its classes apart by name or number.

    Args:
        classes: names of all classes; blanks around them are removed.
        vectors: (c, a) numbers; NaN where one is not known.
        attributes: names of the columns.
        place: file or function that the base comes from, for errors.

    Raises:
        UserError: sizes do not match, a name stands twice, a number is infinite, or a class is not
            described: all its numbers are unknown, or all are 0.

    >>> knowledge(['horse', 'okapi'], [[1.0], [np.nan]])
    Traceback (most recent call last):
    tljax.core.UserError: the knowledge base describes 1 class by no number: okapi: give it ...
    """
    names = tuple(str(name).strip() for name in classes)
    table = np.asarray(vectors, float)
    if table.ndim != 2 or table.shape[0] != len(names) or not table.size:
        raise UserError(
            f'{place} has {len(names)} classes and vectors of shape {table.shape}: give one row of '
            'numbers per class'
        )
    if attributes and len(attributes) != table.shape[1]:
        raise UserError(
            f'{place} names {len(attributes)} attributes, and its vectors have {table.shape[1]} '
            'numbers: give as many'
        )
    for what, listed in (('class', names), ('attribute', tuple(attributes))):
        twice = [name for name in dict.fromkeys(listed) if listed.count(name) > 1]
        if twice:
            raise UserError(
                f'{place} lists the {what} {twice[0]!r} {listed.count(twice[0])} times: keep one'
            )
    if np.isinf(table).any():
        raise UserError(f'{place} has infinite numbers: leave a cell empty where one is not known')
    empty = ~(np.nan_to_num(table) != 0).any(1)
    if empty.any():
        of_them = [name for name, is_empty in zip(names, empty, strict=True) if is_empty]
        raise UserError(
            f'{place} describes {len(of_them)} class{"es" * (len(of_them) > 1)} by no number: '
            f'{abbreviated(of_them, 4)}: give {"them" if len(of_them) > 1 else "it"} attributes, '
            'or drop the row'
        )
    return Knowledge(names, table, tuple(attributes), place)


def filled(vectors: ArrayLike) -> np.ndarray:
    """Replaces each unknown number by the mean of its column, which says nothing about a class.

    Args:
        vectors: (c, a); NaN where a number is not known. A column without any becomes 0.

    >>> filled([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]]).tolist()
    [[1.0, 0.0], [3.0, 0.0], [2.0, 0.0]]
    """
    table = np.asarray(vectors, float)
    is_known = ~np.isnan(table)
    means = np.where(is_known, table, 0).sum(0) / np.maximum(is_known.sum(0), 1)
    return np.where(is_known, table, means)


def unit_rows(vectors: ArrayLike) -> np.ndarray:
    """Divides each row by its length, so that the unit of the numbers does not matter.

    Args:
        vectors: (n, a); unknown numbers are filled by `filled`. A row of zeros stays.

    >>> unit_rows([[30.0, 40.0], [0.0, 0.0]]).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    table = filled(vectors)
    length = np.linalg.norm(table, axis=1, keepdims=True)
    return table / np.where(length > 0, length, 1)


def yes_or_no(vectors: ArrayLike) -> np.ndarray:
    """Turns strengths of attributes into 0 and 1; unknown ones stay NaN.

    A table of 0 and 1 stays as it is. Otherwise the threshold is the mean of the whole table, as
    in Lampert et al. 2014, section 4.1 (https://doi.org/10.1109/TPAMI.2013.140).

    Args:
        vectors: (c, a); NaN where a number is not known.

    >>> yes_or_no([[10.0, 80.0], [0.0, np.nan]]).tolist()
    [[0.0, 1.0], [0.0, nan]]
    """
    table = np.asarray(vectors, float)
    is_binary = np.isin(table[~np.isnan(table)], (0, 1)).all()
    threshold = 0.5 if is_binary else np.nanmean(table)
    return np.where(np.isnan(table), np.nan, table > threshold)
