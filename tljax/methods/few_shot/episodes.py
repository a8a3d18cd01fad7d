"""What metric methods share: one network embeds support and query together, and a method says how a
query is compared with the support.

A batch of episodes is {'support': set, 'query': set} with the axes (tasks, ways, shots or queries,
...): inputs (t, n, k, ...) and (t, n, q, ...), labels of the same leading axes, from 0 to n - 1.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from tljax.core import Method, Net, Tree
from tljax.losses import accuracy, cross_entropy, weighted_mean
from tljax.protocols import Answer, Comparison, Head, Values


def metric(
    net: Net,
    compare: Comparison,
    head: Head | None = None,
    tap: str = 'features',
    error: Values = cross_entropy,
) -> Method:
    """A method that minimises the mean `error` of the queries, whose logits are `compare(head,
    support, query)`.

    All pictures of a batch go through the network at once, so that BatchNorm sees support and query
    together.

    Args:
        net: the backbone.
        compare: (head parameters, support (n, k, ...), query (m, ...)) -> logits (m, n), for one
            episode.
        head: (key, embedding of one example) -> parameters of the comparison; None where there are
            none.
        tap: which intermediate of the network is the embedding.
        error: (logits (..., n), labels (...)) -> values (...).

    Returns:
        A Method over params {'backbone'} or {'backbone', 'head'}; predict's output is (t, n q, n)
        logits, its label (t, n q).

    >>> from tljax.zoo.families.identity import identity
    >>> nearest = metric(identity(2), lambda _, support, query: query @ support.mean(1).T)
    >>> episode = {'input': jnp.eye(2)[None, :, None], 'label': jnp.arange(2)[None, :, None]}
    >>> nearest.predict({'backbone': {}}, {'backbone': {}}, {'support': episode, 'query': episode})[
    ...     'output'
    ... ].tolist()
    [[[1.0, 0.0], [0.0, 1.0]]]
    """

    def init(key, batch):
        first = batch['support']['input'][0, 0]
        params, state = net.init(key, first)
        players = {'backbone': params}
        if head is not None:
            embedding = jax.eval_shape(lambda: net.features(params, state, first)[0][tap])
            players['head'] = head(jax.random.fold_in(key, 1), jnp.zeros(embedding.shape[1:]))
        return players, {'backbone': state}

    def logits(params, state, batch, key=None):
        support, query = batch['support']['input'], batch['query']['input']
        axes, shape = 3, support.shape
        together = jnp.concatenate([each.reshape(-1, *shape[axes:]) for each in (support, query)])
        taps, moved = net.features(params['backbone'], state['backbone'], together, key)
        parts = jnp.split(taps[tap], [support.shape[0] * support.shape[1] * support.shape[2]])
        support, query = (
            part.reshape(*each.shape[:axes], *part.shape[1:])
            for part, each in zip(parts, (support, query), strict=True)
        )
        query = query.reshape(query.shape[0], -1, *query.shape[axes:])
        out = jax.vmap(lambda support, query: compare(params.get('head'), support, query))(
            support, query
        )
        return out, batch['query']['label'].reshape(out.shape[:2]), {**state, 'backbone': moved}

    def loss(params, state, batch, tick):
        out, label, state = logits(params, state, batch, tick.key)
        value = error(out, label).mean()
        return value, (state, {'loss': value, 'accuracy': accuracy(out, label)})

    def predict(params, state, batch):
        out, label, _ = logits(params, state, batch)
        return {'output': out, 'label': label}

    return Method(init, loss, predict)


def on_base_classes(
    net: Net,
    classes: int,
    head: Callable[[jax.Array], Tree],
    classify: Answer,
    compare: Comparison,
    momentum: float = 0.99,
) -> Method:
    """A classifier of base classes, trained on labelled sets, whose features then tell new classes
    apart in episodes.

    Args:
        net: the backbone.
        classes: number of base classes.
        head: key -> parameters of the classifier.
        classify: (head, features (m, dim)) -> logits (m, classes).
        compare: (mean, support (n, k, dim), query (m, dim)) -> logits (m, n), for one episode;
            `mean` (dim,) is the running mean of the base classes' features.
        momentum: of the running mean.

    Returns:
        A Method over params {'backbone', 'head'} on labelled sets. predict takes both: of a
        labelled set the output is (n, classes) logits; of episodes, (t, n q, n), the classifier is
        not asked.

    >>> from tljax.zoo.families.identity import identity
    >>> start, nearest = (
    ...     (lambda key: {'kernel': jnp.eye(2)}),
    ...     (lambda _, support, query: query @ support.mean(1).T),
    ... )
    >>> method = on_base_classes(identity(2), 2, start, lambda head, x: x @ head['kernel'], nearest)
    >>> batch = {'input': jnp.eye(2), 'label': jnp.arange(2)}
    >>> method.predict(*method.init(jax.random.key(0), batch), batch)['output'].tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    episode = metric(net, compare)

    def init(key, batch):
        params, state = net.init(key, batch['input'])
        return (
            {'backbone': params, 'head': head(jax.random.fold_in(key, 1))},
            {'backbone': state, 'mean': jnp.zeros(net.dim)},
        )

    def loss(params, state, batch, tick):
        taps, moved = net.features(params['backbone'], state['backbone'], batch['input'], tick.key)
        out = classify(params['head'], taps['features'])
        value = weighted_mean(cross_entropy(out, batch['label']), batch)
        mean = momentum * state['mean'] + (1 - momentum) * jax.lax.stop_gradient(
            taps['features']
        ).mean(0)
        return value, (
            {'backbone': moved, 'mean': mean},
            {'loss': value, 'accuracy': accuracy(out, batch['label'])},
        )

    def predict(params, state, batch):
        if 'support' in batch:
            return episode.predict(
                {'backbone': params['backbone'], 'head': state['mean']}, state, batch
            )
        taps, _ = net.features(params['backbone'], state['backbone'], batch['input'])
        return {'output': classify(params['head'], taps['features']), 'label': batch['label']}

    return Method(init, loss, predict)
