"""Values of clauses against loops over all constants, fits against scikit-learn, and maps that are
known."""

import itertools

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tljax.core import UserError
from tljax.shallow.clauses import Clause, Table, candidates
from tljax.shallow.relational import (
    RelationalModel,
    all_rows,
    examples_of,
    fit_clauses,
    learn_clauses,
    map_predicates,
)

TYPES = {'boss': ('p', 'p'), 'chief': ('p',), 'wrote': ('d', 'p'), 'in': ('p', 'r', 'd')}


@pytest.fixture(scope='module')
def facts():
    rng = np.random.default_rng(0)
    people, papers, rooms = (
        [f'{kind}{i}' for i in range(count)] for kind, count in (('p', 6), ('d', 4), ('r', 2))
    )
    choose = {'p': people, 'd': papers, 'r': rooms}
    return {
        name: {tuple(rng.choice(choose[kind]) for kind in kinds) for _ in range(9)}
        for name, kinds in TYPES.items()
    }


def count_by_hand(clause, facts, row):
    """The number of values of the other variables for which the body holds."""
    known = dict(zip(clause.head[1], row, strict=True))
    kind_of = {
        name: kind
        for predicate, names in clause.body
        for name, kind in zip(names, TYPES[predicate], strict=True)
    }
    free = [name for name in kind_of if name not in known]
    constants = [
        sorted(
            {
                each[i]
                for predicate, kinds in TYPES.items()
                for i, kind in enumerate(kinds)
                if kind == kind_of[name]
                for each in facts[predicate]
            }
        )
        for name in free
    ]
    return sum(
        all(
            tuple({**known, **dict(zip(free, values, strict=True))}[name] for name in names)
            in facts[predicate]
            for predicate, names in clause.body
        )
        for values in itertools.product(*constants)
    )


def test_values_are_those_of_loops(facts):
    table = Table(facts, TYPES)
    names = {number: name for name, number in table.numbers.items()}
    rows = all_rows(table, 'boss')
    every = candidates('boss', TYPES, ['boss'])
    assert len(every) == len(set(every)) > 20
    for clause in every:
        values = table.values(clause, rows)
        for row, value in list(zip(rows, values, strict=True))[::7]:
            count = count_by_hand(clause, facts, [names[number] for number in row])
            assert value == pytest.approx(np.log1p(count)), clause


def test_candidates_of_two_literals_by_hand():
    types = {'p': ('t',), 'q': ('t', 'u')}
    texts = {str(clause) for clause in candidates('p', types, ['p'], length=3, fresh=2)}
    # neither q(A, B), q(A, C) nor q(A, B), q(C, B) says more than q(A, B)
    assert texts == {'p(A) :- q(A, B)'}
    texts = {str(clause) for clause in candidates('r', {'r': ('t', 't'), **types}, 'r', fresh=1)}
    assert texts >= {'r(A, B) :- q(A, C), q(B, C)', 'r(A, B) :- p(A), p(B)', 'r(A, B) :- q(B, C)'}
    assert not any('q(C' in text for text in texts)  # C is no t


def test_a_fit_is_that_of_scikit_learn_with_sampled_rows_reweighted(facts):
    table = Table(facts, TYPES)
    clauses = candidates('boss', TYPES, ['boss'], length=2)[:3]
    examples = examples_of(table, 'boss', negatives=2, seed=3)
    count = len(facts['boss'])
    assert examples.label.sum() == count and len(examples.rows) == 3 * count
    total = len(table.constants('p')) ** 2
    assert examples.weight.sum() == pytest.approx(total)
    known = {tuple(row) for row in table.facts['boss'].tolist()}
    assert [tuple(row) in known for row in examples.rows.tolist()] == examples.label.tolist()
    model = fit_clauses(table, clauses, examples, penalty=0.5)
    values = np.stack([table.values(each, examples.rows) for each in clauses], 1)
    theirs = LogisticRegression(C=2.0, tol=1e-10, max_iter=1000)
    theirs.fit(values, examples.label, sample_weight=examples.weight)
    np.testing.assert_allclose(model.weights, theirs.coef_[0], atol=1e-4)
    assert model.bias == pytest.approx(theirs.intercept_[0], abs=1e-4)
    np.testing.assert_allclose(
        model.logits(table, examples.rows), theirs.decision_function(values), atol=1e-3
    )


def story(names, seed, count=12):
    """Facts in which a chief is who a clerk works for and signs papers with."""
    chief, clerk, boss, signed = names
    rng = np.random.default_rng(seed)
    facts = {name: set() for name in names}
    for i in range(count):
        facts[chief].add((f'c{i}',))
        for j in range(3):
            facts[clerk].add((f'k{i}{j}',))
            facts[boss].add((f'k{i}{j}', f'c{i}'))
            facts[signed] |= {(f's{i}{j}', f'k{i}{j}'), (f's{i}{j}', f'c{i}')}
            if rng.random() < 0.3:
                facts[signed].add((f's{i}{j}', f'k{(i + 1) % count}{j}'))
    types = {chief: ('p',), clerk: ('p',), boss: ('p', 'p'), signed: ('s', 'p')}
    return facts, types


def test_a_map_of_the_same_story_is_found_whatever_the_order_of_predicates():
    facts, types = story(('chief', 'clerk', 'boss', 'signed'), seed=0)
    table = Table(facts, types)
    models = {name: learn_clauses(table, name, examples_of(table, name)) for name in facts}
    assert any('signed' in str(clause) for clause in models['boss'].clauses)
    names = ('professor', 'student', 'advisedby', 'wrote')
    other, kinds = story(names, seed=1)
    other |= {'likes': {('c1', 'k20'), ('k10', 'c2')}, 'unused': set()}
    kinds |= {'likes': ('p', 'p'), 'unused': ('p',)}
    for order in (sorted(kinds), sorted(kinds, reverse=True)):
        shuffled = Table({name: other[name] for name in order}, {k: kinds[k] for k in order})
        found, score, parts = map_predicates(models, types, shuffled)
        assert found == dict(zip(('chief', 'clerk', 'boss', 'signed'), names, strict=True))
        assert score == pytest.approx(sum(parts.values())) and score > 0


def test_types_correspond_one_to_one():
    clause = Clause(('led', ('A', 'B')), (('head', ('B',)),))
    models = {'led': RelationalModel((clause,), np.ones(1), 0.0)}
    # in the target the only predicate of one argument is about the other type
    facts = {'made': {('a', 'x'), ('b', 'y')}, 'old': {('a',), ('b',), ('c',)}}
    types = {'made': ('p', 'thing'), 'old': ('p',)}
    found, score, _ = map_predicates(
        models, {'led': ('q', 'q'), 'head': ('q',)}, Table(facts, types)
    )
    assert found == {} and score == 0


def test_predicates_without_facts():
    types = {'boss': ('p', 'p'), 'chief': ('p',)}
    table = Table({'boss': set(), 'chief': {('a',), ('b',)}}, types)
    clause = Clause(('chief', ('A',)), (('boss', ('B', 'A')),))
    assert table.values(clause, table.facts['chief']).tolist() == [0, 0]
    with pytest.raises(UserError, match='boss has no facts here: there is nothing to learn'):
        examples_of(table, 'boss')
    with pytest.raises(UserError, match='chief holds for all rows of its types'):
        examples_of(table, 'chief')
    with pytest.raises(UserError, match='penalty=0: give a positive number'):
        fit_clauses(
            table,
            [],
            examples_of(Table({'q': [('a',)], 'r': [('b',)]}, {'q': ('t',), 'r': ('t',)}), 'q'),
            0,
        )
