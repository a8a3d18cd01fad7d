"""The log of a run: one JSON line per record, TensorBoard event files, and progress with the time
left."""

import functools
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self, TextIO

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tensorboardX import SummaryWriter

from tljax.files.console import TimeLeft, console, say
from tljax.paths import Group
from tljax.protocols import Record

COLUMNS = ('parameters', 'numbers', 'from', 'moves')  # of what is transferred


def transferred_rows(groups: Sequence[Group]) -> list[list[str]]:
    """What is transferred as the rows of a table, whose columns are COLUMNS.

    Args:
        groups: of parameters.

    >>> transferred_rows(
    ...     [Group('backbone', 1000, 'runs/a', None), Group('head', 30, 'fresh', 0.001)]
    ... )
    [['backbone', '1,000', 'runs/a', 'frozen'], ['head', '30', 'fresh', 'rate 0.001']]
    """
    return [
        [
            each.name,
            f'{each.numbers:,}',
            each.donor,
            'frozen' if each.rate is None else f'rate {each.rate:.3g}',
        ]
        for each in groups
    ]


@functools.cache
def tell_transferred(groups: tuple[Group, ...]) -> None:
    """Tells the person at the terminal what is transferred; the same groups once, however many runs
    have them.

    Args:
        groups: of parameters.

    >>> tell_transferred((Group('head', 30, 'fresh', 0.001),))
    """
    rows = [COLUMNS, *transferred_rows(groups)] if groups else []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say(
            '  '.join(
                cell.rjust(width) if i == 1 else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
        )


@functools.cache
def tell_facts(facts: tuple[tuple[str, str], ...]) -> None:
    """Tells what a run has understood of its data; the same facts once, however many runs have
    them.

    Args:
        facts: pairs of a word and a text.

    >>> tell_facts((('task', '2 classes: ants, bees'),))
    """
    width = max((len(word) for word, _ in facts), default=0)
    for word, text in facts:
        say(f'{word.ljust(width)}  {text}')


class Log:
    """The record of one fit: `log.jsonl` and TensorBoard events in `workdir`, progress on the
    terminal.

    On a restart at step `start`, records of later steps are dropped, so that the file tells one
    story. Every record has `step`, `kind` ('training', or the name of an evaluated split) and
    numbers, each a list with one entry per seed.

    Args:
        workdir: folder of the fit.
        name: for the progress line.
        steps: of the run.
        start: the step that it goes on from.
        writes: False on all processes but the first.
        shown: whether progress is shown, where it writes.
        epochs: passes over the training set that the steps are, which progress counts, too; 0 where
            they are not counted.

    >>> import tempfile
    >>> with Log(tempfile.mkdtemp(), 'toy', steps=10, shown=False) as log:
    ...     log.record(10, 'train', {'loss': np.array([0.5])})
    >>> read(log.path)
    [{'step': 10, 'kind': 'train', 'loss': [0.5]}]
    """

    def __init__(
        self,
        workdir: str | Path,
        name: str,
        steps: int,
        start: int = 0,
        writes: bool = True,
        shown: bool = True,
        epochs: float = 0.0,
    ) -> None:
        self.path, self.name, self.steps, self.start = (
            Path(workdir, 'log.jsonl'),
            name,
            steps,
            start,
        )
        self.epochs = epochs
        self.spoke, self.shown = 0.0, shown and writes
        self.clock: TimeLeft | None = None
        self.file: TextIO | None = None
        self.events: SummaryWriter | None = None
        self.bar: Progress | None = None
        if writes:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch()
            os.truncate(self.path, _length(self.path, start))
            self.file = self.path.open('a', buffering=1)
            self.events = SummaryWriter(str(Path(workdir, 'events')), purge_step=start or None)

    def __enter__(self) -> Self:
        if self.shown and console.is_terminal:
            self.bar = Progress(
                TextColumn('{task.description}'),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn('{task.fields[numbers]}'),
                console=console,
                transient=True,
            )
            self.task = self.bar.add_task(
                self.name, total=self.steps, completed=self.start, numbers=''
            )
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        for part, close in ((self.bar, 'stop'), (self.events, 'close'), (self.file, 'close')):
            if part is not None:
                getattr(part, close)()

    def record(self, step: int, kind: str, numbers: dict[str, np.ndarray]) -> None:
        """Writes the numbers of a step.

        Args:
            step: its number.
            kind: 'training', or the name of an evaluated split.
            numbers: {name: array with one entry per seed}.
        """
        if self.file is None or self.events is None:
            return
        lists = {
            name: np.asarray(value, np.float64).reshape(-1).tolist()
            for name, value in numbers.items()
        }
        self.file.write(json.dumps({'step': step, 'kind': kind, **lists}) + '\n')
        for name, value in lists.items():
            self.events.add_scalar(f'{kind}/{name}', float(np.mean(value)), step)

    def started(self, step: int) -> None:
        """Starts the clock of the time left: the first call has compiled and gone to `step`.

        Args:
            step: number of the steps that have been taken.
        """
        self.clock = self.clock or TimeLeft(self.steps, step)

    def show(self, step: int, numbers: dict[str, np.ndarray]) -> None:
        """Tells how far the run is and what its numbers are, means over seeds: a bar, or at most
        one line every ten seconds.

        Args:
            step: number of the steps that have been taken.
            numbers: {name: array with one entry per seed}.
        """
        if not self.shown:
            return
        text = '  '.join(f'{name} {np.mean(value):.4g}' for name, value in numbers.items())
        if self.epochs:
            text = f'epoch {self.epochs * step / self.steps:.3g}/{self.epochs:g}  {text}'
        if self.bar is not None:
            self.bar.update(self.task, completed=step, numbers=text)
        elif time.monotonic() - self.spoke > 10 or step == self.steps:
            self.spoke = time.monotonic()
            self.clock = self.clock or TimeLeft(self.steps, self.start)
            say(f'{self.name}  step {step}/{self.steps}  {self.clock.left(step)}  {text}')

    def tell(self, text: str) -> None:
        """One line to the person at the terminal.

        Args:
            text: the line.
        """
        if self.shown:
            say(f'{self.name}  {text}')


def _length(path, step):
    """How many bytes of a log are records up to a step."""
    length = 0
    with Path(path).open('rb') as lines:
        for line in lines:
            try:
                if not line.endswith(b'\n') or json.loads(line)['step'] > step:
                    break
            except json.JSONDecodeError:
                break
            length += len(line)
    return length


def read(path: str | Path) -> list[Record]:
    """The records of a log, without a last line that a killed run left unfinished.

    Args:
        path: of the log.

    >>> read('nowhere.jsonl')
    []
    """
    lines = Path(path).read_text().splitlines() if Path(path).exists() else []
    records = []
    for line in lines:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return records
