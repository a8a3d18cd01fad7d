"""Methods of fine-tuning with a term beside the labels: the terms by hand, by peers and by finite
differences; what a method remembers of the source network; and what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from tiny import tiny

import tljax.methods
import tljax.zoo
from tljax import build
from tljax.core import Start, Tick
from tljax.data import arrays
from tljax.engine.optim import REST
from tljax.engine.step import make_step
from tljax.engine.train import fit
from tljax.methods import combinators
from tljax.methods.fine_tuning import co_tuning, stoch_norm
from tljax.methods.penalties.l2_sp import l2_sp
from tljax.nn.gates import gated
from tljax.paths import flatten, label
from tljax.zoo.families.conv4 import conv4
from tljax.zoo.families.identity import identity
from tljax.zoo.families.mlp import mlp

TICK = Tick(jnp.int32(0), jax.random.key(0))
RNG = np.random.default_rng(0)
LABEL = np.arange(12, dtype=np.int32) % 3
TRAIN = arrays(RNG.normal(size=(12, 5)).astype('f'), LABEL, ('a', 'b', 'c'))
BATCH = TRAIN.take(np.arange(12))
NET = mlp((6, 4), activation='tanh', norm='batch')
TEACHER = mlp((7,), activation='tanh')
KEYWORDS = {  # a weight of each term that is as large as the loss
    'bss': {'k': 2, 'weight': 0.1},
    'delta': {'weight': 1.0},
    'lwf': {'source_classes': 5},
    'co_tuning': {'source_classes': 5},
    'distillation': {'teacher': TEACHER},
    'stoch_norm': {},
}


def drawn(tree, seed):
    """The tree with random numbers in place of its own."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype('f'), tree)


@functools.cache
def begun(name, net=NET):
    """A method before its first step: (method, params, state). Its heads are not zero."""
    method = getattr(tljax.methods, name)(net, 3, **KEYWORDS[name])
    params, state = jax.jit(method.init)(jax.random.key(1), BATCH)
    params = {**params, **drawn({key: params[key] for key in params if 'head' in key}, 2)}
    teacher = drawn(jax.eval_shape(TEACHER.init, jax.random.key(0), BATCH['input'])[0], 3)
    head = drawn({'kernel': np.zeros((7, 3)), 'bias': np.zeros(3)}, 4)
    start = Start(TRAIN, TRAIN, ({'backbone': teacher, 'head': head}, {'backbone': {}}))
    return method, params, method.remember(params, state, start)


def moved(params, seed=5):
    """The parameters after some training, so to speak."""
    return jax.tree.map(lambda leaf, noise: leaf + 0.3 * noise, params, drawn(params, seed))


def losses(method, params, state, batch=BATCH):
    """Loss and metrics of a batch."""
    value, (_, metrics) = jax.jit(method.loss)(params, state, batch, TICK)
    return float(value), {name: float(metric) for name, metric in metrics.items()}


def inference(net, params, state):
    return np.asarray(
        net.features(params['backbone'], state['backbone'], BATCH['input'])[0]['features']
    )


def logits(head, rows):
    return np.asarray(rows @ head['kernel'] + head['bias'], float)


def features_in_training(net, params, state):
    taps = net.features(params['backbone'], state['backbone'], BATCH['input'], TICK.key)[0]
    return np.asarray(taps['features'])


# The terms


@pytest.mark.parametrize('shape', [(4, 7), (7, 4), (5, 5)])
def test_spectral_shrinkage_equals_numpys_singular_values(shape):
    rows = np.random.default_rng(6).normal(size=shape).astype('f')
    batch = {'input': rows, 'label': np.arange(shape[0]) % 3}
    for k in (1, 3):
        method = tljax.methods.bss(identity(shape[1]), 3, k, weight=0.5)
        params, state = jax.jit(method.init)(jax.random.key(0), batch)
        expected = 0.5 * (np.linalg.svd(rows.astype(float), compute_uv=False)[-k:] ** 2).sum()
        assert losses(method, params, state, batch)[1]['term'] == pytest.approx(expected, rel=1e-5)


