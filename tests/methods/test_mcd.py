"""Maximum classifier discrepancy: its players, their turns and their heads."""

import jax
import numpy as np
import pytest
from two_sets import TICK, made, softmax

from tljax.core import Tick
from tljax.methods.adaptation.mcd import mcd
from tljax.zoo.families.identity import identity


@pytest.fixture(scope='module')
def gradient(batch):
    """step -> the gradient of mcd's loss."""
    method, params, state = made('mcd', batch=batch)
    return jax.jit(
        lambda step: jax.grad(lambda p: method.loss(p, state, batch, Tick(step, TICK.key))[0])(
            params
        )
    )


@pytest.mark.parametrize(
    'step, players',
    [
        (0, {'backbone', 'head', 'second'}),
        (1, {'head', 'second'}),
        (2, {'backbone'}),
        (5, {'backbone'}),
        (6, {'backbone', 'head', 'second'}),
    ],
)
def test_mcds_players_take_turns(gradient, step, players):
    assert {
        name
        for name, leaves in gradient(step).items()
        if any(np.any(np.asarray(leaf)) for leaf in jax.tree.leaves(leaves))
    } == players


def test_mcds_discrepancy_has_opposite_signs(batch):
    method, params, state = made('mcd', batch=batch)
    loss = jax.jit(lambda step: method.loss(params, state, batch, Tick(step, TICK.key)))
    values = [
        [float(number) for number in (value, metrics['loss'], metrics['gap'])]
        for value, (_, metrics) in map(loss, (0, 1, 2))
    ]
    assert len({tuple(row[1:]) for row in values}) == 1
    error, gap = 2 * values[0][1], values[0][2]
    np.testing.assert_allclose([row[0] for row in values], [error, error - gap, gap], rtol=1e-5)


def test_mcds_heads_may_have_hidden_layers(batch):
    method = mcd(identity(5), 3, widths=(4,))
    params, state = jax.device_get(jax.jit(method.init)(jax.random.key(1), batch))

    def probability(head, x):
        odds = np.exp(
            np.maximum(x @ head['dense1']['kernel'] + head['dense1']['bias'], 0) @ head['kernel']
            + head['bias']
        )
        return odds / odds.sum(1, keepdims=True)

    rows, label = np.arange(12), batch['label']
    heads = [params['head'], params['second']]
    error = -sum(np.log(probability(head, batch['input'])[rows, label]).mean() for head in heads)
    gap = np.abs(
        np.subtract(*(probability(head, batch['target']['input']) for head in heads))
    ).mean()
    value = jax.jit(method.loss)(params, state, batch, Tick(1, TICK.key))[0]
    np.testing.assert_allclose(value, error - gap, rtol=1e-5)
    # logits are added
    product = np.prod([probability(head, batch['input']) for head in heads], 0)
    probabilities = softmax(jax.jit(method.predict)(params, state, batch)['output'])
    np.testing.assert_allclose(probabilities, product / product.sum(1, keepdims=True), rtol=1e-5)
