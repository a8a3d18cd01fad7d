"""Parts of methods that learn a bilinear compatibility of inputs and descriptions of classes,
F(x, y) = f(x)'W s_y, by ranking.

The knowledge base lists all classes, and labels number its rows. A loss ranks the seen classes
alone: those that have training examples when training begins. The prediction scores all classes.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from tljax.core import Method, Net, UserError
from tljax.knowledge import Knowledge, unit_rows
from tljax.losses import accuracy, weighted_mean

# (scores (n, c), score of the right class (n, 1), is wrong and seen (n, c)) -> values (n,)
Ranking = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


def compatible(net: Net, classes: int, knowledge: Knowledge, ranking: Ranking) -> Method:
    """Makes the method that minimises the mean of a ranking loss of compatibilities.

    Descriptions have the length 1, as in all three papers. W starts at small random values.

    Args:
        net: the network f.
        classes: number of classes of the data.
        knowledge: descriptions of these classes, in the order of the labels.
        ranking: (scores, score of the right class, mask of the wrong classes) -> values (n,).

    Returns:
        A Method over params {'backbone', 'head': {'kernel': (dim, a)}}. Its predict gives the
        compatibility with all classes, (n, classes).

    Raises:
        UserError: the knowledge base lists another number of classes than the data.

    >>> from tljax.knowledge import knowledge
    >>> from tljax.zoo.families.identity import identity
    >>> animals = knowledge(['horse', 'tiger', 'zebra'], [[2, 0], [0, 2], [3, 4]])
    >>> def ranking(scores, right, wrong):
    ...     return jnp.sum(jnp.where(wrong, scores, 0.0), 1)
    >>> method = compatible(identity(2), 3, animals, ranking)
    >>> params = {'backbone': {}, 'head': {'kernel': jnp.eye(2)}}
    >>> batch = {'input': jnp.array([[1.0, 1.0]]), 'label': jnp.array([0])}
    >>> output = method.predict(params, {'backbone': {}}, batch)['output']
    >>> [round(score, 2) for score in output[0].tolist()]
    [1.0, 1.0, 1.4]
    """
    if classes != len(knowledge.classes):
        raise UserError(
            f'{knowledge.place} lists {len(knowledge.classes)} classes, and the data {classes}: '
            "number the labels by its list, as dict(name='described', of=..., knowledge=...) does"
        )
    vectors = jnp.asarray(unit_rows(knowledge.vectors), jnp.float32)

    def init(key, batch):
        params, state = net.init(key, batch['input'])
        shape = net.dim, vectors.shape[1]
        kernel = jax.random.normal(jax.random.fold_in(key, 1), shape) / np.sqrt(net.dim)
        return (
            {'backbone': params, 'head': {'kernel': kernel}},
            {'backbone': state, 'seen': jnp.ones(classes, bool)},
        )

    def scores(params, state, batch, key=None):
        taps, backbone_state = net.features(
            params['backbone'], state['backbone'], batch['input'], key
        )
        return taps['features'] @ params['head']['kernel'] @ vectors.T, backbone_state

    def loss(params, state, batch, tick):
        output, backbone_state = scores(params, state, batch, tick.key)
        label = batch['label'][:, None]
        right = jnp.take_along_axis(output, label, 1)
        wrong = state['seen'] & (jnp.arange(classes) != label)
        value = weighted_mean(ranking(output, right, wrong), batch)
        among_seen = jnp.where(state['seen'], output, -jnp.inf)
        metrics = {'loss': value, 'accuracy': accuracy(among_seen, batch['label'])}
        return value, ({**state, 'backbone': backbone_state}, metrics)

    def predict(params, state, batch):
        return {'output': scores(params, state, batch)[0], 'label': batch['label']}

    def remember(params, state, start):
        return {**state, 'seen': seen_classes(start.train.label, classes)}

    return Method(init, loss, predict, remember)


def seen_classes(label: ArrayLike, classes: int) -> jax.Array:
    """Which classes have training examples, (classes,) booleans.

    Args:
        label: of the training examples, (n,).
        classes: number of classes.

    >>> seen_classes([0, 2, 2], 4).tolist()
    [True, False, True, False]
    """
    return jnp.asarray(np.bincount(np.asarray(label), minlength=classes) > 0)


def violations(
    scores: jax.Array, right: jax.Array, wrong: jax.Array, margin: float | jax.Array
) -> jax.Array:
    """By how much each wrong class violates the margin, max(0, margin + F(x, j) - F(x, y)), (n, c).

    Args:
        scores: F of all classes, (n, c).
        right: F of the right class, (n, 1).
        wrong: which classes are wrong and seen, (n, c); all others get 0.
        margin: in units of the scores.

    >>> violations(
    ...     jnp.array([[1.0, 0.5, 9.0]]), jnp.array([[1.0]]), jnp.array([[False, True, False]]), 1.0
    ... ).tolist()
    [[0.0, 0.5, 0.0]]
    """
    return jnp.where(wrong, jnp.maximum(margin + scores - right, 0), 0)
