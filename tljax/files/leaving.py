"""The end of a process that others, or its own threads, would hold up."""

import atexit
import os
import sys


def leave_at_once(status: int) -> None:
    """Makes this process end at once when it ends: no thread and no other process is waited for.

    Args:
        status: exit status.

    >>> leave_at_once(0) if len(sys.argv) > 99 else None  # it would end the doctest early
    """

    def leave():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    atexit.register(leave)  # what was registered last runs first
