"""Episodic methods against numbers by hand, NumPy, scikit-learn and finite differences."""
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import logsumexp, softmax
from sklearn.linear_model import Ridge
from sklearn.neighbors import NearestCentroid
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

from tljax.core import Method, Tick
from tljax.data.sets.sine import sine
from tljax.kernels import cosines, squared_distances
from tljax.methods.few_shot import inner_loop as meta
from tljax.methods.few_shot.baseline_plus_plus import baseline_plus_plus
from tljax.methods.few_shot.maml import maml
from tljax.methods.few_shot.matching import matching
from tljax.methods.few_shot.metaoptnet import metaoptnet
from tljax.methods.few_shot.protonet import protonet
from tljax.methods.few_shot.relation import relation
from tljax.methods.few_shot.reptile import reptile
from tljax.methods.few_shot.ridge import ridge
from tljax.methods.few_shot.siamese import siamese
from tljax.methods.few_shot.simpleshot import simpleshot
from tljax.methods.fine_tuning.finetune import finetune
from tljax.zoo.families.conv4 import conv4
from tljax.zoo.families.identity import identity
from tljax.zoo.families.mlp import mlp

BASE = {'input': np.zeros((1, 6)), 'label': np.zeros(1, int)}
TICK = Tick(jnp.zeros((), jnp.int32), jax.random.key(3))


def vectors(ways=4, shots=3, queries=5, dim=6, tasks=2, seed=0):
    rng = np.random.default_rng(seed)
    label = np.broadcast_to(np.arange(ways)[:, None], (tasks, ways, shots + queries))
    x = rng.normal(size=(tasks, ways, shots + queries, dim)).astype('f')
    return {'support': {'input': x[:, :, :shots], 'label': label[..., :shots]},
            'query': {'input': x[:, :, shots:], 'label': label[..., shots:]}}


def output(method, batch):
    params, state = method.init(jax.random.key(0), batch)
    return np.asarray(method.predict(params, state, batch)['output']), params


def pairs(batch):
    """(support (n, k, d), query (m, d)) of every task, float64."""
    for support, query in zip(batch['support']['input'], batch['query']['input'], strict=True):
        yield support.astype(float), query.reshape(-1, query.shape[-1]).astype(float)


def test_protonet_is_the_softmax_of_distances_to_means():
    batch = vectors()
    found, _ = output(protonet(identity(6), 4), batch)
    for logits, (support, query) in zip(found, pairs(batch), strict=True):
        np.testing.assert_allclose(logits, -((query[:, None] - support.mean(1)[None]) ** 2).sum(-1), rtol=1e-4, atol=1e-4)


def test_matching_is_attention_over_the_support():
    batch = vectors()
    found, _ = output(matching(identity(6), 4, scale=3.), batch)
    for logits, (support, query) in zip(found, pairs(batch), strict=True):
        flat = support.reshape(-1, 6)
        cosine = query @ flat.T / np.linalg.norm(query, axis=1)[:, None] / np.linalg.norm(flat, axis=1)
        np.testing.assert_allclose(np.exp(logits), softmax(3 * cosine, -1).reshape(len(query), 4, 3).sum(-1), rtol=1e-4)


def test_full_context_lets_the_support_see_itself():
    batch = vectors(tasks=1)
    method = matching(identity(6), 4, context=True)
    before, params = output(method, batch)
    batch['support']['input'] = batch['support']['input'].copy()
    batch['support']['input'][:, 0, 0] += 5
    after = np.asarray(method.predict(params, {'backbone': {}}, batch)['output'])
    far = logsumexp(before[..., 1:], -1) - before[..., 1], logsumexp(after[..., 1:], -1) - after[..., 1]
    assert np.abs(far[0] - far[1]).max() > 1e-3, 'a changed example moves the share of the others'


def test_ridge_is_scikit_learn_s():
    batch = vectors()
    found, _ = output(ridge(identity(6), 4, penalty=2.), batch)
    for logits, (support, query) in zip(found, pairs(batch), strict=True):
        model = Ridge(alpha=2., fit_intercept=False).fit(support.reshape(-1, 6), np.repeat(np.eye(4), 3, 0))
        np.testing.assert_allclose(logits, model.predict(query), rtol=1e-3, atol=1e-4)


