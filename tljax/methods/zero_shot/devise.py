"""DeViSE, a deep visual-semantic embedding: Frome, Corrado, Shlens, Bengio, Dean, Ranzato and
Mikolov 2013, https://papers.nips.cc/paper/5204."""

from tljax.core import Method, Net
from tljax.knowledge import Knowledge
from tljax.methods.zero_shot.compatibility import compatible, violations

BATCHES = 'labelled'


def devise(net: Net, classes: int, knowledge: Knowledge, margin: float = 0.1) -> Method:
    """DeViSE: minimises the sum over wrong classes j of max(0, margin - F(x, y) + F(x, j)).

    F(x, y) = f(x)'W s_y, with descriptions s of length 1 (equation 1).

    Args:
        net: the network f.
        classes: number of classes of the data.
        knowledge: descriptions of these classes, in the order of the labels.
        margin: in units of F; 0.1 in the paper.

    Returns:
        A Method as `compatibility.compatible` describes it.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from tljax.core import Tick
    >>> from tljax.knowledge import knowledge
    >>> from tljax.zoo.families.identity import identity
    >>> animals = knowledge(['horse', 'tiger', 'zebra'], [[1, 0], [0, 1], [1, 1]])
    >>> method = devise(identity(2), 3, animals)
    >>> params = {'backbone': {}, 'head': {'kernel': jnp.eye(2)}}
    >>> state = {'backbone': {}, 'seen': jnp.array([True, True, False])}
    >>> batch = {'input': jnp.array([[0.5, 1.0]]), 'label': jnp.array([0])}
    >>> value, _ = method.loss(params, state, batch, Tick(0, jax.random.key(0)))
    >>> round(float(value), 2)  # 0.1 + F(tiger) - F(horse); the zebra is not seen
    0.6
    """
    return compatible(
        net,
        classes,
        knowledge,
        lambda scores, right, wrong: violations(scores, right, wrong, margin).sum(1),
    )
