"""What methods of domain adaptation share: the source's labels are learnt while something makes the
two domains alike.

A batch is a labelled set of the source with `target`, as many inputs of the target without labels:
{'input', 'label', 'target': {'input'}}.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from tljax.core import Batch, Method, Net, Tree, UserError
from tljax.losses import accuracy, cross_entropy, linear, weighted_mean
from tljax.methods.fine_tuning.finetune import finetune
from tljax.protocols import Align, Answer, Player


def adapting(
    net: Net,
    classes: int,
    align: Align,
    players: Player = lambda key, taps: {},
    weight: float = 1.0,
    ramp: int = 0,
) -> Method:
    """A method that minimises CE(source labels) + align(params, source, target, strength).

    Args:
        net: the backbone.
        classes: number of classes.
        align: (params, source, target, strength) -> scalar; source and target are {'logits',
            'features', every other intermediate of the network}, of as many rows; strength is the
            present weight.
        players: (key, taps) -> {name: parameters} of what `align` has of its own, such as a critic;
            taps are shapes of the network's intermediates.
        weight: strength that is reached in the end.
        ramp: steps over which the strength is brought up from 0 (`ramp_up`); 0: at once.

    Returns:
        A Method over params {'backbone', 'head', players}. Both domains go through the network in
        one batch, whose statistics BatchNorm takes; predict is that of `finetune`.

    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> method = adapting(
    ...     identity(1),
    ...     2,
    ...     lambda params, source, target, strength: strength * jnp.mean(target['features']),
    ...     weight=3.0,
    ... )
    >>> batch = {
    ...     'input': jnp.zeros((1, 1)),
    ...     'label': jnp.array([0]),
    ...     'target': {'input': jnp.ones((1, 1))},
    ... }
    >>> params, state = method.init(jax.random.key(0), batch)
    >>> round(
    ...     float(jax.jit(method.loss)(params, state, batch, Tick(0, jax.random.key(0)))[0]), 4
    ... )  # 3 + log 2
    3.6931
    """
    refuse_regression('domain adaptation', classes)
    alone = finetune(net, classes)

    def init(key, batch):
        params, state = alone.init(key, batch)
        taps = jax.eval_shape(net.features, params['backbone'], state['backbone'], batch['input'])[
            0
        ]
        return {**params, **players(jax.random.fold_in(key, 1), taps)}, state

    def loss(params, state, batch, tick):
        source, target, moved = both_domains(net, params, state, batch, tick.key)
        error = weighted_mean(cross_entropy(source['logits'], batch['label']), batch)
        gap = align(params, source, target, weight * ramp_up(tick.step, ramp))
        metrics = {
            'loss': error,
            'accuracy': accuracy(source['logits'], batch['label']),
            'gap': gap,
        }
        return error + gap, ({**state, 'backbone': moved}, metrics)

    return Method(init, loss, alone.predict)


def refuse_regression(who: str, classes: int) -> None:
    """For what tells classes apart.

    Args:
        who: what asks.
        classes: number of classes; 0 for regression.

    >>> refuse_regression('domain adaptation', 0)
    Traceback (most recent call last):
    tljax.core.UserError: domain adaptation needs classes: this data has numbers to regress on
    """
    if not classes:
        raise UserError(f'{who} needs classes: this data has numbers to regress on')


def both_domains(
    net: Net,
    params: Tree,
    state: Tree,
    batch: Batch,
    key: jax.Array | None = None,
    answer: Answer = linear,
) -> tuple[dict[str, jax.Array], dict[str, jax.Array], Tree]:
    """Both domains through one network: (source, target, moved state), dicts of intermediates with
    'logits', which are answer(params['head'], features).

    Args:
        net: the backbone.
        params: of the players 'backbone' and 'head'.
        state: of the backbone, under its name.
        batch: of two domains.
        key: None for inference; a random key for training.
        answer: the head on the features.

    >>> from tljax.zoo.families.identity import identity
    >>> params = {'backbone': {}, 'head': {'kernel': jnp.ones((1, 1)), 'bias': jnp.zeros(1)}}
    >>> source, target, _ = both_domains(
    ...     identity(1),
    ...     params,
    ...     {'backbone': {}},
    ...     {'input': jnp.zeros((2, 1)), 'target': {'input': jnp.ones((2, 1))}},
    ... )
    >>> source['logits'].tolist(), target['logits'].tolist()
    ([[0.0], [0.0]], [[1.0], [1.0]])
    """
    (source, target), moved = in_one_batch(
        net, params, state, [batch['input'], target_input(batch)], key, answer
    )
    return source, target, moved


def in_one_batch(
    net: Net,
    params: Tree,
    state: Tree,
    inputs: Sequence[jax.Array],
    key: jax.Array | None = None,
    answer: Answer = linear,
) -> tuple[list[dict[str, jax.Array]], Tree]:
    """Several arrays of as many inputs through one network, in one batch: ([dict of intermediates
    with 'logits', ...], moved state).

    Logits are answer(params['head'], features). The arrays' rows alternate in that batch, so that a
    batch that is spread over devices stays where it is.

    Args:
        net: the backbone.
        params: of the players 'backbone' and 'head'.
        state: of the backbone, under its name.
        inputs: arrays (n, ...) of one shape.
        key: None for inference; a random key for training.
        answer: the head on the features.

    >>> from tljax.zoo.families.identity import identity
    >>> params = {'backbone': {}, 'head': {'kernel': jnp.ones((1, 1)), 'bias': jnp.zeros(1)}}
    >>> taps, _ = in_one_batch(
    ...     identity(1),
    ...     params,
    ...     {'backbone': {}},
    ...     [jnp.full((2, 1), value) for value in (1.0, 2.0, 3.0)],
    ... )
    >>> [tap['logits'].ravel().tolist() for tap in taps]
    [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]
    """
    rows = jnp.stack(inputs, 1)
    taps, moved = net.features(
        params['backbone'], state['backbone'], rows.reshape(-1, *rows.shape[2:]), key
    )
    taps = {**taps, 'logits': answer(params['head'], taps['features'])}
    return [
        {name: tap[start :: len(inputs)] for name, tap in taps.items()}
        for start in range(len(inputs))
    ], moved


def target_input(batch: Batch) -> jax.Array:
    """The target's inputs of a batch.

    Args:
        batch: of two domains.

    >>> target_input({'input': jnp.zeros(1)})
    Traceback (most recent call last):
    tljax.core.UserError: this method adapts to a target, and the data has none: give ...
    """
    if 'target' not in batch:
        raise UserError(
            'this method adapts to a target, and the data has none: give '
            "data=dict(name='domains', source=..., target=...)"
        )
    return batch['target']['input']


def ramp_up(step: ArrayLike, ramp: int, steepness: float = 10.0) -> jax.Array | float:
    """2 / (1 + exp(-steepness p)) - 1 with p = step / ramp, at most 1: Ganin et al. 2016, section
    5.2.2.

    Args:
        step: number of the step, a scalar.
        ramp: steps until the end; 0: at once.
        steepness: of the rise.

    >>> [round(float(ramp_up(step, 100)), 3) for step in (0, 10, 100, 200)], ramp_up(0, 0)
    ([0.0, 0.462, 1.0, 1.0], 1.0)
    """
    return 2 / (1 + jnp.exp(-steepness * jnp.minimum(step / ramp, 1.0))) - 1 if ramp else 1.0
