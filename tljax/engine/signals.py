"""A clean stop of a run after SIGTERM or Ctrl-C."""

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
    """Catches SIGTERM and SIGINT (Ctrl-C) while a run trains, as `caught_signal` does.

    In a run of several processes JAX handles SIGTERM and informs all of them, so the context
    changes no handler there.

    >>> with stop_signal() as received_signal:
    ...     print(received_signal())
    0
    """
    if jax.process_count() > 1:
        yield lambda: 0
        return
    with caught_signal() as received_signal:
        yield received_signal


@contextmanager
def caught_signal() -> Iterator[Callable[[], int]]:
    """Catches SIGTERM and SIGINT (Ctrl-C) while the context is open. JAX is not asked.

    The context gives a function that returns the first signal received so far, or 0. A second
    Ctrl-C interrupts at once, by the handler that was installed before. Outside of the main thread
    the context changes no handler. A signal that the process ignores stays ignored, such as Ctrl-C
    for a command that a shell runs behind &.

    >>> import os
    >>> with caught_signal() as received_signal:
    ...     print(received_signal())
    ...     os.kill(os.getpid(), signal.SIGTERM)
    ...     print(received_signal() == signal.SIGTERM)
    0
    True
    """
    received = []

    def handle(number, frame):
        if number == signal.SIGINT and received:
            handler = old_handlers[number]
            interrupt = handler if callable(handler) else signal.default_int_handler
            interrupt(number, frame)
        received.append(number)
        hint = '; Ctrl-C again stops at once, unsaved' if number == signal.SIGINT else ''
        say(f'{NAMES[number]}: saving, then stopping{hint}')

    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return
    numbers = [number for number in NAMES if signal.getsignal(number) is not signal.SIG_IGN]
    old_handlers = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield lambda: received[0] if received else 0
    finally:
        for number, handler in old_handlers.items():
            signal.signal(number, handler)


def stop_exception(text: str, number: int) -> Stopped:
    """Makes the exception that ends a run after a signal, with its exit status (128 + signal).

    Args:
        text: message of the exception.
        number: of the signal; 0 stands for SIGTERM.

    >>> stop_exception('stopped at step 3 of 9', signal.SIGINT).status
    130
    """
    return Stopped(text, 128 + (number or signal.SIGTERM))
