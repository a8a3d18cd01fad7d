"""Commands: one file each, `python -m experiments.<name> --help`."""
import sys


def _ctrl_c_in_a_line(kind: type, error: BaseException, trace: object) -> None:
    """Of Ctrl-C while a command is still imported; `command` tells of it afterwards."""
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write('stopped by Ctrl-C\n')
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _ctrl_c_in_a_line
