"""What every command shares: flags, the start of a cluster, tables or JSON, errors in one line."""

import functools
import json
import math
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

from absl import app, flags, logging

from experiments import config_file
from experiments.flag_types import take_keywords
from tljax import studies
from tljax.configuration import plain
from tljax.core import Stopped, UserError
from tljax.files.console import say
from tljax.files.folders import refuse_file
from tljax.protocols import Config, Record
from tljax.studies.model_choice import ModelChoice

SHARED = {  # flags of several commands: name -> (how it is defined, default, help)
    'workdir': (
        flags.DEFINE_string,
        None,
        'The folder of a run, which is written or read; a command with a config takes runs/ and '
        'the name of the config by default.',
    ),
    'distributed': (
        flags.DEFINE_string,
        '',
        'For several processes: "auto" on Slurm, GKE, TPU pods or Open MPI, or '
        'COORDINATOR:PORT,PROCESSES,PROCESS.',
    ),
    'json': (flags.DEFINE_bool, False, 'One JSON document on standard output, in place of tables.'),
    'config': (
        flags.DEFINE_string,
        None,
        'A file of configs/, with arguments after a colon: configs/digits.py:smoke. '
        '--config.KEY=VALUE changes a setting.',
    ),
    'model': (
        flags.DEFINE_string,
        None,
        'A network of tljax.zoo; its keywords follow as --model.alpha=0.25.',
    ),
    'weights': (
        flags.DEFINE_string,
        None,
        'Weights for --model: a Keras file (HDF5, legacy, full model or .weights.h5, or .keras), '
        'or imagenet for the published ones, imagenet:160 for those of that picture size.',
    ),
    'classes': (
        flags.DEFINE_string,
        None,
        'Names of the classes, one a line or "0 name" a line, or JSON: a list of them, {"0": '
        "name}, {name: 0} or ImageNet's class index; by default imagenet_class_index.json or "
        'labels.txt beside the weights.',
    ),
    'batch': (
        functools.partial(flags.DEFINE_integer, lower_bound=1),
        32,
        'Pictures at a time.',
    ),
    'pixels': (
        functools.partial(flags.DEFINE_integer, lower_bound=1),
        None,
        'The most pixels that a picture may have.',
    ),
}
INSTALLED_AS = {'ot': 'POT', 'sklearn': 'scikit-learn', 'PIL': 'pillow'}  # module -> package
LIMIT = 250  # characters of an error
PARSERS = {  # what Python, absl and ml_collections say of a value -> what the user is told
    r"invalid literal for int\(\) with base 10: ('.*?')": r'\1 is not a whole number',
    r"could not convert string to float: ('.*?')": r'\1 is not a number',
    r"\('Non-boolean argument to boolean flag', ('.*?')\)": r'\1 is neither true nor false',
}


def run(main: Callable[[Config, Path], None], name: str) -> None:
    """Runs a command that takes a config.

    Args:
        main: function of the config (a plain dict) and the workdir.
        name: of the command; a config that does not state it is refused.
    """
    chosen = []

    def parse(argv: list[str]) -> list[str]:
        argv, given, settings = config_file.split(argv)
        rest = _without_strays(flags.FLAGS(argv))
        if given is None:
            raise UserError(
                '--config is missing: name a file of configs/, such as --config=configs/digits.py'
            )
        config = config_file.load(given)
        config_file.refuse_other_command(config, given, name)
        config_file.lay(config, given, settings)
        config_file.refuse_unread(config, settings, name)
        config_file.refuse_two_lengths(plain(config), settings, name)
        workdir = Path(flags.FLAGS.workdir or config_file.workdir(given))
        refuse_file(workdir)
        chosen[:] = plain(config), workdir
        return rest

    _define('config', 'workdir', 'distributed', 'json')
    _start(lambda _: main(*chosen), parse)


