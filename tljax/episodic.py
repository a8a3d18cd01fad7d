"""What metric methods share: one network embeds support and query together, and a method says how a query is compared with the support.

A batch of episodes is {'support': set, 'query': set} with the axes (tasks, ways, shots or queries, ...): inputs (t, n, k, ...) and
(t, n, q, ...), labels of the same leading axes, from 0 to n - 1.
"""
import jax
import jax.numpy as jnp

from tljax.core import Method
from tljax.losses import cross_entropy


def metric(net, compare, head=None, tap='features', error=cross_entropy):
    """A method that minimises the mean `error` of the queries, whose logits are `compare(head, support, query)`.

    All pictures of a batch go through the network at once, so that BatchNorm sees support and query together.

    Args:
        net: the backbone. compare: (head parameters, support (n, k, ...), query (m, ...)) -> logits (m, n), for one episode.
        head: (key, embedding of one example) -> parameters of the comparison; None where there are none. tap: which intermediate of
            the network is the embedding. error: (logits (..., n), labels (...)) -> values (...).

    Returns:
        A Method over params {'backbone'} or {'backbone', 'head'}; predict's output is (t, n q, n) logits, its label (t, n q).

    >>> from tljax.zoo.identity import identity
    >>> nearest = metric(identity(2), lambda _, support, query: query @ support.mean(1).T)
    >>> episode = {'input': jnp.eye(2)[None, :, None], 'label': jnp.arange(2)[None, :, None]}
    >>> nearest.predict({'backbone': {}}, {'backbone': {}}, {'support': episode, 'query': episode})['output'].tolist()
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
        support, query = (part.reshape(*each.shape[:axes], *part.shape[1:]) for part, each in zip(parts, (support, query), strict=True))
        query = query.reshape(query.shape[0], -1, *query.shape[axes:])
        out = jax.vmap(lambda support, query: compare(params.get('head'), support, query))(support, query)
        return out, batch['query']['label'].reshape(out.shape[:2]), {**state, 'backbone': moved}

    def loss(params, state, batch, tick):
        out, label, state = logits(params, state, batch, tick.key)
        value = error(out, label).mean()
        return value, (state, {'loss': value, 'accuracy': jnp.mean(out.argmax(-1) == label)})

    def predict(params, state, batch):
        out, label, _ = logits(params, state, batch)
        return {'output': out, 'label': label}

    return Method(init, loss, predict)


def squared_distances(a, b):
    """Squared Euclidean distances of the rows of a (m, d) to those of b (n, d): (m, n).

    >>> squared_distances(jnp.array([[0., 0.]]), jnp.array([[3., 4.]])).tolist()
    [[25.0]]
    """
    return (a ** 2).sum(-1)[:, None] - 2 * a @ b.T + (b ** 2).sum(-1)


def cosines(a, b):
    """Cosines of the angles between the rows of a (m, d) and those of b (n, d): (m, n).

    >>> cosines(jnp.array([[2., 0.]]), jnp.array([[1., 0.], [0., 5.]])).tolist()
    [[1.0, 0.0]]
    """
    return _unit(a) @ _unit(b).T


def _unit(x):
    return x * jax.lax.rsqrt(jnp.maximum((x ** 2).sum(-1, keepdims=True), 1e-12))
