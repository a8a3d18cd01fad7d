"""The only training loop: restore, step, log, evaluate, save."""

import json
import signal
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import optax

from tljax.core import Dataset, Stream, Task, TrainState, Tree, UserError
from tljax.engine import scores
from tljax.engine.answers import ANSWERS, answers, write_answers
from tljax.engine.checkpoint import Checkpoints, claim, load_final, save_final
from tljax.engine.choice import (
    SPLIT,
    Choice,
    Kept,
    out_of_patience,
    outcome,
    start_choice,
    update_choice,
)
from tljax.engine.devices import Compiled, first_state, map_seeds_on_threads, shard
from tljax.engine.evaluate import is_episodic, score, score_and_tell
from tljax.engine.log import Log, tell_facts, tell_transferred
from tljax.engine.signals import stop_exception, stop_signal
from tljax.files.text import write
from tljax.paths import Group
from tljax.protocols import Record

# splits whose answers are written; the most numbers that they may have
JUDGED, TOLD = ('validation', 'test'), 2e7


class Run(NamedTuple):
    """All that a fit needs; `build.build` makes one from a config.

    Attributes:
        name: for the progress line.
        init: (seed) -> params, state.
        tx: the optimiser.
        step: the compiled step (`tljax.engine.devices`).
        predict: the compiled prediction.
        stream: of batches.
        evals: {split: Dataset} to score.
        seeds: one run each, together.
        steps: number of steps.
        log_every: steps between two records of the log; 0 for one at the end only.
        save_every: steps between two checkpoints.
        eval_every: steps between two evaluations.
        chunk: steps per call.
        eval_batch: examples per call of an evaluation.
        task: what the training set asks.
        record: the config, which claims the workdir.
        whole: (params, state) -> params, state in the full layout, where a head alone was trained
            on cached features.
        donors: number of source networks that it starts from.
        input: shape of one example.
        range: what pictures were scaled by (`Dataset.range`).
        transferred: groups of parameters, where they come from and how fast they move; told before
            the first step.
        facts: () -> pairs of a word and a text: what the data turned out to be, which is looked
            for, told and kept in `data.json` once, before the first step.
        choice: which step's parameters it ends with, and when it may end early.
        epochs: passes over the training set that the steps are; 0 where they are not counted.

    >>> Run._fields[:3]
    ('name', 'init', 'tx')
    """

    name: str
    init: Callable[[int], tuple[Tree, Tree]]
    tx: optax.GradientTransformation
    step: Compiled
    predict: Compiled
    stream: Stream
    evals: dict[str, Dataset]
    seeds: tuple[int, ...]
    steps: int
    log_every: int = 100
    save_every: int = 0
    eval_every: int = 0
    chunk: int = 1
    eval_batch: int = 256
    task: Task = Task('numbers')
    record: Record = {}
    whole: Callable[[Tree, Tree], tuple[Tree, Tree]] = lambda params, state: (params, state)
    donors: int = 0
    input: tuple[int, ...] = ()
    range: tuple[float, float, str] | tuple[()] = ()
    transferred: Sequence[Group] = ()
    facts: Callable[[], Iterable[tuple[str, str]]] = tuple
    choice: Choice = Choice()
    epochs: float = 0.0

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; empty for regression."""
        return self.task.names


class Fitted(NamedTuple):
    """The product of a fit.

    Attributes:
        params: parameters, with a leading axis of seeds.
        state: state of the method, with a leading axis of seeds.
        scores: {split: {metric: (seeds,)}} of these.
        kept: where scores chose them: {'split', 'metric', 'score', 'best' and 'step' by seed,
            'ended', 'text'}: the best score, its step, the step of the parameters, and the step
            that the fit ended at. None where they are those of the last step.

    >>> Fitted({}, {}, {'test': {'accuracy': [0.9]}}).scores['test']
    {'accuracy': [0.9]}
    """

    params: Tree
    state: Tree
    scores: Record
    kept: Record | None = None


def fit(run: Run, workdir: str | Path) -> Fitted:
    """Trains, or goes on training, or does nothing where the run has finished.

    A run that was killed and is started again with the same config ends bit-equal to one that was
    not. SIGTERM and Ctrl-C save, then stop.

    Args:
        run: all that the fit needs.
        workdir: the run's own folder; made where it is missing.

    Returns:
        Fitted.

    Raises:
        UserError: the workdir belongs to another config; the loss or its gradient is no longer
            finite (step and last good checkpoint).
        Stopped: after SIGTERM, Ctrl-C, or a scheduler's notice of preemption.

    >>> import tempfile
    >>> import optax
    >>> from tljax.data.formats.arrays import arrays
    >>> from tljax.data.streams import draw
    >>> from tljax.methods.fine_tuning.finetune import finetune
    >>> from tljax.engine.devices import compile_jit, compile_predict, make_mesh
    >>> from tljax.engine.step import make_step, many_steps, over_seeds
    >>> from tljax.zoo.families.identity import identity
    >>> data, method, mesh = (
    ...     arrays(np.eye(2, dtype='f'), np.array([0, 1]), ('a', 'b')),
    ...     finetune(identity(2), 2),
    ...     make_mesh(),
    ... )
    >>> labels = {'backbone': {}, 'head': {'kernel': 'head', 'bias': 'head'}}
    >>> init = lambda seed: method.init(jax.random.key(seed), data.take(np.array([0])))
    >>> step = compile_jit(many_steps(over_seeds(make_step(method, optax.sgd(1.0), labels))), mesh)
    >>> run = Run(
    ...     'toy',
    ...     init,
    ...     optax.sgd(1.0),
    ...     step,
    ...     compile_predict(method.predict, mesh),
    ...     draw(data, jax.device_count()),
    ...     {'train': data},
    ...     seeds=(0,),
    ...     steps=20,
    ... )
    >>> float(fit(run, tempfile.mkdtemp()).scores['train']['accuracy'][0])
    1.0
    """
    claim(workdir, run.record, look=True)
    if Path(workdir, 'final').exists():
        params, state, record = load_final(workdir)
        return Fitted(params, state, record['scores'], record.get('kept'))
    state, seeds = first_state(run.init, run.tx, run.seeds), np.asarray(run.seeds, np.uint32)
    run = run._replace(step=map_seeds_on_threads(run.step, len(run.seeds)))
    for seed in run.seeds:  # what does not fit is refused before anything is written
        shard(run.stream.index(seed, 0))
    claim(workdir, run.record)
    kept = start_choice((state.params, state.state), len(seeds)) if run.choice.chooses else None
    first_process = jax.process_index() == 0
    with Checkpoints(workdir) as checkpoints, stop_signal() as asked:
        begun, found = checkpoints.restore(_saved(state, kept)) or (0, _saved(state, kept))
        state, kept = _apart(found, kept is not None)
        if not begun and first_process:
            _tell(run, workdir)
        with Log(workdir, run.name, run.steps, begun, first_process, epochs=run.epochs) as log:
            parts, pending, last, stopping = run.step.split(state), [], begun, 0
            for first, last, batch in _prefetched(run, begun):
                parts, metrics = run.step.run(parts, batch, seeds)
                log.started(last)
                pending.append((first, metrics))
                stopping = asked() or (signal.SIGTERM if checkpoints.preempted(last) else 0)
                saving, evaluating, reporting = (
                    _due(last, every, run.steps)
                    for every in (run.save_every, run.eval_every, run.log_every)
                )
                if not (stopping or saving or evaluating or reporting):
                    continue
                _report(log, last, pending, run, checkpoints, kept)
                pending, state = [], run.step.join(parts, 0)
                if last == run.steps:
                    break
                if evaluating:  # first: a checkpoint holds what its own step's scores have chosen
                    told = _evaluate(run, state, last, log)
                    if kept is not None:
                        kept = _look(run, kept, last, state, told)
                        if out_of_patience(run.choice, kept).all():
                            break
                if saving or stopping:
                    checkpoints.save(last, _saved(state, kept))
                if stopping:
                    raise stop_exception(
                        f'stopped at step {last} of {run.steps}, saved in {workdir}: the same '
                        'command goes on from there',
                        stopping,
                    )
            return _finish(run, workdir, last, state, kept, log, lambda: stopping or asked())


def _saved(state, kept):
    """What a checkpoint holds."""
    return state if kept is None else (state, kept)


def _apart(found: Tree, kept: bool) -> tuple[TrainState, Kept | None]:
    """What `_saved` made one of."""
    return found if kept else (found, None)


def _look(run, kept, step, state, found):
    """What is kept after an evaluation."""
    values = np.asarray(found[SPLIT][scores.first_score(run.task)])
    return update_choice(run.choice, kept, step, values, (state.params, state.state))


def _tell(run, workdir):
    """What the run has understood of its data, and what is transferred."""
    facts = tuple(run.facts())
    tell_facts(facts)
    write(Path(workdir, 'data.json'), json.dumps(facts, indent=1) + '\n')
    tell_transferred(tuple(run.transferred))


def _finish(run, workdir, step, state, kept, log, stopping):
    rows, last = {}, step == run.steps
    found = _evaluate(run, state, step, log, rows if kept is None else None) if last else {}
    if kept is not None:
        kept = _look(run, kept, step, state, found) if found else kept
        params, moved = kept.trees
        state = state._replace(params=params, state=moved)
        found, told = (
            _evaluate(run, state, step, rows=rows),
            outcome(run.choice, kept, step, run.steps),
        )
        log.tell(told)
        kept = {
            'split': SPLIT,
            'metric': scores.first_score(run.task),
            'ended': step,
            'text': told,
            **{name: getattr(kept, name).tolist() for name in ('score', 'best', 'step')},
        }
    params, moved = run.whole(state.params, state.state)
    if rows and jax.process_index() == 0:
        write_answers(Path(workdir, ANSWERS), rows)
    record = {
        'config': run.record,
        'classes': list(run.classes),
        'task': run.task.kind,
        'input': list(run.input),
        'range': list(run.range),
        'seeds': list(run.seeds),
        'scores': found,
    }
    save_final(workdir, params, moved, record | ({'kept': kept} if kept else {}))
    if stopping():
        raise stop_exception(
            f'stopped at the last step, saved in {workdir}: the same command goes on with what '
            'comes next',
            stopping(),
        )
    params, moved = jax.device_get((params, moved))
    return Fitted(params, moved, found, kept)


def _due(step, period, steps):
    return step == steps or bool(period) and step % period == 0


def _spans(run, begun):
    """Pairs (first, last) of steps for each call, up to `chunk` steps long; no call runs past a
    step where something is due."""
    marks = {
        step
        for period in (run.log_every, run.save_every, run.eval_every)
        if period
        for step in range(period, run.steps, period)
    }
    marks = [step for step in sorted(marks | {run.steps}) if step > begun]
    for mark in marks:
        while begun < mark:
            yield begun, min(begun + run.chunk, mark)
            begun = min(begun + run.chunk, mark)


def _prefetched(run, begun):
    """(first, last, batch on its devices) of every call, the next batch made while the present one
    is computed with."""

    def make(span):
        batches = [
            [run.stream.take(shard(run.stream.index(seed, step))) for seed in run.seeds]
            for step in range(*span)
        ]
        together = jax.tree.map(
            lambda *leaves: np.stack(leaves), *(each for row in batches for each in row)
        )
        shape = (span[1] - span[0], len(run.seeds))
        return run.step.place(
            jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), together)
        )

    spans = list(_spans(run, begun))
    with ThreadPoolExecutor(1) as pool:
        ahead = [pool.submit(make, span) for span in spans[:1]]
        for i, span in enumerate(spans):
            batch = ahead.pop().result()
            ahead += [pool.submit(make, each) for each in spans[i + 1 : i + 2]]
            yield *span, batch


def _report(log, step, pending, run, checkpoints, kept):
    """Records the mean of each metric since the last report, after checking that every step was
    finite."""
    metrics = jax.tree.map(
        lambda *leaves: np.concatenate(leaves),
        *(run.step.join(jax.device_get(each), 1) for _, each in pending),
    )
    bad = ~np.isfinite(metrics['loss']) | ~np.isfinite(metrics['gradient_norm'])
    if kept is not None:  # what a seed does that has run out of patience counts no more
        bad &= ~out_of_patience(run.choice, kept)
    if bad.any():
        row, seed = np.argwhere(bad)[0]
        good = checkpoints.last()
        raise UserError(
            f'loss {metrics["loss"][row, seed]} (gradient norm '
            f'{metrics["gradient_norm"][row, seed]}) at step {pending[0][0] + row} with seed '
            f'{run.seeds[seed]}; last good checkpoint: '
            f'{"none" if good is None else f"step {good}"}; lower optim.lr or set optim.clip'
        )
    means = {name: value.mean(0) for name, value in metrics.items()}
    log.record(step, 'training', means)
    log.show(
        step,
        {
            'loss': means['loss'],
            **{
                name: value
                for name, value in means.items()
                if name not in ('loss', 'gradient_norm')
            },
        },
    )


def _evaluate(run, state, step, log=None, rows=None):
    """The scores of every split. Where `rows` is a dict, the answers to every example of
    JUDGED splits are put there."""
    found = {}
    for split, dataset in run.evals.items():
        numbers = dataset.size * max(len(run.classes), 1) * len(run.seeds)
        if rows is not None and split in JUDGED and numbers <= TOLD and not is_episodic(dataset):
            each, told = score_and_tell(
                run.predict, state.params, state.state, dataset, run.eval_batch
            )
            rows[split] = answers(run.task, dataset, told)
        else:
            each = score(run.predict, state.params, state.state, dataset, run.eval_batch)
        if log:
            log.record(step, split, each)
        found[split] = {name: value.tolist() for name, value in each.items()}
    return found
