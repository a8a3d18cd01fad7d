"""Which parameters a fit ends with, and when it may end early: by validation scores alone.

Seeds are trained together and judged apart: each is left with what a run of this seed alone would
have ended with. A seed that has run out of patience goes on beside the others, and nothing that it
does then counts.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tljax.core import Tree

SPLIT = 'validation'  # what every choice is by


class Choice(NamedTuple):
    """How a fit ends.

    Attributes:
        keep: what finishes: 'last', the parameters of the last step, or 'best', those with the best
            validation score.
        patience: evaluations without a better score after which a seed has run out; 0: never.
        more_is_better: whether a larger score is the better one.

    >>> Choice(), Choice(patience=3).chooses
    (Choice(keep='last', patience=0, more_is_better=True), True)
    """

    keep: str = 'last'
    patience: int = 0
    more_is_better: bool = True

    @property
    def chooses(self) -> bool:
        """Whether evaluations change how the fit ends."""
        return self.keep == 'best' or self.patience > 0


class Kept(NamedTuple):
    """What each seed would end with if the fit ended now, which checkpoints hold.

    Attributes:
        trees: params and state of the method, with a leading axis of seeds.
        step: the step that they are of, (seeds,) integers.
        best: the step of the best score, (seeds,) integers; 0 before the first evaluation.
        score: the best score, (seeds,); not a number before the first evaluation.
        since: evaluations since the best score, (seeds,) integers.

    >>> start_choice(({'w': jnp.zeros((2, 3))}, {}), seeds=2).best.tolist()
    [0, 0]
    """

    trees: Tree
    step: np.ndarray
    best: np.ndarray
    score: np.ndarray
    since: np.ndarray


def start_choice(trees: Tree, seeds: int) -> Kept:
    """Before the first evaluation. `trees` are copied, as a step gives its arguments' memory away.

    Args:
        trees: params and state of the method, with a leading axis of seeds.
        seeds: how many there are.

    >>> start_choice(jnp.ones((2, 1)), seeds=2).since.tolist()
    [0, 0]
    """
    none, copied = np.zeros(seeds, np.int64), _taken(np.ones(seeds, bool), trees, trees)
    return Kept(copied, step=none, best=none, score=np.full(seeds, np.nan), since=none)


def out_of_patience(choice: Choice, kept: Kept) -> np.ndarray:
    """Which seeds have run out of patience, (seeds,) booleans.

    Args:
        choice: how the fit ends.
        kept: after the last evaluation.

    >>> kept = start_choice({}, seeds=2)._replace(since=np.array([1, 2]))
    >>> (
    ...     out_of_patience(Choice(patience=2), kept).tolist(),
    ...     out_of_patience(Choice(keep='best'), kept).tolist(),
    ... )
    ([False, True], [False, False])
    """
    return kept.since >= choice.patience if choice.patience else np.zeros(len(kept.since), bool)


def update_choice(choice: Choice, kept: Kept, step: int, scores: np.ndarray, trees: Tree) -> Kept:
    """What is kept after an evaluation.

    A score that is no number is worse than all others; an equal one is not better.

    Args:
        choice: how the fit ends.
        kept: after the evaluation before.
        step: of this one.
        scores: on the validation split, (seeds,).
        trees: params and state of the method at this step.

    >>> rule, kept = Choice('best'), start_choice(jnp.zeros(2), seeds=2)
    >>> for step, scores in ((10, [0.5, np.nan]), (20, [0.4, 0.1])):
    ...     kept = update_choice(rule, kept, step, np.array(scores), jnp.full(2, step / 10))
    >>> kept.trees.tolist(), kept.best.tolist(), kept.since.tolist()
    ([1.0, 2.0], [10, 20], [1, 0])
    """

    def rank(values):
        return np.where(np.isnan(values), -np.inf, values if choice.more_is_better else -values)

    running = ~out_of_patience(choice, kept)
    better = running & ((kept.best == 0) | (rank(scores) > rank(kept.score)))
    taken = better if choice.keep == 'best' else running
    return Kept(
        trees=_taken(taken, trees, kept.trees),
        step=np.where(taken, step, kept.step),
        best=np.where(better, step, kept.best),
        score=np.where(better, scores, kept.score),
        since=np.where(better, 0, kept.since + running),
    )


def outcome(choice: Choice, kept: Kept, step: int, steps: int) -> str:
    """What a person is told of a fit that ended at `step` of `steps`.

    Args:
        choice: how the fit ends.
        kept: after the last evaluation.
        step: the last one that was trained.
        steps: of the run.

    >>> kept = start_choice({}, seeds=1)._replace(best=np.array([150]), step=np.array([150]))
    >>> outcome(Choice('best', patience=3), kept, step=300, steps=1000)
    'stopped at step 300 of 1000: no better validation score for 3 evaluations; best at step 150'
    """

    def at(numbers):
        if len(set(numbers.tolist())) == 1:
            return f'step {numbers[0]}'
        return f'steps {", ".join(map(str, numbers))}, seed by seed'

    text = f'{SPLIT} score '
    if step < steps:
        waited = '1 evaluation' if choice.patience == 1 else f'{choice.patience} evaluations'
        text = f'stopped at step {step} of {steps}: no better {SPLIT} score for {waited}; '
    earlier = choice.keep == 'last' and (kept.step != step).any()
    return f'{text}best at {at(kept.best)}' + (f'; kept as of {at(kept.step)}' if earlier else '')


@jax.jit
def _taken(which, new, old):
    """The seeds of `new` where `which` is true, those of `old` elsewhere, in memory of its own."""

    def taken(one, other):
        return jnp.where(which.reshape(-1, *(1,) * (one.ndim - 1)), one, other)

    return jax.tree.map(taken, new, old)
