"""Shared parts of the commands: flags, cluster start, output as tables or JSON, errors."""

import functools
import json
import math
import re
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from logging import LogRecord
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from absl import app, flags, logging

from experiments import config_file
from experiments.flag_types import take_keywords
from tljax import studies
from tljax.configuration import plain
from tljax.core import Stopped, Unwritten, UserError
from tljax.files.console import console, say
from tljax.files.folders import refuse_file
from tljax.files.leaving import leave_at_once
from tljax.protocols import Config, Record
from tljax.studies.model_choice import ModelChoice

SHARED = {  # flags of several commands: name -> (function that defines it, default, help)
    'workdir': (
        flags.DEFINE_string,
        None,
        'The folder of a run, which is written or read. A command with a config by default takes '
        'the folder runs/NAME, where NAME is that of the config.',
    ),
    'distributed': (
        flags.DEFINE_string,
        '',
        'For several processes: "auto" on Slurm, GKE, TPU pods or Open MPI, or '
        'COORDINATOR:PORT,PROCESSES,PROCESS.',
    ),
    'heartbeat': (
        functools.partial(flags.DEFINE_integer, lower_bound=1),
        30,
        'With --distributed: a process that does not answer for so many seconds is lost, and all '
        'others end.',
    ),
    'compilation_cache': (
        flags.DEFINE_bool,
        True,
        'Keep compiled programs in $TLJAX_CACHE/programs, so that the next start needs not compile '
        'them. --nocompilation_cache switches this off.',
    ),
    'json': (
        flags.DEFINE_bool,
        False,
        'Print one JSON document to standard output instead of tables.',
    ),
    'config': (
        flags.DEFINE_string,
        None,
        'A config file of configs/, with arguments after a colon: configs/digits.py:smoke. '
        '--config.KEY=VALUE changes a setting.',
    ),
    'model': (
        flags.DEFINE_string,
        None,
        'A network of tljax.zoo; --model.alpha=0.25 sets a keyword of the network.',
    ),
    'weights': (
        flags.DEFINE_string,
        None,
        'Weights for --model: a Keras file (HDF5, legacy, full model or .weights.h5, or .keras), '
        'or imagenet for the published weights, imagenet:160 for those of that picture size.',
    ),
    'classes': (
        flags.DEFINE_string,
        None,
        'A file of class names: lines "name" or "0 name", or JSON: a list of names, {"0": name}, '
        "{name: 0} or ImageNet's class index; or the names themselves: ant,bee. The default is "
        'imagenet_class_index.json or labels.txt beside the weights.',
    ),
    'prompt': (
        flags.DEFINE_string,
        None,
        'For CLIP: the text that describes a class, with {} for its name. Several texts, with | '
        "between them, are averaged. The default is 'a photo of a {}.'.",
    ),
    'task': (
        flags.DEFINE_string,
        '',
        'For a run that was trained on several tasks: the name of the task to answer.',
    ),
    'support': (
        flags.DEFINE_string,
        None,
        'For a few-shot run: a folder that holds a folder of labelled pictures for each new class.',
    ),
    'knowledge': (
        flags.DEFINE_string,
        None,
        'Attributes of classes of the model, and of new ones to predict: a CSV (class,attribute,'
        '...), or a folder as AWA2 has it.',
    ),
    'shift': (
        flags.DEFINE_float,
        None,
        "With --knowledge: subtracted from the model's own classes, which then compete.",
    ),
    'batch': (
        functools.partial(flags.DEFINE_integer, lower_bound=1),
        32,
        'Number of pictures at a time.',
    ),
    'pixels': (
        functools.partial(flags.DEFINE_integer, lower_bound=1),
        None,
        'The largest number of pixels that a picture may have.',
    ),
}
INSTALLED_AS = {'ot': 'POT', 'sklearn': 'scikit-learn', 'PIL': 'pillow'}  # module -> package
LIMIT = 250  # characters of an error
PARSER_ERRORS = {  # pattern of an error of Python, absl or ml_collections -> text for the user
    r"invalid literal for int\(\) with base 10: ('.*?')": r'\1 is not a whole number',
    r"could not convert string to float: ('.*?')": r'\1 is not a number',
    r"\('Non-boolean argument to boolean flag', ('.*?')\)": r'\1 is neither true nor false',
}


def run(main: Callable[[Config, Path], None], name: str) -> None:
    """Runs a command that takes a config.

    Args:
        main: function of the config (a plain dict) and the workdir.
        name: name of the command; a config of other commands is refused.
    """
    arguments = []  # of main: the config and the workdir

    def parse(argv: list[str]) -> list[str]:
        rest, file, settings = _split(argv)
        config = _config(file, settings, name)
        arguments[:] = config, _workdir(config_file.workdir(file))
        return rest

    def body(_: list[str]) -> None:
        if flags.FLAGS.distributed:
            studies.processes.agree_on(arguments[0])
        main(*arguments)

    _define('config', 'workdir', 'distributed', 'heartbeat', 'json')
    _start(body, parse)


