"""Being asked to stop, by SIGTERM or by Ctrl-C."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax

from tljax.core import Stopped
from tljax.files.console import say

NAMES = {signal.SIGTERM: 'SIGTERM', signal.SIGINT: 'Ctrl-C'}


@contextmanager
def stop_signal() -> Iterator[Callable[[], int]]:
    """A function that gives the signal that has come, SIGTERM or SIGINT (Ctrl-C), or 0.

    A second Ctrl-C does what Ctrl-C did before: it interrupts at once. Where there are several
    processes, SIGTERM is left to JAX, which tells all of them; there, and beside the main thread,
    nothing is changed. A signal that is ignored, as Ctrl-C is behind a shell's &, stays so.

    >>> with stop_signal() as asked:
    ...     print(asked())
    0
    """
    came = []

    def handle(number, frame):
        if number == signal.SIGINT and came:
            handler = before[number]
            once = handler if callable(handler) else signal.default_int_handler
            once(number, frame)
        came.append(number)
        again = '; Ctrl-C again stops at once, unsaved' if number == signal.SIGINT else ''
        say(f'{NAMES[number]}: saving, then stopping{again}')

    if jax.process_count() > 1 or threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return
    heard = [number for number in NAMES if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in heard}
    try:
        yield lambda: came[0] if came else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop_exception(text: str, number: int) -> Stopped:
    """The exception that ends a run after a signal, with its exit status; 0 stands for SIGTERM.

    Args:
        text: what is told.
        number: of the signal.

    >>> stop_exception('stop_exception at step 3 of 9', signal.SIGINT).status
    130
    """
    return Stopped(text, 128 + (number or signal.SIGTERM))
