"""Parameters by their paths: label them, select them, copy them from a donor.

A path joins a parameter's keys with slashes, 'backbone/conv1/kernel'. A rule is a pair (regex,
value). The first rule whose regex matches the whole path wins. Rules must cover all parameters: a
parameter without a rule and a rule without a parameter are errors, because either can leave a layer
trained that should be frozen.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from tljax.core import Tree, UserError, abbreviated


def flatten(tree: Tree) -> dict[str, Any]:
    """Returns the leaves of a tree by path, in the tree's order.

    Args:
        tree: a pytree with leaves of any type.

    >>> flatten({'head': {'bias': 1, 'kernel': 2}})
    {'head/bias': 1, 'head/kernel': 2}
    """
    return {
        jax.tree_util.keystr(path, simple=True, separator='/'): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def map_paths(function: Callable[[str, Tree], Tree], tree: Tree) -> Tree:
    """Returns a tree with every leaf replaced by `function(path, leaf)`.

    Args:
        function: (path, leaf) -> the new leaf.
        tree: a pytree with leaves of any type.

    >>> map_paths(lambda path, leaf: path.upper(), {'head': {'bias': 1}})
    {'head': {'bias': 'HEAD/BIAS'}}
    """
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: function(jax.tree_util.keystr(path, simple=True, separator='/'), leaf),
        tree,
    )


def refuse_rules(rules: Sequence[Sequence[str | None]], key: str) -> None:
    """Refuses rules that are not pairs of a regular expression and a text or None.

    Args:
        rules: pairs (regex, text or None).
        key: the config's key of the rules, for the error.

    Raises:
        UserError: names the first invalid rule.

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
                f'{key}: {rule!r} is no pair of a pattern and a text or None: write '
                '"((\'backbone/.*\', None),)"'
            )
        try:
            re.compile(rule[0])
        except re.error as error:
            raise UserError(f'{key}: {rule[0]!r} is no pattern ({error}): mend it') from None


def first(rules: Sequence[tuple[str, str]], path: str) -> str:
    """Returns the value of the first rule that matches a path; '' if none does.

    Args:
        rules: pairs (regex, value); the value may refer to groups of the regex.
        path: path of a parameter.

    >>> first([('head/.*', 'fast'), (r'(\\w+)/.*', r'\\1')], 'backbone/conv1/kernel')
    'backbone'
    """
    for pattern, value in rules:
        match = re.fullmatch(pattern, path)
        if match:
            return match.expand(value)
    return ''


def label(params: Tree, rules: Sequence[tuple[str, str]]) -> Tree:
    """Labels every parameter by the first rule that matches its path.

    Args:
        params: a tree of parameters (arrays or shapes).
        rules: pairs (regex, label); the label may refer to groups of the regex, as in
            `(r'(\\w+)/.*', r'\\1')`.

    Returns:
        A tree of strings of the same structure.

    Raises:
        UserError: names every parameter without a rule, and every rule that labels nothing.

    >>> label(
    ...     {'backbone': {'w': 0}, 'head': {'w': 0}},
    ...     [('backbone/.*', 'frozen'), (r'(\\w+)/.*', r'\\1')],
    ... )
    {'backbone': {'w': 'frozen'}, 'head': {'w': 'head'}}
    """
    _refuse_invalid(rules)
    labels = map_paths(lambda path, _: first(rules, path), params)
    unmatched = [path for path, value in flatten(labels).items() if not value]
    if unmatched:
        noun = 'parameter' if len(unmatched) == 1 else 'parameters'
        raise UserError(
            f'no rule matches the {noun} {abbreviated(unmatched)}; '
            f'rules: {", ".join(pattern for pattern, _ in rules)}; end the rules with one for the '
            'rest, such as ".*"'
        )
    _refuse_idle(rules, params)
    return labels