def run_sweep(main: Callable[[Config, Path, str, config_file.Settings, Record], None]) -> None:
    """Runs a command that starts `experiments.train` with changes of a config.

    Args:
        main: function of the config (a plain dict), the workdir, the value of `--config`, the
            settings of the command line, and the options --slurm.KEY=VALUE.
    """
    arguments = []  # of main

    def parse(argv: list[str]) -> list[str]:
        argv, options = take_keywords(argv, 'slurm')
        rest, file, settings = _split(argv)
        if options and not flags.FLAGS.slurm:
            raise UserError(f'--slurm.{min(options)} is given without --slurm: add --slurm')
        config, folder = _config(file, settings, 'train'), config_file.workdir(file)
        folder = folder.with_name(f'{folder.name}-sweep')
        arguments[:] = config, _workdir(folder), file, settings, options
        return rest

    _define('config', 'workdir', 'json')
    _start(lambda _: main(*arguments), parse)


def run_on_model(main: Callable[..., None], *shared: str) -> None:
    """Runs a command that works on a model: --model, --weights and --classes, or --workdir.

    Args:
        main: function of the choice of a model, and of the arguments that are not flags. If
            'config' is among `shared`, also of the config, a plain dict, or None.
        *shared: names of further flags in SHARED that the command reads.
    """
    keywords, configs = {}, []

    def parse(argv: list[str]) -> list[str]:
        argv, net_keywords = take_keywords(argv, 'model')
        keywords.update(net_keywords)
        if 'config' in shared:
            argv, file, settings = config_file.split(argv)
            config = config_file.load(file) if file else None
            if file and config:
                config_file.apply_settings(config, file, settings)
            configs[:] = [plain(config) if config else None]
        rest = flags.FLAGS(argv)
        if keywords and not flags.FLAGS.model:
            raise UserError(f'--model.{min(keywords)} is given without --model: name the network')
        return rest

    def body(rest: list[str]) -> None:
        values = flags.FLAGS
        net = {'name': values.model, **keywords} if values.model else None
        workdir = Path(values.workdir) if values.workdir else None
        prompt = values.prompt if 'prompt' in shared else None
        task = values.task if 'task' in shared else ''
        choice = ModelChoice(net, values.weights, values.classes, workdir, prompt, task)
        main(choice, rest[1:], *configs)

    _define('model', 'weights', 'classes', 'workdir', 'distributed', 'heartbeat', 'json', *shared)
    _start(body, parse)


def run_on_arguments(main: Callable[[list[str]], None], *shared: str) -> None:
    """Runs a command of arguments that are not flags, such as the folder of a run.

    Args:
        main: function of those arguments.
        *shared: names of flags in SHARED that the command reads.
    """
    _define(*shared)
    _start(lambda rest: main(rest[1:]), flags.FLAGS)


def run_plain(main: Callable[[], None], *shared: str) -> None:
    """Runs a command that takes neither a config nor a model.

    Args:
        main: function without arguments.
        *shared: names of flags in SHARED that the command reads.
    """
    _define(*shared)
    _start(lambda _: main(), lambda argv: _refuse_positional(flags.FLAGS(argv)))


def tell(document: Record | list | None, tables: Iterable['studies.tables.Table']) -> None:
    """Prints the results of a command: tables, or with --json one JSON document.

    Args:
        document: the results as dicts, lists, strings and numbers; with --json a number that is
            not finite becomes null.
        tables: the results as tables.
    """
    if flags.FLAGS.json:
        sys.stdout.write(json.dumps(_finite(document), indent=1) + '\n')
        return
    from tljax.report.page import table as print_table  # imported late, so that --help is quick

    for table in tables:
        print_table(*table)


def tell_answers(answers: list[Record], table: Callable[[Record], 'studies.tables.Table']) -> None:
    """Prints the answers for pictures, and ends with status 1 if some could not be read.

    Args:
        answers: a dict for each picture, with 'error' if it could not be read.
        table: function of an answer that makes its table.
    """
    found = [answer for answer in answers if 'error' not in answer]
    tell(answers, map(table, found))
    if len(found) < len(answers):
        sys.exit(1)


def tell_study(
    results: Record | None,
    report: ModuleType,
    workdir: Path,
    reading: Callable[[Record], str] | None = None,
    start: float | None = None,
) -> None:
    """Prints the results of a study, and where its page is.

    Args:
        results: the results; None on all processes but the first, which print nothing.
        report: module with `tables`, a function of the results.
        workdir: folder of the study.
        reading: function of the results that explains the tables; None prints no text.
        start: `time.monotonic()` at the start of the study; None prints no time.
    """
    if results is None:
        return
    tell(results, report.tables(results))
    if reading is not None:
        console.print(reading(results), soft_wrap=True)
    time_taken = '' if start is None else f'{(time.monotonic() - start) / 60:.1f} minutes; '
    say(f'{time_taken}{workdir}/report.html, {workdir}/results.json')


