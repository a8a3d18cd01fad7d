"""Which parameters move, and how fast: partitions, schedules, and the optimiser that joins them.

A partition is a list of rules that label every parameter (`paths.label`): 'frozen', or the name of
a group that has an optimiser of its own. `optax.multi_transform` runs each group's transform, so
that clipping, moments, decay and rates stay inside the group and a frozen parameter has neither
gradient nor memory.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from tljax import paths
from tljax.core import Tree, UserError, nearest_name
from tljax.protocols import Config, Setting, StoredStatistics

NAMES = ('full', 'freeze', 'layerwise', 'by_path')  # the partitions that a config may name
OPTIMIZERS = (
    'sgd',
    'adam',
    'adagrad',
    'adabelief',
    'lamb',
    'lars',
    'lion',
    'nadam',
    'radam',
    'rmsprop',
    'yogi',
)
# every other player is a group of its own name: 'head', 'critic', 'backbone'
REST = (r'(\w+)/.*', r'\1')


class Partition(NamedTuple):
    """Rules (regex over whole paths, label), first match wins, and a factor on the learning rate by
    label (1 where it is absent).

    >>> Partition([REST]).scales
    {}
    """

    rules: list[tuple[str, str]]
    scales: dict[str, float] = {}


def full(groups: dict[str, str]) -> Partition:
    """Everything moves at the full rate: fine-tuning, or training from scratch.

    Args:
        groups: as `freeze` takes them; all of them move.

    >>> full({'stage1': 'conv1/.*'}).rules == [REST]
    True
    """
    return Partition([REST])


def freeze(groups: dict[str, str], until: str = 'backbone') -> Partition:
    """The backbone stays as it is up to and including the group `until`; 'backbone' means all of it
    (feature extraction).

    Args:
        groups: {name: regex over the backbone's own paths}, shallow to deep, as `Net.groups`.
        until: the deepest frozen group.

    >>> freeze({'stage1': 'conv1/.*', 'stage2': 'conv2/.*'}, until='stage1').rules[0]
    ('backbone/(?:conv1/.*)', 'frozen')
    """
    if until == 'backbone':
        return Partition([('backbone/.*', 'frozen'), REST])
    return Partition(
        [(f'backbone/(?:{groups[name]})', 'frozen') for name in _up_to(groups, until)] + [REST]
    )


def layerwise(groups: dict[str, str], rate: float = 0.5, until: str | None = None) -> Partition:
    """Layer-wise rates: each group below the head learns `rate` times as fast as the one above it
    (ULMFiT, Howard and Ruder 2018, section 3.2, where the factor is 1/2.6); groups up to `until`
    are frozen.

    Args:
        groups: as `freeze` takes them.
        rate: the factor, in (0, 1].
        until: the deepest frozen group; None: none is frozen.

    >>> layerwise({'stage1': 'conv1/.*', 'stage2': 'conv2/.*'}, rate=0.5).scales
    {'backbone.stage1': 0.25, 'backbone.stage2': 0.5}
    """
    if not 0 < rate <= 1:
        raise UserError(f'partition.rate={rate}: layer-wise rates shrink by a factor in (0, 1]')
    frozen = _up_to(groups, until) if until else []
    rules = [
        (f'backbone/(?:{pattern})', 'frozen' if name in frozen else f'backbone.{name}')
        for name, pattern in groups.items()
    ]
    scales = {
        f'backbone.{name}': rate ** (len(groups) - depth)
        for depth, name in enumerate(groups)
        if name not in frozen
    }
    return Partition([*rules, REST], scales)


def by_path(groups: dict[str, str], rules: Sequence[Sequence[str]]) -> Partition:
    """A partition written out: pairs (regex, label), completed by one group for each other
    top-level name.

    Args:
        groups: as `freeze` takes them; the patterns need none of them.
        rules: pairs (regex over whole paths, 'frozen' or the name of a group).

    BitFit (Ben Zaken et al. 2021), which trains biases alone:

    >>> by_path({}, [('backbone/.*(?<!bias)', 'frozen')]).rules
    [('backbone/.*(?<!bias)', 'frozen'), ('(\\\\w+)/.*', '\\\\1')]
    """
    paths.refuse_rules(rules, 'partition.rules')
    return Partition([*((pattern, label) for pattern, label in rules), REST])


def _up_to(groups, until):
    names = list(groups)
    if until not in names:
        raise UserError(
            f'partition.until={until!r} is no group of this network; it has {", ".join(names)}, or '
            'backbone for all of it'
        )
    return names[: names.index(until) + 1]


def uses_stored_statistics(partition: Partition, statistics: str = 'follow') -> StoredStatistics:
    """Which BatchNorm layers run on stored statistics while training, as a predicate over the
    backbone's own layer paths.

    Args:
        partition: the rules that freeze parameters.
        statistics: 'follow' (a layer whose parameters are frozen uses and keeps its stored
            statistics, a trainable one the batch's), 'stored' (all layers) or 'batch' (none, frozen
            ones included).

    >>> uses_stored_statistics(Partition([('backbone/bn1/.*', 'frozen'), REST]))('bn1')
    True
    """
    if statistics not in ('follow', 'stored', 'batch'):
        raise UserError(f'statistics={statistics!r} is not follow, stored or batch')
    if statistics != 'follow':
        return lambda layer: statistics == 'stored'
    covered = [*partition.rules, ('.*', '')]
    return lambda layer: all(
        paths.first(covered, f'backbone/{layer}/{leaf}') == 'frozen' for leaf in ('scale', 'bias')
    )


def take_turns(
    transform: optax.GradientTransformation, period: int, phase: int | Sequence[int] = 0
) -> optax.GradientTransformation:
    """Runs `transform` on steps `phase, phase + period, ...` and rests in between: no update, and
    its memory stays untouched.

    Players that take turns (MCD, GANs) are groups with periods; `phase` may be several, (0, 2). A
    schedule inside counts the group's own updates.

    Args:
        transform: of the group.
        period: steps from one turn to the next.
        phase: the turn's place in the period, or several places, each below it.

    >>> import numpy as np
    >>> tx = take_turns(optax.sgd(1.0), period=2, phase=1)
    >>> state = tx.init(np.zeros(1))
    >>> for _ in range(3):
    ...     update, state = tx.update(np.ones(1), state)
    ...     print(update.tolist())
    [0.0]
    [-1.0]
    [0.0]
    """
    turns = _turns(phase)
    if period < 1 or not turns or not all(0 <= each < period for each in turns):
        raise UserError(
            f'period={period}, phase={phase}: a group needs a period of at least 1 and a phase '
            'below it'
        )

    def init(params):
        return jnp.zeros((), jnp.int32), transform.init(params)

    def update(updates, state, params=None):
        count, inner = state
        active = jnp.isin(count % period, jnp.array(turns))
        updates, moved = transform.update(updates, inner, params)
        updates = jax.tree.map(lambda u: jnp.where(active, u, jnp.zeros_like(u)), updates)
        return updates, (
            count + 1,
            jax.tree.map(lambda new, old: jnp.where(active, new, old), moved, inner),
        )

    return optax.GradientTransformation(init, update)


def _turns(phase):
    return (phase,) if isinstance(phase, int) else tuple(phase)


def learning_rate(schedule: str, peak: float, steps: int, warmup: int = 0) -> optax.Schedule:
    """The learning rate by step: 'constant', 'linear' or 'cosine' to zero at `steps`, after
    `warmup` steps of linear rise.

    Args:
        schedule: one of those names.
        peak: the rate at its highest.
        steps: of the run.
        warmup: the first steps, in which the rate rises from 0.

    >>> [
    ...     round(float(learning_rate('linear', 1.0, 10, warmup=2)(step)), 2)
    ...     for step in (0, 1, 2, 6, 10)
    ... ]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    shapes = {
        'constant': lambda n: optax.constant_schedule(peak),
        'linear': lambda n: optax.linear_schedule(peak, 0.0, n),
        'cosine': lambda n: optax.cosine_decay_schedule(peak, n),
    }
    if schedule not in shapes:
        raise UserError(f'schedule={schedule!r} is not one of {", ".join(shapes)}')
    if not 0 <= warmup <= steps:
        raise UserError(
            f'warmup={warmup} does not lie between 0 and the {steps} steps of the run: set '
            'optim.warmup'
        )
    shape = shapes[schedule](max(steps - warmup, 1))
    return (
        optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), shape], [warmup])
        if warmup
        else shape
    )


