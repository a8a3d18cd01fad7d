"""The scores of every kind of task. No other file contains the name of a score.

A score computes a value for each example of a batch on the device, and reduces the values of all
examples to one number on the host. Early stopping, the best checkpoint, studies and verdicts use
the first score of a task.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtri

from tljax.core import Task, Tree, UserError, abbreviated
from tljax.engine.average_precision import OVERLAPS
from tljax.engine.average_precision import average_precision as boxes_found
from tljax.protocols import Record

MEAN_CLASS = 'mean_class_accuracy'  # shows errors on rare classes, which the accuracy hides
# suffix: `accuracy_ci95` is half the width of the accuracy's 95 % interval over episodes
INTERVAL = '_ci95'


class Score(NamedTuple):
    """One score of a task.

    Attributes:
        keep: {'output': (seeds, n, ...), 'label': (seeds, n, ...)} of a batch -> the values of its
            examples, a tree of (seeds, n, ...).
        total: values of all examples -> (seeds,).
        more_is_better: whether a larger number is the better one.
        share: whether the score is the share of correct examples. Its values are booleans, and it
            has a binomial interval.
        bounded: whether the score lies between 0 and 1; every share does.
        episodes: whether the score is computed for episodes too.

    One seed and two examples, the second of which is wrong:

    >>> output, label = np.array([[[0.9, 0.1], [0.2, 0.8]]]), np.array([[0, 0]])
    >>> accuracy = SCORES['classes']['accuracy']
    >>> accuracy.total(accuracy.keep({'output': output, 'label': label})).tolist()
    [0.5]
    """

    keep: Callable[[dict[str, jax.Array]], Tree]
    total: Callable[[Tree], np.ndarray]
    more_is_better: bool
    share: bool = False
    bounded: bool = False
    episodes: bool = True


def _example_means(values):
    """The mean value of each example or episode, (seeds, n)."""
    return values.mean(tuple(range(2, values.ndim)))


def _mean_class_accuracy(values):
    """The mean accuracy over the classes that have examples, (seeds,)."""

    def of_seed(right, label):
        return np.mean([right[label == c].mean() for c in np.unique(label)])

    pairs = zip(values['right'], values['label'], strict=True)
    return np.array([of_seed(right, label) for right, label in pairs])


def average_precision(output: np.ndarray, label: np.ndarray) -> float:
    """Average precision of one label: the area under the step function of precision over recall.

    Examples of equal outputs make one step.

    Args:
        output: (n,) numbers, larger where the model expects the label.
        label: (n,) of 0 and 1, at least one of them 1.

    The precision is 1 at the first correct example and 2/3 at the second:

    >>> average_precision(np.array([3.0, 2.0, 1.0]), np.array([1, 0, 1])) == (1 + 2 / 3) / 2
    True
    """
    order = np.argsort(-output, kind='stable')
    output, label = output[order], label[order]
    ends = np.append(np.flatnonzero(np.diff(output)), len(output) - 1)
    positives = np.cumsum(label)[ends]
    recall_steps = np.diff(positives, prepend=0) / positives[-1]
    return float(np.sum(recall_steps * positives / (ends + 1)))


def _mean_average_precision(values):
    """The mean over the labels that at least one example has, (seeds,)."""

    def of_seed(output, label):
        labels = np.flatnonzero(label.any(0))
        if not len(labels):
            return np.nan
        return np.mean([average_precision(output[:, c], label[:, c]) for c in labels])

    pairs = zip(values['output'], values['label'], strict=True)
    return np.array([of_seed(output, label) for output, label in pairs])


def _box_precision(overlaps, values):
    """The average precision of boxes over classes and overlaps, (seeds,)."""

    def of_seed(output, label):
        count = int(max(output[..., 4].max(initial=0), label[..., 4].max(initial=0))) + 1
        size = np.full((len(label), 2), 1000)  # of any number: overlaps of shares are the same
        names = [str(c) for c in range(count)]
        return boxes_found(output, label, names, size, overlaps=overlaps).ap

    pairs = zip(values['output'], values['label'], strict=True)
    return np.array([of_seed(output, label) for output, label in pairs])


def _right(predictions):
    return predictions['output'].argmax(-1) == predictions['label']


def _right_and_label(predictions):
    return {'right': _right(predictions), 'label': predictions['label']}


def _right_labels(predictions):
    return (predictions['output'] > 0) == (predictions['label'] > 0)


def _squared_errors(predictions):
    output = predictions['output']
    return jnp.square(output - predictions['label'].reshape(output.shape))


def _mean(values):
    return _example_means(values).mean(1)


def _root_mean(values):
    return np.sqrt(_mean(values))


SCORES = {  # kind of a task -> its scores by name
    'classes': {
        'accuracy': Score(_right, _mean, more_is_better=True, share=True),
        MEAN_CLASS: Score(
            _right_and_label,
            _mean_class_accuracy,
            more_is_better=True,
            bounded=True,
            episodes=False,
        ),
    },
    'labels': {
        'mean_average_precision': Score(
            lambda predictions: predictions,
            _mean_average_precision,
            more_is_better=True,
            bounded=True,
        ),
        'label_accuracy': Score(_right_labels, _mean, more_is_better=True, bounded=True),
    },
    'boxes': {
        name: Score(
            lambda predictions: predictions,
            functools.partial(_box_precision, overlaps),
            more_is_better=True,
            bounded=True,
            episodes=False,
        )
        for name, overlaps in {'ap': OVERLAPS, 'ap50': (0.5,)}.items()
    },
    'numbers': {'rmse': Score(_squared_errors, _root_mean, more_is_better=False)},
}


def first_score(task: Task) -> str:
    """Returns the name of the score that early stopping, checkpoints and studies use.

    For several tasks it is the mean of their first scores.

    Args:
        task: what is asked.

    Raises:
        UserError: the first scores of several tasks differ, so that they have no mean.

    >>> first_score(Task.of(('cat', 'dog'))), first_score(Task.of(()))
    ('accuracy', 'rmse')
    """
    names = [next(iter(SCORES[part.kind])) for part in task.tasks or (task,)]
    if len({*names}) > 1:
        raise UserError(
            f'the tasks are scored by {abbreviated(dict.fromkeys(names))}, which have no mean: '
            'choose by one task alone'
        )
    return names[0]


def more_is_better(task: Task) -> bool:
    """Tells whether a larger first score is the better one.

    Args:
        task: what is asked; of several tasks, whose scores nothing chooses by if they differ in
            this, the first one answers.

    >>> more_is_better(Task.of(('cat', 'dog'))), more_is_better(Task.of(()))
    (True, False)
    """
    return score_named(first_score((task.tasks or (task,))[0])).more_is_better


def first_values(task: Task, split: str, split_scores: dict[str, Record]) -> np.ndarray:
    """Returns the values of the first score of a split; for several tasks their mean.

    Args:
        task: what is asked.
        split: name of the split.
        split_scores: {split: {name: (seeds,)}}, as `evaluate.score` returns them; for several tasks
            by the names of `task_split`. Tasks without examples in the split are left out.

    Returns:
        (seeds,).

    >>> split_scores = {'test, a': {'accuracy': [0.5]}, 'test, b': {'accuracy': [1.0]}}
    >>> both = Task.several({'a': Task.of(('x', 'y')), 'b': Task.of(('x', 'y'))})
    >>> first_values(both, 'test', split_scores).tolist()
    [0.75]
    """
    splits = [task_split(split, name) for name in task.names] if task.tasks else [split]
    name = first_score(task)
    return np.mean([split_scores[split][name] for split in splits if split in split_scores], 0)


def task_split(split: str, name: str) -> str:
    """Returns the name under which the scores of one of several tasks stand.

    Args:
        split: name of the split.
        name: name of the task.

    >>> task_split('test', 'left')
    'test, left'
    """
    return f'{split}, {name}'


def score_named(name: str) -> Score:
    """Returns the score of a name, for any kind of task.

    Args:
        name: of the score.

    >>> score_named('rmse').more_is_better
    False
    """
    return next(scores[name] for scores in SCORES.values() if name in scores)


def budget_unit(name: str) -> str:
    """Returns what a budget of labels counts where a score is measured (`config.per_class`).

    Args:
        name: of the score.

    >>> budget_unit('accuracy'), budget_unit('ap')
    ('labels per class', 'pictures')
    """
    return 'pictures' if name in SCORES['boxes'] else 'labels per class'


@functools.lru_cache(maxsize=16)
def collector(task: Task) -> Callable[[Tree], dict[str, Tree]]:
    """Makes the compiled function that computes the values of a batch for every score of a task.

    Args:
        task: what is asked.

    Returns:
        ({'output', 'label'}: trees of (seeds, n, ...)) -> {score: values of each example}; for
        several tasks {task: {score: values of each example}}.

    >>> predictions = {
    ...     'output': jnp.array([[[0.0, 1.0], [0.0, 1.0]]]),
    ...     'label': jnp.array([[1, 0]]),
    ... }
    >>> collector(Task.of(('cat', 'dog')))(predictions)['accuracy'].tolist()
    [[True, False]]
    """

    def collect(predictions, part=task):
        if part.tasks:
            by_name = part.by_name.items()
            return {name: collect(answers_to(name, predictions), each) for name, each in by_name}
        return {name: score.keep(predictions) for name, score in SCORES[part.kind].items()}

    return jax.jit(collect)


def answers_to(name: str, predictions: dict[str, Tree]) -> dict[str, Tree]:
    """Returns the predictions for one of several tasks.

    Args:
        name: name of the task.
        predictions: {'output': {task: ...}, 'label': {task: ...}}.

    >>> answers_to('left', {'output': {'left': 1, 'right': 2}, 'label': {'left': 3, 'right': 4}})
    {'output': 1, 'label': 3}
    """
    return {key: by_task[name] for key, by_task in predictions.items()}


def total_scores(
    task: Task, values: dict[str, Tree], episodes: bool = False
) -> dict[str, np.ndarray]:
    """Computes the scores of a data set from the values of its examples.

    Args:
        task: of the set.
        values: {score: tree of (seeds, n, ...)} of all examples, as `collector` computes them.
        episodes: whether an example is an episode. A share then comes with half the width of its
            normal 95 % interval over episodes, under the score's name and '_ci95'.

    Returns:
        {name: (seeds,)}; the first score is the one that early stopping and studies use.

    >>> right, label = np.array([[True, True, False]]), np.array([[0, 0, 1]])
    >>> values = {'accuracy': right, 'mean_class_accuracy': {'right': right, 'label': label}}
    >>> total_scores(Task.of(('cat', 'dog')), values)
    {'accuracy': array([0.66666667]), 'mean_class_accuracy': array([0.5])}
    """
    totals = {}
    for name, score in SCORES[task.kind].items():
        if episodes and not score.episodes:
            continue
        totals[name] = score.total(values[name])
        if episodes and score.share:
            means = _example_means(values[name])
            totals[name + INTERVAL] = 1.96 * means.std(1, ddof=1) / np.sqrt(means.shape[1])
    return totals


def proportion(correct: int, count: int) -> tuple[float, float, float]:
    """Computes a share of examples with its 95 % interval (Wilson 1927), for one model.

    Args:
        correct: number of correct examples.
        count: number of examples.

    Returns:
        (share, low, high).

    >>> [round(float(number), 3) for number in proportion(90, 100)]
    [0.9, 0.826, 0.945]
    """
    share, squared = correct / count, ndtri(0.975) ** 2
    centre = (correct + squared / 2) / (count + squared)
    half_width = math.sqrt(squared * (correct * (1 - share) + squared / 4)) / (count + squared)
    return share, float(max(centre - half_width, 0)), float(min(centre + half_width, 1))


def score_rows(
    scores: dict[str, dict[str, list[float]]],
    sizes: dict[str, int],
    interval: Callable[[Sequence[float]], tuple[float, float | None]],
) -> list[Record]:
    """Makes a table of scores with their 95 % intervals.

    The interval is over seeds. With a single seed it is over the episodes or examples. The interval
    of a bounded score is cut to 0 and 1. Over two seeds a bounded score has none: Student's t with
    one degree of freedom covers nearly all of 0 to 1.

    Args:
        scores: {split: {name: (seeds,)}} as a fit returns them.
        sizes: {split: number of examples}.
        interval: (values) -> mean, half the width of its interval, which is None for a single value
            (`tljax.when.mean_interval`).

    Returns:
        [{'split', 'metric', 'mean', 'low', 'high'}]; 'low' and 'high' are None where there is no
        interval.

    >>> scores, interval = {'test': {'accuracy': [0.5]}}, lambda values: (values[0], None)
    >>> row = score_rows(scores, {'test': 4}, interval)[0]
    >>> row['metric'], round(row['low'], 2), round(row['high'], 2)
    ('accuracy', 0.15, 0.85)
    """
    rows = []
    for split, split_scores in scores.items():
        for name, values in split_scores.items():
            if name.endswith(INTERVAL):
                continue
            mean, half = interval(values)
            if len(values) == 1 and name + INTERVAL in split_scores:
                half = split_scores[name + INTERVAL][0]
            low, high = _bounds(score_named(name), mean, half, len(values), sizes.get(split, 0))
            rows.append(dict(split=split, metric=name, mean=mean, low=low, high=high))
    return rows


def _bounds(score, mean, half, seeds, size):
    """The ends of a score's interval, from half its width; (None, None) where there is none."""
    if score.share and seeds == 1 and half is None:
        return proportion(round(mean * size), size)[1:]
    bounded = score.share or score.bounded
    if half is None or bounded and seeds == 2:
        return None, None
    if bounded:
        return max(mean - half, 0.0), min(mean + half, 1.0)
    return mean - half, mean + half