def fail(error: str | Exception) -> NoReturn:
    """Prints an error in one line of at most LIMIT characters, and exits with status 2.

    Args:
        error: the error.
    """
    text = f'error: {" ".join(str(error).split())}'
    if len(text) > LIMIT:  # drop the middle: the problem is at the start, the remedy at the end
        text = f'{text[: LIMIT - 105]} ... {text[-100:]}'
    say(text)
    sys.exit(2)


def _define(*names: str) -> None:
    """Defines shared flags as flags of the command itself, so that --help shows them."""
    for name in names:
        make, default, text = SHARED[name]
        make(name, default, text)
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[name])


def _split(argv: list[str]) -> tuple[list[str], str, config_file.Settings]:
    """Sets the flags. Returns the rest of a command line, the config file and the settings."""
    argv, file, settings = config_file.split(argv)
    rest = _refuse_positional(flags.FLAGS(argv))
    if file is None:
        raise UserError(
            '--config is missing: name a file of configs/, such as --config=configs/digits.py'
        )
    return rest, file, settings


def _config(file: str, settings: config_file.Settings, name: str) -> Config:
    """Returns the config of a command of this name, with the settings of the command line."""
    config = config_file.load(file)
    config_file.refuse_other_command(config, file, name)
    config_file.apply_settings(config, file, settings)
    config_file.refuse_unread(config, settings, name)
    config_file.refuse_two_lengths(plain(config), settings, name)
    return plain(config)


def _workdir(default: Path) -> Path:
    """Returns the folder of `--workdir`, or else the default one."""
    workdir = Path(flags.FLAGS.workdir or default)
    refuse_file(workdir)
    return workdir


def _refuse_positional(rest: list[str]) -> list[str]:
    """Returns the rest of a command line, and refuses an argument that is not a flag."""
    if len(rest) > 1:
        raise UserError(f'{rest[1]!r} is not a flag: write --name=value')
    return rest


def _finite(tree: object) -> object:
    """Returns a document for JSON: null for numbers that are not finite, and texts for keys."""
    if isinstance(tree, dict):
        return {str(key): _finite(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_finite(value) for value in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree


def _start(body: Callable[[list[str]], None], parse: Callable[[list[str]], list[str]]) -> None:
    """Starts a command by absl, with every error as one line.

    Args:
        body: the command, a function of the rest of the command line.
        parse: sets the flags; a function of the command line that returns the rest.
    """

    _define('compilation_cache')

    def parse_or_fail(argv: list[str]) -> list[str]:
        try:
            return parse(argv)
        except Exception as error:  # absl and ml_collections raise many types for a wrong flag
            fail(_plain_text(error.args[0] if error.args else error))

    def main(rest: list[str]) -> None:
        if not flags.FLAGS['verbosity'].present:
            logging.set_verbosity(logging.WARNING)
            logging.get_absl_logger().addFilter(_is_not_of_orbax)
        try:
            _switch_off_cache()
            with _joined():
                body(rest)
        except Unwritten as error:
            leave_at_once(2)  # the threads of its writers would tell it at length
            fail(error)
        except UserError as error:
            fail(error)
        except OSError as error:  # a file that a flag names
            if not error.filename:
                raise
            fail(f'{error.filename}: {error.strerror}')
        except ModuleNotFoundError as error:
            package = (error.name or '').partition('.')[0]
            if package in ('tljax', 'experiments', 'benchmarks', 'configs', ''):
                raise
            fail(
                f'the package {package} is missing: python -m pip install '
                f'{INSTALLED_AS.get(package, package)}'
            )
        except Stopped as stopped:
            say(str(stopped))
            sys.exit(stopped.status)

    app.run(main, flags_parser=parse_or_fail)


def _is_not_of_orbax(record: LogRecord) -> bool:
    """Returns whether a line of the log is not orbax's: of files that it cannot write or read, the
    command tells in one line."""
    return 'orbax' not in record.pathname


def _plain_text(error: object) -> str:
    """Returns an error of a flag in plain words instead of those of Python's parsers."""
    text = str(error)
    for pattern, words in PARSER_ERRORS.items():
        text = re.sub(pattern, words, text)
    return text


def _joined() -> AbstractContextManager[None]:
    """Joins the processes that --distributed describes, until the command ends."""
    cluster = flags.FLAGS['distributed'].value if 'distributed' in flags.FLAGS else ''
    if not cluster:
        return nullcontext()
    return studies.processes.joined(cluster, flags.FLAGS.heartbeat)


def _switch_off_cache() -> None:
    """Switches the cache of compiled programs off if --compilation_cache is false."""
    if not flags.FLAGS.compilation_cache:
        import jax  # imported late, so that --help is quick

        jax.config.update('jax_enable_compilation_cache', False)