def test_metaoptnet_s_machine_is_scikit_learn_s():
    batch = vectors()
    found, _ = output(metaoptnet(identity(6), 4, penalty=.3, steps=500), batch)
    for logits, (support, query) in zip(found, pairs(batch), strict=True):
        machine = LinearSVC(multi_class='crammer_singer', C=.3, fit_intercept=False, tol=1e-8, max_iter=100_000)
        machine.fit(support.reshape(-1, 6), np.repeat(np.arange(4), 3))
        np.testing.assert_allclose(logits, machine.decision_function(query), rtol=1e-3, atol=1e-3)


def test_simpleshot_is_the_nearest_centroid_of_centred_unit_features():
    batch, method = vectors(), simpleshot(identity(6), 4)
    params, state = method.init(jax.random.key(0), BASE)
    mean = np.random.default_rng(1).normal(size=6)
    found = np.asarray(method.predict(params, {**state, 'mean': mean}, batch)['output'])
    for logits, (support, query) in zip(found, pairs(batch), strict=True):
        model = NearestCentroid().fit(normalize(support.reshape(-1, 6) - mean), np.repeat(np.arange(4), 3))
        assert (model.predict(normalize(query - mean)) == logits.argmax(-1)).all()
        distance = ((normalize(query - mean)[:, None] - model.centroids_) ** 2).sum(-1)
        np.testing.assert_allclose(-logits, distance, rtol=1e-3, atol=1e-5)


def test_the_mean_of_base_features_follows_the_batches():
    x = np.random.default_rng(0).normal(3., 1., size=(64, 6)).astype('f')
    method = simpleshot(identity(6), 2)
    params, state = method.init(jax.random.key(0), {'input': x, 'label': np.zeros(64, int)})
    for _ in range(2000):
        state = jax.jit(method.loss)(params, state, {'input': x, 'label': np.zeros(64, int)}, TICK)[1][0]
    np.testing.assert_allclose(state['mean'], x.mean(0), rtol=1e-4)


def test_baseline_plus_plus_trains_a_cosine_classifier_on_the_support(float64):
    """Two steps of SGD with momentum, with differences for gradients."""
    batch = vectors(tasks=1)
    method = baseline_plus_plus(identity(6), 9, scale=3., steps=2, rate=.1, decay=.01)
    found = np.asarray(method.predict(*method.init(jax.random.key(0), BASE), batch)['output'])
    (support, query), = pairs(batch)
    x, y = normalize(support.reshape(-1, 6)), np.repeat(np.arange(4), 3)

    def loss(w):
        logits = 3 * x @ normalize(w).T
        return (logsumexp(logits, 1) - logits[np.arange(12), y]).mean() + .01 / 2 * (w ** 2).sum()

    w = np.asarray(jax.random.normal(jax.random.key(0), (4, 6))) / np.sqrt(6)
    speed = np.zeros_like(w)
    for _ in range(2):
        slope = np.zeros_like(w)
        for place in np.ndindex(*w.shape):
            shift = np.zeros_like(w)
            shift[place] = 1e-5
            slope[place] = (loss(w + shift) - loss(w - shift)) / 2e-5
        speed = .9 * speed + slope
        w = w - .1 * speed
    np.testing.assert_allclose(found[0], 3 * normalize(query) @ normalize(w).T, rtol=1e-6, atol=1e-6)


def test_siamese_and_relation_by_hand():
    batch = vectors(tasks=1, shots=1)
    found, _ = output(siamese(identity(6), 4), batch)
    (support, query), = pairs(batch)
    squash = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    np.testing.assert_allclose(found[0], -np.abs(squash(query)[:, None] - squash(support)[None, :, 0]).sum(-1), rtol=1e-4)
    method = relation(identity(6), 4)
    found, params = output(method, batch)
    dense = params['head']
    both = np.concatenate(np.broadcast_arrays(support[None, :, 0], query[:, None]), -1)
    hidden = np.maximum(both @ dense['hidden']['kernel'] + dense['hidden']['bias'], 0)
    np.testing.assert_allclose(found[0], (hidden @ dense['score']['kernel'] + dense['score']['bias'])[..., 0], rtol=1e-4, atol=1e-5)
    value = float(method.loss(params, {'backbone': {}}, batch, TICK)[0])
    same = np.eye(4)[batch['query']['label'][0].ravel()]
    np.testing.assert_allclose(value, ((squash(found[0]) - same) ** 2).sum(-1).mean(), rtol=1e-5)


