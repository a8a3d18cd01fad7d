"""Draws of a study of two feature spaces: which examples are labelled, which are pairs, and their
features.

Examples of both spaces are paired by their names: the number of a sentence, the file of a picture.
Those of sets without names are paired by their place in the set.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tljax import build
from tljax.configuration import takes_keyword
from tljax.core import Dataset, UserError, nearest_name
from tljax.data.purposes import Purpose
from tljax.data.splits import per_class
from tljax.data.wrappers.tfidf import fitted_vectorizer
from tljax.protocols import Config

# arguments of methods: labelled rows of the source, halves of the pairs, labelled rows of the
# target; those of one name agree in columns
GIVEN = ('xs', 'ys', 'ps', 'pt', 'xt', 'yt')


class Examples(NamedTuple):
    """Examples of one space: inputs (n, ...), labels (n,) and names (n,)."""

    input: np.ndarray
    label: np.ndarray
    names: np.ndarray

    def rows(self, index: np.ndarray) -> 'Examples':
        """The examples of these rows."""
        return Examples(self.input[index], self.label[index], self.names[index])

    @property
    def are_texts(self) -> bool:
        """Whether inputs are texts, and not numbers."""
        return self.input.dtype.kind == 'O'


class Sides(NamedTuple):
    """Both spaces of a task: examples to learn from, and examples that are scored."""

    source: Examples
    target: Examples
    source_scored: Examples
    target_scored: Examples


class Own(NamedTuple):
    """Labelled rows of the target, and those that are scored, in the features of the former."""

    xt: Any
    yt: np.ndarray
    x: Any


class Draw(NamedTuple):
    """Features of one draw.

    Attributes:
        xs: labelled rows of the source, (ns, ds).
        ys: their labels.
        ps: source halves of the pairs, (n, ds).
        pt: target halves of the pairs, (n, dt).
        x: scored rows of the target, (m, dt).
        y: their labels.
        own: labelled rows of the target, whose features may differ from those of pt.
        halves: the source halves of the scored rows, (m, ds); None without pairs.
        shared: the scored rows in the source's features, if both spaces are texts; or None.
    """

    xs: np.ndarray
    ys: np.ndarray
    ps: np.ndarray
    pt: np.ndarray
    x: np.ndarray
    y: np.ndarray
    own: Own
    halves: np.ndarray | None
    shared: np.ndarray | None

    def given(self, spec: Config) -> dict[str, Any]:
        """The arguments in GIVEN that the method of a config takes."""
        values = dict(
            xs=self.xs, ys=self.ys, ps=self.ps, pt=self.pt, xt=self.own.xt, yt=self.own.yt
        )
        return {
            key: value
            for key, value in values.items()
            if takes_keyword('tljax.shallow', spec['name'], key)
        }


def loaded(task: Config, name: str, split: str) -> Sides:
    """Loads both spaces of a task.

    Args:
        task: {'source', 'target'}, configs of data sets with the same classes.
        name: of the task, for errors.
        split: name of the split that is scored.

    Raises:
        UserError: a set has no such split or no classes, the two have other classes, or an example
            to learn from is scored as well.

    >>> task = dict(source=dict(name='digits', size=8), target=dict(name='digits', size=4))
    >>> [part.input.shape[1] for part in loaded(task, 'a', 'test')]
    [8, 4, 8, 4]
    """
    sets, classes = {side: build.load(task[side]) for side in ('source', 'target')}, {}
    for side, splits in sets.items():
        if split not in splits or not splits[split].size:
            raise UserError(
                f'split={split!r}: tasks.{name}.{side} has none: {nearest_name(split, splits)}'
            )
        if splits['train'].task.kind != 'classes':
            raise UserError(
                f'tasks.{name}.{side} asks for {splits["train"].task.kind}: give classes'
            )
        classes[side] = splits['train'].classes
    if classes['source'] != classes['target']:
        raise UserError(
            f'tasks.{name}: the source has the classes {classes["source"]} and the target '
            f'{classes["target"]}: give both the same'
        )
    sides = Sides(
        *(_examples(sets[side]['train'], 'train') for side in sets),
        *(_examples(sets[side][split], split) for side in sets),
    )
    both = np.intersect1d(
        np.concatenate([sides.source.names, sides.target.names]),
        np.concatenate([sides.source_scored.names, sides.target_scored.names]),
    )
    if both.size:
        raise UserError(
            f'tasks.{name}: {both.size} examples are learnt from and scored, such as {both[0]}: '
            'cut both sets alike'
        )
    return sides


def draw(sides: Sides, config: Config, seed: int, name: str) -> Draw:
    """Draws labelled examples and pairs, and makes their features.

    Args:
        sides: as `loaded` returns them.
        config: plain dict with 'labels', 'pairs', 'per_class', 'words' and 'letters', as
            `configs/languages.py` describes them.
        seed: seed of the draw.
        name: of the task, for errors.

    Raises:
        UserError: the sets have too few examples for these numbers.

    >>> names = np.array(['1', '2', '3', '4'])
    >>> side = Examples(np.eye(4), np.array([0, 1, 0, 1]), names)
    >>> config = dict(labels=2, pairs=2, per_class=0, words=None, letters=None)
    >>> one = draw(Sides(side, side, side, side), config, seed=0, name='a')
    >>> len(one.xs), len(one.ps), (one.xs @ one.ps.T).any()  # no example is both
    (2, 2, np.False_)
    """
    source, target, source_scored, scored = sides
    if config['pairs']:
        labelled, paired = _labelled_and_paired(sides, config, seed, name)
        of_source, of_target, own = labelled[0], paired[1], labelled[1]
        scored_halves = shared_rows(source_scored, scored)
        if not len(scored_halves[0]):
            raise UserError(
                f'tasks.{name}: no scored example has a pair: give {_names(scored.names)}'
            )
        source_scored, scored = source_scored.rows(scored_halves[0]), scored.rows(scored_halves[1])
    else:
        own = _few(target, config['per_class'], seed, name)
        of_source = np.flatnonzero(~np.isin(source.names, target.names[own]))
        paired = np.zeros((2, 0), int)
        of_target = own
    texts = config['words'], config['letters'] or None
    pair_rows = source.rows(paired[0])
    fit_s = _featuriser(np.concatenate([source.input[of_source], pair_rows.input]), *texts)
    fit_t = _featuriser(target.input[of_target], *texts)
    fit_own = _featuriser(target.input[np.concatenate([own, paired[1]])], *texts)
    both_texts = source.are_texts and target.are_texts
    return Draw(
        xs=fit_s(source.input[of_source]),
        ys=source.label[of_source],
        ps=fit_s(pair_rows.input),
        pt=fit_t(target.input[paired[1]]),
        x=fit_t(scored.input),
        y=scored.label,
        own=Own(fit_own(target.input[own]), target.label[own], fit_own(scored.input)),
        halves=fit_s(source_scored.input) if config['pairs'] else None,
        shared=fit_s(scored.input) if both_texts else None,
    )


def shared_rows(source: Examples, target: Examples) -> np.ndarray:
    """Rows of both spaces that have the same name, (2, n), in the order of the source.

    Args:
        source: examples of the source.
        target: examples of the target.

    >>> a = Examples(np.zeros(3), np.zeros(3), np.array(['x', 'y', 'z']))
    >>> shared_rows(a, a.rows(np.array([2, 0]))).tolist()
    [[0, 2], [1, 0]]
    """
    place = {name: row for row, name in enumerate(target.names.tolist())}
    rows = [(i, place[name]) for i, name in enumerate(source.names.tolist()) if name in place]
    return np.array(rows, int).reshape(-1, 2).T


def _labelled_and_paired(sides, config, seed, name):
    """Rows of both spaces (2, labels) and (2, pairs) of a random order; no row is in both."""
    labels, pairs = config['labels'], config['pairs']
    rows = shared_rows(sides.source, sides.target)
    if labels < 2 or pairs < 2 or labels + pairs > rows.shape[1]:
        raise UserError(
            f'tasks.{name}: labels={labels} and pairs={pairs} of the {rows.shape[1]} training '
            'examples that have a pair by name: give 2 or more of each, and '
            + _names(sides.target.names)
        )
    order = np.random.default_rng([Purpose.PAIRS, seed]).permutation(rows.shape[1])
    return rows[:, order[:labels]], rows[:, order[labels : labels + pairs]]


def _few(target, k, seed, name):
    """Rows of k examples of each class of the target."""
    try:
        return per_class(target.label, k, seed)
    except UserError as error:
        raise UserError(f'tasks.{name}.target: {error}') from error


def _names(names: Sequence[str] | np.ndarray) -> str:
    return f'sets whose examples have the same names (those of the target: {", ".join(names[:2])})'


def _featuriser(training: np.ndarray, words: int | None, letters: Sequence[int] | None):
    """A function of inputs that returns their features (n, d); texts become TF-IDF of training."""
    if training.dtype.kind != 'O':
        return lambda input: np.asarray(input, float).reshape(
            len(input), math.prod(input.shape[1:])
        )
    vectorizer: Any = fitted_vectorizer(training, words, letters)
    return lambda input: vectorizer.transform(input).toarray() if len(input) else np.zeros((0, 1))


def _examples(dataset: Dataset, split: str) -> Examples:
    part = dataset.take(np.arange(dataset.size))
    names = [str(name) for name in dataset.names] or [f'{split} {i}' for i in range(dataset.size)]
    return Examples(np.asarray(part['input']), np.asarray(dataset.label), np.array(names))
