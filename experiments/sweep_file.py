"""The members of a sweep: changes of a config that the function `get_sweep` of its file lists."""

import re
from collections.abc import Iterator
from itertools import combinations

from experiments import config_file
from experiments.config_file import Settings
from tljax.configuration import plain
from tljax.core import UserError
from tljax.protocols import Config, Setting

# A text that a command line takes as it is; others are written as Python writes them.
WORD = re.compile(r'(?!(?:true|false|none)$)[A-Za-z_./][\w./-]*', re.IGNORECASE)
Member = tuple[Config, Config, list[str]]  # changes by dotted keys, the whole config, the command


def members(file: str, settings: Settings) -> list[Member]:
    """Returns the members of a config's sweep.

    Args:
        file: value of `--config`.
        settings: settings of the command line, as `config_file.split` returns them; all members
            have them, unless `get_sweep` changes them.

    Returns:
        For each member its changes {'optim.lr': 0.001}, its config as a plain dict, and the
        arguments of `python` that train it, without --workdir.

    Raises:
        UserError: there is no member, two are the same, or one changes what is no setting.

    >>> changes, config, command = members('configs/finetune.py:smoke', [(['batch'], '4')])[0]
    >>> changes['phases.all.optim.lr'], config['phases']['all']['optim']['lr'], config['batch']
    (0.001, 0.001, 4)
    >>> command[2:5]
    ['--config=configs/finetune.py:smoke', '--config.batch=4', '--config.phases.all.optim.lr=0.001']
    """
    listed = config_file.call(file, 'get_sweep')
    where = f'get_sweep() of {file.partition(":")[0]}'
    if not isinstance(listed, list | tuple) or not all(isinstance(each, dict) for each in listed):
        raise UserError(f"{where} returns no list of dicts: write [{{'optim.lr': 1e-3}}, ...]")
    if not listed:
        raise UserError(f'{where} is empty: list a dict of changes for each member')
    found = []
    for number, changes in enumerate(listed, 1):
        try:
            found.append(_member(file, settings, changes))
        except UserError as error:
            raise UserError(f'{where}, member {number}: {error}') from None
    for (i, first), (j, second) in combinations(enumerate(found, 1), 2):
        if first[1] == second[1]:
            raise UserError(
                f'{where}: members {i} and {j} have the same config: remove one, or change it'
            )
    return found


def _member(file: str, settings: Settings, changes: Config) -> Member:
    changes = dict(_dotted(changes))
    own: Settings = [(key.split('.'), _text(key, value)) for key, value in changes.items()]
    config = config_file.load(file)
    config_file.apply_settings(config, file, [*settings, *own])
    config_file.refuse_unread(config, own, 'train')
    config_file.refuse_two_lengths(plain(config), own, 'train')
    flags = [
        f'--config.{".".join(path)}' + ('' if text is None else f'={text}')
        for path, text in [*settings, *own]
    ]
    command = ['-m', 'experiments.train', f'--config={file}', *flags]
    return plain(changes), plain(config), command


def _dotted(changes: Config, prefix: str = '') -> Iterator[tuple[str, Setting]]:
    """Yields (dotted key, value); a dict stands for its keys, as in the phases of a config."""
    for key, value in changes.items():
        if isinstance(value, dict) and value:
            yield from _dotted(value, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}', value


def _text(key: str, value: Setting) -> str:
    """Returns a value as a command line has it."""
    try:
        value = plain({'': value})['']
    except TypeError:
        raise UserError(
            f'{key}={value!r} is no number, text, list or dict: write it as one'
        ) from None
    return value if isinstance(value, str) and WORD.fullmatch(value) else repr(value)
