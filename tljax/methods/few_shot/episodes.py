"""Parts of metric methods: one network embeds support and query together, and the method compares
the queries with the support.

A batch of episodes is {'support': set, 'query': set} with the axes (tasks, ways, shots or queries,
...): inputs (t, n, k, ...) and (t, n, q, ...), and labels from 0 to n - 1 with the same leading
axes.
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
    """Makes the method that minimises the mean error of the queries' logits.

    All examples of a batch go through the network at once, so that BatchNorm sees support and query
    together.

    Args:
        net: the backbone.
        compare: (head parameters, support (n, k, ...), query (m, ...)) -> logits (m, n), for the
            embeddings of one episode.
        head: (key, embedding of one example) -> parameters of the comparison; None for a comparison
            without parameters.
        tap: the intermediate of the network that is the embedding.
        error: (logits (..., n), labels (...)) -> values (...).

    Returns:
        A Method over params {'backbone'} or {'backbone', 'head'}. Its predict gives logits (t, n q,
        n) and labels (t, n q).

    >>> from tljax.zoo.families.identity import identity
    >>> def compare(head, support, query):  # inner products with the classes' means
    ...     return query @ support.mean(1).T
    >>> examples = {
    ...     'input': jnp.eye(2).reshape(1, 2, 1, 2),
    ...     'label': jnp.arange(2).reshape(1, 2, 1),
    ... }
    >>> episode = {'support': examples, 'query': examples}
    >>> params = state = {'backbone': {}}
    >>> metric(identity(2), compare).predict(params, state, episode)['output'].tolist()
    [[[1.0, 0.0], [0.0, 1.0]]]
    """

    def init(key, batch):
        examples = batch['support']['input'][0, 0]
        params, state = net.init(key, examples)
        players = {'backbone': params}
        if head is not None:
            embedding = jax.eval_shape(lambda: net.features(params, state, examples)[0][tap])
            players['head'] = head(jax.random.fold_in(key, 1), jnp.zeros(embedding.shape[1:]))
        return players, {'backbone': state}

    def logits(params, state, batch, key=None):
        support, query = batch['support']['input'], batch['query']['input']
        tasks, ways, shots, *shape = support.shape
        rows = jnp.concatenate([support.reshape(-1, *shape), query.reshape(-1, *shape)])
        taps, backbone_state = net.features(params['backbone'], state['backbone'], rows, key)
        support_rows, query_rows = jnp.split(taps[tap], [tasks * ways * shots])
        support = support_rows.reshape(tasks, ways, shots, *support_rows.shape[1:])
        query = query_rows.reshape(tasks, -1, *query_rows.shape[1:])
        output = jax.vmap(lambda support, query: compare(params.get('head'), support, query))(
            support, query
        )
        label = batch['query']['label'].reshape(output.shape[:2])
        return output, label, {**state, 'backbone': backbone_state}

    def loss(params, state, batch, tick):
        output, label, new_state = logits(params, state, batch, tick.key)
        value = error(output, label).mean()
        return value, (new_state, {'loss': value, 'accuracy': accuracy(output, label)})

    def predict(params, state, batch):
        output, label, _ = logits(params, state, batch)
        return {'output': output, 'label': label}

    return Method(init, loss, predict)


def on_base_classes(
    net: Net,
    classes: int,
    head: Callable[[jax.Array], Tree],
    classify: Answer,
    compare: Comparison,
    momentum: float = 0.99,
) -> Method:
    """Makes a method that trains a classifier of base classes, and compares features in episodes.

    Args:
        net: the backbone.
        classes: number of base classes.
        head: key -> parameters of the classifier.
        classify: (head, features (m, dim)) -> logits (m, classes).
        compare: (mean, support (n, k, dim), query (m, dim)) -> logits (m, n), for one episode. The
            mean (dim,) is the running mean of the base classes' features.
        momentum: of the running mean.

    Returns:
        A Method over params {'backbone', 'head'} on labelled sets. Its predict takes labelled sets
        and episodes. For a labelled set it gives the classifier's logits (n, classes), for episodes
        those of `compare`, (t, n q, n).

    >>> from tljax.zoo.families.identity import identity
    >>> def head(key):
    ...     return {'kernel': jnp.array([[5.0, 0.0], [0.0, 5.0]])}
    >>> def classify(head, features):
    ...     return features @ head['kernel']
    >>> def compare(mean, support, query):
    ...     return query @ support.mean(1).T
    >>> method = on_base_classes(identity(2), 2, head, classify, compare)
    >>> batch = {'input': jnp.eye(2), 'label': jnp.arange(2)}
    >>> params, state = method.init(jax.random.key(0), batch)
    >>> method.predict(params, state, batch)['output'].tolist()
    [[5.0, 0.0], [0.0, 5.0]]
    >>> examples = {
    ...     'input': jnp.eye(2).reshape(1, 2, 1, 2),
    ...     'label': jnp.arange(2).reshape(1, 2, 1),
    ... }
    >>> episode = {'support': examples, 'query': examples}
    >>> method.predict(params, state, episode)['output'].tolist()
    [[[1.0, 0.0], [0.0, 1.0]]]
    """
    episode_method = metric(net, compare)

    def init(key, batch):
        params, state = net.init(key, batch['input'])
        return (
            {'backbone': params, 'head': head(jax.random.fold_in(key, 1))},
            {'backbone': state, 'mean': jnp.zeros(net.dim)},
        )

    def loss(params, state, batch, tick):
        taps, backbone_state = net.features(
            params['backbone'], state['backbone'], batch['input'], tick.key
        )
        logits = classify(params['head'], taps['features'])
        value = weighted_mean(cross_entropy(logits, batch['label']), batch)
        batch_mean = jax.lax.stop_gradient(taps['features']).mean(0)
        mean = momentum * state['mean'] + (1 - momentum) * batch_mean
        return value, (
            {'backbone': backbone_state, 'mean': mean},
            {'loss': value, 'accuracy': accuracy(logits, batch['label'])},
        )

    def predict(params, state, batch):
        if 'support' in batch:
            episode_params = {'backbone': params['backbone'], 'head': state['mean']}
            return episode_method.predict(episode_params, state, batch)
        taps, _ = net.features(params['backbone'], state['backbone'], batch['input'])
        return {'output': classify(params['head'], taps['features']), 'label': batch['label']}

    return Method(init, loss, predict)
