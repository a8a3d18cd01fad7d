"""Methods of several tasks against their equations in NumPy, finite differences and each other."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tljax.core import Method, Tick, TrainState, UserError
from tljax.engine.optim import keep_average_one
from tljax.engine.step import make_step
from tljax.methods.fine_tuning.finetune import finetune
from tljax.methods.multitask.cross_stitch import cross_stitch
from tljax.methods.multitask.dynamic_weights import dynamic_weights
from tljax.methods.multitask.gradnorm import gradnorm
from tljax.methods.multitask.hard_sharing import hard_sharing
from tljax.methods.multitask.joint_model import shared_trunk
from tljax.methods.multitask.mmoe import mmoe
from tljax.methods.multitask.pcgrad import pcgrad, projected_weights
from tljax.methods.multitask.uncertainty import uncertainty
from tljax.paths import flatten
from tljax.zoo import identity, mlp

TICK = Tick(jnp.int32(0), jax.random.key(3))
CLASSES = {'a': 3, 'b': 0, 'c': 4}  # one of three classes, a number, four labels
SEVERAL = {'a': False, 'b': False, 'c': True}
NET = mlp((6, 5))
FACTORIES = (hard_sharing, uncertainty, dynamic_weights, gradnorm, pcgrad, cross_stitch, mmoe)


@pytest.fixture(scope='module')
def batch():
    """Twelve rows: a row has a label of one task, and the last two of both `a` and `b`."""
    rng = np.random.default_rng(0)
    has = {
        'a': np.array([1, 0, 0, 0, 1, 0, 1, 0, 0, 1, 1, 1]),
        'b': np.array([0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 1, 1]),
        'c': np.array([0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0]),
    }
    return {
        'input': rng.normal(size=(12, 4)).astype('f'),
        'label': {
            'a': rng.integers(3, size=12).astype('i4'),
            'b': rng.normal(size=12).astype('f'),
            'c': rng.integers(2, size=(12, 4)).astype('f'),
        },
        'weight': {task: (12 / mask.sum() * mask).astype('f') for task, mask in has.items()},
    }


def of_tasks(batch, *tasks):
    """The batch for some of its tasks."""
    return {**batch, **{key: {t: batch[key][t] for t in tasks} for key in ('label', 'weight')}}


def without(batch, task):
    """The batch in which a task is absent."""
    return {**batch, 'weight': {**batch['weight'], task: np.zeros(12, 'f')}}


def started(method, batch, seed=5):
    """Parameters, with heads other than zero, and state."""
    params, state = jax.jit(method.init)(jax.random.key(1), batch)
    rng = np.random.default_rng(seed)
    params['head'] = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), 'f'), params['head']
    )
    return params, state


@functools.cache
def compiled_gradient(method):
    return jax.jit(jax.grad(method.loss, has_aux=True))


def gradient(method, params, state, batch, tick=TICK):
    return compiled_gradient(method)(params, state, batch, tick)[0]


def assert_trees(a, b, **tolerance):
    a, b = flatten(a), flatten(b)
    assert a.keys() == b.keys()
    for path in a:
        np.testing.assert_allclose(a[path], b[path], err_msg=path, **tolerance)


def test_tasks_of_three_kinds_have_the_losses_of_their_own_rows(batch):
    model = shared_trunk(identity(4), CLASSES, SEVERAL)
    params, state = started(model, batch)
    losses, (_, metrics) = model.losses(params, state, batch, TICK)
    outputs = {
        task: batch['input'] @ np.asarray(head['kernel']) + np.asarray(head['bias'])
        for task, head in params['head'].items()
    }
    rows = {task: weight > 0 for task, weight in batch['weight'].items()}
    label = {task: batch['label'][task][rows[task]] for task in CLASSES}
    logits = outputs['a'][rows['a']]
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    z = outputs['c'][rows['c']]
    expected = {
        'a': -log_p[np.arange(len(log_p)), label['a']].mean(),
        'b': ((outputs['b'][rows['b'], 0] - label['b']) ** 2).mean(),
        'c': (np.log1p(np.exp(z)) - z * label['c']).mean(),
    }
    for task, value in expected.items():
        np.testing.assert_allclose(losses[task], value, rtol=1e-5)
    np.testing.assert_allclose(metrics['loss'], sum(expected.values()), rtol=1e-5)
    np.testing.assert_allclose(metrics['accuracy'], (logits.argmax(1) == label['a']).mean())


def test_the_losses_of_shards_average_to_that_of_the_batch(batch):
    model = shared_trunk(NET, CLASSES, SEVERAL)
    params, state = started(model, batch)
    halves = [jax.tree.map(lambda leaf, i=i: leaf[6 * i : 6 * i + 6], batch) for i in range(2)]
    whole, *parts = (model.losses(params, state, part, TICK)[0] for part in (batch, *halves))
    for task in CLASSES:
        np.testing.assert_allclose((parts[0][task] + parts[1][task]) / 2, whole[task], rtol=1e-5)


def test_hard_sharing_of_one_task_is_fine_tuning(batch):
    one = {'input': batch['input'], 'label': batch['label']['a']}
    joint = {'input': batch['input'], 'label': {'a': batch['label']['a']}}
    shared, single = hard_sharing(NET, {'a': 3}), finetune(NET, 3)
    params, state = started(shared, joint)
    expected = gradient(single, {**params, 'head': params['head']['a']}, state, one)
    found = gradient(shared, params, state, joint)
    assert_trees({**found, 'head': found['head']['a']}, expected, rtol=1e-5, atol=1e-7)


def test_fixed_weights_weigh_the_gradients(batch):
    params, state = started(hard_sharing(NET, CLASSES, SEVERAL), batch)
    only = {
        task: hard_sharing(NET, CLASSES, SEVERAL, dict.fromkeys(CLASSES, 0.0) | {task: 1.0})
        for task in ('a', 'b')
    }
    alone = {task: gradient(method, params, state, batch) for task, method in only.items()}
    found = gradient(
        hard_sharing(NET, CLASSES, SEVERAL, {'a': 4, 'b': 2, 'c': 0}), params, state, batch
    )
    # weights are scaled to sum to 3: (2, 1, 0), and a task alone has 3
    expected = jax.tree.map(lambda a, b: (2 * a + b) / 3, alone['a'], alone['b'])
    assert_trees(found['backbone'], expected['backbone'], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    'weights, said',
    [
        ({'left': 1.0}, r'method.weights.left is no task: there are a, b, c'),
        ({'a': -1.0}, r'method.weights.a=-1.0: give a number, 0 or more'),
        (dict.fromkeys('abc', 0.0), r'method.weights is 0 for all tasks \(a, b, c\)'),
    ],
)
def test_weights_that_fit_no_task_are_refused(weights, said):
    with pytest.raises(UserError, match=said):
        hard_sharing(NET, CLASSES, SEVERAL, weights)


@pytest.mark.parametrize(
    'factory',
    [  # the others have no parameters of a task but its head, or go the same way
        factory
        if factory in (uncertainty, gradnorm)
        else pytest.param(factory, marks=pytest.mark.slow)
        for factory in FACTORIES
    ],
    ids=lambda factory: factory.__name__,
)
def test_an_absent_task_changes_nothing_of_its_own(factory, batch):
    method = factory(NET, CLASSES, SEVERAL)
    params, state = started(method, batch)
    tx = optax.sgd(1.0)
    step = jax.jit(make_step(method, tx, jax.tree.map(lambda leaf: 'all', params)))
    first = TrainState(jnp.int32(0), params, state, tx.init(params))
    for task in ('a', 'b'):
        one = without(batch, task)
        two = {**one, 'label': {**batch['label'], task: 2 - batch['label'][task]}}
        after, others = (step(first, each, 0)[0].params for each in (one, two))
        assert_trees(after, others, rtol=0, atol=0)  # its labels do not matter
        assert_trees(after['head'][task], params['head'][task], rtol=0, atol=0)
        if 'uncertainty' in params:
            assert float(after['uncertainty'][task]) == 0
        if 'weights' in params:
            assert float(after['weights'][task]) == 1


def project_by_hand(gradients, orders):
    """Algorithm 1 of PCGrad, on vectors."""
    projected = [g.copy() for g in gradients]
    for i, order in enumerate(orders):
        for j in order:
            product = projected[i] @ gradients[j]
            if j != i and product < 0:
                projected[i] -= product / (gradients[j] @ gradients[j]) * gradients[j]
    return np.sum(projected, 0)


def flat(tree, paths):
    leaves = flatten(tree)
    return np.concatenate([np.ravel(leaves[path]) for path in paths]).astype(float)


def orders_of(key, count):
    return [np.asarray(jax.random.permutation(k, count)) for k in jax.random.split(key, count)]


def test_projected_directions_are_those_of_the_algorithm_by_hand_for_many_seeds_at_once():
    gradients = np.random.default_rng(1).normal(size=(20, 5, 7)).astype('f')
    keys = jax.random.split(jax.random.key(0), 20)
    weights = jax.jit(jax.vmap(projected_weights))(gradients @ gradients.swapaxes(1, 2), keys)
    changed = 0
    for g, w, key in zip(gradients, weights, keys, strict=True):
        expected = project_by_hand(g.astype(float), orders_of(key, 5))
        np.testing.assert_allclose(w @ g, expected, rtol=2e-3, atol=2e-4)
        changed += not np.allclose(expected, g.sum(0))
    assert changed == 20  # every draw has a conflict


def test_the_order_of_the_projections_is_drawn():
    gradients = np.random.default_rng(1).normal(size=(5, 7)).astype('f')
    by_key = [projected_weights(gradients @ gradients.T, jax.random.key(i)) for i in range(4)]
    assert len({tuple(np.round(w, 4).tolist()) for w in by_key}) > 1


@pytest.mark.parametrize('frozen', ['', 'backbone/dense1/'], ids=['all', 'first layer frozen'])
def test_pcgrad_projects_shared_parameters_and_gives_heads_their_own_gradient(batch, frozen):
    is_frozen = lambda path: bool(frozen) and path.startswith(frozen)  # noqa: E731
    method = pcgrad(NET, CLASSES, SEVERAL, frozen=is_frozen)
    single = {t: hard_sharing(NET, {t: CLASSES[t]}, {t: SEVERAL[t]}) for t in CLASSES}
    for seed in range(20):  # until some of the tasks conflict
        params, state = started(method, batch, seed)
        own = {t: {**params, 'head': {t: params['head'][t]}} for t in CLASSES}
        alone = [gradient(single[t], own[t], state, of_tasks(batch, t)) for t in CLASSES]
        paths = [path for path in flatten(params['backbone']) if not is_frozen(f'backbone/{path}')]
        vectors = np.array([flat(gradients['backbone'], paths) for gradients in alone])
        if (vectors @ vectors.T).min() < -1e-3:
            break
    found = gradient(method, params, state, batch)
    direction = flat(found['backbone'], paths)
    expected = project_by_hand(vectors, orders_of(TICK.key, 3))
    np.testing.assert_allclose(direction, expected, rtol=1e-3, atol=1e-5)
    assert not np.allclose(direction, np.sum(vectors, 0), atol=1e-3)
    for task, gradients in zip(CLASSES, alone, strict=True):
        assert_trees(found['head'][task], gradients['head'][task], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_pcgrad_over_seeds_equals_one_seed_at_a_time(batch):
    method = pcgrad(NET, CLASSES, SEVERAL)
    pairs = [
        started(method, batch)[0],
        jax.tree.map(lambda leaf: 2 * leaf, started(method, batch)[0]),
    ]
    state = started(method, batch)[1]
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), *pairs)
    keys = jax.random.split(jax.random.key(0), 2)

    def of_seed(params, key):
        return jax.grad(method.loss, has_aux=True)(params, state, batch, Tick(0, key))[0]

    found = jax.jit(jax.vmap(of_seed))(both, keys)
    for i, params in enumerate(pairs):
        expected = gradient(method, params, state, batch, Tick(0, keys[i]))
        assert_trees(jax.tree.map(lambda leaf, i=i: leaf[i], found), expected, rtol=1e-3, atol=1e-5)


def test_gradnorm_balances_norms_by_its_equation_and_leaves_the_network_alone(batch):
    method = gradnorm(NET, CLASSES, SEVERAL, alpha=0.7)
    params, state = started(method, batch)
    params['weights'] = {'a': jnp.float32(0.5), 'b': jnp.float32(1.5), 'c': jnp.float32(1.0)}
    state['first_losses'] = {'a': jnp.float32(2.0), 'b': jnp.float32(1.0), 'c': jnp.float32(0.5)}
    found = gradient(method, params, state, batch)
    # the network: gradients of the weighted losses, and nothing of the balance
    w = {task: float(value) for task, value in params['weights'].items()}
    trunk = {key: params[key] for key in ('backbone', 'head')}
    rest = {'backbone': state['backbone']}
    expected = gradient(hard_sharing(NET, CLASSES, SEVERAL, w), trunk, rest, batch)
    assert_trees({key: found[key] for key in trunk}, expected, rtol=1e-4, atol=1e-6)

    def losses(layer):
        changed = {**trunk, 'backbone': {**trunk['backbone'], 'dense2': layer}}
        return shared_trunk(NET, CLASSES, SEVERAL).losses(changed, rest, batch, TICK)[0]

    # norms at the last shared layer, by central differences of the losses
    layer, values, squares = trunk['backbone']['dense2'], losses(trunk['backbone']['dense2']), {}
    compiled = jax.jit(losses)
    for name, leaf in layer.items():
        for place in np.ndindex(leaf.shape):
            up, down = (
                compiled({**layer, name: leaf.at[place].add(sign * 1e-2)}) for sign in (1, -1)
            )
            for task in CLASSES:
                slope = (float(up[task]) - float(down[task])) / 2e-2
                squares[task] = squares.get(task, 0) + slope**2
    norms = {task: np.sqrt(squares[task]) for task in CLASSES}
    weighted = np.array([w[task] * norms[task] for task in CLASSES])
    rates = np.array([float(values[t]) / float(state['first_losses'][t]) for t in CLASSES])
    target = weighted.mean() * (rates / rates.mean()) ** 0.7
    for i, task in enumerate(CLASSES):
        slope = np.sign(weighted[i] - target[i]) * norms[task]
        np.testing.assert_allclose(found['weights'][task], slope, rtol=2e-2)


def test_gradnorms_weights_sum_to_the_number_of_tasks_after_every_update(batch):
    method = gradnorm(NET, CLASSES, SEVERAL)
    params, state = started(method, batch)
    tx = optax.multi_transform(
        {'weights': keep_average_one(optax.adam(0.3)), 'rest': optax.adam(1e-2)},
        lambda tree: {player: 'weights' if player == 'weights' else 'rest' for player in tree},
    )
    labels = jax.tree.map(lambda leaf: 'all', params)
    step = jax.jit(make_step(method, tx, labels))
    now = TrainState(jnp.int32(0), params, state, tx.init(params))
    seen = []
    for _ in range(12):
        now, _ = step(now, batch, 0)
        seen.append(np.array([*now.params['weights'].values()]))
        np.testing.assert_allclose(seen[-1].sum(), 3, rtol=1e-5)
    assert np.min(seen) >= 0 and np.ptp(seen[-1]) > 0.1


def test_uncertainty_is_at_its_optimum_where_the_closed_form_says(batch):
    method = uncertainty(NET, CLASSES, SEVERAL)
    params, state = started(method, batch)
    losses, _ = shared_trunk(NET, CLASSES, SEVERAL).losses(params, state, batch, TICK)
    # numbers: sigma^2 is the mean squared error; classes and labels: twice the cross-entropy
    best = {task: np.log(float(losses[task]) * (1 if task == 'b' else 2)) for task in CLASSES}
    at_best = {**params, 'uncertainty': {task: jnp.float32(s) for task, s in best.items()}}
    for value in gradient(method, at_best, state, batch)['uncertainty'].values():
        assert abs(float(value)) < 1e-5
    value = jax.jit(method.loss)(at_best, state, batch, TICK)[0]
    np.testing.assert_allclose(value, sum((1 + s) / 2 for s in best.values()), rtol=1e-5)


def test_dynamic_weights_follow_the_ratio_of_two_windows_by_hand():
    """The features are the losses: numbers whose prediction is 0 and whose label is sqrt(loss)."""
    method = dynamic_weights(identity(1), {'a': 0, 'b': 0}, window=2, temperature=0.5)
    series = {'a': [4, 2, 1, 1, 3, 5], 'b': [1, 1, 2, 2, 2, 2]}
    batches = [
        {
            'input': np.zeros((2, 1), 'f'),
            'label': {task: np.full(2, np.sqrt(values[i]), 'f') for task, values in series.items()},
        }
        for i in range(6)
    ]
    params, state = method.init(jax.random.key(0), batches[0])
    seen = []
    for i, batch in enumerate(batches):
        _, (state, metrics) = method.loss(params, state, batch, Tick(jnp.int32(i), TICK.key))
        seen.append([float(metrics[f'weight of {task}']) for task in series])
    np.testing.assert_allclose(seen[:4], 1, rtol=1e-6)  # two windows are not over yet
    ratio = np.array([1 / 3, 2 / 1]) / 0.5  # means 3 then 1, and 1 then 2
    expected = 2 * np.exp(ratio) / np.exp(ratio).sum()
    np.testing.assert_allclose(seen[4:], [expected, expected], rtol=1e-5)


def test_cross_stitch_with_identity_units_is_a_network_for_each_task(batch):
    method = cross_stitch(NET, CLASSES, SEVERAL, own=1.0)
    params, state = started(method, batch)
    found = gradient(method, params, state, batch)
    output = jax.jit(method.predict)(params, state, batch)['output']
    for i, task in enumerate(CLASSES):
        single = hard_sharing(NET, {task: CLASSES[task]}, {task: SEVERAL[task]})
        column = jax.tree.map(lambda leaf, i=i: leaf[i], params['backbone'])
        own = {'backbone': column, 'head': {task: params['head'][task]}}
        part, rest = of_tasks(batch, task), {'backbone': {}}
        np.testing.assert_allclose(
            output[task], single.predict(own, rest, part)['output'][task], rtol=1e-5, atol=1e-6
        )
        expected = gradient(single, own, rest, part)
        mine = jax.tree.map(lambda leaf, i=i: leaf[i], found['backbone'])
        assert_trees(mine, expected['backbone'], rtol=1e-4, atol=1e-6)


def test_cross_stitch_mixes_the_columns_after_each_layer_by_hand():
    method = cross_stitch(mlp((3, 2)), {'a': 2, 'b': 2})
    x = np.random.default_rng(0).normal(size=(5, 4)).astype('f')
    batch = {'input': x, 'label': dict.fromkeys('ab', np.zeros(5, 'i4'))}
    params, state = started(method, batch)
    rng = np.random.default_rng(2)
    params['backbone'] = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), 'f'), params['backbone']
    )
    units = {name: rng.normal(size=(2, 2)).astype('f') for name in ('layer1', 'layer2')}
    found = jax.jit(method.predict)({**params, 'stitch': units}, state, batch)['output']
    columns = [x, x]
    for i in (1, 2):
        layer = params['backbone'][f'dense{i}']
        columns = [
            np.maximum(column @ np.asarray(layer['kernel'][t]) + np.asarray(layer['bias'][t]), 0)
            for t, column in enumerate(columns)
        ]
        alpha = units[f'layer{i}']
        columns = [alpha[t, 0] * columns[0] + alpha[t, 1] * columns[1] for t in range(2)]
    for t, task in enumerate('ab'):
        head = params['head'][task]
        expected = columns[t] @ np.asarray(head['kernel']) + np.asarray(head['bias'])
        np.testing.assert_allclose(found[task], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_cross_stitch_keeps_the_statistics_of_every_column_as_a_plain_network_does(batch):
    net = mlp((6, 5), norm='batch')
    method = cross_stitch(net, CLASSES, SEVERAL, own=1.0)
    params, state = started(method, batch)
    _, (new_state, _) = jax.jit(method.loss)(params, state, batch, TICK)
    column = jax.tree.map(lambda leaf: leaf[0], (params['backbone'], state['backbone']))
    expected = jax.jit(net.features)(*column, batch['input'], TICK.key)[1]
    for i in range(3):
        mine = jax.tree.map(lambda leaf, i=i: leaf[i], new_state['backbone'])
        assert_trees(mine, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    'factory, said',
    [
        (lambda: gradnorm(NET, CLASSES, layer='layer9'), 'layer9.*did you mean layer2'),
        (lambda: gradnorm(identity(4), CLASSES), 'this network has none'),
        (lambda: cross_stitch(NET, CLASSES, own=2.0), 'method.own=2.0: give a number from 0 to 1'),
        (lambda: mmoe(NET, CLASSES, experts=0), 'one expert or more'),
        (lambda: dynamic_weights(NET, CLASSES, window=0), 'method.window=0'),
        (lambda: hard_sharing(NET, 3), 'needs data of several tasks'),
    ],
)
def test_settings_that_make_no_method_are_refused_in_a_line(factory, said):
    with pytest.raises(UserError, match=said):
        factory()


def test_cross_stitch_refuses_layers_that_the_network_does_not_have(batch):
    with pytest.raises(UserError, match="'layer3' is no layer of the network: did you mean layer"):
        cross_stitch(NET, CLASSES, layers=['layer3']).init(jax.random.key(0), batch)
    with pytest.raises(UserError, match='this network has none'):
        cross_stitch(identity(4), CLASSES).init(jax.random.key(0), batch)


def test_mmoe_with_one_expert_is_hard_sharing_over_its_layers(batch):
    mixture = mmoe(identity(4), CLASSES, SEVERAL, experts=1, widths=(6, 5))
    shared = hard_sharing(NET, CLASSES, SEVERAL)
    params, state = started(mixture, batch)
    trunk = jax.tree.map(lambda leaf: leaf[0], params['experts'])
    plain = {'backbone': trunk, 'head': params['head']}
    found = gradient(mixture, params, state, batch)
    expected = gradient(shared, plain, {'backbone': {}}, batch)
    experts = jax.tree.map(lambda leaf: leaf[0], found['experts'])
    assert_trees({'backbone': experts, 'head': found['head']}, expected, rtol=1e-4, atol=1e-6)
    assert not any(leaf.any() for leaf in jax.tree.leaves(found['gates']))


def test_mmoes_gates_mix_the_experts_by_hand(batch):
    method = mmoe(identity(4), CLASSES, SEVERAL, experts=3, widths=(2,))
    params, state = started(method, batch)
    rng = np.random.default_rng(3)
    params['gates'] = jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), 'f'), params['gates']
    )
    x, layer = batch['input'], jax.device_get(params['experts']['dense1'])
    experts = [np.maximum(x @ layer['kernel'][i] + layer['bias'][i], 0) for i in range(3)]
    found = jax.jit(method.predict)(params, state, batch)['output']
    for task in CLASSES:
        gate, head = (jax.device_get(params[player][task]) for player in ('gates', 'head'))
        scores = np.exp(x @ gate['kernel'] + gate['bias'])
        share = scores / scores.sum(1, keepdims=True)
        features = sum(share[:, i : i + 1] * experts[i] for i in range(3))
        expected = features @ head['kernel'] + head['bias']
        np.testing.assert_allclose(found[task], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('norm', ['none', 'batch'])
def test_tasks_meet_in_parameters_alone_unless_batchnorm_is_shared(batch, norm):
    """Other pictures of task `c` change the gradient of `a` if, and only if, BatchNorm mixes
    them."""
    method = hard_sharing(mlp((6,), norm=norm), {'a': 3})
    params, state = started(method, of_tasks(batch, 'a'))
    other = {**batch, 'input': np.where(batch['weight']['a'][:, None] > 0, batch['input'], 9.0)}
    one, two = (gradient(method, params, state, of_tasks(b, 'a')) for b in (batch, other))
    same = all(
        np.allclose(a, b, rtol=1e-5, atol=1e-7)
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True)
    )
    assert same == (norm == 'none')


def test_every_method_is_a_method(batch):
    for factory in FACTORIES:
        assert isinstance(factory(NET, CLASSES, SEVERAL), Method)
