"""Methods that read no labels, against their equations in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import tiny

from tljax import build
from tljax.core import Start, Task, Tick, UserError
from tljax.data import arrays
from tljax.methods.self_supervised.autoencoder import autoencoder
from tljax.methods.self_supervised.deep_embedded_clustering import deep_embedded_clustering
from tljax.methods.self_supervised.simclr import simclr
from tljax.nn.augment import chain
from tljax.zoo import identity, mlp


def tick(step):
    return Tick(step, jax.random.key(step))


def rows(seed, n=6, d=3):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def test_simclr_is_the_papers_sum_over_views():
    def shifted(key, input):
        return input + jax.random.normal(key, input.shape)

    method = simclr(identity(3), width=0, outputs=3, temperature=0.3, views=(shifted,))
    batch = {'input': rows(0), 'label': np.zeros(6, int)}
    params, state = method.init(jax.random.key(0), batch)
    params['projector']['out'] = {'kernel': jnp.eye(3), 'bias': jnp.zeros(3)}
    value, (_, metrics) = method.loss(params, state, batch, tick(1))
    keys = jax.random.split(jax.random.key(1), (2, 6))
    view = jax.vmap(chain((shifted,)))
    views = [np.array(view(keys[i], rows(0))) for i in (0, 1)]
    z = np.concatenate(views)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    total, hits = 0.0, 0
    for i in range(12):
        similarity = np.exp(z @ z[i] / 0.3)
        partner = (i + 6) % 12
        others = [k for k in range(12) if k != i]
        total -= np.log(similarity[partner] / similarity[others].sum())
        hits += max(others, key=lambda k: similarity[k]) == partner
    assert float(value) == pytest.approx(total / 12, rel=1e-4)
    assert float(metrics['paired']) == pytest.approx(hits / 12)
    with pytest.raises(UserError, match='batch=1: SimCLR tells examples of a batch apart'):
        method.loss(params, state, {'input': rows(0)[:1]}, tick(0))
    with pytest.raises(UserError, match=r'method.temperature=0: give a number above 0'):
        simclr(identity(3), temperature=0)


def test_an_autoencoder_restores_what_was_dropped():
    method = autoencoder(identity(3), width=0, dropped=0.5)
    batch = {'input': np.ones((400, 3), np.float32), 'label': np.zeros(400, int)}
    params, state = method.init(jax.random.key(0), batch)
    params['decoder']['out'] = {'kernel': jnp.eye(3), 'bias': jnp.zeros(3)}
    value = method.loss(params, state, batch, tick(0))[0]
    assert float(value) == pytest.approx(0.5, abs=0.05)  # half of the ones became 0
    assert (method.predict(params, state, batch)['output'] == 1).all()
    with pytest.raises(UserError, match=r'method.dropped=1: give a share from 0 to below 1'):
        autoencoder(identity(3), dropped=1)


def memberships(x, centres, scale):
    q = 1 / (1 + ((x[:, None] - centres) ** 2).sum(-1) / scale)
    return q / q.sum(1, keepdims=True)


def test_deep_embedded_clustering_is_the_papers_divergence_with_held_targets():
    x = np.concatenate([rows(0), rows(1) + 3])
    train = arrays(x, np.zeros(12, int), ('a',))
    method = deep_embedded_clustering(mlp((2,)), clusters=2, refresh=2)
    params, state = method.init(jax.random.key(0), train.take(np.arange(2)))
    state = method.remember(params, state, Start(train))

    def features(params):
        layer = params['backbone']['dense1']
        return np.maximum(x @ np.asarray(layer['kernel']) + np.asarray(layer['bias']), 0)

    z = features(params)
    order = ((z[:, None] - state['start']) ** 2).sum(-1).argmin(1)
    for cluster in (0, 1):  # the first centres are means
        np.testing.assert_allclose(state['start'][cluster], z[order == cluster].mean(0), rtol=1e-4)
    assert state['scale'] == pytest.approx(
        ((z - state['start'][order]) ** 2).sum(1).mean(), rel=1e-4
    )
    held, mass = None, 0.0
    for step in range(4):
        index = np.arange(6) + 6 * (step % 2)
        centres = state['start'] + np.asarray(params['centres']['shift'])
        if step % 2 == 0:
            held, mass = (params, centres), 0.0
        certain = memberships(features(held[0])[index], held[1], state['scale'])
        mass = mass + certain.sum(0)
        target = certain**2 / mass
        target /= target.sum(1, keepdims=True)
        q = memberships(features(params)[index], centres, state['scale'])
        expected = (target * np.log(target / q)).sum(1).mean()
        (value, (state, _)), slopes = jax.value_and_grad(method.loss, has_aux=True)(
            params, state, train.take(index), tick(step)
        )
        assert float(value) == pytest.approx(expected, rel=1e-3)
        params = jax.tree.map(lambda leaf, slope: leaf - 0.3 * slope, params, slopes)
    with pytest.raises(UserError, match=r'method.clusters=9 of 3 examples: give fewer'):
        method = deep_embedded_clustering(identity(3), clusters=9)
        few = arrays(x[:3], np.zeros(3, int), ('a',))
        method.remember(*method.init(jax.random.key(0), few.take(np.arange(1))), Start(few))
    with pytest.raises(UserError, match=r'method.clusters=1, method.refresh=140'):
        deep_embedded_clustering(identity(3), clusters=1)


def test_labels_are_not_needed_and_nothing_is_scored(tmp_path):
    settings = tiny({'method': {'name': 'autoencoder', 'width': 8}, 'net': {'blocks': 1}})
    run = build.build(settings)
    assert run.evals == {}
    splits = build.load(settings['data'])
    bare = splits['train']._replace(
        task=Task('unlabelled'), label=np.full(splits['train'].size, -1)
    )
    assert build.build(settings, splits={'train': bare}).evals == {}
    with pytest.raises(UserError, match="keep='best' goes by the validation split"):
        build.build({**settings, 'keep': 'best', 'eval_every': 2})
    with pytest.raises(UserError, match="'autoencoder' takes inputs alone"):
        episodes = {'name': 'episodes', 'of': settings['data'], 'by_class': {'test': 0.4}}
        build.build({**settings, 'data': {**episodes, 'ways': 3, 'shots': 1, 'queries': 1}})
