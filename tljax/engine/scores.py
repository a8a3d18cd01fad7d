"""How a task is scored. No other file knows the name of a score.

A score keeps a number for each example of a batch, on the device, and makes one number of all of
them on the host. The first score of a task is the one that early stopping, the best checkpoint,
studies and verdicts use.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import binomtest

from tljax.core import Task, Tree
from tljax.protocols import Record

MEAN_CLASS = 'mean_class_accuracy'  # beside the accuracy, where classes are unbalanced
# ends the name of half a 95 % interval over episodes, beside the score that it belongs to
INTERVAL = '_ci95'


class Score(NamedTuple):
    """One way to score a task.

    Attributes:
        keep: {'output': (seeds, n, ...), 'label': (seeds, n, ...)} of a batch -> what is kept of
            each example, a tree of (seeds, n, ...).
        total: what was kept of all examples -> (seeds,).
        more_is_better: whether a larger number is the better one.
        share: whether it is a share of examples that are right, so that what is kept is whether
            they are; it has a binomial interval.
        bounded: whether it lies between 0 and 1, as every share does.
        episodes: whether it means something for episodes, too.

    >>> told = {
    ...     'output': np.array([[[0.9, 0.1], [0.2, 0.8]]]),
    ...     'label': np.array([[0, 0]]),
    ... }  # a seed, two examples
    >>> score = SCORES['classes']['accuracy']
    >>> score.total(score.keep(told)).tolist()
    [0.5]
    """

    keep: Callable[[dict[str, jax.Array]], Tree]
    total: Callable[[Tree], np.ndarray]
    more_is_better: bool
    share: bool = False
    bounded: bool = False
    episodes: bool = True


def _each(kept):
    """The mean of each example or episode, (seeds, n)."""
    return kept.mean(tuple(range(2, kept.ndim)))


def _class_means(kept):
    """The accuracy of each class that has examples, and their mean: (seeds,)."""
    right, label = kept['right'], kept['label']
    return np.array(
        [
            np.mean([one[of == c].mean() for c in np.unique(of)])
            for one, of in zip(right, label, strict=True)
        ]
    )


def average_precision(output: np.ndarray, label: np.ndarray) -> float:
    """The area under the steps of precision over recall, for one label; equal outputs make one
    step.

    Args:
        output: (n,) numbers, larger where the label is thought to be on.
        label: (n,) of 0 and 1, some of them 1.

    >>> average_precision(np.array([3.0, 2.0, 1.0]), np.array([1, 0, 1])) == (1 + 2 / 3) / 2
    True
    """
    order = np.argsort(-output, kind='stable')
    output, label = output[order], label[order]
    ends = np.append(np.flatnonzero(np.diff(output)), len(output) - 1)
    found = np.cumsum(label)[ends]
    return float(np.sum(np.diff(found, prepend=0) / found[-1] * found / (ends + 1)))


def _mean_average_precision(kept):
    """Over the labels that some example has: (seeds,)."""
    return np.array(
        [
            np.mean(
                [average_precision(output[:, c], label[:, c]) for c in np.flatnonzero(label.any(0))]
                or [np.nan]
            )
            for output, label in zip(kept['output'], kept['label'], strict=True)
        ]
    )


SCORES = {  # kind of a task -> its scores by name
    'classes': {
        'accuracy': Score(
            lambda told: told['output'].argmax(-1) == told['label'],
            lambda right: _each(right).mean(1),
            True,
            share=True,
        ),
        MEAN_CLASS: Score(
            lambda told: {
                'right': told['output'].argmax(-1) == told['label'],
                'label': told['label'],
            },
            _class_means,
            True,
            bounded=True,
            episodes=False,
        ),
    },
    'labels': {
        'mean_average_precision': Score(
            lambda told: told, _mean_average_precision, True, bounded=True
        ),
        'label_accuracy': Score(
            lambda told: (told['output'] > 0) == (told['label'] > 0),
            lambda right: _each(right).mean(1),
            True,
            bounded=True,
        ),
    },
    'numbers': {
        'rmse': Score(
            lambda told: jnp.square(told['output'] - told['label'].reshape(told['output'].shape)),
            lambda square: np.sqrt(_each(square).mean(1)),
            False,
        )
    },
}


def first_score(task: Task) -> str:
    """The name of the score that decides.

    Args:
        task: what is asked.

    >>> first_score(Task.of(('cat', 'dog'))), first_score(Task.of(()))
    ('accuracy', 'rmse')
    """
    return next(iter(SCORES[task.kind]))


def score_named(name: str) -> Score:
    """What is known of a score.

    Args:
        name: of the score.

    >>> score_named('rmse').more_is_better
    False
    """
    return next(scores[name] for scores in SCORES.values() if name in scores)


@functools.lru_cache(maxsize=16)
def collector(task: Task) -> Callable[[Tree], dict[str, Tree]]:
    """What is kept of a batch: {'output', 'label'} -> {score: what is kept of each example},
    compiled.

    Args:
        task: what is asked.

    >>> told = {'output': jnp.array([[[0.0, 1.0], [0.0, 1.0]]]), 'label': jnp.array([[1, 0]])}
    >>> collector(Task.of(('cat', 'dog')))(told)['accuracy'].tolist()
    [[True, False]]
    """
    return jax.jit(
        lambda told: {name: score.keep(told) for name, score in SCORES[task.kind].items()}
    )


def total_scores(
    task: Task, kept: dict[str, Tree], episodes: bool = False
) -> dict[str, np.ndarray]:
    """The scores of a data set.

    Args:
        task: what the set asks.
        kept: {score: tree of (seeds, n, ...)} of all its examples, as `collector` makes them.
        episodes: whether an example is an episode; half a 95 % interval over episodes (normal) then
            stands beside a share.

    Returns:
        {name: (seeds,)}; the first name is the one that decides.

    >>> right, label = np.array([[True, True, False]]), np.array([[0, 0, 1]])
    >>> total_scores(
    ...     Task.of(('cat', 'dog')),
    ...     {'accuracy': right, 'mean_class_accuracy': {'right': right, 'label': label}},
    ... )
    {'accuracy': array([0.66666667]), 'mean_class_accuracy': array([0.5])}
    """
    found = {}
    for name, score in SCORES[task.kind].items():
        if episodes and not score.episodes:
            continue
        found[name] = score.total(kept[name])
        if episodes and score.share:
            each = _each(kept[name])
            found[name + INTERVAL] = 1.96 * each.std(1, ddof=1) / np.sqrt(each.shape[1])
    return found


def proportion(correct: int, count: int) -> tuple[float, float, float]:
    """A share of examples with its 95 % interval (Wilson 1927), for one model.

    Args:
        correct: number of examples that are right.
        count: number of examples.

    Returns:
        (share, low, high).

    >>> [round(float(number), 3) for number in proportion(90, 100)]
    [0.9, 0.826, 0.945]
    """
    interval = binomtest(int(correct), int(count)).proportion_ci(0.95, method='wilson')
    return correct / count, float(interval.low), float(interval.high)


def score_rows(
    scores: dict[str, dict[str, list[float]]],
    sizes: dict[str, int],
    interval: Callable[[Sequence[float]], tuple[float, float | None]],
) -> list[Record]:
    """Scores with their 95 % intervals: over seeds, or over the episodes or examples of a single
    seed.

    The interval of a share lies between 0 and 1, and there is none over two seeds, by which
    Student's t tells nothing of a share.

    Args:
        scores: {split: {name: (seeds,)}} as a fit gives them.
        sizes: {split: number of examples}.
        interval: (values) -> mean, half of their interval or None where one value has none
            (`tljax.when.mean_interval`).

    Returns:
        [{'split', 'metric', 'mean', 'low', 'high'}]; 'low' and 'high' are None where there is no
        interval.

    >>> found = score_rows(
    ...     {'test': {'accuracy': [0.5]}}, {'test': 4}, lambda values: (values[0], None)
    ... )[0]
    >>> found['metric'], round(found['low'], 2), round(found['high'], 2)
    ('accuracy', 0.15, 0.85)
    """
    found = []
    for split, each in scores.items():
        for name, values in each.items():
            if name.endswith(INTERVAL):
                continue
            (mean, half), share = interval(values), score_named(name).share
            bounded = share or score_named(name).bounded
            if len(values) == 1:
                half = each.get(name + INTERVAL, [half])[0]
            elif len(values) == 2 and bounded:
                half = None
            low, high = (None, None) if half is None else (mean - half, mean + half)
            if share and half is None and len(values) == 1:
                low, high = proportion(round(mean * sizes[split]), sizes[split])[1:]
            elif bounded and low is not None and high is not None:
                low, high = max(low, 0.0), min(high, 1.0)
            found.append(dict(split=split, metric=name, mean=mean, low=low, high=high))
    return found