def test_spectral_shrinkage_of_repeated_examples_is_zero_and_so_is_its_gradient():
    """Two equal rows: a singular value of 0, where the gradient must not be NaN."""
    rows = jnp.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [0.0, 1.0, 0.0]])
    method = tljax.methods.bss(mlp((3,), activation='tanh'), 3, weight=1.0)
    batch = {'input': rows, 'label': np.arange(3)}
    params, state = jax.jit(method.init)(jax.random.key(0), batch)
    value, gradient = jax.value_and_grad(
        lambda p: method.loss(p, state, batch, TICK)[1][1]['term']
    )(params)
    assert float(value) == pytest.approx(0, abs=1e-10)
    assert all(np.abs(leaf).max() < 1e-5 for leaf in jax.tree.leaves(gradient))


def test_the_distance_of_delta_by_hand():
    """Maps (n, height, width, channels) of Conv4 at their own sizes, from the frozen copy at
    inference."""
    net = conv4(width=(2, 3), size=8)
    pictures = np.random.default_rng(7).uniform(size=(6, 8, 8, 1)).astype('f')
    train = arrays(pictures, np.arange(6) % 3, ('a', 'b', 'c'))
    batch = {**train.take(np.arange(6)), 'weight': np.array([2, 0, 1, 1, 1, 1], 'f')}
    method = tljax.methods.delta(net, 3, weight=0.5)
    params, state = jax.jit(method.init)(jax.random.key(0), batch)
    state = method.remember(params, state, Start(train))
    assert list(state['attention']) == ['block1', 'block2']
    after = moved(params)
    term = losses(method, after, state, batch)[1]['term']
    old = net.features(params['backbone'], state['backbone'], pictures)[0]
    new = net.features(after['backbone'], state['backbone'], pictures, TICK.key)[0]
    by_hand = np.zeros(6)
    for name, channels, positions in (('block1', 2, 16), ('block2', 3, 4)):
        assert state['attention'][name].sum() == pytest.approx(1)
        for j in range(channels):
            squares = np.asarray(new[name] - old[name])[..., j] ** 2
            share = channels / (2 * positions) * state['attention'][name][j]
            by_hand += share * squares.sum((1, 2))
    assert term == pytest.approx(0.5 * (by_hand * batch['weight']).mean(), rel=1e-4)


def test_the_attention_of_delta_orders_channels_as_switching_each_off_does():
    """Under one classifier the slope at a gate gives the increase of the loss to first order."""
    net = conv4(width=8, blocks=2, size=8)
    data = build.load({'name': 'digits', 'size': 8})['train']
    run = fit_digits()
    source = {'params': run.params['backbone'], 'state': run.state['backbone']}
    source = jax.tree.map(lambda leaf: leaf[0], source)
    head = jax.tree.map(lambda leaf: leaf[0], run.params['head'])
    batch = data.take(np.arange(200))

    @jax.jit
    def loss(gates):
        rows = gated(net, source['params'], source['state'], batch['input'], gates)['features']
        outputs = rows @ head['kernel'] + head['bias']
        return optax.softmax_cross_entropy_with_integer_labels(outputs, batch['label']).mean()

    for name in ('block1', 'block2'):
        off = 1 - np.eye(8, dtype='f')
        exact = np.array([loss({name: gate}) for gate in off]) - loss({name: np.ones(8, 'f')})
        first_order = -np.asarray(jax.grad(loss)({name: np.ones(8, 'f')})[name])
        assert np.corrcoef(exact.argsort().argsort(), first_order.argsort().argsort())[0, 1] > 0.7


@functools.cache
def fit_digits():
    import tempfile

    net = {'name': 'conv4', 'width': 8, 'blocks': 2, 'size': 8}
    return fit(build.build(tiny({'net': net, 'steps': 60})), tempfile.mkdtemp())


