"""Partitions of the parameters into groups, learning rate schedules, and the optimiser of a run.

A partition is a list of rules that label every parameter (`paths.label`): 'frozen', or the name of
a group that has its own optimiser. `optax.multi_transform` runs each group's transform, so that
clipping, moments, decay and rates stay inside the group. A frozen parameter has no gradient and no
optimiser state.
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

NAMES = (
    'full',
    'freeze',
    'layerwise',
    'bitfit',
    'by_path',
)  # the partitions that a config may name
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
# the last rule: the remaining parameters of a player form a group of its name: 'head', 'critic'
REST = (r'(\w+)/.*', r'\1')
# keywords of `group_transform` that a config may set, beside those of the optimiser
GROUP_KEYWORDS = (
    'lr',
    'scale',
    'schedule',
    'warmup',
    'weight_decay',
    'clip',
    'period',
    'phase',
    'accumulate',
)


class Partition(NamedTuple):
    """Rules that divide the parameters into groups.

    Attributes:
        rules: pairs (regex over whole paths, label); the first match counts.
        scales: {label: factor on the learning rate}; 1 for a label that is absent.
    """

    rules: list[tuple[str, str]]
    scales: dict[str, float] = {}


def full(groups: dict[str, str]) -> Partition:
    """Trains all parameters at the full rate: fine-tuning, or training from scratch.

    Args:
        groups: as `freeze` takes them; unused.

    >>> partition = full({'stage1': 'conv1/.*'})
    >>> paths.label({'backbone': {'conv1': {'kernel': 0}}}, partition.rules)
    {'backbone': {'conv1': {'kernel': 'backbone'}}}
    """
    return Partition([REST])


def freeze(groups: dict[str, str], until: str = 'backbone') -> Partition:
    """Freezes the backbone up to and including one of its groups.

    Args:
        groups: {name: regex over the backbone's own paths}, shallow to deep, as `Net.groups`.
        until: the deepest frozen group; 'backbone' freezes all of them (feature extraction).

    Raises:
        UserError: `until` is not a group of the network.

    >>> partition = freeze({'stage1': 'conv1/.*', 'stage2': 'conv2/.*'}, until='stage1')
    >>> paths.label({'backbone': {'conv1': {'kernel': 0}, 'conv2': {'kernel': 0}}}, partition.rules)
    {'backbone': {'conv1': {'kernel': 'frozen'}, 'conv2': {'kernel': 'backbone'}}}
    """
    if until == 'backbone':
        return Partition([('backbone/.*', 'frozen'), REST])
    return Partition(
        [(f'backbone/(?:{groups[name]})', 'frozen') for name in _up_to(groups, until)] + [REST]
    )


def layerwise(groups: dict[str, str], rate: float = 0.5, until: str | None = None) -> Partition:
    """Lowers the learning rate by a constant factor per group, from the head down the backbone.

    Args:
        groups: as `freeze` takes them.
        rate: the factor, in (0, 1]; the head learns at the full rate.
        until: the deepest frozen group; None: no group is frozen.

    Raises:
        UserError: `rate` lies outside (0, 1], or `until` is not a group of the network.

    Source:
        Howard and Ruder 2018 (ULMFiT), section 3.2, where the factor is 1/2.6.

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


def bitfit(groups: dict[str, str], scales: bool = False) -> Partition:
    """Trains the biases of the backbone alone; those of normalisations are their shifts.

    A layer of BatchNorm whose shift is trained uses the batch's statistics, unless
    `statistics='stored'`. Weight decay leaves biases and scales alone (`group_transform`).

    Args:
        groups: as `freeze` takes them; unused.
        scales: whether the scales of normalisations are trained as well. A network whose
            convolutions have no biases has these two kinds of parameters beside its kernels.

    Source:
        Ben Zaken, Goldberg and Ravfogel 2022, https://arxiv.org/abs/2106.10199

    >>> partition = bitfit({})
    >>> params = {'backbone': {'bn1': {'bias': 0, 'scale': 0}}, 'head': {'kernel': 0}}
    >>> paths.label(params, partition.rules)['backbone']['bn1']
    {'bias': 'backbone', 'scale': 'frozen'}
    """
    trained = 'bias|scale' if scales else 'bias'
    return Partition(
        [(rf'backbone/(?:.*/)?(?:{trained})', 'backbone'), ('backbone/.*', 'frozen'), REST]
    )


def by_path(groups: dict[str, str], rules: Sequence[Sequence[str]]) -> Partition:
    """Labels parameters by explicit rules; the remaining ones form a group for each top-level name.

    Args:
        groups: as `freeze` takes them; unused.
        rules: pairs (regex over whole paths, 'frozen' or the name of a group).

    All kernels of the backbone are frozen, as BatchNorm's parameters are not:

    >>> partition = by_path({}, [('backbone/.*kernel', 'frozen')])
    >>> paths.label({'backbone': {'bn1': {'bias': 0}, 'conv1': {'kernel': 0}}}, partition.rules)
    {'backbone': {'bn1': {'bias': 'backbone'}, 'conv1': {'kernel': 'frozen'}}}
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


def uses_stored_statistics(
    partition: Partition, statistics: str = 'follow', player: str = 'backbone'
) -> StoredStatistics:
    """Says which BatchNorm layers use stored statistics while the network is trained.

    Args:
        partition: the rules that freeze parameters.
        statistics: 'follow': a layer whose parameters are frozen uses its stored statistics and
            does not change them, a trainable layer uses the batch's statistics. 'stored': all
            layers use stored statistics. 'batch': no layer does, not even a frozen one.
        player: the part of the parameters whose layers are asked about.

    Returns:
        A predicate over the player's own layer paths.

    Raises:
        UserError: another value of `statistics`.

    >>> stored = uses_stored_statistics(Partition([('backbone/bn1/.*', 'frozen'), REST]))
    >>> stored('bn1'), stored('bn2')
    (True, False)
    """
    if statistics not in ('follow', 'stored', 'batch'):
        raise UserError(f'statistics={statistics!r} is not follow, stored or batch')
    if statistics != 'follow':
        return lambda layer: statistics == 'stored'
    rules = [*partition.rules, ('.*', '')]
    return lambda layer: all(
        paths.first(rules, f'{player}/{layer}/{leaf}') == 'frozen' for leaf in ('scale', 'bias')
    )


def take_turns(
    transform: optax.GradientTransformation, period: int, phase: int | Sequence[int] = 0
) -> optax.GradientTransformation:
    """Runs a transform only on the steps `phase, phase + period, ...`.

    On the other steps the update is zero and the transform's state does not change. Players that
    take turns (MCD, GANs) are groups with periods. A schedule inside the transform counts the
    group's own updates.

    Args:
        transform: of the group.
        period: number of steps from one turn to the next.
        phase: the step of the turn within the period, or several, such as (0, 2); each below the
            period.

    Raises:
        UserError: the period is below 1, or a phase lies outside of it.

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
    if period < 1 or not turns or not all(0 <= turn < period for turn in turns):
        raise UserError(
            f'period={period}, phase={phase}: a group needs a period of at least 1 and a phase '
            'below it'
        )

    def init(params):
        return jnp.zeros((), jnp.int32), transform.init(params)

    def update(updates, state, params=None):
        count, inner = state
        active = jnp.isin(count % period, jnp.array(turns))
        updates, new_inner = transform.update(updates, inner, params)
        updates = jax.tree.map(lambda u: jnp.where(active, u, jnp.zeros_like(u)), updates)
        inner = jax.tree.map(lambda new, old: jnp.where(active, new, old), new_inner, inner)
        return updates, (count + 1, inner)

    return optax.GradientTransformation(init, update)


def _turns(phase):
    return (phase,) if isinstance(phase, int) else tuple(phase)


def learning_rate(schedule: str, peak: float, steps: int, warmup: int = 0) -> optax.Schedule:
    """Makes a learning rate schedule, with a linear warm-up.

    Args:
        schedule: 'constant', or 'linear' or 'cosine' to zero at `steps`, or 'slanted_triangular',
            which rises from a 32nd of the peak and falls to it again at `steps`.
        peak: the highest rate.
        steps: number of steps of the run.
        warmup: number of first steps in which the rate rises, from 0. The slanted triangle rises in
            a tenth of the steps if this is 0.

    Returns:
        (step) -> learning rate.

    Raises:
        UserError: an unknown schedule, or a warm-up that is longer than the run.

    Source:
        slanted triangle: Howard and Ruder 2018 (ULMFiT), equation 3, with its ratio 32 and its
        cut_frac 0.1, https://arxiv.org/abs/1801.06146

    >>> rate = learning_rate('linear', peak=1.0, steps=10, warmup=2)
    >>> [round(float(rate(step)), 2) for step in (0, 1, 2, 6, 10)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    shapes = {
        'constant': lambda n: optax.constant_schedule(peak),
        'linear': lambda n: optax.linear_schedule(peak, 0.0, n),
        'cosine': lambda n: optax.cosine_decay_schedule(peak, n),
        'slanted_triangular': lambda n: _slanted_triangle(peak, n, warmup or n // 10),
    }
    if schedule not in shapes:
        raise UserError(f'schedule={schedule!r} is not one of {", ".join(shapes)}')
    if not 0 <= warmup <= steps:
        raise UserError(
            f'warmup={warmup} does not lie between 0 and the {steps} steps of the run: set '
            'optim.warmup'
        )
    if schedule == 'slanted_triangular':
        return shapes[schedule](steps)
    shape = shapes[schedule](max(steps - warmup, 1))
    if not warmup:
        return shape
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), shape], [warmup])


def _slanted_triangle(peak, steps, cut):
    """Equation 3 of ULMFiT, where the rate is `peak` at the step `cut`."""

    def rate(step):
        rise, fall = step / max(cut, 1), (steps - step) / max(steps - cut, 1)
        return peak * (1 + jnp.clip(jnp.minimum(rise, fall), 0, 1) * (32 - 1)) / 32

    return rate


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
    accumulate: int = 1,
    **options: Setting,
) -> optax.GradientTransformation:
    """Makes the transform of one group of parameters.

    It clips the gradient, applies the optax optimiser and decoupled weight decay (on matrices and
    kernels), and multiplies by the scheduled learning rate.

    With `accumulate` a step's batch is a part of a larger batch: the group averages the gradients
    of so many of its steps, then updates once. Parameters are those of a run with batches of
    `accumulate` times the size, and steps and warm-up divided by it, unless a layer or a loss
    couples the examples of a batch (BatchNorm, MMD). Steps that remain at the end, too few for an
    update, have no effect. The method counts the steps themselves, as for its ramps.

    Args:
        optimizer: an optimiser of optax, one of OPTIMIZERS: 'sgd', 'adam', 'lamb', ...
        steps: number of steps of the run, at which the schedule ends.
        lr: the peak learning rate.
        scale: this group's factor on the learning rate.
        schedule: as `learning_rate` takes it.
        warmup: as `learning_rate` takes it.
        weight_decay: per unit of learning rate, on leaves of two or more axes; 0: none.
        clip: the largest global norm of this group's gradient; 0: no clipping.
        period: as `take_turns` takes it.
        phase: as `take_turns` takes it.
        accumulate: number of steps for one update; of a group with a period, number of its turns.
        **options: the optimiser's own keywords.

    Raises:
        UserError: an unknown optimiser or keyword, or more steps for an update than there are.

    An update is minus the rate times the sum of the gradient, 2, and the decay, 1 of the weight:

    >>> import numpy as np
    >>> tx = group_transform('sgd', steps=1, lr=0.5, weight_decay=1.0)
    >>> params, grads = {'w': np.ones((1, 1))}, {'w': np.full((1, 1), 2.0)}
    >>> tx.update(grads, tx.init(params), params)[0]['w'].tolist()
    [[-1.5]]

    The average of two gradients, 1 and 5, times the rate:

    >>> tx = group_transform('sgd', steps=2, lr=0.5, accumulate=2)
    >>> state = tx.init(np.zeros(1))
    >>> for gradient in (1.0, 5.0):
    ...     update, state = tx.update(np.full(1, gradient), state)
    ...     print(update.tolist())
    [-0.0]
    [-1.5]
    """
    if optimizer not in OPTIMIZERS:
        raise UserError(
            f'optim.name={optimizer!r} is not one of {", ".join(OPTIMIZERS)} (adamw is adam with '
            'weight_decay)'
        )
    make = getattr(optax, optimizer)
    _, *optimizer_keywords = inspect.signature(make).parameters  # without learning_rate
    keywords = [*GROUP_KEYWORDS, *optimizer_keywords]
    for key in options:
        if key not in keywords:
            raise UserError(
                f'optim.{key} is unknown to {optimizer}: it takes {", ".join(keywords)}'
            )

    def group_steps(steps):
        """Number of the group's turns in the first steps of the run."""
        return -(-steps * len(_turns(phase)) // period)

    def group_updates(steps):
        """Number of the group's own updates in the first steps of the run."""
        return group_steps(steps) // accumulate

    turns = group_steps(steps)
    if type(accumulate) is not int or accumulate < 1 or accumulate > turns > 0:
        raise UserError(
            f'accumulate={accumulate!r}: give a whole number from 1 to {max(turns, 1)}, the number '
            'of steps in which the group learns'
        )

    def matrices(params):
        return jax.tree.map(lambda p: p.ndim > 1, params)

    rate = learning_rate(schedule, lr * scale, group_updates(steps), group_updates(warmup))
    chain = []
    if clip > 0:
        chain.append(optax.clip_by_global_norm(clip))
    chain.append(make(learning_rate=1.0, **options))
    if weight_decay:
        chain.append(optax.add_decayed_weights(-weight_decay, mask=matrices))
    chain.append(optax.scale_by_schedule(rate))
    transform = optax.chain(*chain)
    if accumulate > 1:
        transform = optax.MultiSteps(transform, accumulate).gradient_transformation()
    return take_turns(transform, period, phase) if period > 1 else transform


def keep_average_one(
    transform: optax.GradientTransformation, least: float = 0.0
) -> optax.GradientTransformation:
    """Projects the parameters of a group after each update, so that they average 1.

    They are cut at a least value, and then scaled. The weights of tasks stay on the simplex in this
    way: of T tasks they sum to T. A step that moves no parameter of the group changes nothing but
    their rounding.

    Args:
        transform: of the group.
        least: the smallest value of a parameter before the scaling.

    >>> import numpy as np
    >>> tx, weights = keep_average_one(optax.sgd(1.0)), {'a': np.ones(()), 'b': np.ones(())}
    >>> gradient = {'a': np.float32(-2.0), 'b': np.float32(0.0)}
    >>> updates, _ = tx.update(gradient, tx.init(weights), weights)
    >>> jax.tree.map(lambda w, u: float(w + u), weights, updates)  # 3 and 1, divided by 2
    {'a': 1.5, 'b': 0.5}
    """

    def update(updates, state, params=None):
        updates, state = transform.update(updates, state, params)
        moved = jax.tree.map(lambda p, u: jnp.maximum(p + u, least), params, updates)
        leaves = jax.tree.leaves(moved)
        average = sum(leaf.sum() for leaf in leaves) / sum(leaf.size for leaf in leaves)
        return jax.tree.map(lambda p, new: new / average - p, params, moved), state

    return optax.GradientTransformation(transform.init, update)


def optimizer(
    labels: Tree, make: Callable[[str], optax.GradientTransformation]
) -> optax.GradientTransformation:
    """Joins the transforms of the groups into one optimiser; frozen parameters get no update.

    Args:
        labels: tree of labels like the parameters.
        make: (label) -> transform of the group.

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
    labels: Tree,
    partition: Partition,
    steps: int,
    optim: Config,
    groups: dict[str, Config],
    averaging_one: str = '',
) -> tuple[optax.GradientTransformation, dict[str, float]]:
    """Makes the optimiser of a run from its settings.

    Args:
        labels: tree of labels like the parameters.
        partition: its `scales` are factors on the rates of its labels.
        steps: number of steps of the run.
        optim: keywords of `group_transform` for all groups, with the optimiser as 'name'.
        groups: {label: keywords of `group_transform`}. The settings of a player ('backbone') hold
            for its groups ('backbone.block1'), unless the group has its own.
        averaging_one: name of the group whose parameters average 1 after each update
            (`keep_average_one`); '' for none.

    Returns:
        (optimiser over the whole tree, {label: peak learning rate}).

    Raises:
        UserError: `groups` has a label that no parameter has; the message has the nearest label.

    >>> labels, optim = {'backbone': 'backbone', 'head': 'head'}, {'name': 'sgd', 'lr': 0.1}
    >>> join_groups(labels, Partition([REST]), 10, optim, {'backbone': {'scale': 0.5}})[1]
    {'backbone': 0.05, 'head': 0.1}
    """
    names = sorted(set(jax.tree.leaves(labels)) - {'frozen'})
    for name in groups:
        if name not in names and name not in [label.split('.')[0] for label in names]:
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
        transform = group_transform(keywords.pop('name'), steps, **keywords)
        return keep_average_one(transform) if name == averaging_one else transform

    return optimizer(labels, make), {
        name: keywords['lr'] * keywords['scale'] for name, keywords in settings.items()
    }
