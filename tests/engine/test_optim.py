"""Optimisers of groups: rates, decay, clipping and turns."""

import jax
import numpy as np
import optax

from tljax import paths
from tljax.engine import optim


def test_a_group_may_have_several_turns_and_its_schedule_counts_them():
    tx = optim.group_transform('sgd', steps=6, lr=1.0, schedule='linear', period=3, phase=(0, 2))
    update, state, steps = jax.jit(tx.update), tx.init(np.zeros(1, 'f')), []
    for _ in range(6):
        step, state = update(np.ones(1, 'f'), state)
        steps.append(np.asarray(step)[0])
    np.testing.assert_allclose(steps, [-1.0, 0, -0.75, -0.5, 0, -0.25])


def test_layer_wise_rates_multiply_the_step():
    groups = {'block1': 'a/.*', 'block2': 'b/.*'}
    partition = optim.layerwise(groups, rate=0.5)
    params = {
        'backbone': {'a': {'w': np.ones((2, 2))}, 'b': {'w': np.ones((2, 2))}},
        'head': {'w': np.ones((2, 2))},
    }
    labels = paths.label(params, partition.rules)
    tx = optim.optimizer(
        labels,
        lambda name: optim.group_transform(
            'sgd', steps=10, lr=0.1, scale=partition.scales.get(name, 1.0)
        ),
    )
    update = jax.jit(tx.update)(jax.tree.map(np.ones_like, params), tx.init(params), params)[0]
    np.testing.assert_allclose(
        [
            update['backbone']['a']['w'][0, 0],
            update['backbone']['b']['w'][0, 0],
            update['head']['w'][0, 0],
        ],
        [-0.025, -0.05, -0.1],
        rtol=1e-6,
    )


def test_decoupled_decay_with_adam_is_adamw():
    params, grads = {'w': np.full((2, 2), 3.0)}, {'w': np.full((2, 2), 0.5)}
    ours, theirs = (
        optim.group_transform('adam', steps=5, lr=0.1, weight_decay=0.01),
        optax.adamw(0.1, weight_decay=0.01),
    )
    mine, other = params, params
    a, b = ours.init(params), theirs.init(params)
    update, their_update = jax.jit(ours.update), jax.jit(theirs.update)
    for _ in range(3):
        u, a = update(grads, a, mine)
        v, b = their_update(grads, b, other)
        mine, other = optax.apply_updates(mine, u), optax.apply_updates(other, v)
    np.testing.assert_allclose(mine['w'], other['w'], rtol=1e-6)


def test_clipping_stays_inside_its_group():
    params = {'backbone': np.zeros(4), 'head': np.zeros(4)}
    labels = {'backbone': 'backbone', 'head': 'head'}
    tx = optim.optimizer(
        labels, lambda name: optim.group_transform('sgd', steps=1, lr=1.0, clip=1.0)
    )
    update = jax.jit(tx.update)(
        {'backbone': np.full(4, 100.0), 'head': np.full(4, 0.1)}, tx.init(params), params
    )[0]
    np.testing.assert_allclose(update['head'], -0.1, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(update['backbone']), 1.0, rtol=1e-6)


def test_bitfit_trains_shifts_alone_or_scales_as_well_and_decays_neither():
    params = {
        'backbone': {
            'conv1': {'kernel': np.ones((1, 1, 2, 2))},
            'bn1': {'scale': np.ones(2), 'bias': np.ones(2)},
            'bias': np.ones(2),  # of a network whose layers have no names
        },
        'head': {'kernel': np.ones((2, 3)), 'bias': np.ones(3)},
    }
    for scales, trained in (
        (False, {'bias', 'bn1/bias'}),
        (True, {'bias', 'bn1/bias', 'bn1/scale'}),
    ):
        labels = paths.label(params, optim.bitfit({}, scales=scales).rules)
        found = {path for path, name in paths.flatten(labels).items() if name == 'backbone'}
        assert found == {f'backbone/{path}' for path in trained}
        tx, _ = optim.join_groups(
            labels,
            optim.bitfit({}, scales=scales),
            10,
            {'name': 'adam', 'lr': 0.1, 'weight_decay': 0.5},
            {},
        )
        updates = tx.update(jax.tree.map(np.zeros_like, params), tx.init(params), params)[0]
        decayed = {path for path, leaf in paths.flatten(updates).items() if leaf.any()}
        assert decayed == {'head/kernel'}


def test_the_slanted_triangle_is_equation_3_of_ulmfit():
    """As the paper writes it, with cut_frac .1 and ratio 32, over 100 steps."""
    steps, peak, ratio, cut_frac = 100, 0.01, 32, 0.1
    cut = int(steps * cut_frac)
    for warmup in (0, 10):
        rate = optim.learning_rate('slanted_triangular', peak, steps, warmup)
        for t in range(steps + 1):
            p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / cut_frac - 1))
            expected = peak * (1 + p * (ratio - 1)) / ratio
            np.testing.assert_allclose(rate(t), expected, rtol=1e-5)
    wide = optim.learning_rate('slanted_triangular', peak, steps, warmup=50)
    assert max(range(101), key=lambda t: float(wide(t))) == 50
    short = optim.learning_rate('slanted_triangular', peak, 1)  # no step is left to rise in
    assert np.isfinite([float(short(t)) for t in (0, 1)]).all()
