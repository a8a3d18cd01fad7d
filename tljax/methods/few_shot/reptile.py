"""Reptile: Nichol, Achiam and Schulman 2018, https://arxiv.org/abs/1803.02999, algorithm 2: towards
the weights that a task leads to.

    theta <- theta + e (mean over tasks of phi_i - theta)
    phi_i = theta after some steps of Adam on task i

The direction is no gradient of a loss; it is written as one, sum(stop_gradient(theta - phi) *
theta), so that any optimiser takes it.
"""

import jax
import jax.numpy as jnp
import optax
from jax import lax

from tljax.core import Method, Net, Tick
from tljax.methods.few_shot.inner_loop import (
    flatten_shots,
    inner_tick,
    mean_over_tasks,
    on_batch_statistics,
)
from tljax.methods.fine_tuning.finetune import finetune
from tljax.protocols import Factory

BATCHES = 'episodes'
CACHED = False  # an episode is no labelled set
LOOPED = True  # the network runs inside a loop over tasks


def reptile(
    net: Net,
    classes: int,
    steps: int = 5,
    rate: float = 1e-3,
    batch: int = 10,
    test_steps: int = 50,
    test_batch: int = 5,
    chunk: int = 1,
    method: Factory = finetune,
) -> Method:
    """The gradient is theta - phi, phi being what `steps` of Adam (no momentum) on batches of the
    support make of theta.

    Args:
        net: the backbone.
        classes: the ways of an episode; 0 for regression.
        steps: of the inner training.
        rate: of the inner training.
        batch: of the inner training. A batch runs through the support in an order of its own, again
            and again.
        test_steps: of the training before prediction.
        test_batch: of the training before prediction.
        chunk: tasks at a time, by vmap.
        method: whose loss is used: a factory like `finetune`.

    Returns:
        A Method over the inner method's params on batches of episodes (`episodes`), whose queries
        training does not look at but for its metrics. BatchNorm runs on batch statistics throughout
        (the transductive setting of the paper).

    >>> from tljax.zoo.families.identity import identity
    >>> one = {'input': jnp.array([[[[1.0, 0.0]], [[0.0, 1.0]]]]), 'label': jnp.array([[[0], [1]]])}
    >>> meta = reptile(identity(2), 2)
    >>> params, state = meta.init(jax.random.key(0), {'support': one, 'query': one})
    >>> meta.predict(params, state, {'support': one, 'query': one})['output'].argmax(-1).tolist()
    [[0, 1]]
    """
    inner, tx = method(on_batch_statistics(net), classes), optax.adam(rate, b1=0.0)

    def init(key, batch):
        return inner.init(key, flatten_shots(jax.tree.map(lambda leaf: leaf[0], batch['support'])))

    def trained(params, state, support, tick, steps, size):
        support = flatten_shots(support)
        count = len(support['label'])

        def step(carry, i):
            phi, memory = carry
            rows = _rows(tick.key, i, min(size, count), count)
            taken = jax.tree.map(lambda leaf: leaf[rows], support)
            grads = jax.grad(lambda phi: inner.loss(phi, state, taken, inner_tick(tick, i))[0])(phi)
            updates, memory = tx.update(grads, memory, phi)
            return (optax.apply_updates(phi, updates), memory), None

        return lax.scan(step, (params, tx.init(params)), jnp.arange(steps))[0][0]

    def loss(params, state, episodes, tick):
        def of_task(params, task):
            phi = lax.stop_gradient(trained(params, state, task['support'], tick, steps, batch))
            direction = jax.tree.map(lambda p, q: lax.stop_gradient(p - q), params, phi)
            surrogate = sum(
                jax.tree.leaves(jax.tree.map(lambda d, p: jnp.sum(d * p), direction, params))
            )
            return surrogate, inner.loss(
                phi, state, flatten_shots(task['query']), inner_tick(tick, steps)
            )[1][1]

        value, metrics = mean_over_tasks(of_task, params, episodes, chunk)
        return value, (state, metrics)

    def predict(params, state, episodes):
        tick = Tick(jnp.zeros((), jnp.int32), jax.random.key(0))

        def of_task(task):
            phi = trained(params, state, task['support'], tick, test_steps, test_batch)
            return inner.predict(phi, state, flatten_shots(task['query']))

        return lax.map(of_task, episodes, batch_size=chunk)

    return Method(init, loss, predict)


def _rows(key, i, size, count):
    """Batch i of a support of `count` examples: a permutation for each pass over it, as batches run
    on from one to the next."""
    epoch, offset = jnp.divmod(i * size + jnp.arange(size), count)
    orders = jnp.stack(
        [jax.random.permutation(jax.random.fold_in(key, epoch[0] + k), count) for k in range(2)]
    )
    return orders[epoch - epoch[0], offset]