def test_gates_of_one_change_nothing_and_a_gate_of_zero_is_a_channel_without_filter():
    """Conv4's block computes 0 for a channel without scale and bias."""
    net = conv4(width=3, blocks=2, size=8)
    pictures = np.random.default_rng(8).uniform(size=(4, 8, 8, 1)).astype('f')
    params, state = net.init(jax.random.key(0), pictures)
    plain = net.features(params, state, pictures)[0]
    ones = gated(net, params, state, pictures, {'block1': jnp.ones(3)})
    jax.tree.map(np.testing.assert_array_equal, plain, ones)
    off = {**params, 'norm1': jax.tree.map(lambda leaf: leaf.at[1].set(0.0), params['norm1'])}
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6),
        gated(net, params, state, pictures, {'block1': jnp.array([1.0, 0.0, 1.0])}),
        net.features(off, state, pictures)[0],
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    'name',
    [
        'densenet121',
        'efficientnet_lite0',
        'inception_v3',
        'mobilenet',
        'mobilenet_v3_large',
        'resnet50v2',
        'vit_tiny_patch16_224',
        'xception',
    ],
)
def test_gates_stand_on_the_way_to_the_features(name):
    """Whatever the network: a gate of 0 on a whole layer changes the features (but for shortcuts
    that go around it), and the default layers of DELTA are gates."""
    from tljax.methods.fine_tuning.delta import _layers

    net = getattr(tljax.zoo, name)()
    size = 224 if name.startswith('vit') else 128
    pictures = np.random.default_rng(15).uniform(size=(1, size, size, 3)).astype('f')
    params, state = jax.jit(net.init)(jax.random.key(0), pictures)
    taps = jax.eval_shape(lambda: net.features(params, state, pictures)[0])
    names = _layers(net, taps, ())
    assert 1 <= len(names) <= 4

    @jax.jit
    @jax.grad
    def slopes(gates):
        return jnp.square(gated(net, params, state, pictures, gates)['features']).sum()

    for name, slope in slopes({name: jnp.ones(taps[name].shape[-1]) for name in names}).items():
        assert np.isfinite(slope).all() and np.abs(slope).max() > 0, name


def test_the_old_logits_of_lwf_come_from_the_frozen_copy_at_inference():
    method, params, state = begun('lwf')
    old = logits(params['source_head'], inference(NET, params, state))
    after = moved(params)
    statistics = drawn(state['backbone'], 9)  # the copy has its own
    statistics = jax.tree.map(np.abs, statistics)
    new = logits(after['source_head'], features_in_training(NET, after, state))
    expected = -(softmax(old / 2, 1) * log_softmax(new / 2, 1)).sum(1).mean()
    for backbone in (state['backbone'], statistics):
        term = losses(method, after, {**state, 'backbone': backbone})[1]['term']
        assert term == pytest.approx(expected, rel=1e-5)


def test_the_second_loss_of_co_tuning_by_hand():
    method, params, state = begun('co_tuning')
    rows = softmax(logits(params['source_head'], inference(NET, params, state)), 1)
    relation = co_tuning.category_relation(rows, BATCH['label'], 3, (rows, BATCH['label']))
    np.testing.assert_allclose(state['relation'], relation, atol=5e-3)  # two iterative fits
    after = moved(params)
    new = logits(after['source_head'], features_in_training(NET, after, state))
    expected = -2.3 * (state['relation'][LABEL] * log_softmax(new, 1)).sum(1).mean()
    assert losses(method, after, state)[1]['term'] == pytest.approx(expected, rel=1e-4)


def test_distillation_by_hand():
    method, params, state = begun('distillation')
    taught = state['teacher']
    soft = logits(
        taught['head'], TEACHER.features(taught['params'], {}, BATCH['input'])[0]['features']
    )
    student = logits(params['head'], features_in_training(NET, params, state))
    value, metrics = losses(method, params, state)
    expected = -4 * (softmax(soft / 2, 1) * log_softmax(student / 2, 1)).sum(1).mean()
    assert metrics['term'] == pytest.approx(expected, rel=1e-5)
    hard = -log_softmax(student, 1)[np.arange(12), BATCH['label']].mean()
    assert value == pytest.approx(0.5 * hard + expected, rel=1e-5)


