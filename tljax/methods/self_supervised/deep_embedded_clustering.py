"""Deep embedded clustering: Xie, Girshick and Farhadi 2016, https://arxiv.org/abs/1511.06335,
equations 1 to 3."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tljax.core import Method, Net, UserError
from tljax.kernels import squared_distances
from tljax.losses import weighted_mean
from tljax.methods.fine_tuning.source_network import batches_of

BATCHES = 'unlabelled'
CACHED = False  # the targets come from a copy of the network


def deep_embedded_clustering(
    net: Net, clusters: int, refresh: int = 140, starts: int = 20
) -> Method:
    """DEC: moves features and cluster centres so that the memberships of examples become clearer.

    Let mu_j be the centres and s a scale. An example with the features z is a member of cluster j
    to the degree q_j, and its target is p_j:

        q_j = (1 + |z - mu_j|^2 / s)^-1, over the sum of all j,          equation 1
        p_j = q_j^2 / f_j, over the sum of all j, f_j = sum of q_j,       equation 3

    where the sum f_j is over the examples. The loss is the mean of KL(p || q), equation 2.

    Targets come from a copy of network and centres that is renewed every `refresh` steps: targets
    that follow the network at every step let it collapse. The sums f_j run over all batches since
    the last renewal.

    Args:
        net: the network, which another method has pre-trained: memberships of random features
            sharpen what is random.
        clusters: number of clusters.
        refresh: steps between two renewals of the copy.
        starts: number of starts of k-means, whose means of the first features are the first
            centres.

    Returns:
        A Method over params {'backbone', 'centres'} on unlabelled sets. The centres are the first
        ones, in the state, plus learnt shifts. The scale s is the mean squared distance of the
        first features to their centres; the paper's features are scaled so that s = 1 suits. Its
        predict returns the memberships, (n, clusters).

    Raises:
        UserError: for fewer than two clusters, more of them than examples, and a refresh below 1.

    >>> from tljax.core import Start, Tick
    >>> from tljax.data import arrays
    >>> from tljax.zoo.families.identity import identity
    >>> method = deep_embedded_clustering(identity(1), clusters=2)
    >>> train = arrays(np.array([[0.0], [1.0], [8.0], [9.0]], 'f'), np.zeros(4, int), ('a',))
    >>> batch = train.take(np.arange(4))
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> state = method.remember(params, state, Start(train))
    >>> np.sort(state['start'].ravel()).tolist(), float(state['scale'])
    ([0.5, 8.5], 0.25)
    >>> memberships = method.predict(params, state, batch)['output']
    >>> [round(float(q), 3) for q in memberships.max(-1)]  # of 0: (1 + 1)^-1 and (1 + 289)^-1
    [0.993, 0.991, 0.991, 0.993]
    """
    if clusters < 2 or refresh < 1:
        raise UserError(
            f'method.clusters={clusters}, method.refresh={refresh}: give two clusters or more, and '
            'one step or more'
        )

    def init(key, batch):
        backbone, state = net.init(key, batch['input'])
        params = {'backbone': backbone, 'centres': {'shift': jnp.zeros((clusters, net.dim))}}
        state = {'backbone': state, 'start': jnp.zeros((clusters, net.dim)), 'scale': jnp.ones(())}
        return params, {**state, **_renewed(params, state)}

    features = jax.jit(
        lambda params, state, input: net.features(params['backbone'], state['backbone'], input)[0][
            'features'
        ]
    )

    def remember(params, state, start):
        from sklearn.cluster import KMeans  # imported late, for a quick start

        rows = np.concatenate(
            [features(params, state, batch['input']) for batch in batches_of(start.train)]
        )
        if len(rows) < clusters:
            raise UserError(f'method.clusters={clusters} of {len(rows)} examples: give fewer')
        settings: dict[str, Any] = dict(n_init=starts, random_state=0)
        found: Any = KMeans(clusters, **settings).fit(rows.astype(float))
        centres = found.cluster_centers_.astype(np.float32)
        scale = np.float32(max(found.inertia_ / len(rows), 1e-12))
        state = {**state, 'start': centres, 'scale': scale}
        return {**state, **jax.tree.map(np.asarray, _renewed(params, state))}

    def memberships(backbone, statistics, centres, scale, input, key=None):
        taps, new_statistics = net.features(backbone, statistics, input, key)
        closeness = 1 / (1 + jnp.maximum(squared_distances(taps['features'], centres), 0) / scale)
        return closeness / closeness.sum(-1, keepdims=True), new_statistics

    def loss(params, state, batch, tick):
        is_due = tick.step % refresh == 0
        held = {key: state[key] for key in ('copy', 'mass')}
        held = jax.tree.map(
            lambda new, old: jnp.where(is_due, new, old), _renewed(params, state), held
        )
        copy, scale = held['copy'], state['scale']
        certain, _ = memberships(
            copy['backbone'], copy['state'], copy['centres'], scale, batch['input']
        )
        mass = held['mass'] + certain.sum(0)
        target = certain**2 / mass
        target = jax.lax.stop_gradient(target / target.sum(-1, keepdims=True))
        q, backbone_state = memberships(
            params['backbone'],
            state['backbone'],
            _centres(params, state),
            scale,
            batch['input'],
            tick.key,
        )
        values = (target * (jnp.log(target + 1e-12) - jnp.log(q + 1e-12))).sum(-1)
        value = weighted_mean(values, batch)
        new_state = {**state, 'backbone': backbone_state, 'copy': copy, 'mass': mass}
        return value, (jax.lax.stop_gradient(new_state), {'loss': value})

    def predict(params, state, batch):
        centres = _centres(params, state)
        q, _ = memberships(
            params['backbone'], state['backbone'], centres, state['scale'], batch['input']
        )
        return {'output': q, 'label': batch['label']}

    return Method(init, loss, predict, remember)


def _centres(params, state):
    return state['start'] + params['centres']['shift']


def _renewed(params, state):
    """A copy of network and centres, without any example seen."""
    centres = _centres(params, state)
    copy = {'backbone': params['backbone'], 'state': state['backbone'], 'centres': centres}
    return {'copy': copy, 'mass': jnp.zeros(len(centres))}
