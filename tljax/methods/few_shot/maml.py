"""Model-agnostic meta-learning: Finn, Abbeel and Levine 2017, https://arxiv.org/abs/1703.03400,
algorithm 2.

    theta'_i = theta - rate * gradient of L_support,i(theta)
    minimise the sum over tasks i of L_query,i(theta'_i)

ANIL (Raghu et al. 2020, https://arxiv.org/abs/1909.09157) is `moves='head/.*'`; Meta-SGD (Li et al.
2017, https://arxiv.org/abs/1707.09835) is `learn_rates=True`: every parameter's rate is learnt with
it.
"""

import jax
import jax.numpy as jnp
from jax import lax

from tljax.core import Method, Net, Tick
from tljax.methods.few_shot.inner_loop import (
    flatten_shots,
    gradient_descent,
    inner_tick,
    mean_over_tasks,
    on_batch_statistics,
)
from tljax.methods.fine_tuning.finetune import finetune
from tljax.protocols import Factory

BATCHES = 'episodes'
CACHED = False  # an episode is no labelled set
LOOPED = True  # the network runs inside a loop over tasks


def maml(
    net: Net,
    classes: int,
    steps: int = 1,
    rate: float = 0.4,
    order: int = 2,
    moves: str = '.*',
    learn_rates: bool = False,
    test_steps: int = 0,
    chunk: int = 1,
    method: Factory = finetune,
) -> Method:
    """The loss of the query after `steps` of gradient descent on the support, as `method` measures
    both.

    BatchNorm normalises support and query each by their own statistics, in training and in
    prediction; none are stored.

    Args:
        net: the backbone.
        classes: the ways of an episode; 0 for regression.
        steps: of the inner descent.
        rate: of the inner descent.
        order: 2 differentiates through the inner gradients, 1 does not.
        moves: regex of the parameters that move in the inner descent.
        learn_rates: rates are parameters, 'rates', that start at `rate`.
        test_steps: steps of prediction; 0: as in training.
        chunk: tasks at a time, by vmap.
        method: whose loss and predict are used: a factory like `finetune`.

    Returns:
        A Method over the inner method's params on batches of episodes (`episodes`); predict's
        output is (t, n q, classes).

    >>> from tljax.zoo.families.identity import identity
    >>> one = {'input': jnp.array([[[[1.0, 0.0]], [[0.0, 1.0]]]]), 'label': jnp.array([[[0], [1]]])}
    >>> meta = maml(identity(2), 2)
    >>> params, state = meta.init(jax.random.key(0), {'support': one, 'query': one})
    >>> meta.predict(params, state, {'support': one, 'query': one})['output'].argmax(-1).tolist()
    [[0, 1]]
    """
    inner = method(on_batch_statistics(net), classes)

    def init(key, batch):
        params, state = inner.init(
            key, flatten_shots(jax.tree.map(lambda leaf: leaf[0], batch['support']))
        )
        return {
            **params,
            'rates': jax.tree.map(lambda leaf: jnp.full(leaf.shape, rate), params),
        } if learn_rates else params, state

    def adapted(params, state, support, tick, steps):
        rates = params['rates'] if learn_rates else rate
        theta = {player: leaves for player, leaves in params.items() if player != 'rates'}
        return gradient_descent(
            lambda phi, i: inner.loss(phi, state, flatten_shots(support), inner_tick(tick, i))[0],
            theta,
            rates,
            steps,
            order,
            moves,
        )

    def loss(params, state, batch, tick):
        def of_task(params, task):
            phi = adapted(params, state, task['support'], tick, steps)
            value, (_, metrics) = inner.loss(
                phi, state, flatten_shots(task['query']), inner_tick(tick, steps)
            )
            return value, metrics

        value, metrics = mean_over_tasks(of_task, params, batch, chunk)
        return value, (state, metrics)

    def predict(params, state, batch):
        tick = Tick(jnp.zeros((), jnp.int32), jax.random.key(0))

        def of_task(task):
            phi = adapted(params, state, task['support'], tick, test_steps or steps)
            return inner.predict(phi, state, flatten_shots(task['query']))

        return lax.map(of_task, batch, batch_size=chunk)

    return Method(init, loss, predict)
