"""ALE, attribute label embedding: Akata, Perronnin, Harchaoui and Schmid 2013 and 2016,
https://arxiv.org/abs/1503.08677."""

import jax
import jax.numpy as jnp
import numpy as np

from tljax.core import Method, Net
from tljax.knowledge import Knowledge
from tljax.methods.zero_shot.compatibility import compatible, violations

BATCHES = 'labelled'


def ale(net: Net, classes: int, knowledge: Knowledge, margin: float = 1.0) -> Method:
    """ALE: minimises l(r) / r times the sum of violations max(0, margin + F(x, j) - F(x, y)).

    F(x, y) = f(x)'W s_y, with descriptions s of length 1. r is the number of wrong classes that
    violate the margin, and l(r) = 1 + 1/2 + ... + 1/r (equations 10 and 11). An error at the top of
    the ranking therefore costs more than one further down.

    Args:
        net: the network f.
        classes: number of classes of the data.
        knowledge: descriptions of these classes, in the order of the labels.
        margin: in units of F; 1 in the paper.

    Returns:
        A Method as `compatibility.compatible` describes it.

    >>> from tljax.core import Tick
    >>> from tljax.knowledge import knowledge
    >>> from tljax.zoo.families.identity import identity
    >>> animals = knowledge(['horse', 'tiger', 'panda'], [[1, 0], [0, 1], [-1, 0]])
    >>> method = ale(identity(2), 3, animals)
    >>> params = {'backbone': {}, 'head': {'kernel': jnp.eye(2)}}
    >>> state = {'backbone': {}, 'seen': jnp.ones(3, bool)}
    >>> batch = {'input': jnp.array([[0.0, 0.5]]), 'label': jnp.array([0])}
    >>> value, _ = method.loss(params, state, batch, Tick(0, jax.random.key(0)))
    >>> float(value)  # (1 + 1/2) / 2 times 1.5 for the tiger and 1.0 for the panda
    1.875
    """
    # (classes,): 0, and l(r) / r for r from 1
    mean_cost = jnp.asarray(
        np.cumsum([0.0, *(1 / np.arange(1, classes))]) / np.maximum(np.arange(classes), 1)
    )

    def ranking(scores, right, wrong):
        cost = violations(scores, right, wrong, margin)
        rank = jax.lax.stop_gradient((cost > 0).sum(1))
        return mean_cost[rank] * cost.sum(1)

    return compatible(net, classes, knowledge, ranking)
