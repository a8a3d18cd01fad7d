"""Inner loops against finite differences and closed forms, and what they cost."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from episodes_by_hand import TICK, vectors
from scipy.special import logsumexp
from sklearn.preprocessing import normalize

from tljax.core import Method
from tljax.data.sets.sine import sine
from tljax.methods.few_shot import inner_loop as meta
from tljax.methods.few_shot.baseline_plus_plus import baseline_plus_plus
from tljax.methods.few_shot.maml import maml
from tljax.methods.few_shot.reptile import reptile
from tljax.methods.fine_tuning.finetune import finetune
from tljax.zoo.families.conv4 import conv4
from tljax.zoo.families.identity import identity
from tljax.zoo.families.mlp import mlp

BASE = {'input': np.zeros((1, 6)), 'label': np.zeros(1, int)}


def pairs(batch):
    """(support (n, k, d), query (m, d)) of every task, float64."""
    for support, query in zip(batch['support']['input'], batch['query']['input'], strict=True):
        yield support.astype(float), query.reshape(-1, query.shape[-1]).astype(float)


def test_baseline_plus_plus_trains_a_cosine_classifier_on_the_support(float64):
    """Two steps of SGD with momentum, with differences for gradients."""
    batch = vectors(tasks=1)
    method = baseline_plus_plus(identity(6), 9, scale=3.0, steps=2, rate=0.1, decay=0.01)
    result = np.asarray(
        jax.jit(method.predict)(*jax.jit(method.init)(jax.random.key(0), BASE), batch)['output']
    )
    ((support, query),) = pairs(batch)
    x, y = normalize(support.reshape(-1, 6)), np.repeat(np.arange(4), 3)

    def loss(w):
        logits = 3 * x @ normalize(w).T
        return (logsumexp(logits, 1) - logits[np.arange(12), y]).mean() + 0.01 / 2 * (w**2).sum()

    w = np.asarray(jax.random.normal(jax.random.key(0), (4, 6))) / np.sqrt(6)
    speed = np.zeros_like(w)
    for _ in range(2):
        slope = np.zeros_like(w)
        for place in np.ndindex(*w.shape):
            shift = np.zeros_like(w)
            shift[place] = 1e-5
            slope[place] = (loss(w + shift) - loss(w - shift)) / 2e-5
        speed = 0.9 * speed + slope
        w = w - 0.1 * speed
    np.testing.assert_allclose(
        result[0], 3 * normalize(query) @ normalize(w).T, rtol=1e-6, atol=1e-6
    )


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize('steps, learn_rates, chunk', [(1, False, 1), (3, False, 2), (2, True, 1)])
def test_the_meta_gradient_equals_finite_differences(float64, steps, learn_rates, chunk):
    batch = jax.tree.map(lambda x: x.astype(float) if x.dtype == 'float32' else x, vectors(dim=5))
    method = maml(
        mlp((6,), dtype=jnp.float64), 4, steps=steps, rate=0.3, learn_rates=learn_rates, chunk=chunk
    )
    params, state = jax.jit(method.init)(jax.random.key(0), batch)
    params = jax.tree.map(
        lambda leaf: np.random.default_rng(leaf.size).normal(size=leaf.shape) * 0.4, params
    )
    if learn_rates:
        params['rates'] = jax.tree.map(lambda leaf: 0.2 + 0.01 * leaf, params['rates'])
    value_and_grad = jax.jit(jax.value_and_grad(lambda p: method.loss(p, state, batch, TICK)[0]))
    grads = jax.device_get(value_and_grad(params)[1])
    direction = jax.tree.map(
        lambda leaf: np.random.default_rng(leaf.size + 1).normal(size=leaf.shape), params
    )
    for player in params:  # each player by itself: a mistake in one is not hidden by the others
        along = {**jax.tree.map(np.zeros_like, params), player: direction[player]}
        change = [
            float(value_and_grad(jax.tree.map(lambda p, d, e=e: p + e * d, params, along))[0])
            for e in (1e-6, -1e-6)
        ]
        expected = (change[0] - change[1]) / 2e-6
        result = sum(jax.tree.leaves(jax.tree.map(lambda g, d: (g * d).sum(), grads, along)))
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-8)


def quadratic(a):
    """The method whose loss is half of (theta - centre)' A (theta - centre), the batch giving the
    centre."""

    def factory(net, classes):
        def loss(params, state, batch, tick):
            error = params['head'] - batch['input'][0]
            return 0.5 * error @ a @ error, (state, {})

        return Method(lambda key, batch: ({'head': np.zeros(2)}, {'backbone': {}}), loss, None)

    return factory


def test_first_order_lacks_the_second_order_term_and_nothing_else():
    a = np.array([[2.0, 0.5], [0.5, 1.0]])
    batch = {
        part: {'input': np.array(centre)[None, None, None], 'label': np.zeros((1, 1, 1))}
        for part, centre in (('support', [1.0, 2.0]), ('query', [-1.0, 3.0]))
    }
    theta = np.array([0.3, -0.7])
    adapted = theta - 0.1 * a @ (theta - [1.0, 2.0])
    query = a @ (adapted - [-1.0, 3.0])
    for order, expected in ((1, query), (2, (np.eye(2) - 0.1 * a) @ query)):
        method = maml(identity(2), 0, rate=0.1, order=order, method=quadratic(a))
        result = jax.jit(
            jax.grad(lambda p, method=method: method.loss(p, {'backbone': {}}, batch, TICK)[0])
        )({'head': theta})
        np.testing.assert_allclose(result['head'], expected, rtol=1e-5)


def test_anil_adapts_the_head_alone_and_meta_sgd_by_its_rates():
    batch = vectors(tasks=1)
    for moves, rates, fixed_player in (('head/.*', None, 'backbone'), ('.*', 0.0, 'head')):
        method = maml(mlp((5,)), 4, moves=moves, learn_rates=rates is not None)
        params, state = jax.device_get(jax.jit(method.init)(jax.random.key(0), batch))
        if rates is not None:
            params['rates'] = jax.tree.map(np.zeros_like, params['rates'])
        inner = finetune(mlp((5,)), 4)
        plain = {name: leaves for name, leaves in params.items() if name != 'rates'}
        task = jax.tree.map(lambda leaf: leaf[0].reshape(-1, *leaf.shape[3:]), batch)
        predict = jax.jit(inner.predict)
        adapted = np.asarray(jax.jit(method.predict)(params, state, batch)['output'][0])
        change = np.abs(adapted - predict(plain, state, task['query'])['output']).max()
        assert (change > 1e-3) == (fixed_player == 'backbone')
        if fixed_player == 'backbone':  # one step of the head by hand, on fixed features
            grads = jax.device_get(
                jax.jit(jax.grad(lambda p: inner.loss(p, state, task['support'], TICK)[0]))(plain)
            )
            by_hand = {
                **plain,
                'head': jax.tree.map(lambda p, g: p - 0.4 * g, plain['head'], grads['head']),
            }
            np.testing.assert_allclose(
                adapted, predict(by_hand, state, task['query'])['output'], rtol=1e-4, atol=1e-6
            )


def test_reptile_s_gradient_is_theta_minus_phi(float64):
    batch = jax.tree.map(
        lambda x: x.astype(float) if x.dtype == 'float32' else x, vectors(shots=3, tasks=1)
    )
    net = mlp((5,), dtype=jnp.float64)
    # every batch is the whole support, whatever its order
    method = reptile(net, 4, steps=4, rate=0.01, batch=12)
    params, state = jax.jit(method.init)(jax.random.key(0), batch)
    params = jax.tree.map(lambda leaf: np.asarray(leaf, float) + 0.1, params)
    result = jax.jit(jax.grad(lambda p: method.loss(p, state, batch, TICK)[0]))(params)
    inner, tx = finetune(net, 4), optax.adam(0.01, b1=0.0)
    support = jax.tree.map(lambda leaf: leaf[0].reshape(-1, *leaf.shape[3:]), batch['support'])

    @jax.jit
    def step(phi, memory):
        updates, memory = tx.update(
            jax.grad(lambda p: inner.loss(p, state, support, TICK)[0])(phi), memory
        )
        return optax.apply_updates(phi, updates), memory

    phi, memory = params, jax.jit(tx.init)(params)
    for _ in range(4):
        phi, memory = step(phi, memory)
    jax.tree.map(
        lambda g, p, q: np.testing.assert_allclose(g, p - np.asarray(q), atol=1e-9),
        result,
        params,
        phi,
    )


@pytest.mark.slow
def test_neither_more_tasks_nor_more_inner_steps_need_more_memory():
    def memory(tasks, steps):
        method, batch = (
            maml(conv4(32, size=8, blocks=1), 5, steps=steps),
            pictures(tasks, 5, 4, 8),
        )
        params, state = jax.eval_shape(method.init, jax.random.key(0), batch)
        step = jax.jit(jax.grad(lambda p, s, b: method.loss(p, s, b, TICK)[0]))
        needs = step.lower(params, state, batch).compile().memory_analysis().temp_size_in_bytes
        return needs, 4 * sum(leaf.size for leaf in jax.tree.leaves(params))

    (short_memory, weights), (wide_memory, _), (long_memory, _) = (
        memory(4, 10),
        memory(16, 10),
        memory(4, 30),
    )
    assert wide_memory < 1.2 * short_memory
    assert long_memory - short_memory < 1.5 * 20 * weights, (
        'more inner steps keep their weights and no more'
    )


def pictures(tasks, ways, shots, size):
    shape = (tasks, ways, shots)
    label = np.broadcast_to(np.arange(ways)[:, None], shape)
    rng = np.random.default_rng(0)
    return {
        part: {'input': rng.normal(size=(*shape, size, size, 1)).astype('f'), 'label': label}
        for part in ('support', 'query')
    }


def test_a_query_set_is_normalised_by_itself_and_no_statistics_are_stored():
    batch, method = pictures(1, 3, 2, 8), maml(conv4(4, size=8, blocks=1), 3)
    params, state = jax.jit(method.init)(jax.random.key(0), batch)
    _, (new_state, _) = jax.jit(method.loss)(params, state, batch, TICK)
    jax.tree.map(np.testing.assert_array_equal, state, new_state)
    scaled = {**batch, 'query': {**batch['query'], 'input': 50 * batch['query']['input']}}
    predict = jax.jit(method.predict)
    one, other = (
        np.asarray(predict(params, state, episodes)['output']) for episodes in (batch, scaled)
    )
    np.testing.assert_allclose(one, other, rtol=0.01, atol=1e-3)  # but for BatchNorm's epsilon


def test_sine_waves_are_what_they_say():
    splits = sine(shots=10, queries=20, count=50)
    episodes = splits['test'].take(np.arange(50))
    again = splits['test'].take(np.array([49]))
    np.testing.assert_array_equal(again['query']['input'][0], episodes['query']['input'][49])
    for i in range(50):
        x = np.concatenate(
            [episodes[part]['input'][i].ravel() for part in ('support', 'query')]
        ).astype(float)
        y = np.concatenate([episodes[part]['label'][i].ravel() for part in ('support', 'query')])
        weights, residual, *_ = np.linalg.lstsq(np.stack([np.sin(x), np.cos(x)], 1), y, rcond=None)
        assert (
            residual < 1e-6
            and 0.1 <= np.linalg.norm(weights) <= 5
            and weights[1] <= 1e-6
            and np.abs(x).max() <= 5
        )


def test_gradients_of_the_mean_are_the_mean_of_gradients():
    tasks = np.array([1.0, 2.0, 4.0, 8.0])
    expected = [np.sin(0.3 * tasks).mean(), 3.75, (tasks * np.cos(0.3 * tasks)).mean()]
    for chunk in (1, 2):

        def mean(p, chunk=chunk):
            return meta.mean_over_tasks(lambda p, t: (jnp.sin(p * t), {'t': t}), p, tasks, chunk)

        (value, metrics), slope = jax.jit(jax.value_and_grad(mean, has_aux=True))(0.3)
        np.testing.assert_allclose([value, metrics['t'], slope], expected, rtol=1e-5)
