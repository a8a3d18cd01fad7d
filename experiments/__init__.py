"""Commands, one file each: `python -m experiments.<name> --help` describes them."""

import os
import signal
import sys
from types import FrameType


def stop_at_once(*_: int | FrameType | None) -> None:
    """Stops the process after Ctrl-C with a line of text and exit status 130.

    It handles Ctrl-C where nothing is trained, and the second Ctrl-C of a training. It raises no
    exception, because libraries in C++ may swallow one. No file is left half written: files are
    written under another name and then renamed.

    Args:
        *_: number of the signal and the current frame, as Python passes them; unused.
    """
    sys.stdout.flush()
    show_cursor = '\x1b[?25h\n' if sys.stderr.isatty() else ''  # a progress bar hides it
    sys.stderr.write(f'{show_cursor}stopped by Ctrl-C\n')
    sys.stderr.flush()
    os._exit(130)


# `python -m` imports the package of its command first. In a shell's background (&) Ctrl-C stays
# ignored.
if sys.argv[0] == '-m' and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
    signal.signal(signal.SIGINT, stop_at_once)
