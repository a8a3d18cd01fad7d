"""What methods of domain adaptation share: the source's labels are learnt while something makes the two domains alike.

A batch is a labelled set of the source with `target`, as many inputs of the target without labels: {'input', 'label', 'target': {'input'}}.
"""
import jax
import jax.numpy as jnp

from tljax.core import Method, Refused
from tljax.losses import accuracy, cross_entropy, linear, weighted
from tljax.methods.fine_tuning.finetune import finetune


def adapting(net, classes, align, players=lambda key, taps: {}, weight=1., ramp=0):
    """A method that minimises CE(source labels) + align(params, source, target, strength).

    Args:
        net: the backbone. classes: their number.
        align: (params, source, target, strength) -> scalar; source and target are {'logits', 'features', every other intermediate of the
            network}, of as many rows. strength: `weight`, brought up from 0 over `ramp` steps (`risen`); 0 steps: at once.
        players: (key, taps) -> {name: parameters} of what `align` has of its own, such as a critic; taps: shapes of the network's
            intermediates.

    Returns:
        A Method over params {'backbone', 'head', players}. Both domains go through the network in one batch, whose statistics
        BatchNorm takes; predict is that of `finetune`.

    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> method = adapting(identity(1), 2, lambda params, source, target, strength: strength * jnp.mean(target['features']), weight=3.)
    >>> batch = {'input': jnp.zeros((1, 1)), 'label': jnp.array([0]), 'target': {'input': jnp.ones((1, 1))}}
    >>> params, state = method.init(jax.random.key(0), batch)
    >>> float(method.loss(params, state, batch, Tick(0, jax.random.key(0)))[0] - jnp.log(2))
    3.0
    """
    refuse_regression('domain adaptation', classes)
    alone = finetune(net, classes)

    def init(key, batch):
        params, state = alone.init(key, batch)
        taps = jax.eval_shape(net.features, params['backbone'], state['backbone'], batch['input'])[0]
        return {**params, **players(jax.random.fold_in(key, 1), taps)}, state

    def loss(params, state, batch, tick):
        source, target, moved = both(net, params, state, batch, tick.key)
        error = weighted(cross_entropy(source['logits'], batch['label']), batch)
        gap = align(params, source, target, weight * risen(tick.step, ramp))
        metrics = {'loss': error, 'accuracy': accuracy(source['logits'], batch['label']), 'gap': gap}
        return error + gap, ({**state, 'backbone': moved}, metrics)

    return Method(init, loss, alone.predict)


def refuse_regression(who, classes):
    """For what tells classes apart.

    >>> refuse_regression('domain adaptation', 0)
    Traceback (most recent call last):
    tljax.core.Refused: domain adaptation needs classes: this data has numbers to regress on
    """
    if not classes:
        raise Refused(f'{who} needs classes: this data has numbers to regress on')


def both(net, params, state, batch, key=None, answer=linear):
    """Both domains through one network: (source, target, moved state), dicts of intermediates with 'logits', which are
    answer(params['head'], features).

    >>> from tljax.zoo.families.identity import identity
    >>> params = {'backbone': {}, 'head': {'kernel': jnp.ones((1, 1)), 'bias': jnp.zeros(1)}}
    >>> source, target, _ = both(identity(1), params, {'backbone': {}}, {'input': jnp.zeros((2, 1)), 'target': {'input': jnp.ones((2, 1))}})
    >>> source['logits'].tolist(), target['logits'].tolist()
    ([[0.0], [0.0]], [[1.0], [1.0]])
    """
    (source, target), moved = together(net, params, state, [batch['input'], of_target(batch)], key, answer)
    return source, target, moved


def together(net, params, state, inputs, key=None, answer=linear):
    """Several arrays of as many inputs through one network, in one batch: ([dict of intermediates with 'logits', ...], moved state).

    Logits are answer(params['head'], features). The arrays' rows alternate in that batch, so that a batch that is spread over devices stays
    where it is.

    >>> from tljax.zoo.families.identity import identity
    >>> params = {'backbone': {}, 'head': {'kernel': jnp.ones((1, 1)), 'bias': jnp.zeros(1)}}
    >>> taps, _ = together(identity(1), params, {'backbone': {}}, [jnp.full((2, 1), value) for value in (1., 2., 3.)])
    >>> [tap['logits'].ravel().tolist() for tap in taps]
    [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]
    """
    rows = jnp.stack(inputs, 1)
    taps, moved = net.features(params['backbone'], state['backbone'], rows.reshape(-1, *rows.shape[2:]), key)
    taps = {**taps, 'logits': answer(params['head'], taps['features'])}
    return [{name: tap[start::len(inputs)] for name, tap in taps.items()} for start in range(len(inputs))], moved


def of_target(batch):
    """The target's inputs of a batch.

    >>> of_target({'input': jnp.zeros(1)})
    Traceback (most recent call last):
    tljax.core.Refused: this method adapts to a target, and the data has none: give data=dict(name='domains', source=..., target=...)
    """
    if 'target' not in batch:
        raise Refused("this method adapts to a target, and the data has none: give data=dict(name='domains', source=..., target=...)")
    return batch['target']['input']


def risen(step, ramp, steepness=10.):
    """2 / (1 + exp(-steepness p)) - 1 with p = step / ramp, at most 1: Ganin et al. 2016, section 5.2.2.

    >>> [round(float(risen(step, 100)), 3) for step in (0, 10, 100, 200)], risen(0, 0)
    ([0.0, 0.462, 1.0, 1.0], 1.0)
    """
    return 2 / (1 + jnp.exp(-steepness * jnp.minimum(step / ramp, 1.))) - 1 if ramp else 1.
