"""Trains one run by several processes of this machine, which find each other on 127.0.0.1.

    JAX_NUM_CPU_DEVICES=2 python -m experiments.launch.local 2 --config=configs/digits.py

The first argument is the number of processes, and the others are those of experiments.train. If a
process fails, the others are ended; the last line names it, and the step from which the same
command goes on. Processes compute on the CPU unless JAX_PLATFORMS says otherwise: a single process
uses all GPUs of a machine.
"""

import argparse
import os
import socket
import sys
from pathlib import Path

from experiments import command, config_file
from tljax import studies
from tljax.core import Stopped, UserError
from tljax.files.console import say
from tljax.files.watch import remedy


def main(arguments: list[str]) -> None:
    """Starts the processes and waits for them.

    Args:
        arguments: the number of processes, and the arguments of experiments.train.
    """
    if not arguments or arguments[0] in ('--help', '-h'):
        print(__doc__)
        return
    count, *flags = arguments
    if not count.isdecimal() or int(count) < 1:
        raise UserError(f'{count!r} is no number of processes: write 2 --config=configs/digits.py')
    if any(flag.lstrip('-').startswith('distributed') for flag in flags):
        raise UserError('--distributed is set for each process: leave it out')
    os.environ.setdefault('JAX_PLATFORMS', 'cpu')
    launching = studies.launching
    failed = launching.together(launching.processes(int(count), flags))
    if failed:
        end = f'process {failed.number} of {count} on {socket.gethostname()} {failed.text}'
        say(f'{end}; the others were ended; {remedy(_workdir(flags))}')
        sys.exit(failed.status)


def _workdir(flags: list[str]) -> Path | None:
    """The folder of the run, from the flags of experiments.train."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ('workdir', 'config'):
        parser.add_argument(f'--{name}', f'-{name}')
    known, _ = parser.parse_known_args(flags)
    if known.workdir:
        return Path(known.workdir)
    return config_file.workdir(known.config) if known.config else None


if __name__ == '__main__':
    try:
        main(sys.argv[1:])
    except UserError as error:
        command.fail(error)
    except Stopped as stopped:
        say(str(stopped))
        sys.exit(stopped.status)