def test_distillation_at_a_high_temperature_matches_logits():
    """Equation 4: the gradient is (z_i - v_i) / N, for logits whose mean is 0."""
    rng = np.random.default_rng(10)
    z, v = (rows - rows.mean(1, keepdims=True) for rows in rng.normal(size=(2, 4, 6)))
    with jax.enable_x64(True):
        from tljax.methods.fine_tuning.source_network import softened_cross_entropy

        def soft(z, t):
            return t**2 * softened_cross_entropy(z, v, t).sum()

        gradients = {t: jax.grad(soft)(jnp.array(z), t) for t in (1.0, 1e3)}
    np.testing.assert_allclose(gradients[1e3], (z - v) / 6, rtol=1e-2, atol=1e-4)
    assert np.abs(gradients[1.0] - (z - v) / 6).max() > 0.05


# The relation of categories


def test_the_direct_relation_is_the_mean_prediction_of_a_class():
    predictions = np.array([[0.7, 0.2, 0.1], [0.5, 0.5, 0.0], [0.0, 0.1, 0.9]])
    relation = co_tuning.mean_predictions(predictions, np.array([2, 2, 0]), classes=3)
    np.testing.assert_allclose(relation[2], [0.6, 0.35, 0.05])
    np.testing.assert_allclose(relation[0], predictions[2])
    np.testing.assert_allclose(relation[1], predictions.mean(0))  # no example


def test_the_reverse_relation_is_bayes_rule_on_a_calibrated_regression():
    """The regression by scikit-learn at every penalty, the calibration by a fine grid, Bayes' rule
    by hand."""
    rng = np.random.default_rng(11)
    label, truth = rng.integers(3, size=60), rng.integers(3, size=40)
    rows, more = (
        softmax(2 * rng.normal(size=(len(y), 4)) + 2 * np.eye(4)[y], 1) for y in (label, truth)
    )
    fits = [
        LogisticRegression(C=c, fit_intercept=False, max_iter=1000).fit(rows, label)
        for c in 10.0 ** np.arange(4, -5, -1)
    ]
    best = fits[int(np.argmax([each.score(more, truth) for each in fits]))].coef_  # (3, 4)
    scales = np.exp(np.linspace(-3, 3, 6001))
    errors = [-log_softmax(s * more @ best.T, 1)[np.arange(40), truth].mean() for s in scales]
    scale = scales[int(np.argmin(errors))]
    target_given_source = softmax(scale * best.T, 1)  # (4, 3)
    marginal = np.concatenate([rows, more]).mean(0)
    joint = target_given_source * marginal[:, None]
    relation = co_tuning.category_relation(rows, label, 3, (more, truth))
    np.testing.assert_allclose(relation, (joint / joint.sum(0)).T, rtol=2e-3)
    assert relation.argmax(1).tolist() == [0, 1, 2]


def test_a_class_without_an_example_gets_the_mean_prediction():
    rows, label = np.eye(4)[[0, 1, 0, 1]], np.array([0, 2, 0, 2])
    validation = np.eye(4)[[0, 1, 3]], np.array([0, 2, 1])  # its class 1 was never seen
    relation = co_tuning.category_relation(rows, label, 3, validation)
    np.testing.assert_allclose(relation.sum(1), 1)
    assert relation[0, 0] > 0.5 and relation[2, 1] > 0.5
    marginal = np.concatenate([rows, validation[0]]).mean(0)
    np.testing.assert_allclose(relation[1], marginal)


# The coins of StochNorm