def run_on_model(main: Callable[[ModelChoice, list[str]], None], *shared: str) -> None:
    """Runs a command that works on a model: --model, --weights and --classes, or --workdir.

    Args:
        main: function of the model that was chosen, and of the arguments that are no flags.
        *shared: names of further flags in SHARED that it reads.
    """
    keywords = {}

    def parse(argv: list[str]) -> list[str]:
        argv, found = take_keywords(argv, 'model')
        keywords.update(found)
        rest = flags.FLAGS(argv)
        if keywords and not flags.FLAGS.model:
            raise UserError(f'--model.{min(keywords)} is given without --model: name the network')
        return rest

    def body(rest: list[str]) -> None:
        values = flags.FLAGS
        net = {'name': values.model, **keywords} if values.model else None
        workdir = Path(values.workdir) if values.workdir else None
        main(ModelChoice(net, values.weights, values.classes, workdir), rest[1:])

    _define('model', 'weights', 'classes', 'workdir', 'distributed', 'json', *shared)
    _start(body, parse)


def run_plain(main: Callable[[], None], *shared: str) -> None:
    """Runs a command that takes neither a config nor a model.

    Args:
        main: function without arguments.
        *shared: names of flags in SHARED that it reads.
    """
    _define(*shared)
    _start(lambda _: main(), lambda argv: _without_strays(flags.FLAGS(argv)))


def tell(document: Record | list | None, tables: Iterable['studies.tables.Table']) -> None:
    """Prints tables, or with --json the same as one JSON document, to standard output.

    Args:
        document: dicts, lists, strings and numbers; numbers that are not finite become null.
        tables: what is printed otherwise.
    """
    if flags.FLAGS.json:
        sys.stdout.write(json.dumps(_finite(document), indent=1) + '\n')
        return
    from tljax.report.page import table  # here, and jax below, so that --help is quick

    for each in tables:
        table(*each)


def fail(error: str | Exception) -> NoReturn:
    """Says what is wrong in one line, at most LIMIT long, and leaves with exit status 2.

    Args:
        error: what is wrong.
    """
    text = f'error: {" ".join(str(error).split())}'
    if len(text) > LIMIT:  # the middle goes: the thing stands in front, the remedy behind
        text = f'{text[: LIMIT - 105]} ... {text[-100:]}'
    say(text)
    sys.exit(2)


def _define(*names: str) -> None:
    """Defines shared flags, as flags of the command itself, so that --help shows them."""
    for name in names:
        make, default, text = SHARED[name]
        make(name, default, text)
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[name])


def _without_strays(rest: list[str]) -> list[str]:
    if len(rest) > 1:
        raise UserError(f'{rest[1]!r} is not a flag: write --name=value')
    return rest


def _finite(tree: object) -> object:
    if isinstance(tree, dict):
        return {str(key): _finite(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_finite(value) for value in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree


def _start(body: Callable[[list[str]], None], parse: Callable[[list[str]], list[str]]) -> None:
    def checked(argv: list[str]) -> list[str]:
        try:
            return parse(argv)
        except Exception as error:  # absl and ml_collections raise many kinds for a wrong flag
            fail(_in_words(error.args[0] if error.args else error))

    def main(rest: list[str]) -> None:
        if not flags.FLAGS['verbosity'].present:
            logging.set_verbosity(logging.WARNING)  # orbax tells of each file it opens
        try:
            _join_cluster()
            body(rest)
        except UserError as refused:
            fail(refused)
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

    app.run(main, flags_parser=checked)


def _in_words(error: object) -> str:
    """An error of a flag without the words of Python's parsers."""
    text = str(error)
    for pattern, words in PARSERS.items():
        text = re.sub(pattern, words, text)
    return text


def _join_cluster() -> None:
    told = flags.FLAGS['distributed'].value if 'distributed' in flags.FLAGS else ''
    if told:
        import jax
    if told == 'auto':
        jax.distributed.initialize()
    elif told:
        try:
            address, count, number = told.rsplit(',', 2)
            count, number = int(count), int(number)
        except ValueError:
            raise UserError(
                f'--distributed={told} is neither auto nor COORDINATOR:PORT,PROCESSES,PROCESS'
            ) from None
        jax.distributed.initialize(address, count, number)
