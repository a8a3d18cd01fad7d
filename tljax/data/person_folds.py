"""Folds of relational facts: disjoint sets of persons, with the facts about each."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tljax.core import UserError, nearest_name
from tljax.data.atoms import Atoms, of_facts
from tljax.data.purposes import Purpose


def person_folds(
    atoms: Atoms, person: str, folds: int = 5, seed: int = 0, together: Sequence[str] = ()
) -> list[Atoms]:
    """Cuts facts into folds of disjoint persons.

    A fold keeps the facts all of whose persons lie in it. Facts without persons are kept in every
    fold; facts whose persons lie in several folds are dropped and counted in `Atoms.dropped` of
    each fold.

    Args:
        atoms: the facts.
        person: an argument of that type, such as 'advisedby.1'.
        folds: number of folds.
        seed: of the cut.
        together: predicates whose persons stay together, directly or by others; otherwise a cut
            into five parts drops four in five facts of two persons.

    Returns:
        The folds, with about as many persons each.

    Raises:
        UserError: fewer than two folds, fewer groups of persons than folds, and unknown predicates.

    >>> from tljax.data.atoms import of_facts
    >>> atoms = of_facts({'knows': [('a', 'b'), ('c', 'd'), ('b', 'a'), ('e', 'a')]})
    >>> folds = person_folds(atoms, 'knows.1', folds=2, together=['knows'])
    >>> [fold.constants('knows.1') for fold in folds]
    [['a', 'b', 'e'], ['c', 'd']]
    """
    kind = atoms.type_of(person)
    persons = atoms.constants(kind)
    if folds < 2:
        raise UserError(f'folds={folds}: give two or more')
    groups = _groups(atoms, kind, persons, together)
    count = groups.max() + 1 if len(groups) else 0
    if count < folds:
        raise UserError(
            f'folds={folds} of {count} groups of persons: give fewer folds, or keep fewer persons '
            'together'
        )
    fold_of = dict(zip(persons, _balanced(groups, folds, seed), strict=True))
    kept: list[dict[str, set[tuple[str, ...]]]] = [
        {predicate: set() for predicate in atoms.facts} for _ in range(folds)
    ]
    dropped: Counter[str] = Counter()
    for predicate, rows in atoms.facts.items():
        places = [i for i, name in enumerate(atoms.types[predicate]) if name == kind]
        for row in rows:
            homes = {fold_of[row[i]] for i in places} or set(range(folds))
            if places and len(homes) > 1:
                dropped[predicate] += 1
                continue
            for home in homes:
                kept[home][predicate].add(row)
    return [of_facts(facts, atoms.types)._replace(dropped=dict(dropped)) for facts in kept]


def _groups(atoms, kind, persons, together):
    """The number of the group of each person; persons of a group share a fold."""
    number = {name: i for i, name in enumerate(persons)}
    pairs = []
    for predicate in together:
        if predicate not in atoms.types:
            raise UserError(f'together={predicate!r}: {nearest_name(predicate, atoms.types)}')
        places = [i for i, name in enumerate(atoms.types[predicate]) if name == kind]
        for row in atoms.facts[predicate]:
            pairs += [(number[row[places[0]]], number[row[i]]) for i in places[1:]]
    first, second = np.array(pairs, int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(pairs)), (first, second)), (len(persons), len(persons)))
    return connected_components(graph, directed=False)[1]


def _balanced(groups, folds, seed):
    """A fold for each person: groups in random order, large ones first, to the smallest fold."""
    sizes = np.bincount(groups)
    order = np.random.default_rng([Purpose.FOLDS, seed]).permutation(len(sizes))
    loads, fold_of_group = np.zeros(folds, int), np.zeros(len(sizes), int)
    for group in order[np.argsort(-sizes[order], kind='stable')]:
        fold_of_group[group] = loads.argmin()
        loads[fold_of_group[group]] += sizes[group]
    return fold_of_group[groups]
