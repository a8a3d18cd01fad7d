"""Relational facts: files of ground atoms, and the types of their arguments.

An atom is a predicate of constants, `advisedby(person1, person2).`, one on a line. What is not
stated is false. An atom behind `//`, which some programs are to skip, is a fact as well.
"""

import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tljax.core import UserError, abbreviated, nearest_name

ATOM = re.compile(r'(?://\s*)?([a-z]\w*)\s*\(([^()]*)\)\s*\.?', re.IGNORECASE)
NAMES = ('read_atoms',)  # that configs may name
PARTS = ('facts', 'pos')  # files of facts; `neg` lists what is false, as all else is
Rows = frozenset[tuple[str, ...]]


class Atoms(NamedTuple):
    """Facts of a domain.

    Attributes:
        facts: {predicate: its rows of constants}. A predicate may have no row.
        types: {predicate: the type of each argument}. A type is named after the first argument
            that has it, as 'actor.1'.
        dropped: {predicate: number of facts that a cut has dropped}.

    >>> atoms = Atoms({'actor': frozenset({('ann',)})}, {'actor': ('actor.1',)})
    >>> atoms.constants('actor.1')
    ['ann']
    """

    facts: Mapping[str, Rows]
    types: Mapping[str, tuple[str, ...]]
    dropped: Mapping[str, int] = {}  # noqa: RUF012

    def constants(self, kind: str) -> list[str]:
        """Returns the constants of a type, sorted.

        Args:
            kind: name of the type.
        """
        return sorted(
            {
                row[i]
                for predicate, kinds in self.types.items()
                for i, name in enumerate(kinds)
                if name == kind
                for row in self.facts[predicate]
            }
        )

    def type_of(self, argument: str) -> str:
        """Returns the type of an argument.

        Args:
            argument: predicate and number of the argument, 'advisedby.1'.

        Raises:
            UserError: there is no such argument.
        """
        predicate, _, number = argument.partition('.')
        if predicate not in self.types:
            raise UserError(f'{argument}: {nearest_name(predicate, self.types)}')
        kinds = self.types[predicate]
        if not number.isdigit() or not 1 <= int(number) <= len(kinds):
            raise UserError(f'{argument}: {predicate} has the arguments 1 to {len(kinds)}')
        return kinds[int(number) - 1]


def read_atoms(path: str | Path, half: str = 'train', drop: Sequence[str] = ()) -> Atoms:
    """Reads the facts of a half of a relational set.

    Arguments that share a constant have one type. Predicates of equality, all of whose facts repeat
    one constant, are left out: a rule says that two things are one by using one variable.

    Args:
        path: ZIP or folder with `train/train_facts.txt` and `train/train_pos.txt`, and perhaps the
            same for `test`. They may lie in a folder of their own.
        half: 'train' or 'test'.
        drop: predicates that are left out.

    Raises:
        UserError: files are missing, a line is no atom, a predicate has different numbers of
            arguments, a predicate of `drop` is not there, or the test half repeats the training
            half.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp(), 'train')
    >>> folder.mkdir()
    >>> _ = (folder / 'train_facts.txt').write_text('actor(ann).\\n//director(bob).\\n')
    >>> _ = (folder / 'train_pos.txt').write_text('workedunder(ann, bob).\\nworkedunder(bob, cid).')
    >>> atoms = read_atoms(folder.parent)
    >>> sorted(atoms.facts), atoms.types['workedunder']
    (['actor', 'director', 'workedunder'], ('actor.1', 'actor.1'))
    """
    if half not in ('train', 'test'):
        raise UserError(f'half={half!r} is not train or test')
    texts = _texts(Path(path).expanduser())
    if half == 'test':
        _refuse_repeated(texts, path)
    lines = [line for part in PARTS for line in _lines(texts, half, part, path)]
    facts: dict[str, set[tuple[str, ...]]] = {}
    for line in lines:
        predicate, row = _atom(line, path)
        facts.setdefault(predicate, set()).add(row)
    for name in drop:
        if facts.pop(name, None) is None:
            raise UserError(f'drop={name!r}: {nearest_name(name, facts)}')
    return of_facts(
        {
            predicate: rows
            for predicate, rows in facts.items()
            if not all(len(row) == 2 and row[0] == row[1] for row in rows)
        }
    )