def normalised(share, key, inputs, statistics=((0.5, -1.0, 0.0, 2.0), (1.0, 4.0, 9.0, 0.25))):
    """Outputs and new statistics of a network that is a BatchNorm of four channels."""
    net = stoch_norm.tossing(mlp((4,), activation='tanh', norm='batch'), share)
    params = {
        'dense1': {'kernel': np.eye(4, dtype='f')},
        'norm1': {'scale': np.ones(4, 'f'), 'bias': np.zeros(4, 'f')},
    }
    state = {'norm1': dict(zip(('mean', 'var'), np.array(statistics, 'f'), strict=True))}
    taps, state = net.features(params, state, inputs, key)
    return np.asarray(taps['features']), state


def test_every_channel_is_normalised_by_the_batch_or_by_the_stored_statistics():
    inputs = np.random.default_rng(12).normal(size=(8, 4)).astype('f')
    mean, var = np.array([0.5, -1.0, 0.0, 2.0]), np.array([1.0, 4.0, 9.0, 0.25])
    by_batch = np.tanh((inputs - inputs.mean(0)) / np.sqrt(inputs.var(0) + 1e-5))
    by_stored = np.tanh((inputs - mean) / np.sqrt(var + 1e-5))
    tossed = []
    for step in range(20):
        outputs, state = normalised(0.5, jax.random.key(step), inputs)
        heads = np.isclose(outputs, by_batch, atol=1e-5).all(0)
        tails = np.isclose(outputs, by_stored, atol=1e-5).all(0)
        assert (heads ^ tails).all(), 'a coin for a channel, not for an example'
        tossed.append(heads)
        # all channels follow the batch, whatever their coins
        np.testing.assert_allclose(
            state['norm1']['mean'], 0.9 * mean + 0.1 * inputs.mean(0), rtol=1e-5
        )
    assert 0.3 < np.mean(tossed) < 0.7 and len({tuple(each) for each in tossed}) > 5
    for share, expected in ((1.0, by_batch), (0.0, by_stored)):
        outputs, _ = normalised(share, jax.random.key(0), inputs)
        np.testing.assert_allclose(outputs, expected, atol=1e-5)
    outputs, _ = normalised(0.5, None, inputs)
    np.testing.assert_allclose(outputs, by_stored, atol=1e-5)  # at inference there is no coin


def test_layers_toss_coins_of_their_own_and_frozen_ones_none():
    share, inputs = 0.5, np.random.default_rng(13).normal(size=(8, 16)).astype('f')
    kernel = {'kernel': np.eye(16, dtype='f')}
    norm = {'scale': np.ones(16, 'f'), 'bias': np.zeros(16, 'f')}
    params = {'dense1': kernel, 'norm1': norm, 'dense2': kernel, 'norm2': norm}
    state = {
        name: {'mean': np.full(16, 9, 'f'), 'var': np.ones(16, 'f')} for name in ('norm1', 'norm2')
    }
    coins = {}
    for frozen in (None, lambda path: path == 'norm1'):
        net = stoch_norm.tossing(
            mlp((16, 16), activation='tanh', norm='batch', stored=frozen), share
        )
        taps, new = net.features(params, state, inputs, jax.random.key(0))
        # by the stored mean of 9 a channel is far below 0
        coins[frozen] = [np.asarray(taps[name]).mean(0) > -0.99 for name in ('layer1', 'layer2')]
    first, second = coins.pop(None)
    assert 0 < first.sum() < 16 and (first != second).any()
    ((first, second),) = coins.values()
    assert first.sum() == 0 < second.sum() < 16
    assert (new['norm1']['mean'] == 9).all() and (new['norm2']['mean'] != 9).all()


def test_seeds_toss_coins_of_their_own_under_vmap():
    """Seeds in one call by vmap, as accelerators compute them, equal one call for each."""
    method, params, state = begun('stoch_norm')
    step = make_step(method, optax.sgd(0.1), label(params, [REST]))
    state = tljax.core.TrainState(jnp.int32(0), params, state, optax.sgd(0.1).init(params))
    seeds = jnp.arange(3)
    together = jax.jit(jax.vmap(step, (None, None, 0)))(state, BATCH, seeds)[0]
    apart = [jax.jit(step)(state, BATCH, seed)[0] for seed in seeds]
    kernels = [flatten(each.params)['backbone/dense1/kernel'] for each in apart]
    assert (kernels[0] != kernels[1]).any()
    jax.tree.map(
        lambda many, *single: np.testing.assert_allclose(many, np.stack(single), atol=1e-5),
        together.params,
        *(each.params for each in apart),
    )


