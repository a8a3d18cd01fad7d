"""What a person at the terminal is told: lines, and progress with the time left, on standard error."""
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.progress import track

console = Console(stderr=True, highlight=False)


def progress(items: Sequence, text: str) -> Iterable:
    """Goes through a sequence with a bar and the time left on a terminal, and after one plain line elsewhere.

    >>> list(progress([1, 2], 'counting'))
    [1, 2]
    """
    if console.is_terminal:
        return track(items, text, console=console, transient=True)
    say(text)
    return iter(items)


def say(text: str) -> None:
    """One line to the person at the terminal (standard error, so that results can be piped).

    >>> say('drawing 600 characters')
    """
    console.print(text, soft_wrap=True, markup=False)