def of_facts(
    facts: Mapping[str, Iterable[tuple[str, ...]]],
    types: Mapping[str, tuple[str, ...]] | None = None,
) -> Atoms:
    """Makes `Atoms` of facts, and finds the types of arguments.

    Args:
        facts: {predicate: rows of constants}.
        types: {predicate: types}; None to find them: arguments that share a constant have one type.
            A predicate without a row needs them.

    Raises:
        UserError: rows of a predicate differ in length, or a predicate has neither rows nor types.

    >>> of_facts({'p': [('a', 'b')], 'q': [('b',)]}).types
    {'p': ('p.1', 'p.2'), 'q': ('p.2',)}
    """
    frozen = {predicate: frozenset(rows) for predicate, rows in facts.items()}
    for predicate, rows in frozen.items():
        lengths = {len(row) for row in rows}
        if len(lengths) > 1:
            raise UserError(
                f'{predicate} has facts with {" and ".join(map(str, sorted(lengths)))} arguments: '
                'give all the same number'
            )
        if not rows and (types is None or predicate not in types):
            raise UserError(f'{predicate} has no facts: leave it out, or give its types')
    return Atoms(frozen, dict(types) if types else _types(frozen))


def _types(facts):
    """{predicate: types}: arguments that share a constant have one type, named after the first."""
    names = [
        f'{predicate}.{i + 1}' for predicate, rows in facts.items() for i in range(_arity(rows))
    ]
    parent = {name: name for name in names}

    def root(name):
        while parent[name] != name:
            name = parent[name]
        return name

    first_of: dict[str, str] = {}
    for predicate, rows in facts.items():
        for row in rows:
            for i, constant in enumerate(row):
                name = f'{predicate}.{i + 1}'
                a, b = sorted(
                    (root(name), root(first_of.setdefault(constant, name))), key=names.index
                )
                parent[b] = a
    return {
        predicate: tuple(root(f'{predicate}.{i + 1}') for i in range(_arity(rows)))
        for predicate, rows in facts.items()
    }


def _arity(rows):
    return len(next(iter(rows)))


def _atom(line: str, path: str | Path) -> tuple[str, tuple[str, ...]]:
    """The predicate and constants of a line."""
    match = ATOM.fullmatch(line)
    row = tuple(part.strip() for part in match[2].split(',')) if match else ()
    if not match or not all(row):
        raise UserError(f'{path}: {line[:60]!r} is no atom: write predicate(constant, constant).')
    return match[1].lower(), row


def _texts(path: Path) -> dict[str, str]:
    """The text files of a ZIP or folder, by their names with folders."""
    if not path.exists():
        raise UserError(f'{path} does not exist: give a ZIP or folder with train/train_facts.txt')
    if path.is_dir():
        files = sorted(path.rglob('*.txt'))
        return {file.relative_to(path).as_posix(): file.read_text('utf-8') for file in files}
    try:
        with zipfile.ZipFile(path) as file:
            return {
                name: file.read(name).decode('utf-8')
                for name in file.namelist()
                if name.endswith('.txt') and '__MACOSX' not in name
            }
    except (zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise UserError(f'{path} cannot be read ({error}): give a ZIP of text files') from None


def _lines(texts: dict[str, str], half: str, part: str, path: str | Path) -> list[str]:
    """The lines of a file of a half that hold something."""
    wanted = f'{half}/{half}_{part}.txt'
    names = [name for name in texts if f'/{name}'.endswith(f'/{wanted}')]
    if not names:
        raise UserError(f'{path} has no {wanted}: it has {abbreviated(texts, 6)}')
    return [line.strip() for line in texts[names[0]].splitlines() if line.strip(' /\t')]


def _refuse_repeated(texts: dict[str, str], path: str | Path) -> None:
    """Refuses a test half that holds the facts of the training half."""
    train, test = (
        {line for part in PARTS for line in _lines(texts, half, part, path)}
        for half in ('train', 'test')
    )
    if test <= train or train <= test:
        raise UserError(
            f'{path}: the {len(test)} facts of test/ repeat those of train/, so that nothing is '
            'held out: read half=train, and cut folds'
        )
