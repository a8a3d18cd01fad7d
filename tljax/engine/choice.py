"""Early stopping and the best checkpoint, by validation scores alone.

Seeds are trained together and judged separately: each seed ends with the parameters that a run of
this seed alone would end with. A seed that has run out of patience is still trained beside the
others, but its later steps do not count.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tljax.core import Tree

SPLIT = 'validation'  # the split whose scores choose


class Choice(NamedTuple):
    """How a fit ends.

    Attributes:
        keep: which parameters the fit ends with: 'last', those of the last step, or 'best', those
            with the best validation score.
        patience: number of evaluations in a row without a better score after which a seed stops
            early; 0: it never does.
        more_is_better: whether a larger score is the better one.
    """

    keep: str = 'last'
    patience: int = 0
    more_is_better: bool = True

    @property
    def chooses(self) -> bool:
        """Whether evaluations change how the fit ends."""
        return self.keep == 'best' or self.patience > 0


class Selection(NamedTuple):
    """The parameters that each seed would end with if the fit ended now; checkpoints hold it.

    Attributes:
        trees: params and state of the method, with a leading axis of seeds.
        step: the step of these parameters, (seeds,) integers.
        best: the step of the best score, (seeds,) integers; 0 before the first evaluation.
        score: the best score, (seeds,); NaN before the first evaluation.
        since: number of evaluations since the best score, (seeds,) integers.
    """

    trees: Tree
    step: np.ndarray
    best: np.ndarray
    score: np.ndarray
    since: np.ndarray


def start_choice(trees: Tree, seeds: int) -> Selection:
    """Returns the selection before the first evaluation: the parameters at step 0.

    `trees` are copied, because the compiled step reuses the memory of its arguments.

    Args:
        trees: params and state of the method, with a leading axis of seeds.
        seeds: number of seeds.

    >>> selection = start_choice(jnp.ones((2, 1)), seeds=2)
    >>> selection.step.tolist(), selection.score.tolist()
    ([0, 0], [nan, nan])
    """
    zeros, copies = np.zeros(seeds, np.int64), _where(np.ones(seeds, bool), trees, trees)
    return Selection(copies, step=zeros, best=zeros, score=np.full(seeds, np.nan), since=zeros)


def out_of_patience(choice: Choice, selection: Selection) -> np.ndarray:
    """Tells which seeds have run out of patience, (seeds,) booleans.

    Args:
        choice: how the fit ends.
        selection: after the last evaluation.

    >>> selection = start_choice({}, seeds=2)._replace(since=np.array([1, 2]))
    >>> out_of_patience(Choice(patience=2), selection).tolist()
    [False, True]
    """
    if not choice.patience:
        return np.zeros(len(selection.since), bool)
    return selection.since >= choice.patience


def update_choice(
    choice: Choice, selection: Selection, step: int, scores: np.ndarray, trees: Tree
) -> Selection:
    """Returns the selection after an evaluation.

    NaN is worse than every other score. An equal score is not better.

    Args:
        choice: how the fit ends.
        selection: after the previous evaluation.
        step: of this evaluation.
        scores: on the validation split, (seeds,).
        trees: params and state of the method at this step.

    Of the first seed the parameters of step 10 stay selected, of the second those of step 20 are:

    >>> choice, selection = Choice('best'), start_choice(jnp.zeros(2), seeds=2)
    >>> for step, scores in ((10, [0.5, np.nan]), (20, [0.4, 0.1])):
    ...     trees = jnp.full(2, float(step))
    ...     selection = update_choice(choice, selection, step, np.array(scores), trees)
    >>> selection.trees.tolist(), selection.best.tolist(), selection.since.tolist()
    ([10.0, 20.0], [10, 20], [1, 0])
    """

    def rank(values):
        return np.where(np.isnan(values), -np.inf, values if choice.more_is_better else -values)

    in_training = ~out_of_patience(choice, selection)
    better = in_training & ((selection.best == 0) | (rank(scores) > rank(selection.score)))
    replace = better if choice.keep == 'best' else in_training
    return Selection(
        trees=_where(replace, trees, selection.trees),
        step=np.where(replace, step, selection.step),
        best=np.where(better, step, selection.best),
        score=np.where(better, scores, selection.score),
        since=np.where(better, 0, selection.since + in_training),
    )


def outcome(choice: Choice, selection: Selection, step: int, steps: int) -> str:
    """Says in one line how a fit ended.

    Args:
        choice: how the fit ends.
        selection: after the last evaluation.
        step: the last step of the training.
        steps: number of steps of the run.

    >>> selection = start_choice({}, seeds=1)._replace(best=np.array([150]), step=np.array([150]))
    >>> outcome(Choice('best', patience=3), selection, step=300, steps=1000)
    'stopped at step 300 of 1000: no better validation score for 3 evaluations; best at step 150'
    """

    def at(numbers):
        if len(set(numbers.tolist())) == 1:
            return f'step {numbers[0]}'
        return f'steps {", ".join(map(str, numbers))}, seed by seed'

    text = f'{SPLIT} score '
    if step < steps:
        patience = '1 evaluation' if choice.patience == 1 else f'{choice.patience} evaluations'
        text = f'stopped at step {step} of {steps}: no better {SPLIT} score for {patience}; '
    text += f'best at {at(selection.best)}'
    if choice.keep == 'last' and (selection.step != step).any():
        text += f'; kept as of {at(selection.step)}'
    return text


@jax.jit
def _where(mask, new, old):
    """A copy with the seeds of `new` where the mask is true and those of `old` elsewhere."""

    def select(new_leaf, old_leaf):
        return jnp.where(mask.reshape(-1, *(1,) * (new_leaf.ndim - 1)), new_leaf, old_leaf)

    return jax.tree.map(select, new, old)