def group_transform(
    optimizer: str,
    steps: int,
    lr: float,
    scale: float = 1.0,
    schedule: str = 'constant',
    warmup: int = 0,
    weight_decay: float = 0.0,
    clip: float = 0.0,
    period: int = 1,
    phase: int | Sequence[int] = 0,
    **options: Setting,
) -> optax.GradientTransformation:
    """One group's transform: clip, the optax optimiser, decoupled weight decay on matrices and
    kernels, rate, turns.

    Args:
        optimizer: one of optax's: 'sgd', 'adam', 'lamb', ...
        steps: of the run; the schedule ends there.
        lr: the peak rate.
        scale: this group's factor on the rate.
        schedule: as `learning_rate` takes it.
        warmup: as `learning_rate` takes it.
        weight_decay: per unit of learning rate, on leaves of two or more axes.
        clip: the largest global norm of this group's gradient; 0 leaves it alone.
        period: as `take_turns` takes it.
        phase: as `take_turns` takes it.
        **options: the optimiser's own keywords.

    >>> import numpy as np
    >>> tx = group_transform('sgd', steps=1, lr=0.1, weight_decay=1.0)
    >>> tx.update({'w': np.ones((1, 1))}, tx.init({'w': np.ones((1, 1))}), {'w': np.ones((1, 1))})[
    ...     0
    ... ]['w'].tolist()
    [[-0.20000000298023224]]
    """
    if optimizer not in OPTIMIZERS:
        raise UserError(
            f'optim.name={optimizer!r} is not one of {", ".join(OPTIMIZERS)} (adamw is adam with '
            'weight_decay)'
        )
    make = getattr(optax, optimizer)
    accepted = [*inspect.signature(group_transform).parameters][2:-1] + [
        *inspect.signature(make).parameters
    ][1:]
    for key in options:
        if key not in accepted:
            raise UserError(
                f'optim.{key} is unknown to {optimizer}: it takes {", ".join(accepted)}'
            )
    # the group counts its own updates
    steps, warmup = (-(-each * len(_turns(phase)) // period) for each in (steps, warmup))
    chain = [optax.clip_by_global_norm(clip)] * (clip > 0) + [make(learning_rate=1.0, **options)]
    if weight_decay:
        chain.append(
            optax.add_decayed_weights(
                -weight_decay, mask=lambda params: jax.tree.map(lambda p: p.ndim > 1, params)
            )
        )
    chain.append(optax.scale_by_schedule(learning_rate(schedule, lr * scale, steps, warmup)))
    transform = optax.chain(*chain)
    return take_turns(transform, period, phase) if period > 1 else transform


def optimizer(
    labels: Tree, make: Callable[[str], optax.GradientTransformation]
) -> optax.GradientTransformation:
    """Joins the groups: `make(label)` gives each its transform, 'frozen' parameters get none.

    Args:
        labels: tree of labels like the parameters.
        make: gives the transform of a label.

    >>> import numpy as np
    >>> tx = optimizer({'a': 'frozen', 'b': 'head'}, lambda label: optax.sgd(1.0))
    >>> params = {'a': np.ones(2), 'b': np.ones(2)}
    >>> jax.tree.map(lambda u: u.tolist(), tx.update(params, tx.init(params))[0])
    {'a': [0.0, 0.0], 'b': [-1.0, -1.0]}
    """
    names = sorted(set(jax.tree.leaves(labels)))
    return optax.multi_transform(
        {name: optax.set_to_zero() if name == 'frozen' else make(name) for name in names}, labels
    )


def join_groups(
    labels: Tree, partition: Partition, steps: int, optim: Config, groups: dict[str, Config]
) -> tuple[optax.GradientTransformation, dict[str, float]]:
    """The optimiser of a run, and how fast each group moves.

    Args:
        labels: tree of labels like the parameters.
        partition: it has the factors on the rates of its labels.
        steps: of the run.
        optim: keywords of `group_transform` for all groups, with the optimiser as 'name'.
        groups: {label: keywords of `group_transform`}. The settings of a player ('backbone') hold
            for its groups ('backbone.block1'), unless the group has its own.

    Returns:
        (optimiser over the whole tree, {label: learning rate at its peak}).

    Raises:
        UserError: `groups` names a label that no parameter has, with the nearest one.

    >>> join_groups(
    ...     {'w': 'head'},
    ...     Partition([REST]),
    ...     10,
    ...     {'name': 'sgd', 'lr': 0.1},
    ...     {'head': {'scale': 0.5}},
    ... )[1]
    {'head': 0.05}
    """
    names = sorted(set(jax.tree.leaves(labels)) - {'frozen'})
    for name in groups:
        if name not in names and not any(other.split('.')[0] == name for other in names):
            raise UserError(f'groups.{name} is no group of this run: {nearest_name(name, names)}')
    settings = {}
    for name in names:
        keywords = {
            'scale': 1.0,
            **optim,
            **groups.get(name.split('.')[0], {}),
            **groups.get(name, {}),
        }
        settings[name] = {**keywords, 'scale': keywords['scale'] * partition.scales.get(name, 1.0)}

    def make(name):
        keywords = dict(settings[name])
        return group_transform(keywords.pop('name'), steps, **keywords)

    return optimizer(labels, make), {
        name: keywords['lr'] * keywords['scale'] for name, keywords in settings.items()
    }
