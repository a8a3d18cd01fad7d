"""Maximum classifier discrepancy: its players, their turns and their heads."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from two_sets import TICK, made

from tljax.core import Tick
from tljax.methods.adaptation.mcd import mcd
from tljax.zoo.families.identity import identity


@pytest.mark.parametrize('step, moving', [(0, {'backbone', 'head', 'second'}), (1, {'head', 'second'}), (2, {'backbone'}),
                                          (5, {'backbone'}), (6, {'backbone', 'head', 'second'})])
def test_mcds_players_take_turns(batch, step, moving):
    method, params, state = made('mcd', batch=batch)
    gradient = jax.grad(lambda p: method.loss(p, state, batch, Tick(jnp.int32(step), TICK.key))[0])(params)
    assert {name for name, leaves in gradient.items() if any(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(leaves))} == moving


def test_mcds_discrepancy_has_opposite_signs(batch):
    method, params, state = made('mcd', batch=batch)
    values = [[float(each) for each in (value, metrics['loss'], metrics['gap'])] for value, (_, metrics) in (
        method.loss(params, state, batch, Tick(jnp.int32(step), TICK.key)) for step in (0, 1, 2))]
    assert len({tuple(each[1:]) for each in values}) == 1
    error, gap = 2 * values[0][1], values[0][2]
    np.testing.assert_allclose([each[0] for each in values], [error, error - gap, gap], rtol=1e-5)


def test_mcds_heads_may_have_hidden_layers(batch):
    method = mcd(identity(5), 3, widths=(4,))
    params, state = method.init(jax.random.key(1), batch)

    def probability(head, x):
        odds = np.exp(np.maximum(np.asarray(x) @ head['dense1']['kernel'] + head['dense1']['bias'], 0) @ head['kernel'] + head['bias'])
        return odds / odds.sum(1, keepdims=True)

    rows, label = np.arange(12), np.asarray(batch['label'])
    heads = [params['head'], params['second']]
    error = -sum(np.log(probability(head, batch['input'])[rows, label]).mean() for head in heads)
    gap = np.abs(np.subtract(*(probability(head, batch['target']['input']) for head in heads))).mean()
    value = method.loss(params, state, batch, Tick(jnp.int32(1), TICK.key))[0]
    np.testing.assert_allclose(value, error - gap, rtol=1e-5)
    together = np.prod([probability(head, batch['input']) for head in heads], 0)   # logits are added
    np.testing.assert_allclose(jax.nn.softmax(method.predict(params, state, batch)['output']), together / together.sum(1, keepdims=True),
                               rtol=1e-5)
