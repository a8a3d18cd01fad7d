"""The only training loop: restore, step, log, evaluate, save."""

import functools
import json
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import optax

from tljax.core import Dataset, Net, Stream, Task, Tree, UserError, known
from tljax.engine import scores
from tljax.engine.ahead import Waits, ahead
from tljax.engine.answers import ANSWERS, answers, write_answers
from tljax.engine.checkpoint import Checkpoints, claim, load_final, save_final
from tljax.engine.choice import (
    SPLIT,
    Choice,
    out_of_patience,
    outcome,
    start_choice,
    update_choice,
)
from tljax.engine.cluster import agree, watch_folder
from tljax.engine.devices import Compiled, first_state, map_seeds_on_threads, shard
from tljax.engine.evaluate import is_episodic, of_rows, score, score_with_outputs
from tljax.engine.log import Log, tell_facts, tell_transferred
from tljax.engine.sharding import to_host
from tljax.engine.signals import stop_exception, stop_signal
from tljax.engine.speed import speeds, step_flops
from tljax.engine.tracing import Trace
from tljax.files.console import say
from tljax.files.text import write
from tljax.paths import Group
from tljax.protocols import Record

ANSWERED_SPLITS = ('validation', 'test')  # splits whose predictions a run writes to a file
WITHDRAWN = 'withdrawn.txt'  # file of the ids of the examples that a run leaves out
INPUT_WAIT = 'input_wait'  # name in the log of the share of time in which steps wait for a batch
# Calls that are given to the devices before their results are awaited. Otherwise batches pile up in
# the devices' memory. On CPU devices XLA also waits at the 32nd call, in a thread of which as many
# exist as cores; where they are few, none is left for the devices that the first call waits for.
IN_FLIGHT = 8
SHOWN_WAIT = 0.1  # a smaller share is in the log but not in the progress line
ANSWER_LIMIT = 2e7  # examples * classes * seeds; predictions of a larger split are not written


class Run(NamedTuple):
    """All that a fit needs; `build.build` makes one from a config.

    Attributes:
        name: name of the run in its progress line.
        init: (seed) -> params, state.
        tx: the optimiser.
        step: the compiled step (`tljax.engine.devices`).
        predict: the compiled prediction.
        stream: the batches.
        evals: {split: Dataset} to score.
        seeds: the seeds, which are trained together.
        steps: number of steps.
        log_every: number of steps between two records of the log; 0 for one at the end only.
        save_every: number of steps between two checkpoints; 0 for none.
        eval_every: number of steps between two evaluations; 0 for one at the end only.
        chunk: number of steps per call of the compiled step.
        eval_batch: number of examples per call of the compiled prediction.
        task: task of the training set.
        record: the config as JSON. A workdir accepts only runs with the record that it holds.
        full_layout: (params, state) -> params, state as the finished run keeps them. If only a head
            is trained, on cached features, it adds the backbone to its params and state.
        donors: number of source networks from which the run starts.
        input: shape of one example.
        range: how pictures were scaled (`Dataset.range`).
        transferred: groups of parameters, with their donors and learning rates; printed before the
            first step.
        facts: () -> pairs (name, text) that describe the data. They are computed once, before the
            first step, printed, and written to `data.json`.
        choice: rule for early stopping, and for which step's parameters are kept.
        epochs: number of passes over the training set, if the config sets `epochs`; otherwise 0.
        net: the network as it is trained, in which frozen layers use stored statistics.
        withdrawn: ids of the examples that were left out of the data; the workdir keeps them in
            WITHDRAWN.
        traced: (first, last): the steps from first to last - 1 are traced into `profile` in the
            workdir (`tracing.Trace`), as far as they are still to be taken; None for no trace.
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
    full_layout: Callable[[Tree, Tree], tuple[Tree, Tree]] = lambda params, state: (params, state)
    donors: int = 0
    input: tuple[int, ...] = ()
    range: tuple[float, float, str] | tuple[()] = ()
    transferred: Sequence[Group] = ()
    facts: Callable[[], Iterable[tuple[str, str]]] = tuple
    choice: Choice = Choice()
    epochs: float = 0.0
    net: Net | None = None
    withdrawn: tuple[str, ...] = ()
    traced: tuple[int, int] | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; empty for regression. Names of the tasks if there are several."""
        return self.task.names


class Fitted(NamedTuple):
    """The product of a fit.

    Attributes:
        params: parameters, with a leading axis of seeds.
        state: state of the method, with a leading axis of seeds.
        scores: {split: {metric: (seeds,)}} of these parameters.
        kept: how validation scores chose the parameters; None if no scores chose them, and the
            parameters are those of the last step. A dict: 'split' and 'metric' name the score,
            'score' is the best score of each seed, 'best' the step of that score, 'step' the step
            of the parameters, 'ended' the last step of the fit, and 'text' a summary in words.
    """

    params: Tree
    state: Tree
    scores: Record
    kept: Record | None = None


