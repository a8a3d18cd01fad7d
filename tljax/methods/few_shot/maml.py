"""Model-agnostic meta-learning: Finn, Abbeel and Levine 2017, https://arxiv.org/abs/1703.03400,
algorithm 2.

    theta'_i = theta - rate * gradient of L_support,i(theta)
    minimise the sum over tasks i of L_query,i(theta'_i)

ANIL (Raghu et al. 2020, https://arxiv.org/abs/1909.09157) is `moves='head/.*'`. Meta-SGD (Li et al.
2017, https://arxiv.org/abs/1707.09835) is `learn_rates=True`: every parameter has a learnt rate.
"""

import jax
import jax.numpy as jnp
from jax import lax

from tljax.core import Method, Net, Tick
from tljax.loops import in_loop
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
CACHED = False  # batches are episodes, and features are cached for labelled sets only
TRANSDUCTIVE = True  # BatchNorm normalises the pictures of a query set together


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
    """MAML: minimises the loss on the query after a few steps of gradient descent on the support.

    BatchNorm normalises the support by the statistics of the support, and the query by those of the
    query, in training and in prediction. No statistics are stored.

    Args:
        net: the backbone.
        classes: number of classes in an episode, its ways (0 for regression).
        steps: number of steps of the inner gradient descent.
        rate: learning rate of the inner gradient descent.
        order: 2 differentiates through the inner gradients, 1 treats them as constants.
        moves: regex over parameter paths; the inner gradient descent updates the parameters that it
            matches.
        learn_rates: True for Meta-SGD: every parameter has its own rate, which is learnt (`rates`
            in the params) and starts at `rate`.
        test_steps: number of inner steps in prediction; 0 for as many as in training.
        chunk: number of tasks that are computed together, by vmap.
        method: a factory like `finetune`; its loss and predict are applied to each task.

    Returns:
        A Method with the params of the inner method, for batches of episodes (`episodes`). The
        output of its predict is (tasks, ways * queries, classes).

    >>> from tljax.zoo.families.identity import identity
    >>> examples = {
    ...     'input': jnp.eye(2).reshape(1, 2, 1, 2),
    ...     'label': jnp.arange(2).reshape(1, 2, 1),
    ... }
    >>> episode = {'support': examples, 'query': examples}
    >>> for steps in (1, 3, 9):  # more inner steps give a smaller loss on the query (here: support)
    ...     method = maml(identity(2), 2, steps=steps)
    ...     params, state = jax.jit(method.init)(jax.random.key(0), episode)
    ...     value, _ = jax.jit(method.loss)(params, state, episode, Tick(0, jax.random.key(0)))
    ...     print(round(float(value), 2))
    0.6
    0.46
    0.25
    """
    inner_method = method(on_batch_statistics(net), classes)

    def init(key, batch):
        support = jax.tree.map(lambda leaf: leaf[0], batch['support'])
        params, state = inner_method.init(key, flatten_shots(support))
        if learn_rates:
            rates = jax.tree.map(lambda leaf: jnp.full(leaf.shape, rate), params)
            return {**params, 'rates': rates}, state
        return params, state

    def adapt(params, state, support, tick, steps):
        rates = params['rates'] if learn_rates else rate
        theta = {name: leaves for name, leaves in params.items() if name != 'rates'}
        examples = flatten_shots(support)

        def support_loss(phi, i):
            return inner_method.loss(phi, state, examples, inner_tick(tick, i))[0]

        return gradient_descent(support_loss, theta, rates, steps, order, moves)

    def loss(params, state, batch, tick):
        def task_loss(params, task):
            phi = adapt(params, state, task['support'], tick, steps)
            value, (_, metrics) = inner_method.loss(
                phi, state, flatten_shots(task['query']), inner_tick(tick, steps)
            )
            return value, metrics

        value, metrics = mean_over_tasks(task_loss, params, batch, chunk)
        return value, (state, metrics)

    def predict(params, state, batch):
        tick = Tick(jnp.zeros((), jnp.int32), jax.random.key(0))

        def predict_task(task):
            phi = adapt(params, state, task['support'], tick, test_steps or steps)
            return inner_method.predict(phi, state, flatten_shots(task['query']))

        return lax.map(in_loop(predict_task), batch, batch_size=chunk)

    return Method(init, loss, predict)
