"""Lines and progress bars for the person at the terminal, on standard error."""

import time
from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar('T')
SEEN = set()  # kinds of lines that `say_once` has printed
INTERVAL = 10  # seconds between two lines of `watched`


def plain_console(stderr: bool = False) -> Console:
    """A console of plain text: no markup in the texts, and no bars or colours in a notebook.

    Args:
        stderr: whether it writes to standard error.

    >>> plain_console().is_jupyter
    False
    """
    # a notebook's streams say that they are terminals, but do not move a cursor
    force_terminal = False if Console().is_jupyter else None
    return Console(
        stderr=stderr,
        markup=False,
        emoji=False,
        highlight=False,
        force_jupyter=False,
        force_terminal=force_terminal,
    )


console = plain_console(stderr=True)


class TimeLeft:
    """Estimates the remaining time of a loop from its speed since this object was made.

    Args:
        total: number of items in the loop.
        start: number of items that were finished when the clock started.

    >>> TimeLeft(total=100, start=10).left(10), TimeLeft(100).left(100)
    ('time left unknown', '0:00 left')
    """

    def __init__(self, total: int, start: int = 0) -> None:
        self.total, self.start, self.start_time = total, start, time.monotonic()

    def left(self, count: int) -> str:
        """Returns the remaining time as 'minutes:seconds left'.

        Args:
            count: number of items finished so far, those before `start` included.
        """
        if count <= self.start < self.total:
            return 'time left unknown'
        seconds_per_item = (time.monotonic() - self.start_time) / max(count - self.start, 1)
        seconds = seconds_per_item * (self.total - count)
        return f'{int(seconds // 60)}:{int(seconds % 60):02d} left'


def progress(items: Sequence[T], text: str) -> Iterable[T]:
    """Yields the items of a sequence and shows a progress bar with the time left.

    If standard error is no terminal, it prints the text and then the lines of `watched`.

    Args:
        items: the sequence.
        text: what the loop does, such as 'drawing 600 characters'.

    >>> list(progress([1, 2], 'counting'))
    [1, 2]
    """
    if console.is_terminal:
        return track(items, text, console=console, transient=True)
    say(text)
    return watched(items, text)


def watched(items: Sequence[T], text: str) -> Iterable[T]:
    """Yields the items of a sequence and prints a line of progress every ten seconds.

    The estimate of the time left ignores the first item, which may include a compilation.

    Args:
        items: the sequence.
        text: what the loop does, such as 'predicting 600 examples'.

    >>> list(watched([1, 2], 'counting'))
    [1, 2]
    """
    last_time, clock = time.monotonic(), TimeLeft(len(items))
    for count, item in enumerate(items):
        if count == 1:
            clock = TimeLeft(len(items), 1)
        if time.monotonic() - last_time > INTERVAL:
            last_time = time.monotonic()
            say(f'{text}  {count}/{len(items)}  {clock.left(count)}')
        yield item


def say(text: str) -> None:
    """Prints one line on standard error, so that standard output carries results alone.

    Args:
        text: the line.

    >>> say('drawing 600 characters')
    """
    console.print(text, soft_wrap=True, markup=False)


def say_once(kind: str, text: str) -> None:
    """Prints the first line of a kind and drops later ones, as thousands of files may have one.

    Args:
        kind: what such lines have in common.
        text: the line.

    >>> say_once('frames', 'a.gif has several frames')
    """
    if kind not in SEEN:
        SEEN.add(kind)
        say(text)