def fit(run: Run, workdir: str | Path) -> Fitted:
    """Trains a run, continues it from its last checkpoint, or loads it if it has finished.

    A killed run that is started again with the same config ends bit-equal to one that was never
    killed. After SIGTERM or Ctrl-C a run saves, then stops.

    Args:
        run: all that the fit needs.
        workdir: folder of this run alone; created if it does not exist.

    Returns:
        The parameters, the method's state and the scores.

    Raises:
        UserError: if the workdir belongs to another config, or if the loss or its gradient is no
            longer finite (the message names the step and the last good checkpoint).
        Stopped: after SIGTERM, Ctrl-C, or a scheduler's notice of preemption.

    >>> import tempfile
    >>> from tljax.data.formats.arrays import arrays
    >>> from tljax.data.streams import draw
    >>> from tljax.methods.fine_tuning.finetune import finetune
    >>> from tljax.engine.devices import compile_jit, compile_predict, make_mesh
    >>> from tljax.engine.step import make_step, many_steps, over_seeds
    >>> from tljax.zoo.families.identity import identity
    >>> data = arrays(np.eye(2, dtype='f'), np.array([0, 1]), ('a', 'b'))
    >>> method, tx, mesh = finetune(identity(2), 2), optax.sgd(1.0), make_mesh()
    >>> labels = {'backbone': {}, 'head': {'kernel': 'head', 'bias': 'head'}}
    >>> run = Run(
    ...     name='toy',
    ...     init=lambda seed: method.init(jax.random.key(seed), data.take(np.array([0]))),
    ...     tx=tx,
    ...     step=compile_jit(many_steps(over_seeds(make_step(method, tx, labels))), mesh),
    ...     predict=compile_predict(method.predict, mesh),
    ...     stream=draw(data, jax.device_count()),
    ...     evals={'train': data},
    ...     seeds=(0,),
    ...     steps=20,
    ... )
    >>> float(fit(run, tempfile.mkdtemp()).scores['train']['accuracy'][0])
    1.0
    """
    claim(workdir, run.record, compare_only=True)
    if Path(workdir, 'final').exists():
        if run.traced:
            say(f'no trace: {workdir} has finished')
        params, variables, record = load_final(workdir)
        return Fitted(params, variables, record['scores'], record.get('kept'))
    agree(run.record)
    watch_folder(workdir)
    state = first_state(run.init, run.tx, run.seeds, run.step.shardings)
    seeds = np.asarray(run.seeds, np.uint32)
    run = run._replace(step=map_seeds_on_threads(run.step, len(run.seeds)))
    for seed in run.seeds:  # refuses a batch that does not fit before anything is written
        shard(run.stream.index(seed, 0))
    claim(workdir, run.record)
    selection = None
    if run.choice.chooses:
        selection = start_choice((state.params, state.variables), len(seeds))
    first_process = jax.process_index() == 0
    with Checkpoints(workdir) as checkpoints, stop_signal() as received_signal:
        start, state, selection = _restore(checkpoints, state, selection)
        agree({'first step': start})
        if not start and first_process:
            _tell(run, workdir)
        with (
            Log(workdir, run.name, run.steps, start, first_process, epochs=run.epochs) as log,
            closing(ahead(functools.partial(_batch, run), spans(run, start))) as batches,
            Trace(Path(workdir, 'profile'), run.traced) as trace,
        ):
            state_parts = run.step.split(state)  # a part for each thread, or the whole state
            pending, metrics, step, stop, waits = [], (), start, 0, Waits()
            flops = 0.0  # of a step
            for (first_step, step), future in batches:
                trace.before(first_step, step, metrics)
                if len(pending) >= IN_FLIGHT:
                    jax.block_until_ready(pending[-IN_FLIGHT][1])
                batch = waits.batch(future, metrics)
                if log.clock is None:
                    flops = step_flops(run.step, state_parts, batch, seeds)
                state_parts, metrics = run.step.run(state_parts, batch, seeds)
                waits.took(step - first_step)
                has_traced = trace.after(step, metrics)
                if log.clock is None:  # the first call is compiled, so it is not timed
                    jax.block_until_ready(metrics)
                if log.clock is None or has_traced:  # nor is the time that a trace takes to write
                    waits.restart()
                log.started(step)
                pending.append((first_step, metrics))
                stop = received_signal() or (signal.SIGTERM if checkpoints.preempted(step) else 0)
                save = _is_due(step, run.save_every, run.steps)
                evaluate = _is_due(step, run.eval_every, run.steps)
                report = _is_due(step, run.log_every, run.steps)
                if not (stop or save or evaluate or report):
                    continue
                _report(log, step, pending, run, checkpoints, selection, waits, flops)
                pending, state = [], run.step.join(state_parts, 0)
                if step == run.steps:
                    break
                if evaluate:  # before saving, so that a checkpoint holds this step's selection
                    split_scores = _evaluate(run, state, step, log)
                    if selection is not None:
                        selection = _select(run, selection, step, state, split_scores)
                        if out_of_patience(run.choice, selection).all():
                            break
                if save or stop:
                    checkpoints.save(step, _checkpoint_tree(state, selection))
                if stop:
                    raise stop_exception(
                        f'stopped at step {step} of {run.steps}, saved in {workdir}: the same '
                        'command goes on from there',
                        stop,
                    )
                waits.restart()
            batches.close()  # a run that has stopped early needs no more of them
            return _finish(
                run, workdir, step, state, selection, log, lambda: stop or received_signal()
            )


