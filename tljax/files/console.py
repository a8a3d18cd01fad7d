"""What a person at the terminal is told: lines, and progress with the time left, on standard
error."""

import time
from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track

console = Console(stderr=True, highlight=False)
T = TypeVar('T')
SAID = set()  # kinds of lines that `say_once` has told


class TimeLeft:
    """The time that is left, by the speed since this was made.

    Args:
        total: how many there are to do.
        done: how many had been done when the clock started.

    >>> TimeLeft(total=100, done=10).left(10), TimeLeft(100).left(100)
    ('time left unknown', '0:00 left')
    """

    def __init__(self, total: int, done: int = 0) -> None:
        self.total, self.before, self.begun = total, done, time.monotonic()

    def left(self, done: int) -> str:
        """The time left, now that so many are done.

        Args:
            done: how many.
        """
        if done <= self.before < self.total:
            return 'time left unknown'
        seconds = (time.monotonic() - self.begun) / max(done - self.before, 1) * (self.total - done)
        return f'{int(seconds // 60)}:{int(seconds % 60):02d} left'


def progress(items: Sequence[T], text: str) -> Iterable[T]:
    """Goes through a sequence with a bar and the time left; elsewhere than on a terminal `watched`.

    Args:
        items: the sequence.
        text: what is done with it.

    >>> list(progress([1, 2], 'counting'))
    [1, 2]
    """
    if console.is_terminal:
        return track(items, text, console=console, transient=True)
    say(text)
    return watched(items, text)


def watched(items: Sequence[T], text: str) -> Iterable[T]:
    """Goes through a sequence, and tells every ten seconds how far it is, and the time left.

    The first item, which may compile, is no measure of that.

    Args:
        items: the sequence.
        text: what is done with it.

    >>> list(watched([1, 2], 'counting'))
    [1, 2]
    """
    spoke, clock = time.monotonic(), TimeLeft(len(items))
    for done, item in enumerate(items):
        if done == 1:
            clock = TimeLeft(len(items), 1)
        if time.monotonic() - spoke > 10:
            spoke = time.monotonic()
            say(f'{text}  {done}/{len(items)}  {clock.left(done)}')
        yield item


def say(text: str) -> None:
    """One line to the person at the terminal (standard error, so that results can be piped).

    Args:
        text: the line.

    >>> say('drawing 600 characters')
    """
    console.print(text, soft_wrap=True, markup=False)


def say_once(kind: str, text: str) -> None:
    """As `say`, but for the first text of a kind alone: thousands of files may have the same.

    Args:
        kind: what such lines have in common.
        text: the line.

    >>> say_once('frames', 'a.gif has several frames')
    """
    if kind not in SAID:
        SAID.add(kind)
        say(text)