def select(tree: Tree, pattern: str) -> dict[str, Any]:
    """Returns the leaves whose whole path matches a pattern, by path.

    Args:
        tree: a pytree with leaves of any type.
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
    """Copies leaves of a donor into freshly initialised parameters (parameter transfer).

    A leaf with one more axis than the donor's, in front, takes the donor's for each of its entries:
    all columns of a network of several columns start from one donor.

    Args:
        params: the receiving tree.
        donor: the tree to copy from; leaves that no rule selects are ignored.
        rules: pairs (regex over the receiver's paths, donor path). The donor path may refer to
            groups of the regex; None means the same path.
        strict: whether a rule that matches nothing is an error. Statistics are grafted with False,
            because not every layer has them.

    Returns:
        (params, fresh): the grafted tree, and the paths of the parameters that were not replaced.

    Raises:
        UserError: lists every leaf that the donor lacks, every shape that differs, and every rule
            that matches nothing. Nothing is copied before these checks.

    >>> import numpy as np
    >>> new = {'backbone': {'w': np.zeros(2)}, 'head': {'w': np.zeros(3)}}
    >>> graft(new, {'backbone': {'w': np.ones(2)}, 'head': {'w': np.ones(9)}})
    ({'backbone': {'w': array([1., 1.])}, 'head': {'w': array([0., 0., 0.])}}, ('head/w',))
    """
    _refuse_invalid(rules)
    donor_leaves, leaves = flatten(donor), flatten(params)
    path_rules = [
        (str(pattern), r'\g<0>' if donor_path is None else donor_path)
        for pattern, donor_path in rules
    ]
    donor_paths = {path: first(path_rules, path) for path in leaves}
    donor_paths = {path: donor_path for path, donor_path in donor_paths.items() if donor_path}
    _refuse_misfit(donor_leaves, leaves, donor_paths)
    if strict:
        _refuse_idle(path_rules, params)
    grafted = map_paths(
        lambda path, leaf: (
            _like(leaf, donor_leaves[donor_paths[path]]) if path in donor_paths else leaf
        ),
        params,
    )
    return grafted, tuple(path for path in leaves if path not in donor_paths)


def _like(leaf, donor):
    """The donor's leaf, for each entry of a leaf with one more axis in front."""
    return donor if donor.shape == leaf.shape else np.broadcast_to(donor, leaf.shape)


def _refuse_misfit(donor_leaves, leaves, donor_paths):
    """Refuses a donor that lacks leaves, or has leaves of another shape."""
    absent = [donor_path for donor_path in donor_paths.values() if donor_path not in donor_leaves]
    shapes = [
        f'{path} {tuple(leaves[path].shape)} <- {tuple(donor_leaves[donor_path].shape)}'
        for path, donor_path in donor_paths.items()
        if donor_path in donor_leaves
        and donor_leaves[donor_path].shape not in (leaves[path].shape, leaves[path].shape[1:])
    ]
    reasons = []
    if absent:
        reasons.append(f'it lacks {abbreviated(absent)}')
    if shapes:
        reasons.append(f'shapes differ at {abbreviated(shapes)}')
    if absent:
        unused = sorted(set(donor_leaves) - set(donor_paths.values()))
        reasons.append(f'it has, unasked for, {abbreviated(unused)}')
    if reasons:
        raise UserError(
            f"the donor does not fit: {'; '.join(reasons)}; give graft rules that name the donor's "
            'own paths, or a donor of the same network'
        )


class Group(NamedTuple):
    """Parameters with the same origin and the same learning rate.

    Attributes:
        name: player, such as 'head'; for a part of a network its player and groups, 'backbone:
            conv1 to block2'.
        numbers: how many numbers the group holds.
        donor: where the parameters come from, or 'fresh'.
        rate: peak learning rate; None if they are frozen.

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
    donors: Sequence[tuple[str, str]],
    groups: dict[str, str],
) -> list[Group]:
    """Summarises a transfer: the origin and the learning rate of every group of parameters.

    Args:
        shapes: tree of parameters (arrays or shapes).
        labels: tree of labels of the same structure (`label`).
        rates: {label: learning rate}; a label without a rate is frozen.
        donors: pairs (regex over whole paths, donor); parameters that match none are fresh.
        groups: {name: regex over the backbone's own paths}, shallow to deep.

    Returns:
        The groups, in the order of the players; those of the backbone from shallow to deep.

    >>> import numpy as np
    >>> shapes = {'backbone': {'a': np.zeros(4), 'b': np.zeros(2)}, 'head': np.zeros(3)}
    >>> labels = {'backbone': {'a': 'frozen', 'b': 'backbone'}, 'head': 'head'}
    >>> rates = {'backbone': 0.1, 'head': 0.5}
    >>> donors = [('backbone/.*', 'runs/a')]
    >>> for group in overview(shapes, labels, rates, donors, groups={'one': 'a', 'two': 'b'}):
    ...     print(*group)
    backbone: one 4 runs/a None
    backbone: two 2 runs/a 0.1
    head 3 fresh 0.5
    """
    depth = {name: i for i, name in enumerate(groups)}
    group_rules = [(f'backbone/(?:{pattern})', name) for name, pattern in groups.items()]
    path_labels = flatten(labels)
    players = {}
    for path, leaf in flatten(shapes).items():
        player, group = path.partition('/')[0], first(group_rules, path)
        kind = path_labels[path], _donor_of(path, donors)
        players.setdefault(player, []).append((depth.get(group, 0), group, kind, leaf.size))
    rows = []
    for player, leaves in players.items():
        kinds = {}
        for _, group, kind, size in sorted(leaves, key=lambda leaf: leaf[0]):
            kinds.setdefault(kind, []).append((group, size))
        for (label, donor), members in kinds.items():
            name = player
            if len(kinds) > 1:
                name += _span([group for group, _ in members if group])
            rows.append(Group(name, sum(size for _, size in members), donor, rates.get(label)))
    return rows


def _donor_of(path, donors):
    for pattern, donor in donors:
        if re.fullmatch(pattern, path):
            return donor
    return 'fresh'


def _span(groups):
    """The first and the last group, as the end of a row's name: ': conv1 to block2'."""
    if not groups:
        return ''
    return f': {groups[0]}' if groups[-1] == groups[0] else f': {groups[0]} to {groups[-1]}'


def _refuse_invalid(rules):
    for pattern, _ in rules:
        try:
            re.compile(pattern)
        except re.error as error:
            raise UserError(
                f'the rule {pattern!r} is no regular expression ({error}): mend it'
            ) from error


def _refuse_idle(rules, params):
    """Refuses rules that match no parameter, or only parameters that an earlier rule matches."""
    used = set()
    for path in flatten(params):
        matches = [i for i, (pattern, _) in enumerate(rules) if re.fullmatch(pattern, path)]
        used.update(matches[:1])
    idle = [repr(pattern) for i, (pattern, _) in enumerate(rules) if i not in used]
    if idle:
        raise UserError(
            f'the rule {", ".join(idle)} matches no parameter, or only what an earlier rule took; '
            f'paths are {abbreviated(flatten(params))}'
        )
