"""Flags that are lists, and the keywords of a network."""

import ast
import json
import sys
from collections.abc import Callable, Iterable

from absl import flags

from tljax.core import UserError
from tljax.protocols import Record

Part = str | int | float  # of a list, as JSON has it


class ListOf(flags.ListParser):
    """Parses a flag whose value is a list with commas, each part by a function.

    Args:
        part: function of a part's text; it raises ValueError where the text does not fit.

    >>> ListOf(int).parse('5,20')
    [5, 20]
    """

    def __init__(self, part: Callable[[str], Part]) -> None:
        super().__init__()
        self.part = part

    def parse(self, argument: str | list) -> list:
        """The parts of a text; a list is taken as it is.

        Args:
            argument: parts with commas between them, or a list of parts.
        """
        if isinstance(argument, list):
            return argument
        return [self.part(each) for each in super().parse(argument)]


def define_list(
    name: str, default: list, text: str, part: Callable[[str], Part]
) -> flags.FlagHolder:
    """Defines a flag as `ListOf` parses it.

    Args:
        name: of the flag.
        default: its parts.
        text: its help.
        part: as for `ListOf`.
    """
    flag = flags.Flag(ListOf(part), flags.CsvListSerializer(','), name, default, text)
    return flags.DEFINE_flag(flag, module_name=sys.argv[0])


def one_of(names: Iterable[str]) -> Callable[[str], str]:
    """A `part` of `define_list` that takes these names alone.

    Args:
        names: which may be given.

    >>> one_of(['forms', 'seeds'])('forms')
    'forms'
    """
    names = list(names)

    def part(text: str) -> str:
        if text not in names:
            raise ValueError(f'{text!r} is not one of {", ".join(names)}')
        return text

    return part


def take_keywords(argv: list[str], prefix: str) -> tuple[list[str], Record]:
    """The arguments without `--PREFIX.KEY=VALUE`, and those as {key: value}.

    Args:
        argv: a command line.
        prefix: name of the flag whose keywords they are.

    Raises:
        UserError: for a keyword without a value.

    >>> take_keywords(['predict', '--model=mobilenet', '--model.alpha=0.25'], 'model')
    (['predict', '--model=mobilenet'], {'alpha': 0.25})
    """
    rest, keywords, ahead = [], {}, iter(argv)
    for argument in ahead:
        flag, given, value = argument.partition('=')
        name = flag.lstrip('-')
        if not argument.startswith('-') or not name.startswith(f'{prefix}.'):
            rest.append(argument)
            continue
        if not given:
            value = next(ahead, None)
            if value is None:
                raise UserError(f'{flag} has no value: write {flag}=VALUE')
        keywords[name.removeprefix(f'{prefix}.')] = _value(value)
    return rest, keywords


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    try:
        return ast.literal_eval(text)  # .25, True, None
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
