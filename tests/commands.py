"""Commands as a user runs them, in this process: modules whose flags are forgotten again."""

import contextlib
import io
import runpy
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from absl import app, flags
from absl.testing import flagsaver

from experiments import command as _command  # noqa: F401  (flags of modules that stay imported)
from tljax.engine.log import tell_facts, tell_transferred

ROOT = Path(__file__).parents[1]
app.define_help_flags()  # once: they stay


class Done(NamedTuple):
    """How a command ended: exit status, standard output, standard error."""

    code: int
    out: str
    err: str


def call(name: str, *arguments: object) -> Done:
    """Runs `python -m experiments.NAME`, or another module by its full name, in this process.

    Args:
        name: of the command.
        *arguments: of its command line.
    """
    module = name if '.' in name else f'experiments.{name}'
    known, argv, out, err = set(flags.FLAGS), sys.argv, io.StringIO(), io.StringIO()
    sys.argv = [module, *map(str, arguments)]
    tell_facts.cache_clear()
    tell_transferred.cache_clear()  # a process of its own would have told nothing
    code = 0
    try:
        with (
            flagsaver.flagsaver(),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            contextlib.chdir(ROOT),
        ):
            runpy.run_module(module, run_name='__main__', alter_sys=True)
    except SystemExit as leaving:
        code = leaving.code or 0
    finally:
        sys.argv = argv
        for flag in set(flags.FLAGS) - known:
            delattr(flags.FLAGS, flag)
    return Done(code, out.getvalue(), err.getvalue())


def call_apart(name: str, *arguments: object, timeout: float = 300, **keywords: object) -> Done:
    """The same in a process of its own."""
    done = subprocess.run(
        [sys.executable, '-m', f'experiments.{name}', *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        **keywords,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def error(done: Done) -> str:
    """The one line of a command that was refused; the test fails if there is any other."""
    lines = [line for line in done.err.splitlines() if line.strip()]
    assert done.code == 2 and lines, done
    assert sum(line.startswith('error: ') for line in lines) == 1, done.err
    assert lines[-1].startswith('error: ') and len(lines[-1]) <= 250, done.err
    assert 'Traceback' not in done.err and not done.out, done
    return lines[-1]
