"""Traces of a few steps of a run, which TensorBoard and Perfetto show (`jax.profiler`)."""

import re
from pathlib import Path
from typing import Self

import jax

from tljax.core import UserError
from tljax.files.console import say
from tljax.protocols import Tree


def steps_to_trace(text: str, steps: int) -> tuple[int, int]:
    """Returns the steps that a text names, the second of them exclusive.

    Args:
        text: 'FIRST:LAST' for the steps from FIRST to LAST - 1, numbered from 0.
        steps: number of steps of the run.

    Raises:
        UserError: the text has another form, names no step, or steps that the run does not have.

    >>> steps_to_trace('20:30', 100)
    (20, 30)
    >>> steps_to_trace('20:30', 25)
    Traceback (most recent call last):
    tljax.core.UserError: --profile=20:30 ends after the 25 steps of the last phase: ...
    """
    numbers = re.fullmatch(r'(\d{1,10}):(\d{1,10})', text)
    if not numbers:
        raise UserError(f'--profile={text} is not FIRST:LAST: give two steps, such as 20:30')
    first, last = int(numbers[1]), int(numbers[2])
    if first >= last:
        raise UserError(f'--profile={text} holds no step: LAST is exclusive, and above FIRST')
    if last > steps:
        raise UserError(
            f'--profile={text} ends after the {steps} steps of the last phase: take LAST of at '
            f'most {steps}'
        )
    return first, last


class Trace:
    """Traces the calls of a fit in which some steps are taken.

    A call runs `chunk` steps. Calls are traced as a whole, because a shorter one would be another
    program, whose results differ in their last bits and whose compilation the trace would hold.
    With `chunk=1`, the default of a single seed on a CPU, the trace has exactly those steps. With
    several processes the first alone writes a trace, that of its own devices.

    Args:
        folder: where the trace is written.
        steps: (first, last), the last of them exclusive; None to trace nothing.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with Trace(folder, (1, 3)) as trace:
    ...     for step in range(4):
    ...         trace.before(step, step + 1, ())
    ...         print(trace.after(step + 1, ()))
    False
    False
    True
    False
    >>> len([*folder.rglob('*.xplane.pb')])
    1
    """

    def __init__(self, folder: str | Path, steps: tuple[int, int] | None) -> None:
        self.folder = Path(folder)
        self.steps = steps if jax.process_index() == 0 else None
        self.on = self.has_begun = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.on:  # a run that stops early keeps what was traced
            self._stop()
        elif self.steps is not None and not self.has_begun:
            say(f'no trace: steps {self.steps[0]} to {self.steps[1] - 1} were not taken now')

    def before(self, first: int, last: int, results: Tree) -> None:
        """Starts the trace before the first call that has a step of it.

        Args:
            first: first step of the call.
            last: step after its last.
            results: what the devices compute before this call; the trace starts after it.
        """
        if self.steps is None or self.on or last <= self.steps[0] or first >= self.steps[1]:
            return
        jax.block_until_ready(results)
        jax.profiler.start_trace(str(self.folder))
        self.on = self.has_begun = True

    def after(self, last: int, results: Tree) -> bool:
        """Ends the trace after the last call that has a step of it; tells whether it has ended.

        Args:
            last: step after the last of the call.
            results: of the call; the trace ends when the devices have computed them.
        """
        if self.steps is None or not self.on or last < self.steps[1]:
            return False
        jax.block_until_ready(results)
        self._stop()
        return True

    def _stop(self) -> None:
        jax.profiler.stop_trace()
        self.on = False
        say(f'trace in {self.folder}: tensorboard --logdir={self.folder} (xprof), or Perfetto')
