"""SJE, structured joint embedding: Akata, Reed, Walter, Lee and Schiele 2015,
https://arxiv.org/abs/1409.8403."""

from tljax.core import Method, Net
from tljax.knowledge import Knowledge
from tljax.methods.zero_shot.compatibility import compatible, violations

BATCHES = 'labelled'


def sje(net: Net, classes: int, knowledge: Knowledge, margin: float = 1.0) -> Method:
    """SJE: minimises the largest violation, max over j of max(0, margin + F(x, j) - F(x, y)).

    F(x, y) = f(x)'W s_y, with descriptions s of length 1. Only the wrong class that is scored
    highest counts (equations 3 and 4).

    Args:
        net: the network f.
        classes: number of classes of the data.
        knowledge: descriptions of these classes, in the order of the labels.
        margin: in units of F; 1 in the paper.

    Returns:
        A Method as `compatibility.compatible` describes it.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from tljax.core import Tick
    >>> from tljax.knowledge import knowledge
    >>> from tljax.zoo.families.identity import identity
    >>> animals = knowledge(['horse', 'tiger', 'panda'], [[1, 0], [0, 1], [-1, 0]])
    >>> method = sje(identity(2), 3, animals)
    >>> params = {'backbone': {}, 'head': {'kernel': jnp.eye(2)}}
    >>> state = {'backbone': {}, 'seen': jnp.ones(3, bool)}
    >>> batch = {'input': jnp.array([[0.0, 0.5]]), 'label': jnp.array([0])}
    >>> value, _ = method.loss(params, state, batch, Tick(0, jax.random.key(0)))
    >>> float(value)  # 1.5 for the tiger, 1.0 for the panda
    1.5
    """
    return compatible(
        net,
        classes,
        knowledge,
        lambda scores, right, wrong: violations(scores, right, wrong, margin).max(1),
    )
