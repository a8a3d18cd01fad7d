"""Cross-stitch networks: a network for each task, which exchange their intermediate values.

Source: Misra, Shrivastava, Gupta and Hebert 2016, Cross-stitch networks for multi-task learning,
equation 1 (https://arxiv.org/abs/1604.03539).
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp

from tljax.core import Method, Net, Tree, UserError, nearest_name
from tljax.methods.multitask.joint_model import joint, summed
from tljax.nn.taps import replacing

BATCHES = 'tasks'
CACHED = False  # it changes the network
COLUMNS = True


def cross_stitch(
    net: Net,
    classes: Mapping[str, int],
    several: Mapping[str, bool] | None = None,
    layers: Sequence[str] = (),
    own: float = 0.9,
) -> Method:
    """Cross-stitch: column t of T networks goes on with sum_s alpha[t, s] x_s after a layer.

    x_s is the layer's output in column s, and alpha, (T, T), is learnt for each layer: the identity
    makes single-task networks, and equal entries share the layer. The sum of the tasks' losses is
    minimised. Every column computes all examples, so that a step costs T times that of hard
    sharing. All columns start from the same parameters, fresh ones or those of one donor.

    Args:
        net: network of a column.
        classes: {task: number of classes or labels; 0 for numbers}.
        several: {task: whether its examples have any number of labels}; None: no task's have.
        layers: names of the groups after which values are exchanged; empty for all groups.
        own: first value of alpha[t, t], in [0, 1]; the other tasks share the rest equally.

    Returns:
        A Method with params {'backbone', 'head', 'stitch': {layer: alpha}}. The parameters and
        statistics of the backbone have a leading axis of tasks.

    Raises:
        UserError: `own` outside [0, 1], or a layer whose values the network does not give.

    >>> from tljax.zoo import mlp
    >>> method = cross_stitch(mlp((4, 3)), {'a': 2, 'b': 2}, layers=['layer1'])
    >>> batch = {'input': jnp.ones((1, 5)), 'label': dict.fromkeys(('a', 'b'), jnp.zeros(1, int))}
    >>> params, state = method.init(jax.random.key(0), batch)
    >>> params['backbone']['dense1']['kernel'].shape
    (2, 5, 4)
    >>> bool(jnp.allclose(params['stitch']['layer1'], jnp.array([[0.9, 0.1], [0.1, 0.9]])))
    True
    """
    if not 0 <= own <= 1:
        raise UserError(f'method.own={own}: give a number from 0 to 1')
    count = len(classes)

    def init(key, input):
        params, state = net.init(key, input)
        names = _layers(net, params, state, input, layers)
        rest = (1 - own) / max(count - 1, 1)
        alpha = jnp.full((count, count), rest) + (own - rest) * jnp.eye(count)
        columns, statistics = jax.tree.map(lambda leaf: jnp.stack([leaf] * count), (params, state))
        params = {'backbone': columns, 'stitch': {name: alpha for name in names}}
        return params, {'backbone': statistics}

    def features(params, state, input, key):
        def column(tree, task):
            return jax.tree.map(lambda leaf: leaf[task], tree['backbone'])

        times = _counts(net, column(params, 0), column(state, 0), input)
        stitched = [{} for _ in classes]  # of each column: {layer: value with which it goes on}

        def compute(task):
            # what lies below the last of these values, and above the one wanted, is dead code
            with replacing(_in_place(stitched[task], times)):
                return net.features(column(params, task), column(state, task), input, key)

        for name, alpha in _from_shallow_to_deep(params['stitch'], times):
            values = jnp.stack([compute(task)[0][name] for task in range(count)])
            for task in range(count):
                stitched[task][name] = jnp.tensordot(alpha[task].astype(values.dtype), values, 1)
        taps, states = zip(*(compute(task) for task in range(count)), strict=True)
        statistics = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
        by_task = {task: tap['features'] for task, tap in zip(classes, taps, strict=True)}
        return by_task, {**state, 'backbone': statistics}

    return summed(joint(init, features, net.dim, classes, several))


def _counts(net: Net, params: Tree, state: Tree, input: jax.Array) -> Counter:
    """How often a network computes each of its intermediates, shallow to deep."""
    times = Counter()

    def count(name, x):
        times[name] += 1
        return x

    with replacing(count):  # a new function, as JAX would remember what an old one returned
        jax.eval_shape(lambda *arguments: net.features(*arguments), params, state, input)
    return times


def _layers(net, params, state, input, layers):
    """The layers after which values are exchanged."""
    times = _counts(net, params, state, input)
    if not times:
        raise UserError(
            'cross_stitch exchanges intermediate values, and this network has none: take another'
        )
    for name in layers:
        if name not in times:
            raise UserError(
                f'method.layers: {name!r} is no layer of the network: {nearest_name(name, times)}'
            )
    return list(layers or times)


def _in_place(values, times):
    """Replaces intermediates; of those with one name the last, which is the group's output."""
    seen = Counter()

    def replace(name, x):
        seen[name] += 1
        return values[name] if name in values and seen[name] == times[name] else x

    return replace


def _from_shallow_to_deep(units, times):
    return [(name, units[name]) for name in times if name in units]
