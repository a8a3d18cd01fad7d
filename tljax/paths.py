"""Parameters by the name of their path: label them, graft them from a donor, select them.

A path joins a parameter's keys with slashes, 'backbone/conv1/kernel'. A rule is a pair (regex,
value); the first rule whose regex matches the whole path wins. Coverage is enforced: a parameter
that no rule matches and a rule that matches nothing are errors, since both are how a frozen layer
ends up trained.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from tljax.core import Tree, UserError, abbreviated


def flatten(tree: Tree) -> dict[str, Any]:
    """Leaves of `tree` by path, in the tree's own order.

    Args:
        tree: a pytree, whose leaves may be of any type.

    >>> flatten({'head': {'bias': 1, 'kernel': 2}})
    {'head/bias': 1, 'head/kernel': 2}
    """
    return {
        jax.tree_util.keystr(path, simple=True, separator='/'): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def map_paths(function: Callable[[str, Tree], Tree], tree: Tree) -> Tree:
    """`tree` with every leaf replaced by `function(path, leaf)`.

    Args:
        function: (path, leaf) -> the new leaf.
        tree: a pytree, whose leaves may be of any type.

    >>> map_paths(lambda path, leaf: path.upper(), {'head': {'bias': 1}})
    {'head': {'bias': 'HEAD/BIAS'}}
    """
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: function(jax.tree_util.keystr(path, simple=True, separator='/'), leaf),
        tree,
    )


def refuse_rules(rules: Sequence[Sequence[str | None]], what: str) -> None:
    """Refuses rules that are no pairs of a pattern and a text.

    Args:
        rules: pairs (regex, text or None).
        what: key of the config, for errors.

    Raises:
        UserError: names the first such rule.

    >>> refuse_rules([('head/(', None)], 'init.rules')
    Traceback (most recent call last):
    tljax.core.UserError: init.rules: 'head/(' is no pattern (missing ), unterminated subpattern ...
    """
    for rule in rules if isinstance(rules, list | tuple) else [rules]:
        if (
            not isinstance(rule, list | tuple)
            or len(rule) != 2
            or not isinstance(rule[0], str)
            or not isinstance(rule[1], str | None)
        ):
            raise UserError(
                f'{what}: {rule!r} is no pair of a pattern and a text or None: write '
                '"((\'backbone/.*\', None),)"'
            )
        try:
            re.compile(rule[0])
        except re.error as error:
            raise UserError(f'{what}: {rule[0]!r} is no pattern ({error}): mend it') from None


def first(rules: Sequence[tuple[str, str]], path: str) -> str:
    """The value of the first rule that matches the whole path, its group references filled in; ''
    where none does.

    Args:
        rules: pairs (regex, value); the value may refer to groups of the regex.
        path: of a parameter.

    >>> first([('head/.*', 'fast'), (r'(\\w+)/.*', r'\\1')], 'backbone/conv1/kernel')
    'backbone'
    """
    return next(
        (match.expand(value) for pattern, value in rules if (match := re.fullmatch(pattern, path))),
        '',
    )


def label(params: Tree, rules: Sequence[tuple[str, str]]) -> Tree:
    """Labels every parameter by the first rule whose regex matches its whole path.

    Args:
        params: a tree of parameters (arrays or shapes).
        rules: pairs (regex, label); the label may refer to groups of the regex, as in
            `(r'(\\w+)/.*', r'\\1')`.

    Returns:
        A tree of strings of the same structure.

    Raises:
        UserError: names every parameter that no rule matches, and every rule that labels nothing.

    >>> label(
    ...     {'backbone': {'w': 0}, 'head': {'w': 0}},
    ...     [('backbone/.*', 'frozen'), (r'(\\w+)/.*', r'\\1')],
    ... )
    {'backbone': {'w': 'frozen'}, 'head': {'w': 'head'}}
    """
    _refuse_bad(rules)
    labels = map_paths(lambda path, _: first(rules, path), params)
    unmatched = [path for path, value in flatten(labels).items() if not value]
    if unmatched:
        raise UserError(
            f'no rule matches the parameter{"s" * (len(unmatched) > 1)} {abbreviated(unmatched)}; '
            f'rules: {", ".join(pattern for pattern, _ in rules)}; end the rules with one for the '
            'rest, such as ".*"'
        )
    _refuse_idle(rules, params)
    return labels


def select(tree: Tree, pattern: str) -> dict[str, Any]:
    """The leaves whose whole path matches `pattern`, by path.

    Args:
        tree: a pytree, whose leaves may be of any type.
        pattern: regex over whole paths.

    >>> select({'backbone': {'w': 1, 'b': 2}, 'head': {'w': 3}}, '.*/w')
    {'backbone/w': 1, 'head/w': 3}
    """
    return {path: leaf for path, leaf in flatten(tree).items() if re.fullmatch(pattern, path)}


def graft(
    params: Tree,
    donor: Tree,
    rules: Sequence[Sequence[str | None]] = (('backbone/.*', None),),
    strict: bool = True,
) -> tuple[Tree, tuple[str, ...]]:
    """Copies leaves of a donor into freshly initialised parameters: parameter transfer.

    Args:
        params: the receiving tree.
        donor: the giving tree; leaves that no rule asks for are ignored.
        rules: pairs (regex over the receiver's paths, donor path); the donor path may refer to
            groups of the regex, and None means the same path.
        strict: whether a rule that matches nothing is an error; statistics, which not every layer
            has, are grafted without.

    Returns:
        (params, fresh): the grafted tree and the paths that stayed as they were, by name.

    Raises:
        UserError: lists every leaf that the donor lacks, every shape that differs, and every idle
            rule, before anything is copied.

    >>> import numpy as np
    >>> new = {'backbone': {'w': np.zeros(2)}, 'head': {'w': np.zeros(3)}}
    >>> graft(new, {'backbone': {'w': np.ones(2)}, 'head': {'w': np.ones(9)}})
    ({'backbone': {'w': array([1., 1.])}, 'head': {'w': array([0., 0., 0.])}}, ('head/w',))
    """
    _refuse_bad(rules)
    gifts, fresh = flatten(donor), flatten(params)
    named = [
        (str(pattern), r'\g<0>' if replacement is None else replacement)
        for pattern, replacement in rules
    ]
    wanted = {path: name for path in fresh if (name := first(named, path))}
    missing = [name for name in wanted.values() if name not in gifts]
    shapes = [
        f'{path} {tuple(fresh[path].shape)} <- {tuple(gifts[name].shape)}'
        for path, name in wanted.items()
        if name in gifts and gifts[name].shape != fresh[path].shape
    ]
    if missing or shapes:
        spare = sorted(set(gifts) - set(wanted.values()))
        raise UserError(
            'the donor does not fit: '
            + '; '.join(
                [f'it lacks {abbreviated(missing)}'] * bool(missing)
                + [f'shapes differ at {abbreviated(shapes)}'] * bool(shapes)
                + [f'it has, unasked for, {abbreviated(spare)}'] * bool(missing)
            )
            + "; give graft rules that name the donor's own paths, or a donor of the "
            'same network'
        )
    if strict:
        _refuse_idle(named, params)
    grafted = map_paths(lambda path, leaf: gifts[wanted[path]] if path in wanted else leaf, params)
    return grafted, tuple(path for path in fresh if path not in wanted)


class Group(NamedTuple):
    """Parameters that have one origin and one fate.

    Attributes:
        name: player, 'head', and for a part of a network its groups, 'backbone: conv1 to block2'.
        numbers: how many numbers they hold.
        donor: where they come from, or 'fresh'.
        rate: learning rate at its peak; None if they are frozen.

    >>> Group('head', 30, 'fresh', 0.001).rate
    0.001
    """

    name: str
    numbers: int
    donor: str
    rate: float | None


def overview(
    shapes: Tree,
    labels: Tree,
    rates: dict[str, float],
    taken: Sequence[tuple[str, str]],
    groups: dict[str, str],
) -> list[Group]:
    """What is transferred: every group of parameters, where it comes from, and how fast it moves.

    Args:
        shapes: tree of parameters (arrays or shapes).
        labels: tree of labels like the parameters (`label`).
        rates: {label: learning rate}.
        taken: pairs (regex over whole paths, donor); what none matches is fresh.
        groups: {name: regex over the backbone's own paths}, shallow to deep.

    Returns:
        Groups in the order of the parameters' players, the backbone's from shallow to deep.

    >>> import numpy as np
    >>> shapes = {'backbone': {'a': np.zeros(4), 'b': np.zeros(2)}, 'head': np.zeros(3)}
    >>> labels = {'backbone': {'a': 'frozen', 'b': 'backbone'}, 'head': 'head'}
    >>> for each in overview(
    ...     shapes,
    ...     labels,
    ...     {'backbone': 0.1, 'head': 0.5},
    ...     [('backbone/.*', 'runs/a')],
    ...     {'one': 'a', 'two': 'b'},
    ... ):
    ...     print(*each)
    backbone: one 4 runs/a None
    backbone: two 2 runs/a 0.1
    head 3 fresh 0.5
    """
    depth = {name: i for i, name in enumerate(groups)}
    inner = [(f'backbone/(?:{pattern})', name) for name, pattern in groups.items()]
    members = {}

    def giver(path):
        return next((donor for pattern, donor in taken if re.fullmatch(pattern, path)), 'fresh')

    for path, leaf in flatten(shapes).items():
        player, group = path.partition('/')[0], first(inner, path)
        members.setdefault(player, []).append(
            (depth.get(group, 0), group, flatten(labels)[path], giver(path), leaf.size)
        )
    found = []
    for player, leaves in members.items():
        kinds = {}
        for _, group, label, donor, size in sorted(leaves, key=lambda leaf: leaf[0]):
            kinds.setdefault((label, donor), []).append((group, size))
        for (label, donor), parts in kinds.items():
            names = list(dict.fromkeys(group for group, _ in parts if group))
            span = (
                f': {names[0]}' + (f' to {names[-1]}' if len(names) > 1 else '')
                if len(kinds) > 1 and names
                else ''
            )
            found.append(
                Group(player + span, sum(size for _, size in parts), donor, rates.get(label))
            )
    return found


def _refuse_bad(rules):
    for pattern, _ in rules:
        try:
            re.compile(pattern)
        except re.error as error:
            raise UserError(
                f'the rule {pattern!r} is no regular expression ({error}): mend it'
            ) from error


def _refuse_idle(rules, params):
    """A rule is idle when every path it matches was taken by an earlier one, or when it matches
    none."""
    took = {
        next((i for i, (pattern, _) in enumerate(rules) if re.fullmatch(pattern, path)), None)
        for path in flatten(params)
    }
    idle = [repr(pattern) for i, (pattern, _) in enumerate(rules) if i not in took]
    if idle:
        raise UserError(
            f'the rule {", ".join(idle)} matches no parameter, or only what an earlier rule took; '
            f'paths are {abbreviated(flatten(params))}'
        )