def _checkpoint_tree(state, selection):
    """What a checkpoint holds: the training state, and the selection where there is one."""
    return state if selection is None else (state, selection)


def _restore(checkpoints, state, selection):
    """(step, state, selection) of the newest checkpoint, or the given ones at step 0."""
    checkpoint = checkpoints.restore(_checkpoint_tree(state, selection))
    if checkpoint is None:
        return 0, state, selection
    step, tree = checkpoint
    return (step, tree, None) if selection is None else (step, *tree)


def _select(run, selection, step, state, split_scores):
    """The selection (the parameters that each seed would end with), updated by an evaluation."""
    values = scores.first_values(run.task, SPLIT, split_scores)
    return update_choice(run.choice, selection, step, values, (state.params, state.variables))


def _tell(run, workdir):
    """Prints and writes the facts of the data, and prints what is transferred."""
    facts = tuple(run.facts())
    tell_facts(facts)
    if run.withdrawn:
        write(Path(workdir, WITHDRAWN), ''.join(f'{name}\n' for name in run.withdrawn))
    write(Path(workdir, 'data.json'), json.dumps(facts, indent=1) + '\n')
    tell_transferred(tuple(run.transferred))


def _finish(run, workdir, step, state, selection, log, received_signal):
    """Scores the run, saves it as finished, and returns a Fitted."""
    rows, split_scores, choice_record = {}, {}, None
    if step == run.steps:
        split_scores = _evaluate(run, state, step, log, rows if selection is None else None)
    if selection is not None:
        if split_scores:
            selection = _select(run, selection, step, state, split_scores)
        params, variables = selection.trees
        state = state._replace(params=params, variables=variables)
        split_scores = _evaluate(run, state, step, rows=rows)
        choice_record = _choice_record(run, selection, step)
        log.tell(choice_record['text'])
    params, variables = run.full_layout(state.params, state.variables)
    if rows and jax.process_index() == 0:
        write_answers(Path(workdir, ANSWERS), rows)
    record = {
        'config': run.record,
        'classes': list(run.classes),
        'task': run.task.kind,
        **_record_of_tasks(run.task),
        'input': list(run.input),
        'range': list(run.range),
        'seeds': list(run.seeds),
        'scores': split_scores,
    }
    if choice_record:
        record['kept'] = choice_record
    save_final(workdir, params, variables, record)
    if received_signal():
        raise stop_exception(
            f'stopped at the last step, saved in {workdir}: the same command goes on with what '
            'comes next',
            received_signal(),
        )
    params, variables = to_host((params, variables))
    return Fitted(params, variables, split_scores, choice_record)


def _record_of_tasks(task):
    """{'tasks': {name: kind and classes}} of several tasks, and otherwise {}."""
    if not task.tasks:
        return {}
    parts = task.by_name.items()
    return {'tasks': {name: {'task': t.kind, 'classes': list(t.names)} for name, t in parts}}


def _choice_record(run, selection, step):
    """How validation scores chose the parameters, as `Fitted.kept` has it."""
    return {
        'split': SPLIT,
        'metric': scores.first_score(run.task),
        'ended': step,
        'text': outcome(run.choice, selection, step, run.steps),
        'score': selection.score.tolist(),
        'best': selection.best.tolist(),
        'step': selection.step.tolist(),
    }


def _is_due(step, period, steps):
    """Whether something is done after this step: at the end of every period and of the run."""
    return step == steps or bool(period) and step % period == 0


def spans(run: Run, start: int = 0) -> Iterator[tuple[int, int]]:
    """Yields a pair (first, last) for each call, which runs the steps from first to last - 1.

    A call has `chunk` steps or fewer. It ends where a log record, a checkpoint or an evaluation is
    due.

    Args:
        run: the run.
        start: the step from which it continues.

    >>> from tljax import build
    >>> from tljax.configuration import settings
    >>> config = settings(data={'name': 'digits'}, net={'name': 'mlp'}, steps=5, log_every=3)
    >>> list(spans(build.build(config)._replace(chunk=2)))
    [(0, 2), (2, 3), (3, 5)]
    """
    marks = {
        step
        for period in (run.log_every, run.save_every, run.eval_every)
        if period
        for step in range(period, run.steps, period)
    }
    step = start
    for mark in sorted(marks | {run.steps}):
        while step < mark:
            last = min(step + run.chunk, mark)
            yield step, last
            step = last


