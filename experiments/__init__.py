"""Commands: one file each, `python -m experiments.<name> --help`."""

import os
import signal
import sys
from types import FrameType


def stop_at_once(*_: int | FrameType | None) -> None:
    """Ctrl-C where nothing is trained, or the second one: a line, exit status 130.

    No exception is raised, which libraries in C++ would not let through. Files are written beside
    and then renamed, so that none is left half written.

    Args:
        *_: number of the signal, and where it came, as Python gives them; not looked at.
    """
    sys.stdout.flush()
    shown = '\x1b[?25h\n' if sys.stderr.isatty() else ''  # a bar hides the cursor
    sys.stderr.write(f'{shown}stopped by Ctrl-C\n')
    sys.stderr.flush()
    os._exit(130)


# `python -m` imports the package of its command; behind a shell's & Ctrl-C is ignored, and stays so
if sys.argv[0] == '-m' and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
    signal.signal(signal.SIGINT, stop_at_once)
