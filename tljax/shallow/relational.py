"""Relational models, and the transfer of one by a map of its predicates: after Mihalkova, Huynh and
Mooney, Mapping and revising Markov logic networks for transfer learning, 2007 (TAMAR).

A model of a predicate gives every row of constants the probability

    P(fact) = sigmoid(bias + sum_c w_c f_c),

where f_c is the value of clause c for the row (`clauses`), so that a model is a logistic regression
given all other facts. Its fit maximises the pseudo-log-likelihood of the predicate: the sum of
log P over all rows, facts or not. Of the rows that are no facts, which are 400 times as many, a
sample is drawn, and weighs as much as all of them.

A map gives predicates of a source those of a target, with the same number of arguments in the same
order, so that types correspond, one to one. Its score is the sum, over the source's clauses, of how
much the mapped clause explains of its head in the target. The search is exhaustive. Unlike TAMAR,
one map holds for all clauses, and mapped clauses are not revised.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tljax.core import UserError
from tljax.shallow.clauses import Clause, Table, Types, candidates

STEPS = 30  # of Newton's method


class RelationalModel(NamedTuple):
    """A model of a predicate.

    Attributes:
        clauses: that conclude it.
        weights: one for each clause.
        bias: log odds of a row for which no body holds.

    >>> model = RelationalModel((), np.zeros(0), -1.0)
    >>> float(model.logits(Table({}, {}), np.zeros((1, 2), int))[0])
    -1.0
    """

    clauses: tuple[Clause, ...]
    weights: np.ndarray
    bias: float

    def logits(self, table: Table, rows: np.ndarray) -> np.ndarray:
        """Returns the log odds of rows, (n,).

        Args:
            table: facts of the other predicates.
            rows: rows of the predicate, (n, arguments), as numbers of the table.
        """
        return self.bias + _values(table, self.clauses, rows) @ self.weights


class Examples(NamedTuple):
    """Rows of a predicate that a model is fitted to.

    Attributes:
        rows: all facts and some of the other rows, (n, arguments).
        label: whether each is a fact, (n,).
        weight: number of rows that each stands for, (n,).

    >>> table = Table({'p': [('a',)], 'q': [('b',), ('c',)]}, {'p': ('t',), 'q': ('t',)})
    >>> examples_of(table, 'p', negatives=1).weight.tolist()
    [1.0, 2.0]
    """

    rows: np.ndarray
    label: np.ndarray
    weight: np.ndarray


def examples_of(table: Table, predicate: str, negatives: int = 20, seed: int = 0) -> Examples:
    """Draws the rows that a model of a predicate is fitted to.

    Args:
        table: the facts.
        predicate: the predicate.
        negatives: rows that are no facts, for each fact; 0 for all of them.
        seed: of the draw.

    Raises:
        UserError: the predicate has no facts, or every row is one.
    """
    facts = table.facts[predicate]
    if not len(facts):
        raise UserError(f'{predicate} has no facts here: there is nothing to learn about it')
    rows = all_rows(table, predicate)
    is_fact = np.isin(_codes(table, rows), _codes(table, facts))
    others = rows[~is_fact]
    if not len(others):
        raise UserError(f'{predicate} holds for all rows of its types: there is nothing to learn')
    count = min(len(others), negatives * len(facts) or len(others))
    drawn = others[np.random.default_rng(seed).permutation(len(others))[:count]]
    return Examples(
        np.concatenate([rows[is_fact], drawn]),
        np.arange(is_fact.sum() + count) < is_fact.sum(),
        np.repeat([1.0, len(others) / count], [is_fact.sum(), count]),
    )


def all_rows(table: Table, predicate: str) -> np.ndarray:
    """Returns all rows of constants that a predicate may have, (n, arguments).

    Args:
        table: the facts.
        predicate: the predicate.

    >>> all_rows(Table({'p': [('a', 'b')]}, {'p': ('t', 't')}), 'p').tolist()
    [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    columns = [table.constants(kind) for kind in table.types[predicate]]
    return np.stack(np.meshgrid(*columns, indexing='ij'), -1).reshape(-1, len(columns))


def fit_clauses(
    table: Table, clauses: Sequence[Clause], examples: Examples, penalty: float = 1.0
) -> RelationalModel:
    """Fits the weights of clauses: maximises the pseudo-log-likelihood - penalty |w|^2 / 2.

    Args:
        table: the facts.
        clauses: that conclude one predicate; there may be none.
        examples: rows of this predicate.
        penalty: a positive number.

    Raises:
        UserError: the penalty is not positive.

    >>> facts = {'p': [('a',)], 'q': [('a',), ('b',)], 'r': [('a',)]}
    >>> table = Table(facts, dict.fromkeys(facts, ('t',)))
    >>> clause = Clause(('p', ('A',)), (('r', ('A',)),))
    >>> model = fit_clauses(table, [clause], examples_of(table, 'p'), penalty=0.1)
    >>> bool(model.weights[0] > 1), model.bias < 0
    (True, True)
    """
    if not 0 < penalty < np.inf:
        raise UserError(f'penalty={penalty}: give a positive number')
    values = _values(table, clauses, examples.rows)
    weights, bias, _ = _logistic(values, examples, penalty)
    return RelationalModel(tuple(clauses), weights, float(bias))


def learn_clauses(
    table: Table,
    predicate: str,
    examples: Examples,
    most: int = 6,
    penalty: float = 1.0,
    length: int = 3,
    start: Sequence[Clause] = (),
) -> RelationalModel:
    """Learns a model: adds the clause that promises the largest rise, as long as it pays.

    A clause must raise the penalised pseudo-log-likelihood by more than log(n) / 2, where n is the
    number of rows (Schwarz 1978).

    Args:
        table: the facts.
        predicate: the predicate that is modelled. No body has it.
        examples: its rows.
        most: largest number of clauses that are added.
        penalty: as in `fit_clauses`.
        length: of the clauses, 2 or 3 literals.
        start: clauses that the model has from the start, such as mapped ones; their weights are
            fitted with the others'.

    Raises:
        UserError: as `fit_clauses`.
    """
    new = candidates(predicate, table.types, [predicate], length)
    found = [*start, *(clause for clause in new if clause not in start)]
    values = _values(table, found, examples.rows)
    used = np.flatnonzero(values.std(0) > 0)
    price = np.log(examples.weight.sum()) / 2
    chosen = list(range(len(start)))
    weights, bias, best = _logistic(values[:, chosen], examples, penalty)
    while len(chosen) < len(start) + most and np.setdiff1d(used, chosen).size:
        logit = bias + values[:, chosen] @ weights
        promise = _promise(values[:, used], logit, examples, penalty)
        promise[np.isin(used, chosen)] = -np.inf
        trial = [*chosen, int(used[promise.argmax()])]
        new_weights, new_bias, height = _logistic(values[:, trial], examples, penalty)
        if height - best <= price:
            break
        chosen, weights, bias, best = trial, new_weights, new_bias, height
    return RelationalModel(tuple(found[i] for i in chosen), weights, float(bias))


def map_predicates(
    models: Mapping[str, RelationalModel],
    source_types: Types,
    table: Table,
    penalty: float = 1.0,
    seed: int = 0,
) -> tuple[dict[str, str], float, dict[str, float]]:
    """Finds the map of a source's predicates with the largest score, by exhaustive search.

    A mapped clause, alone and with a weight of the sign that it has in the source, raises the
    pseudo-log-likelihood of its head in the target by a gain. The gain counts as a share of that
    likelihood at the base rate, so that every predicate weighs alike, however many rows it has.

    Args:
        models: {predicate of the source: its model}.
        source_types: types of the source's predicates.
        table: facts of the target.
        penalty: as in `fit_clauses`.
        seed: of the rows that are no facts.

    Returns:
        ({predicate of the source: predicate of the target}, score, {clause as text: what it adds}).
        A predicate that helps nothing is not in the map.

    >>> facts = {'boss': [('a', 'b'), ('c', 'b')], 'chief': [('b',)], 'clerk': [('a',), ('c',)]}
    >>> types = {'boss': ('t', 't'), 'chief': ('t',), 'clerk': ('t',)}
    >>> source = {'led': ('u', 'u'), 'head': ('u',)}
    >>> clause = Clause(('head', ('A',)), (('led', ('B', 'A')),))
    >>> model = RelationalModel((clause,), np.ones(1), 0.0)
    >>> map_predicates({'head': model}, source, Table(facts, types))[0]
    {'head': 'chief', 'led': 'boss'}
    """
    weighted = [
        (clause, float(weight))
        for model in models.values()
        for clause, weight in zip(model.clauses, model.weights, strict=True)
    ]
    order = list(dict.fromkeys(name for clause, _ in weighted for name in clause.predicates))
    examples, gains = {}, {}

    def gain(clause, weight, map_of):
        key = clause, weight > 0, tuple(map_of[name] for name in clause.predicates)
        if key not in gains:
            mapped = mapped_clause(clause, map_of)
            head = mapped.head[0]
            if not len(table.facts[head]):
                return 0.0
            if head not in examples:
                examples[head] = examples_of(table, head, seed=seed)
            gains[key] = _signed_gain(table, mapped, weight > 0, examples[head], penalty)
        return gains[key]

    best: tuple[float, dict[str, str]] = (0.0, {})

    def search(position, map_of, kind_of, score):
        nonlocal best
        if position == len(order):
            if score > best[0] + 1e-12:
                best = score, dict(map_of)
            return
        name = order[position]
        ready = [
            each
            for each in weighted
            if name in each[0].predicates and {*each[0].predicates} <= {*order[: position + 1]}
        ]
        for other, kinds in table.types.items():
            extended = _extended(kind_of, source_types[name], kinds)
            if other in map_of.values() or extended is None:
                continue
            longer = {**map_of, name: other}
            added = sum(
                gain(clause, weight, longer)
                for clause, weight in ready
                if {*clause.predicates} <= {*longer}
            )
            search(position + 1, longer, extended, score + added)
        search(position + 1, map_of, kind_of, score)

    search(0, {}, {}, 0.0)
    score, found = best
    parts = {
        str(mapped_clause(clause, found)): gain(clause, weight, found)
        for clause, weight in weighted
        if {*clause.predicates} <= {*found}
    }
    helps = {
        name
        for clause, weight in weighted
        if {*clause.predicates} <= {*found} and gain(clause, weight, found) > 0
        for name in clause.predicates
    }
    return {name: other for name, other in found.items() if name in helps}, score, parts


def mapped_clause(clause: Clause, map_of: Mapping[str, str]) -> Clause:
    """Returns a clause with the predicates that a map gives.

    Args:
        clause: the clause.
        map_of: {predicate: another one} for all its predicates.

    >>> str(mapped_clause(Clause(('p', ('A',)), (('q', ('A',)),)), {'p': 'r', 'q': 's'}))
    'r(A) :- s(A)'
    """
    head, *body = ((map_of[name], variables) for name, variables in (clause.head, *clause.body))
    return Clause(head, tuple(body))


def _extended(kind_of, kinds, others):
    """The map of types with those of one more predicate; None if they do not correspond."""
    if len(kinds) != len(others):
        return None
    extended = dict(kind_of)
    for kind, other in zip(kinds, others, strict=True):
        if extended.setdefault(kind, other) != other:
            return None
    return extended if len(set(extended.values())) == len(extended) else None


def _values(table, clauses, rows):
    """Values of all clauses, (n, clauses)."""
    return (
        np.stack([table.values(each, rows) for each in clauses], 1)
        if clauses
        else np.zeros((len(rows), 0))
    )


def _codes(table, rows):
    """One number for each row."""
    codes = np.zeros(len(rows), np.int64)
    for column in rows.T:
        codes = codes * len(table.numbers) + column
    return codes


def _signed_gain(table, clause, is_positive, examples, penalty):
    """The share of the base rate's pseudo-log-likelihood that a clause explains; 0 for a weight of
    the other sign."""
    values = table.values(clause, examples.rows)[:, None]
    if not values.std():
        return 0.0
    weights, _, height = _logistic(values, examples, penalty)
    base = _logistic(values[:, :0], examples, penalty)[2]
    right_sign = (weights[0] > 0) == is_positive
    return float((height - base) / -base) if right_sign and height > base else 0.0


def _promise(values, logit, examples, penalty):
    """The rise that a Newton step along each column promises, with the bias free: (columns,)."""
    probability = 1 / (1 + np.exp(-logit))
    slope = examples.weight * (examples.label - probability)
    curvature = examples.weight * probability * (1 - probability)
    centred = values - curvature @ values / curvature.sum()
    return (slope @ centred) ** 2 / (curvature @ centred**2 + penalty) / 2


def _logistic(values, examples, penalty):
    """Weights and bias of penalised logistic regression by damped Newton steps, and the penalised
    pseudo-log-likelihood."""
    x = np.column_stack([values, np.ones(len(values))])
    label, weight = examples.label, examples.weight
    ridge = np.append(np.full(values.shape[1], penalty), 1e-9)
    share = weight @ label / weight.sum()
    w = np.append(np.zeros(values.shape[1]), np.log(share / (1 - share)))

    def height_at(w):
        logit = x @ w
        return weight @ (label * logit - np.logaddexp(0, logit)) - ridge @ w**2 / 2

    height = height_at(w)
    for _ in range(STEPS):
        probability = 1 / (1 + np.exp(-(x @ w)))
        slope = x.T @ (weight * (label - probability)) - ridge * w
        curvature = (x.T * (weight * probability * (1 - probability))) @ x + np.diag(ridge)
        step = np.linalg.solve(curvature, slope)
        while (new_height := height_at(w + step)) < height and np.abs(step).max() > 1e-10:
            step = step / 2
        if new_height - height < 1e-9 * abs(height):
            break
        w, height = w + step, new_height
    return w[:-1], w[-1], float(height)