def test_distances():
    a, b = np.random.default_rng(0).normal(size=(2, 5, 3))
    np.testing.assert_allclose(squared_distances(a, b), ((a[:, None] - b[None]) ** 2).sum(-1), rtol=1e-4)
    np.testing.assert_allclose(cosines(a, a).diagonal(), 1, rtol=1e-5)


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize('steps, learn_rates, chunk', [(1, False, 1), (3, False, 2), (2, True, 1)])
def test_the_meta_gradient_equals_finite_differences(float64, steps, learn_rates, chunk):
    batch = jax.tree.map(lambda x: x.astype(float) if x.dtype == 'float32' else x, vectors(dim=5))
    method = maml(mlp((6,), dtype=jnp.float64), 4, steps=steps, rate=.3, learn_rates=learn_rates, chunk=chunk)
    params, state = method.init(jax.random.key(0), batch)
    params = jax.tree.map(lambda leaf: jnp.asarray(np.random.default_rng(leaf.size).normal(size=leaf.shape) * .4), params)
    if learn_rates:
        params['rates'] = jax.tree.map(lambda leaf: .2 + .01 * leaf, params['rates'])
    value = jax.jit(lambda p: method.loss(p, state, batch, TICK)[0])
    grads = jax.jit(jax.grad(lambda p: method.loss(p, state, batch, TICK)[0]))(params)
    direction = jax.tree.map(lambda leaf: jnp.asarray(np.random.default_rng(leaf.size + 1).normal(size=leaf.shape)), params)
    for player in params:   # each player by itself: a mistake in one is not hidden by the others
        along = {**jax.tree.map(jnp.zeros_like, params), player: direction[player]}
        moved = [value(jax.tree.map(lambda p, d, e=e: p + e * d, params, along)) for e in (1e-6, -1e-6)]
        expected = (moved[0] - moved[1]) / 2e-6
        found = sum(jax.tree.leaves(jax.tree.map(lambda g, d: (g * d).sum(), grads, along)))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)


def quadratic(a):
    """The method whose loss is half of (theta - centre)' A (theta - centre), the batch giving the centre."""
    def factory(net, classes):
        def loss(params, state, batch, tick):
            error = params['head'] - batch['input'][0]
            return .5 * error @ a @ error, (state, {})
        return Method(lambda key, batch: ({'head': jnp.zeros(2)}, {'backbone': {}}), loss, None)
    return factory


def test_first_order_lacks_the_second_order_term_and_nothing_else():
    a = jnp.array([[2., .5], [.5, 1.]])
    batch = {part: {'input': jnp.array(centre)[None, None, None], 'label': jnp.zeros((1, 1, 1))}
             for part, centre in (('support', [1., 2.]), ('query', [-1., 3.]))}
    theta = jnp.array([.3, -.7])
    adapted = theta - .1 * a @ (theta - jnp.array([1., 2.]))
    query = a @ (adapted - jnp.array([-1., 3.]))
    for order, expected in ((1, query), (2, (jnp.eye(2) - .1 * a) @ query)):
        method = maml(identity(2), 0, rate=.1, order=order, method=quadratic(a))
        found = jax.grad(lambda p, method=method: method.loss(p, {'backbone': {}}, batch, TICK)[0])({'head': theta})
        np.testing.assert_allclose(found['head'], expected, rtol=1e-5)


def test_anil_adapts_the_head_alone_and_meta_sgd_by_its_rates():
    batch = vectors(tasks=1)
    for moves, rates, still in (('head/.*', None, 'backbone'), ('.*', 0., 'head')):
        method = maml(mlp((5,)), 4, moves=moves, learn_rates=rates is not None)
        params, state = method.init(jax.random.key(0), batch)
        if rates is not None:
            params['rates'] = jax.tree.map(jnp.zeros_like, params['rates'])
        inner = finetune(mlp((5,)), 4)
        plain = {name: leaves for name, leaves in params.items() if name != 'rates'}
        task = jax.tree.map(lambda leaf: leaf[0].reshape(-1, *leaf.shape[3:]), batch)
        moved = np.abs(method.predict(params, state, batch)['output'][0] - inner.predict(plain, state, task['query'])['output']).max()
        assert (moved > 1e-3) == (still == 'backbone')
        if still == 'backbone':   # one step of the head by hand, on fixed features
            grads = jax.grad(lambda p: inner.loss(p, state, task['support'], TICK)[0])(plain)
            by_hand = {**plain, 'head': jax.tree.map(lambda p, g: p - .4 * g, plain['head'], grads['head'])}
            np.testing.assert_allclose(method.predict(params, state, batch)['output'][0],
                                       inner.predict(by_hand, state, task['query'])['output'], rtol=1e-4, atol=1e-6)


