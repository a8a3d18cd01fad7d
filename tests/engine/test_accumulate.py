"""Gradients of several batches, averaged before an update, are those of one large batch."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import tiny

from tljax import build
from tljax.core import UserError
from tljax.engine import optim
from tljax.engine.train import fit
from tljax.paths import flatten

SGD = {'name': 'sgd', 'lr': 0.1, 'momentum': 0.9, 'clip': 0.5, 'weight_decay': 1e-3}
ADAM = {'name': 'adam', 'lr': 1e-2}
FROZEN = {'name': 'freeze', 'until': 'block1'}


def in_batches(size, optim, **changes):
    """A run on 6 batches of 64, or on the same examples in smaller batches."""
    return tiny(
        {'net': {'norm': 'layer'}, 'optim': optim, 'batch': size, 'steps': 6 * 64 // size}, changes
    )


@pytest.mark.parametrize('partition', [{}, {'partition': FROZEN}])
@pytest.mark.parametrize('optimiser', [SGD, ADAM])
def test_four_small_batches_are_a_large_one(optimiser, partition, tmp_path):
    large = in_batches(64, {**optimiser, 'warmup': 2}, **partition)
    small = in_batches(16, {**optimiser, 'warmup': 8, 'accumulate': 4}, **partition)
    expected, fitted = (
        fit(build.build(settings), tmp_path / str(settings['batch'])) for settings in (large, small)
    )
    start = flatten(build.build(small).init(0)[0])
    for path, value in flatten(expected.params).items():
        np.testing.assert_allclose(flatten(fitted.params)[path], value, atol=1e-6, err_msg=path)
        frozen = bool(partition) and path.startswith(('backbone/conv1', 'backbone/norm1'))
        assert np.array_equal(start[path], value[0]) == frozen, path


def test_frozen_parameters_have_no_accumulators():
    run = build.build(in_batches(16, {**ADAM, 'accumulate': 4}, partition=FROZEN))
    params = run.init(0)[0]
    trained = sum(
        leaf.size
        for path, leaf in flatten(params).items()
        if not path.startswith(('backbone/conv1', 'backbone/norm1'))
    )
    held = sum(leaf.size for leaf in jax.tree.leaves(run.tx.init(params)) if leaf.ndim)
    assert held == 3 * trained, 'two moments and the average of the gradients'


def test_a_group_may_accumulate_beside_another_that_does_not():
    labels = {'backbone': 'backbone', 'head': 'head'}
    tx, _ = optim.join_groups(
        labels,
        optim.Partition([optim.REST]),
        4,
        {'name': 'sgd', 'lr': 1.0},
        {'backbone': {'accumulate': 2}},
    )
    params = {'backbone': jnp.zeros(()), 'head': jnp.zeros(())}
    state, seen = tx.init(params), []
    for gradient in (1.0, 3.0, 5.0, 7.0):
        updates, state = tx.update(jax.tree.map(lambda p: p + gradient, params), state, params)
        seen.append((float(updates['backbone']), float(updates['head'])))
    assert seen == [(0, -1), (-2, -3), (0, -5), (-6, -7)]


def test_turns_of_a_player_are_accumulated_and_its_schedule_counts_the_updates():
    tx = optim.group_transform(
        'sgd', steps=8, lr=1.0, schedule='linear', period=2, phase=1, accumulate=2
    )
    state, seen = tx.init(jnp.zeros(())), []
    for gradient in range(8):
        update, state = tx.update(jnp.float32(gradient), state)
        seen.append(float(update))
    # the averages of 1 and 3, and of 5 and 7, at rates 1 and 1/2
    assert seen == [0, 0, 0, -2, 0, 0, 0, -3]


def test_clipping_is_of_the_average():
    tx = optim.group_transform('sgd', steps=2, lr=1.0, clip=1.0, accumulate=2)
    state = tx.init(jnp.zeros(()))
    for gradient in (10.0, -9.0):
        update, state = tx.update(jnp.float32(gradient), state)
    assert float(update) == -0.5


def test_weights_that_average_one_stay_between_updates():
    accumulating = optim.group_transform('sgd', steps=4, lr=0.1, accumulate=2)
    tx, weights = optim.keep_average_one(accumulating), {'a': jnp.ones(()), 'b': jnp.ones(())}
    state, seen = tx.init(weights), []
    for _ in range(4):
        updates, state = tx.update({'a': jnp.ones(()), 'b': jnp.zeros(())}, state, weights)
        weights = optax.apply_updates(weights, updates)
        seen.append(float(weights['a']))
    once = 2 * 0.9 / 1.9
    twice = 2 * (once - 0.1) / 1.9
    np.testing.assert_allclose(seen, [1, once, once, twice], rtol=1e-6)


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'optim': {'accumulate': 0}}, 'accumulate=0: give a whole number from 1 to 6'),
        ({'optim': {'accumulate': 2.0}}, 'accumulate=2.0: give a whole number'),
        ({'optim': {'accumulate': True}}, 'accumulate=True: give a whole number'),
        ({'optim': {'accumulate': 7}}, 'accumulate=7: give a whole number from 1 to 6'),
        (
            {'groups': {'head': {'accumulate': 4, 'period': 2}}},
            'accumulate=4: give a whole number from 1 to 3',
        ),
    ],
)
def test_numbers_of_steps_that_no_update_can_have_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        build.build(tiny(changes))