def _batch(run, span):
    """The batch of one call on its devices, of the steps from `span[0]` to `span[1] - 1`."""
    batches = [
        run.stream.take(shard(run.stream.index(seed, step)))
        for step in range(*span)
        for seed in run.seeds
    ]
    stack = jax.tree.map(lambda *leaves: np.stack(leaves), *batches)
    shape = (span[1] - span[0], len(run.seeds))
    return run.step.place(jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), stack))


def _report(log, step, pending, run, checkpoints, selection, waits, flops):
    """Records the mean of each metric since the last report, after checking that every step was
    finite, and the speed of the steps, with the share of time for which they waited for batches."""
    metrics = jax.tree.map(
        lambda *leaves: np.concatenate(leaves),
        *(run.step.join(jax.device_get(call_metrics), 1) for _, call_metrics in pending),
    )
    # of an interval that ends with the devices' last step
    input_wait, speed = waits.share(), speeds(waits.speed(), _examples(run), flops)
    bad = ~np.isfinite(metrics['loss']) | ~np.isfinite(metrics['gradient_norm'])
    if selection is not None:  # a seed that is out of patience has ended: its steps do not count
        bad &= ~out_of_patience(run.choice, selection)
    if bad.any():
        row, seed = np.argwhere(bad)[0]
        checkpoint = checkpoints.last()
        raise UserError(
            f'loss {metrics["loss"][row, seed]} (gradient norm '
            f'{metrics["gradient_norm"][row, seed]}) at step {pending[0][0] + row} with seed '
            f'{run.seeds[seed]}; last good checkpoint: '
            f'{"none" if checkpoint is None else f"step {checkpoint}"}; lower optim.lr or set '
            'optim.clip'
        )
    means = {name: value.mean(0) for name, value in metrics.items()}
    of_all = {INPUT_WAIT: input_wait, **speed}  # the same for all seeds
    log.record(
        step,
        'training',
        {**means, **{name: np.full(len(run.seeds), value) for name, value in of_all.items()}},
    )
    others = {
        name: mean
        for name, mean in means.items()
        # 'loss of left' belongs to one of several tasks: it is in the log alone
        if name not in ('loss', 'gradient_norm') and ' of ' not in name
    }
    if input_wait >= SHOWN_WAIT:
        others[INPUT_WAIT] = input_wait
    log.show(step, {'loss': means['loss'], **others, **speed})


def _examples(run):
    """Number of examples of a step, of all seeds and processes: the rows of the index tree, whose
    axis 0 counts examples, tasks or episodes. Of two domains an example is a pair."""
    return sum(len(jax.tree.leaves(run.stream.index(seed, 0))[0]) for seed in run.seeds)


def _evaluate(run, state, step, log=None, rows=None):
    """The scores of every split; for several tasks those of every `scores.task_split`.

    If `rows` is a dict, the predictions for every example of ANSWERED_SPLITS are added to it.
    """
    split_scores = {}
    for split, dataset in run.evals.items():
        arguments = run.predict, state.params, state.variables, dataset, run.eval_batch
        outputs_per_example = sum(max(len(task.names), 1) for task in run.task.tasks or (run.task,))
        size = dataset.size * outputs_per_example * len(run.seeds)
        writable = split in ANSWERED_SPLITS and size <= ANSWER_LIMIT
        if rows is not None and writable and not is_episodic(dataset):
            values, outputs = score_with_outputs(*arguments)
            rows |= _answers(run.task, split, dataset, outputs)
        else:
            values = score(*arguments)
        if run.task.tasks:
            parts = {scores.task_split(split, name): values[name] for name in values}
        else:
            parts = {split: values}
        for name, part in parts.items():
            if log:
                log.record(step, name, part)
            split_scores[name] = {metric: value.tolist() for metric, value in part.items()}
    return split_scores


def _answers(task, split, dataset, outputs):
    """{split: rows of `answers`}, or {`scores.task_split`: rows} of several tasks."""
    if not task.tasks:
        return {split: answers(task, dataset, outputs)}
    names = np.asarray(dataset.names if len(dataset.names) else range(dataset.size))
    rows = {}
    for name, is_known in known(dataset.label).items():
        part = of_rows(scores.answers_to(name, outputs), is_known)
        labelled = dataset._replace(names=names[is_known])
        rows[scores.task_split(split, name)] = answers(task.by_name[name], labelled, part)
    return rows
