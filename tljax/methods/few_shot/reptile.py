"""Reptile: Nichol, Achiam and Schulman 2018, https://arxiv.org/abs/1803.02999, algorithm 2.

Every step moves the weights towards those that training on a task gives:

    theta <- theta + e (mean over tasks of phi_i - theta)
    phi_i = theta after some steps of Adam on task i

The direction theta - phi is not the gradient of a loss. The surrogate loss sum(stop_gradient(theta
- phi) * theta) has it as its gradient, so that any optimiser can use it.
"""

import jax
import jax.numpy as jnp
import optax
from jax import lax

from tljax.core import Method, Net, Tick
from tljax.loops import in_loop
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
TRANSDUCTIVE = True  # BatchNorm normalises the pictures of a query set together


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
    """Reptile: moves the weights theta towards phi, the weights after training on a task's support.

    The gradient is theta - phi. The inner training starts from theta and takes `steps` steps of
    Adam without momentum on batches of the support. The queries are used for the metrics alone.

    Args:
        net: the backbone.
        classes: number of classes of an episode, its ways (0 for regression).
        steps: of the inner training.
        rate: of the inner training.
        batch: examples per inner step. The batches run through the support again and again, in a
            new random order each time.
        test_steps: steps of training on the support before prediction.
        test_batch: examples per step before prediction.
        chunk: number of tasks that are computed together, by vmap.
        method: a factory like `finetune`, whose loss and predict are used.

    Returns:
        A Method over the inner method's params on batches of episodes (`episodes`). The loss's
        value is the surrogate; metrics['loss'] is the query's loss at phi. BatchNorm always uses
        batch statistics (the transductive setting of the paper).

    >>> from tljax.zoo.families.identity import identity
    >>> examples = {
    ...     'input': jnp.eye(2).reshape(1, 2, 1, 2),
    ...     'label': jnp.arange(2).reshape(1, 2, 1),
    ... }
    >>> episode = {'support': examples, 'query': examples}
    >>> for steps in (1, 10, 100):  # the longer the inner training, the smaller the query's loss
    ...     method = reptile(identity(2), 2, steps=steps, rate=0.1)
    ...     params, state = jax.jit(method.init)(jax.random.key(0), episode)
    ...     _, (_, metrics) = jax.jit(method.loss)(
    ...         params, state, episode, Tick(0, jax.random.key(0))
    ...     )
    ...     print(round(float(metrics['loss']), 2))
    0.6
    0.19
    0.01
    """
    inner_method = method(on_batch_statistics(net), classes)
    tx = optax.adam(rate, b1=0.0)

    def init(key, batch):
        support = jax.tree.map(lambda leaf: leaf[0], batch['support'])
        return inner_method.init(key, flatten_shots(support))

    def train(params, state, support, tick, steps, size):
        examples = flatten_shots(support)
        count = len(examples['label'])

        def step(carry, i):
            phi, memory = carry
            rows = _rows(tick.key, i, min(size, count), count)
            inner_batch = jax.tree.map(lambda leaf: leaf[rows], examples)

            def inner_loss(phi):
                return inner_method.loss(phi, state, inner_batch, inner_tick(tick, i))[0]

            updates, memory = tx.update(jax.grad(inner_loss)(phi), memory, phi)
            return (optax.apply_updates(phi, updates), memory), None

        (phi, _), _ = lax.scan(in_loop(step), (params, tx.init(params)), jnp.arange(steps))
        return phi

    def loss(params, state, episodes, tick):
        def task_loss(params, task):
            phi = lax.stop_gradient(train(params, state, task['support'], tick, steps, batch))
            direction = jax.tree.map(lambda p, q: lax.stop_gradient(p - q), params, phi)
            products = jax.tree.map(lambda d, p: jnp.sum(d * p), direction, params)
            surrogate = sum(jax.tree.leaves(products))
            _, (_, metrics) = inner_method.loss(
                phi, state, flatten_shots(task['query']), inner_tick(tick, steps)
            )
            return surrogate, metrics

        value, metrics = mean_over_tasks(task_loss, params, episodes, chunk)
        return value, (state, metrics)

    def predict(params, state, episodes):
        tick = Tick(jnp.zeros((), jnp.int32), jax.random.key(0))

        def predict_task(task):
            phi = train(params, state, task['support'], tick, test_steps, test_batch)
            return inner_method.predict(phi, state, flatten_shots(task['query']))

        return lax.map(in_loop(predict_task), episodes, batch_size=chunk)

    return Method(init, loss, predict)


def _rows(key, i, size, count):
    """Rows of batch i of a support of `count` examples.

    Every pass over the support has a new permutation, and a batch may reach into the next pass.
    """
    epoch, offset = jnp.divmod(i * size + jnp.arange(size), count)
    orders = jnp.stack(
        [jax.random.permutation(jax.random.fold_in(key, epoch[0] + k), count) for k in range(2)]
    )
    return orders[epoch - epoch[0], offset]