def test_a_network_without_batch_norm_is_only_fine_tuned():
    net = mlp((4,))
    ours, plain = tljax.methods.stoch_norm(net, 3), tljax.methods.finetune(net, 3)
    params, state = jax.jit(plain.init)(jax.random.key(0), BATCH)
    assert losses(ours, params, state) == losses(plain, params, state)


# All of them


@pytest.mark.parametrize('name', KEYWORDS)
def test_gradients_equal_finite_differences(name):
    """In float64, with a copy and a teacher that are constants."""
    _, params, state = begun(name)
    wide = mlp((6, 4), activation='tanh', norm='batch', dtype=jnp.float64)
    method = getattr(tljax.methods, name)(wide, 3, **KEYWORDS[name])
    with jax.enable_x64(True):
        params, state, batch = (
            jax.tree.map(
                lambda leaf: np.asarray(leaf, float) if leaf.dtype == 'float32' else leaf, tree
            )
            for tree in (moved(params), state, BATCH)
        )
        value_and_grad = jax.jit(
            jax.value_and_grad(lambda p: method.loss(p, state, batch, TICK)[0])
        )
        direction = jax.tree.map(lambda leaf: leaf.astype(float), drawn(params, 14))
        ahead, behind = (
            float(value_and_grad(jax.tree.map(lambda p, d, e=e: p + e * d, params, direction))[0])
            for e in (1e-5, -1e-5)
        )
        along = jax.tree.map(np.vdot, jax.device_get(value_and_grad(params)[1]), direction)
    assert sum(jax.tree.leaves(along)) == pytest.approx((ahead - behind) / 2e-5, rel=1e-6)


@pytest.mark.parametrize('name', ['delta', 'lwf', 'distillation', 'co_tuning'])
def test_the_memory_is_never_trained(name):
    """Weight decay and Adam move every parameter; what is remembered stays bit-equal."""
    method, params, state = begun(name)
    memory = {key: value for key, value in state.items() if key != 'backbone'}
    assert memory
    tx = optax.adamw(0.1, weight_decay=0.1)
    step = jax.jit(make_step(method, tx, label(params, [REST])))
    train = tljax.core.TrainState(jnp.int32(0), params, state, tx.init(params))
    moments = sum(leaf.size for leaf in jax.tree.leaves(train.opt_state) if leaf.ndim)
    assert moments == 2 * sum(leaf.size for leaf in jax.tree.leaves(params)), 'none of the memory'
    for _ in range(3):
        train, _ = step(train, BATCH, 0)
    jax.tree.map(
        np.testing.assert_array_equal, memory, {key: train.variables[key] for key in memory}
    )


def test_what_is_remembered_is_what_was_grafted():
    """Of the method and of a penalty on it, whichever combinator comes first."""
    donor = jax.jit(tljax.methods.finetune(NET, 3).init)(jax.random.key(7), BATCH)
    base = tljax.methods.delta(NET, 3)
    for method in (
        combinators.with_penalty(combinators.with_graft(base, *donor), l2_sp()),
        combinators.with_graft(combinators.with_penalty(base, l2_sp()), *donor),
    ):
        params, state = method.init(jax.random.key(0), BATCH)
        state = method.remember(params, state, Start(TRAIN))
        jax.tree.map(np.testing.assert_array_equal, state['source']['params'], donor[0]['backbone'])
        jax.tree.map(
            np.testing.assert_array_equal, state['l2_sp']['backbone'], donor[0]['backbone']
        )
        assert np.isfinite(losses(method, params, state)[0])
