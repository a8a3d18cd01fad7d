"""Clauses over relational facts: which there are, and how often their bodies hold.

A clause `head :- body` has a head atom and one or two atoms in its body, so that its length is at
most three. Its value for an example, which is a row of constants of the head, is log(1 + n), where
n is the number of ways in which the body holds for that row. What is not a fact is false.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

Literal = tuple[str, tuple[str, ...]]  # a predicate and its variables
Facts = Mapping[str, Iterable[tuple[str, ...]]]
Types = Mapping[str, tuple[str, ...]]  # of the arguments of each predicate


class Clause(NamedTuple):
    """A clause, `head :- body`.

    Attributes:
        head: the literal that it concludes; its variables differ.
        body: one or two literals.

    >>> str(Clause(('p', ('A',)), (('q', ('A', 'B')), ('r', ('B',)))))
    'p(A) :- q(A, B), r(B)'
    """

    head: Literal
    body: tuple[Literal, ...]

    def __str__(self) -> str:
        texts = [f'{predicate}({", ".join(names)})' for predicate, names in (self.head, *self.body)]
        return f'{texts[0]} :- {", ".join(texts[1:])}'

    @property
    def predicates(self) -> tuple[str, ...]:
        """The predicates of the clause, each once, that of the head first."""
        return tuple(dict.fromkeys(predicate for predicate, _ in (self.head, *self.body)))


class Table:
    """Facts as arrays of numbers, which clauses are evaluated on.

    Args:
        facts: {predicate: rows of constants}.
        types: types of the arguments; predicates without a row have them, too.

    >>> table = Table({'q': [('a', 'b'), ('a', 'c')]}, {'q': ('q.1', 'q.2')})
    >>> clause = Clause(('p', ('A',)), (('q', ('A', 'B')),))
    >>> table.values(clause, table.rows([('a',), ('b',)], ('q.1',))).round(2)  # log 3 and log 1
    array([1.1, 0. ])
    """

    def __init__(self, facts: Facts, types: Types) -> None:
        self.types = types
        constants = {name for rows in facts.values() for row in rows for name in row}
        self.numbers = {name: i for i, name in enumerate(sorted(constants))}
        self.facts = {name: self.rows(sorted(rows), types[name]) for name, rows in facts.items()}

    def rows(self, rows: Sequence[tuple[str, ...]], kinds: Sequence[str]) -> np.ndarray:
        """Returns rows of constants as numbers, (n, arguments); unknown constants get new ones.

        Args:
            rows: the rows.
            kinds: one type for each argument.
        """
        for constant in itertools.chain.from_iterable(rows):
            self.numbers.setdefault(constant, len(self.numbers))
        coded = [[self.numbers[constant] for constant in row] for row in rows]
        return np.array(coded, np.int64).reshape(-1, len(kinds))

    def constants(self, kind: str) -> np.ndarray:
        """Returns the numbers of all constants of a type.

        Args:
            kind: name of the type.
        """
        columns = [
            self.facts[predicate][:, i]
            for predicate, kinds in self.types.items()
            for i, name in enumerate(kinds)
            if name == kind
        ]
        return np.unique(np.concatenate([np.zeros(0, np.int64), *columns]))

    def values(self, clause: Clause, examples: np.ndarray) -> np.ndarray:
        """Returns the value of a clause for each example, (n,).

        Args:
            clause: the clause.
            examples: rows of the head, (n, arguments).
        """
        names, rows = self._matches(clause.body)
        shared = [name for name in clause.head[1] if name in names]
        keys = self._keys(rows[:, [names.index(name) for name in shared]])
        places = [clause.head[1].index(name) for name in shared]
        wanted = self._keys(examples[:, places])
        known, counts = np.unique(keys, return_counts=True)
        if not len(known):
            return np.zeros(len(examples))
        found = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        return np.log1p(np.where(known[found] == wanted, counts[found], 0))

    def _matches(self, body: Sequence[Literal]) -> tuple[list[str], np.ndarray]:
        """The variables of a body, and all their values for which it holds."""
        names, rows = self._literal(body[0])
        for literal in body[1:]:
            more, others = self._literal(literal)
            shared = [name for name in more if name in names]
            left = self._keys(rows[:, [names.index(name) for name in shared]])
            right = self._keys(others[:, [more.index(name) for name in shared]])
            order = np.argsort(right, kind='stable')
            first, last = (np.searchsorted(right[order], left, side) for side in ('left', 'right'))
            counts = last - first
            which = np.repeat(np.arange(len(rows)), counts)
            offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            partners = order[np.repeat(first, counts) + offsets]
            new = [name for name in more if name not in names]
            columns = [more.index(name) for name in new]
            rows = np.concatenate([rows[which], others[partners][:, columns]], axis=1)
            names = names + new
        return names, rows

    def _literal(self, literal: Literal) -> tuple[list[str], np.ndarray]:
        """The variables of a literal, each once, and the rows of its facts."""
        predicate, variables = literal
        rows, names = self.facts[predicate], list(dict.fromkeys(variables))
        for i, name in enumerate(variables):
            rows = rows[rows[:, i] == rows[:, variables.index(name)]]
        return names, rows[:, [variables.index(name) for name in names]]

    def _keys(self, columns: np.ndarray) -> np.ndarray:
        """One number for each row of up to three columns; 0 for no column."""
        keys = np.zeros(len(columns), np.int64)
        for column in columns.T:
            keys = keys * len(self.numbers) + column
        return keys


def candidates(
    head: str, types: Types, without: Sequence[str] = (), length: int = 3, fresh: int = 2
) -> list[Clause]:
    """All clauses that conclude a predicate.

    A body has no more than `length` - 1 literals. Each shares a variable with the head or, through
    the other one, is connected to it; variables have one type. A literal that follows from the
    other one, such as q(A, C) from q(A, B), is left out.

    Args:
        head: the predicate.
        types: types of the arguments of all predicates.
        without: predicates that no body has.
        length: 2 or 3 literals in all.
        fresh: largest number of variables that are not in the head.

    >>> types = {'p': ('t',), 'q': ('t', 't')}
    >>> for clause in candidates('p', types, without=['p'], length=2, fresh=1):
    ...     print(clause)
    p(A) :- q(A, A)
    p(A) :- q(A, B)
    p(A) :- q(B, A)
    """
    own = tuple('ABCDEFGH'[: len(types[head])])
    kinds = dict(zip(own, types[head], strict=True))
    bodies: dict[tuple[Literal, ...], None] = {}
    usable = [name for name in sorted(types) if name not in without]
    for first, first_kinds in _literals(usable, types, kinds, fresh):
        if not set(first[1]) & set(own) or first == (head, own):
            continue
        bodies.setdefault((first,))
        if length < 3:
            continue
        for second, second_kinds in _literals(usable, types, first_kinds, fresh):
            connected = set(second[1]) & (set(own) | set(first[1]))
            if connected and second not in (first, (head, own)):
                used = len(second_kinds) - len(own)
                if used <= fresh and not _repeats(first, second, own):
                    bodies.setdefault(_named((first, second), own))
    return [Clause((head, own), body) for body in bodies]


def _literals(usable, types, kinds, fresh):
    """All literals over known variables and new ones, with the types of all variables."""
    own_count = sum(name in 'ABCDEFGH' for name in kinds)
    taken = len(kinds)
    for predicate in usable:
        choices: list[tuple[tuple[str, ...], dict[str, str]]] = [((), kinds)]
        for kind in types[predicate]:
            longer = []
            for names, known in choices:
                for name, its_kind in known.items():
                    if its_kind == kind:
                        longer.append(((*names, name), known))
                new = f'{"ABCDEFGHIJKLMNOP"[len(known)]}'
                longer.append(((*names, new), {**known, new: kind}))
            choices = longer
        for names, known in choices:
            if len(known) - taken <= fresh and own_count:
                yield (predicate, names), known


def _repeats(first, second, own):
    """Whether one literal of a body follows from the other, so that it says nothing more."""
    for one, other in ((first, second), (second, first)):
        if one[0] != other[0]:
            return False
        bound = {*own, *other[1]}
        names: dict[str, str] = {}
        if all(
            a == b if a in bound else names.setdefault(a, b) == b
            for a, b in zip(one[1], other[1], strict=True)
        ):
            return True
    return False


def _named(body, own):
    """A body with its literals in order, and its new variables named in the order of their use."""
    options = []
    for order in itertools.permutations(body):
        names = {name: name for name in own}
        renamed = []
        for predicate, variables in order:
            for name in variables:
                names.setdefault(name, 'ABCDEFGHIJKLMNOP'[len(names)])
            renamed.append((predicate, tuple(names[name] for name in variables)))
        options.append(tuple(renamed))
    return min(options)