def test_reptile_s_gradient_is_theta_minus_phi(float64):
    batch = jax.tree.map(lambda x: x.astype(float) if x.dtype == 'float32' else x, vectors(shots=3, tasks=1))
    net = mlp((5,), dtype=jnp.float64)
    method = reptile(net, 4, steps=4, rate=.01, batch=12)   # every batch is the whole support, whatever its order
    params, state = method.init(jax.random.key(0), batch)
    params = jax.tree.map(lambda leaf: leaf.astype(float) + .1, params)
    found = jax.grad(lambda p: method.loss(p, state, batch, TICK)[0])(params)
    inner, tx = finetune(net, 4), optax.adam(.01, b1=0.)
    support = jax.tree.map(lambda leaf: jnp.asarray(leaf[0].reshape(-1, *leaf.shape[3:])), batch['support'])
    phi, memory = params, tx.init(params)
    for _ in range(4):
        updates, memory = tx.update(jax.grad(lambda p: inner.loss(p, state, support, TICK)[0])(phi), memory)
        phi = optax.apply_updates(phi, updates)
    jax.tree.map(lambda g, p, q: np.testing.assert_allclose(g, p - q, atol=1e-9), found, params, phi)


def test_neither_more_tasks_nor_more_inner_steps_need_more_memory():
    def memory(tasks, steps):
        method, batch = maml(conv4(8, blocks=2, form='looped'), 5, steps=steps), pictures(tasks, 5, 4, 16)
        params, state = jax.eval_shape(method.init, jax.random.key(0), batch)
        step = jax.jit(jax.grad(lambda p, s, b: method.loss(p, s, b, TICK)[0]))
        needs = step.lower(params, state, batch).compile().memory_analysis().temp_size_in_bytes
        return needs, 4 * sum(leaf.size for leaf in jax.tree.leaves(params))

    (few, weights), (many, _), (long, _) = memory(4, 10), memory(16, 10), memory(4, 30)
    assert many < 1.2 * few
    assert long - few < 1.5 * 20 * weights, 'more inner steps keep their weights and no more'


def pictures(tasks, ways, shots, size):
    shape = (tasks, ways, shots)
    label = np.broadcast_to(np.arange(ways)[:, None], shape)
    rng = np.random.default_rng(0)
    return {part: {'input': rng.normal(size=(*shape, size, size, 1)).astype('f'), 'label': label} for part in ('support', 'query')}


def test_a_query_set_is_normalised_by_itself_and_no_statistics_are_stored():
    batch, method = pictures(1, 3, 2, 8), maml(conv4(4, size=8, blocks=2), 3)
    params, state = method.init(jax.random.key(0), batch)
    _, (moved, _) = method.loss(params, state, batch, TICK)
    jax.tree.map(np.testing.assert_array_equal, state, moved)
    scaled = {**batch, 'query': {**batch['query'], 'input': 50 * batch['query']['input']}}
    one, other = (np.asarray(method.predict(params, state, each)['output']) for each in (batch, scaled))
    np.testing.assert_allclose(one, other, rtol=.01, atol=1e-3)   # but for BatchNorm's epsilon


def test_sine_waves_are_what_they_say():
    splits = sine(shots=10, queries=20, count=50)
    episodes = splits['test'].take(np.arange(50))
    again = splits['test'].take(np.array([49]))
    np.testing.assert_array_equal(again['query']['input'][0], episodes['query']['input'][49])
    for i in range(50):
        x = np.concatenate([episodes[part]['input'][i].ravel() for part in ('support', 'query')]).astype(float)
        y = np.concatenate([episodes[part]['label'][i].ravel() for part in ('support', 'query')])
        weights, residual, *_ = np.linalg.lstsq(np.stack([np.sin(x), np.cos(x)], 1), y, rcond=None)
        assert residual < 1e-6 and .1 <= np.linalg.norm(weights) <= 5 and weights[1] <= 1e-6 and np.abs(x).max() <= 5


def test_gradients_of_the_mean_are_the_mean_of_gradients():
    tasks = jnp.array([1., 2., 4., 8.])
    expected = [np.sin(.3 * tasks).mean(), 3.75, (tasks * np.cos(.3 * tasks)).mean()]
    for chunk in (1, 2):
        def mean(p, chunk=chunk):
            return meta.mean_over_tasks(lambda p, t: (jnp.sin(p * t), {'t': t}), p, tasks, chunk)
        (value, metrics), slope = jax.value_and_grad(mean, has_aux=True)(.3)
        np.testing.assert_allclose([value, metrics['t'], slope], expected, rtol=1e-5)
