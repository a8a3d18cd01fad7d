"""Parts of methods for domain adaptation: a loss of the source's labels plus a term that makes the
two domains alike.

A batch is a labelled set of the source with `target`, as many unlabelled inputs of the target:
{'input', 'label', 'target': {'input'}}. A term that compares the rows of a batch sees the whole
batch under jit, and each device's own rows under pmap.
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
    """Makes the method that minimises CE(source labels) + align(params, source, target, strength).

    Args:
        net: the backbone.
        classes: number of classes.
        align: (params, source, target, strength) -> scalar. `source` and `target` are {'logits',
            'features', every other intermediate of the network}, with as many rows each. `strength`
            is the weight at the present step.
        players: (key, taps) -> {name: parameters} that `align` adds, such as a critic's. `taps`
            holds the shapes of the network's intermediates.
        weight: the strength after the ramp.
        ramp: steps over which the strength rises from 0 (`ramp_up`); 0 for the full strength from
            the start.

    Returns:
        A Method over params {'backbone', 'head', players}. Both domains go through the network in
        one batch, and BatchNorm takes the statistics of that batch. Its predict is that of
        `finetune`. The metric 'loss' is the source's error, and 'gap' is the value of `align`.

    Raises:
        UserError: for 0 classes (regression).

    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> def align(params, source, target, strength):
    ...     return strength * jnp.mean(target['features'])
    >>> method = adapting(identity(1), 2, align, weight=3.0)
    >>> batch = {
    ...     'input': jnp.zeros((1, 1)),
    ...     'label': jnp.array([0]),
    ...     'target': {'input': jnp.ones((1, 1))},
    ... }
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> loss = jax.jit(method.loss)(params, state, batch, Tick(0, jax.random.key(0)))[0]
    >>> round(float(loss), 4)  # log 2 + 3 * 1
    3.6931
    """
    refuse_regression('domain adaptation', classes)
    source_method = finetune(net, classes)

    def init(key, batch):
        params, state = source_method.init(key, batch)
        taps, _ = jax.eval_shape(
            net.features, params['backbone'], state['backbone'], batch['input']
        )
        return {**params, **players(jax.random.fold_in(key, 1), taps)}, state

    def loss(params, state, batch, tick):
        source, target, backbone_state = both_domains(net, params, state, batch, tick.key)
        error = weighted_mean(cross_entropy(source['logits'], batch['label']), batch)
        gap = align(params, source, target, weight * ramp_up(tick.step, ramp))
        metrics = {
            'loss': error,
            'accuracy': accuracy(source['logits'], batch['label']),
            'gap': gap,
        }
        return error + gap, ({**state, 'backbone': backbone_state}, metrics)

    return Method(init, loss, source_method.predict)


def refuse_regression(name: str, classes: int) -> None:
    """Raises an error if the data has no classes (regression).

    Args:
        name: of the method, for the message.
        classes: number of classes; 0 for regression.

    >>> refuse_regression('domain adaptation', 0)
    Traceback (most recent call last):
    tljax.core.UserError: domain adaptation needs classes: this data has numbers to regress on
    """
    if not classes:
        raise UserError(f'{name} needs classes: this data has numbers to regress on')


def both_domains(
    net: Net,
    params: Tree,
    state: Tree,
    batch: Batch,
    key: jax.Array | None = None,
    answer: Answer = linear,
) -> tuple[dict[str, jax.Array], dict[str, jax.Array], Tree]:
    """Computes both domains' intermediates and logits, in one batch through the network.

    Args:
        net: the backbone.
        params: of the players 'backbone' and 'head'.
        state: {'backbone': the network's state}.
        batch: of two domains.
        key: None for inference; a random key for training.
        answer: (head parameters, features) -> logits.

    Returns:
        (source, target, new state of the network). `source` and `target` are {'logits', 'features',
        every other intermediate}.

    >>> from tljax.zoo.families.identity import identity
    >>> params = {'backbone': {}, 'head': {'kernel': jnp.ones((1, 1)), 'bias': jnp.zeros(1)}}
    >>> batch = {'input': jnp.zeros((2, 1)), 'target': {'input': jnp.ones((2, 1))}}
    >>> source, target, _ = both_domains(identity(1), params, {'backbone': {}}, batch)
    >>> source['logits'].tolist(), target['logits'].tolist()
    ([[0.0], [0.0]], [[1.0], [1.0]])
    """
    (source, target), backbone_state = in_one_batch(
        net, params, state, [batch['input'], target_input(batch)], key, answer
    )
    return source, target, backbone_state


def in_one_batch(
    net: Net,
    params: Tree,
    state: Tree,
    inputs: Sequence[jax.Array],
    key: jax.Array | None = None,
    answer: Answer = linear,
) -> tuple[list[dict[str, jax.Array]], Tree]:
    """Computes the intermediates and logits of several arrays of inputs, in one batch.

    The rows of the arrays alternate in that batch. If the batch is spread over devices, every row
    then stays on its device.

    Args:
        net: the backbone.
        params: of the players 'backbone' and 'head'.
        state: {'backbone': the network's state}.
        inputs: arrays (n, ...) of one shape.
        key: None for inference; a random key for training.
        answer: (head parameters, features) -> logits.

    Returns:
        ([{'logits', 'features', every other intermediate} for each array], new state of the
        network).

    >>> from tljax.zoo.families.identity import identity
    >>> params = {'backbone': {}, 'head': {'kernel': jnp.ones((1, 1)), 'bias': jnp.zeros(1)}}
    >>> inputs = [jnp.full((2, 1), value) for value in (1.0, 2.0, 3.0)]
    >>> taps, _ = in_one_batch(identity(1), params, {'backbone': {}}, inputs)
    >>> [tap['logits'].ravel().tolist() for tap in taps]
    [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]
    """
    rows = jnp.stack(inputs, 1)
    taps, backbone_state = net.features(
        params['backbone'], state['backbone'], rows.reshape(-1, *rows.shape[2:]), key
    )
    taps = {**taps, 'logits': answer(params['head'], taps['features'])}
    count = len(inputs)
    parts = [{name: tap[start::count] for name, tap in taps.items()} for start in range(count)]
    return parts, backbone_state


def target_input(batch: Batch) -> jax.Array:
    """Returns the target's inputs of a batch.

    Args:
        batch: of two domains.

    Raises:
        UserError: if the batch has no target.

    >>> target_input({'input': jnp.zeros(1), 'target': {'input': jnp.ones(1)}}).tolist()
    [1.0]
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
    """Returns a factor that rises from 0 to 1 over `ramp` steps.

    It is 2 / (1 + exp(-steepness p)) - 1 with p = min(step / ramp, 1). Source: Ganin et al. 2016,
    section 5.2.2.

    Args:
        step: number of the step, a scalar.
        ramp: length of the rise in steps; 0 for a factor of 1 from the start.
        steepness: of the rise.

    >>> [round(float(ramp_up(step, 100)), 3) for step in (0, 10, 100, 200)], ramp_up(0, 0)
    ([0.0, 0.462, 1.0, 1.0], 1.0)
    """
    if not ramp:
        return 1.0
    return 2 / (1 + jnp.exp(-steepness * jnp.minimum(step / ramp, 1.0))) - 1
