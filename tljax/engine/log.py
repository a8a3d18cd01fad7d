"""The log of a run: JSON lines, TensorBoard event files, and progress with the time left."""

import functools
import json
import os
import time
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self, TextIO

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tensorboardX import SummaryWriter

from tljax.core import Unwritten
from tljax.files.console import TimeLeft, console, say
from tljax.files.watch import remedy
from tljax.paths import Group
from tljax.protocols import Record

COLUMNS = ('parameters', 'numbers', 'from', 'moves')  # of the table of transferred parameters


def transferred_rows(groups: Sequence[Group]) -> list[list[str]]:
    """Makes the table of transferred parameters: a row per group, with the columns COLUMNS.

    Args:
        groups: of parameters.

    >>> transferred_rows(
    ...     [Group('backbone', 1000, 'runs/a', None), Group('head', 30, 'fresh', 0.001)]
    ... )
    [['backbone', '1,000', 'runs/a', 'frozen'], ['head', '30', 'fresh', 'rate 0.001']]
    """
    return [
        [
            group.name,
            f'{group.numbers:,}',
            group.donor,
            'frozen' if group.rate is None else f'rate {group.rate:.3g}',
        ]
        for group in groups
    ]


@functools.cache
def tell_transferred(groups: tuple[Group, ...]) -> None:
    """Prints the table of transferred parameters on standard error.

    The same groups are printed once per process, even if many runs have them.

    Args:
        groups: of parameters.

    >>> tell_transferred((Group('head', 30, 'fresh', 0.001),))
    """
    if not groups:
        return
    rows = [COLUMNS, *transferred_rows(groups)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        cells[1] = row[1].rjust(widths[1])  # numbers stand on the right of their column
        say('  '.join(cells).rstrip())


@functools.cache
def tell_facts(facts: tuple[tuple[str, str], ...]) -> None:
    """Prints the facts of a run's data on standard error.

    The same facts are printed once per process, even if many runs have them.

    Args:
        facts: pairs of a word and a text.

    >>> tell_facts((('task', '2 classes: ants, bees'),))
    """
    width = max((len(word) for word, _ in facts), default=0)
    for word, text in facts:
        say(f'{word.ljust(width)}  {text}')


class Log:
    """The log of one fit: `log.jsonl` and TensorBoard events in `workdir`, and progress lines.

    A record has `step`, `kind` ('training', or the name of an evaluated split) and numbers, each a
    list with one entry per seed. `input_wait` of training is the share of time since the record
    before for which the devices waited for batches, without evaluations, checkpoints and the first
    call, which is compiled. `examples_per_second` is of all seeds and devices together in that
    time, and `peak_share` the share of the devices' published peak, where it is known
    (`tljax.engine.speed`). A record of the first call alone has neither. On a restart at step
    `start`, records of later steps are deleted, so that the file has every step once.

    Args:
        workdir: folder of the fit.
        name: shown in the progress line.
        steps: number of steps of the run.
        start: the step from which the run continues.
        write: False on all processes but the first: they write and show nothing.
        progress: whether progress is shown on the terminal.
        epochs: number of passes over the training set in these steps, shown in the progress; 0
            where passes are not counted.

    >>> import tempfile
    >>> with Log(tempfile.mkdtemp(), 'toy', steps=10, progress=False) as log:
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
        write: bool = True,
        progress: bool = True,
        epochs: float = 0.0,
    ) -> None:
        self.path, self.name = Path(workdir, 'log.jsonl'), name
        self.steps, self.start, self.epochs = steps, start, epochs
        self.progress = progress and write
        self.line_time = 0.0  # when the last progress line was printed
        self.clock: TimeLeft | None = None
        self.file: TextIO | None = None
        self.events: SummaryWriter | None = None
        self.bar: Progress | None = None
        if write:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch()
            os.truncate(self.path, _length(self.path, start))
            self.file = self.path.open('a', buffering=1)
            self.events = SummaryWriter(str(Path(workdir, 'events')), purge_step=start or None)

    def __enter__(self) -> Self:
        if self.progress and console.is_terminal:
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

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()
        with suppress(OSError) if kind else self._written():
            if self.events is not None:
                self.events.close()
            if self.file is not None:
                self.file.close()

    @contextmanager
    def _written(self):
        try:
            yield
        except OSError as error:
            raise unwritten(self.path.parent, error) from error

    def record(self, step: int, kind: str, numbers: dict[str, np.ndarray]) -> None:
        """Writes the numbers of a step.

        Args:
            step: number of the step.
            kind: 'training', or the name of an evaluated split.
            numbers: {name: array with one entry per seed}.

        Raises:
            Unwritten: the disk is full, or the folder is gone.
        """
        if self.file is None or self.events is None:
            return
        lists = {
            name: np.asarray(value, np.float64).reshape(-1).tolist()
            for name, value in numbers.items()
        }
        with self._written():
            self.file.write(json.dumps({'step': step, 'kind': kind, **lists}) + '\n')
        for name, value in lists.items():
            self.events.add_scalar(f'{kind}/{name}', float(np.mean(value)), step)

    def started(self, step: int) -> None:
        """Starts the clock of the time left at the first call.

        The first steps include the compilation, so they are not timed.

        Args:
            step: number of steps taken so far.
        """
        self.clock = self.clock or TimeLeft(self.steps, step)

    def show(self, step: int, numbers: dict[str, np.ndarray]) -> None:
        """Shows the progress and the means of the numbers over seeds.

        A terminal shows a bar; elsewhere a line is printed at most every ten seconds.

        Args:
            step: number of steps taken so far.
            numbers: {name: array with one entry per seed}.
        """
        if not self.progress:
            return
        text = '  '.join(f'{name} {_text(np.mean(value))}' for name, value in numbers.items())
        if self.epochs:
            text = f'epoch {self.epochs * step / self.steps:.3g}/{self.epochs:g}  {text}'
        if self.bar is not None:
            self.bar.update(self.task, completed=step, numbers=text)
        elif time.monotonic() - self.line_time > 10 or step == self.steps:
            self.line_time = time.monotonic()
            self.clock = self.clock or TimeLeft(self.steps, self.start)
            say(f'{self.name}  step {step}/{self.steps}  {self.clock.left(step)}  {text}')

    def tell(self, text: str) -> None:
        """Prints one line on standard error.

        Args:
            text: the line.
        """
        if self.progress:
            say(f'{self.name}  {text}')


def unwritten(folder: Path, error: Exception) -> Unwritten:
    """Makes the error of a run that can't write one of its files.

    Args:
        folder: of the run.
        error: what its writer raised.

    >>> str(unwritten(Path('runs/a'), OSError(28, 'No space left on device')))
    'runs/a cannot be written (the disk is full): make room; runs/a holds no checkpoint: ...'
    """
    text = str(error)
    if 'No space left' in text:
        cause, cure = 'the disk is full', 'make room'
    elif 'uota' in text:  # 'Disk quota exceeded'
        cause, cure = 'the quota is used up', 'make room'
    else:
        cause, cure = text.splitlines()[0][:100] if text else type(error).__name__, 'mend that'
    return Unwritten(f'{folder} cannot be written ({cause}): {cure}; {remedy(folder)}')


def _text(value):
    """A number in four digits; a large one in full."""
    return f'{value:,.0f}' if 1e4 <= abs(value) < 1e12 else f'{value:.4g}'


def _length(path, step):
    """Number of bytes of a log that hold records up to a step."""
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
    """Reads the records of a log; a last line that a killed run left incomplete is dropped.

    Args:
        path: of the log; a file that does not exist has no records.

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
