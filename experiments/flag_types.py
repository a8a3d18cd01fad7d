"""Flags whose values are lists, and flags that are keywords of a network."""

import ast
import json
import sys
from collections.abc import Callable, Iterable

from absl import flags

from tljax.core import UserError
from tljax.protocols import Record

Part = str | int | float  # an element of a list


class ListOf(flags.ListParser):
    """Parser of a flag whose value is a list with commas; a function parses each part.

    Args:
        part: function of a part's text, which raises ValueError for a text that does not fit.

    >>> ListOf(int).parse('5,20')
    [5, 20]
    """

    def __init__(self, part: Callable[[str], Part]) -> None:
        super().__init__()
        self.part = part

    def parse(self, argument: str | list) -> list:
        """Returns the list of a text; a list is returned unchanged.

        Args:
            argument: parts with commas between them, or a list of parts.
        """
        if isinstance(argument, list):
            return argument
        return [self.part(text) for text in super().parse(argument)]


def define_list(
    name: str, default: list, text: str, part: Callable[[str], Part]
) -> flags.FlagHolder:
    """Defines a flag that `ListOf` parses.

    Args:
        name: name of the flag.
        default: default value, a list of parts.
        text: help of the flag.
        part: as for `ListOf`.
    """
    flag = flags.Flag(ListOf(part), flags.CsvListSerializer(','), name, default, text)
    return flags.DEFINE_flag(flag, module_name=sys.argv[0])


def one_of(names: Iterable[str]) -> Callable[[str], str]:
    """Returns a `part` for `define_list` that accepts only some names.

    Args:
        names: the accepted names.

    >>> ListOf(one_of(['forms', 'seeds', 'cached'])).parse('seeds,forms')
    ['seeds', 'forms']
    """
    names = list(names)

    def part(text: str) -> str:
        if text not in names:
            raise ValueError(f'{text!r} is not one of {", ".join(names)}')
        return text

    return part


def take_keywords(argv: list[str], prefix: str) -> tuple[list[str], Record]:
    """Splits a command line into keywords `--PREFIX.KEY=VALUE` and the other arguments.

    Args:
        argv: the command line.
        prefix: name of the flag before the keywords.

    Returns:
        The other arguments, and {key: value}.

    Raises:
        UserError: a keyword has no value.

    >>> take_keywords(['predict', '--model=mobilenet', '--model.alpha=0.25'], 'model')
    (['predict', '--model=mobilenet'], {'alpha': 0.25})
    """
    rest, keywords, arguments = [], {}, iter(argv)
    for argument in arguments:
        flag, equals, value = argument.partition('=')
        name = flag.lstrip('-')
        if not argument.startswith('-') or not name.startswith(f'{prefix}.'):
            rest.append(argument)
            continue
        if not equals:
            value = next(arguments, None)
            if value is None:
                raise UserError(f'{flag} has no value: write {flag}=VALUE')
        keywords[name.removeprefix(f'{prefix}.')] = _value(value)
    return rest, keywords


def _value(text: str) -> object:
    """Returns the value that a text means in JSON or in Python, or else the text itself."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    try:
        return ast.literal_eval(text)  # .25, True, None
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
