"""Relational facts that are made, for trials without a download."""

from collections.abc import Sequence

import numpy as np

from tljax.core import UserError
from tljax.data.atoms import Atoms, of_facts
from tljax.data.purposes import Purpose

NAMES = ('offices',)
PREDICATES = ('chief', 'clerk', 'boss', 'signed', 'room')


def offices(
    count: int = 12, clerks: int = 3, seed: int = 0, predicates: Sequence[str] = PREDICATES
) -> Atoms:
    """Makes offices: a chief, some clerks, papers that a clerk and the boss have both signed.

    Args:
        count: number of offices.
        clerks: of an office.
        seed: of the papers.
        predicates: names of chief(person), clerk(person), boss(clerk, chief), signed(paper, person)
            and room(person, room). Two domains with other names tell the same story.

    Raises:
        UserError: other than five names, or no office or clerk.

    >>> facts = offices(count=2, clerks=1).facts
    >>> sorted(facts['boss'])
    [('clerk0.0', 'chief0'), ('clerk1.0', 'chief1')]
    """
    if len(predicates) != len(PREDICATES) or count < 1 or clerks < 1:
        raise UserError(
            f'count={count}, clerks={clerks}, predicates={predicates}: give one office and clerk '
            f'or more, and {len(PREDICATES)} names'
        )
    chief, clerk, boss, signed, room = predicates
    facts: dict[str, set[tuple[str, ...]]] = {name: set() for name in predicates}
    rng = np.random.default_rng([Purpose.MADE_ATOMS, seed])
    for office in range(count):
        facts[chief].add((f'chief{office}',))
        facts[room].add((f'chief{office}', f'room{rng.integers(3)}'))
        for number in range(clerks):
            name, paper = f'clerk{office}.{number}', f'paper{office}.{number}'
            facts[clerk].add((name,))
            facts[boss].add((name, f'chief{office}'))
            facts[room].add((name, f'room{rng.integers(3)}'))
            facts[signed].add((paper, name))
            # one paper in ten is signed by another chief
            signer = office if rng.random() < 0.9 else rng.integers(count)
            facts[signed].add((paper, f'chief{signer}'))
    return of_facts(facts)
