"""What every command shares: flags, cluster start-up, and errors in one line."""
import json
import re
import sys
from pathlib import Path

import jax
from absl import app, flags, logging
from ml_collections import config_flags

from tljax.core import Refused
from tljax.engine.train import Stopped
from tljax.files.console import say

WORKDIR = flags.DEFINE_string('workdir', None, 'Where the run keeps its files; by default a folder under runs/ named after the config.')
DISTRIBUTED = flags.DEFINE_string('distributed', '', 'For runs over several processes: "auto" on Slurm, GKE, TPU pods or Open MPI, or '
                                  'COORDINATOR:PORT,PROCESSES,PROCESS.')


def workdir():
    """The run's folder: `--workdir`, or `runs/` and the config's name with its argument."""
    if WORKDIR.value:
        return Path(WORKDIR.value)
    flag, given = next((flag, after) for flag, after in zip(sys.argv[1:], [*sys.argv[2:], ''], strict=True)
                       if flag.lstrip('-').partition('=')[0] == 'config')
    path, _, argument = (flag.partition('=')[2] or given).partition(':')
    return Path('runs', Path(path).stem + ''.join(f'-{part}' for part in argument.replace('=', '-').split(',') if part))


def run(main):
    """Parses the flags, `--config` among them, joins the cluster, and calls `main(config)`.

    What a user can mend is told in one line, with exit status 2.
    """
    config = config_flags.DEFINE_config_file('config', None, 'A file of configs/, with arguments after a colon: configs/digits.py:smoke.')

    def parse(argv):
        if len(rest := flags.FLAGS(argv)) > 1:
            fail(f'{rest[1]!r} is not a flag: write --name=value')
        if config.value is None:
            fail('--config is missing: name a file of configs/, such as --config=configs/digits.py')
        config.value.is_locked   # of a file that could not be read, this raises why  # noqa: B018
        return rest

    _start(lambda _: main(config.value), parse)


def run_on_model(main):
    """Parses the flags of a command that works on a model, and calls `main(model, rest)`.

    `model` is the config of a zoo network, {'name': ..., its keywords} from `--model=mobilenet --model.alpha=0.25`, or None; `rest` are
    the arguments that are no flags. Errors as in `run`.
    """
    name = flags.DEFINE_string('model', None, 'A network of tljax.zoo; its keywords follow as --model.alpha=0.25.')
    keywords = {}

    def parse(argv):
        argv = list(argv)
        for i, argument in reversed(list(enumerate(argv))):
            flag, given, value = argument.partition('=')
            if argument.startswith('-') and flag.lstrip('-').startswith('model.'):
                if not given:
                    if i + 1 >= len(argv):
                        fail(f'{flag} has no value: write {flag}=VALUE')
                    value = argv.pop(i + 1)
                keywords[flag.lstrip('-').removeprefix('model.')] = _value(value)
                argv.pop(i)
        rest = flags.FLAGS(argv)
        if keywords and not name.value:
            fail(f'--model.{min(keywords)} is given without --model: name the network')
        return rest

    _start(lambda rest: main({'name': name.value, **keywords} if name.value else None, rest[1:]), parse)


def _value(text):
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return {'True': True, 'False': False, 'None': None}.get(text, text)


def _start(body, parse):
    def checked(argv):
        try:
            return parse(argv)
        except Exception as error:   # absl and ml_collections raise many kinds for a flag that does not fit
            said = str(error.args[0] if error.args else error)
            fail(f'no setting {said} in this config: see its file and configs/base.py' if re.fullmatch(r"['\"]*\w+['\"]*", said) else said)

    def main(rest):
        if not flags.FLAGS['verbosity'].present:
            logging.set_verbosity(logging.WARNING)   # orbax tells of each file it opens
        if DISTRIBUTED.value == 'auto':
            jax.distributed.initialize()
        elif DISTRIBUTED.value:
            try:
                address, count, number = DISTRIBUTED.value.rsplit(',', 2)
                count, number = int(count), int(number)
            except ValueError:
                fail(f'--distributed={DISTRIBUTED.value} is neither auto nor COORDINATOR:PORT,PROCESSES,PROCESS')
            jax.distributed.initialize(address, count, number)
        try:
            body(rest)
        except Refused as refused:
            fail(refused)
        except Stopped as stopped:
            say(str(stopped))
            sys.exit(143)

    app.run(main, flags_parser=checked)


def fail(error):
    """Says what is wrong in one line and leaves with exit status 2."""
    say(f'error: {" ".join(str(error).split())}')
    sys.exit(2)
