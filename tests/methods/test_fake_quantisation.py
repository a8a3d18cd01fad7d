"""Fake quantisation: the grid and its gradient by hand, kernels with the factor of BatchNorm,
ranges that follow, and the delay."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tljax.core import Tick, UserError
from tljax.methods.fine_tuning.finetune import finetune
from tljax.methods.fine_tuning.with_fake_quantisation import with_fake_quantisation
from tljax.nn.fake_quantisation import fake_quantise, quantised_layers
from tljax.nn.layers import BatchNorm, Conv
from tljax.zoo import conv4

RANGES = ((-1.0, 0.9921875), (-0.2, 5.9), (0.0, 6.0), (-3.0, 0.0), (1.0, 2.0))


def by_whole_numbers(x, low, high):
    """Jacob et al. 2018, equations 1 and 12, with 8-bit numbers."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float64(high - low) / 255
    zero = int(np.clip(np.floor(0.5 - low / scale), 0, 255))
    q = np.clip(np.floor(x / scale + 0.5) + zero, 0, 255).astype(np.uint8)
    return scale * (q.astype(int) - zero), scale


@pytest.mark.parametrize('low, high', RANGES)
def test_the_grid_is_that_of_whole_numbers(low, high):
    x = np.random.default_rng(0).uniform(-8, 8, 4000).astype('f')
    expected, scale = by_whole_numbers(x.astype(float), low, high)
    found = np.asarray(fake_quantise(x, low, high))
    off = np.abs(found - expected)
    # a number half-way between two steps may go to either
    assert (off < 1e-5).mean() > 0.999 and off.max() < 1.01 * scale
    again = np.asarray(fake_quantise(found, low, high))
    np.testing.assert_allclose(again, found, atol=1e-5)
    assert fake_quantise(jnp.zeros(1), low, high)[0] == 0


def test_the_gradient_passes_inside_of_the_shifted_range_alone():
    """Range -1.1..2 of 2 bits: scale 3.1 / 3, zero round(1.06) = 1: the ends are -scale and
    2 scale."""
    scale = 3.1 / 3
    x = jnp.array([-1.1, -scale + 1e-3, 0.0, 1.3, 2.0, 2 * scale - 1e-3, 2.1])
    gradient = jax.grad(lambda x, a, b: (fake_quantise(x, a, b, 2) * jnp.arange(1.0, 8)).sum(), 0)
    np.testing.assert_array_equal(gradient(x, -1.1, 2.0), [0, 2, 3, 4, 5, 6, 0])
    assert jax.grad(lambda low: fake_quantise(x, low, 2.0).sum())(-1.1) == 0


def test_a_kernel_is_rounded_with_the_factor_of_batch_norm():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, 5, 5, 3)).astype('f')
    kernel, scale, bias = rng.normal(size=(1, 1, 3, 4)), rng.normal(size=4), rng.normal(size=4)
    mean, var = rng.normal(size=4), rng.uniform(0.5, 2, 4)

    def layers(variables, x):
        conv, norm = Conv(4, (1, 1), parent=None), BatchNorm(epsilon=0.0, parent=None)
        y = conv.apply({'params': {'kernel': variables['kernel']}}, x)
        return norm.apply(
            {'params': variables['params'], 'batch_stats': variables['stats']}, y, False
        )

    variables = {
        'kernel': kernel.astype('f'),
        'params': {'scale': scale.astype('f'), 'bias': bias.astype('f')},
        'stats': {'mean': mean.astype('f'), 'var': var.astype('f')},
    }
    folded = kernel * scale / np.sqrt(var)
    variables['stats'] |= {'kernel_low': folded.min(), 'kernel_high': folded.max()}
    with quantised_layers():
        found = layers(variables, x)
    folded, _ = by_whole_numbers(folded, folded.min(), folded.max())
    expected = x @ folded[0, 0] + bias - mean * scale / np.sqrt(var)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def trained(delay, steps, decay=0.5):
    method = with_fake_quantisation(finetune(conv4(width=4, blocks=1, size=8), 2), delay, decay)
    rng = np.random.default_rng(2)
    batch = {'input': rng.uniform(size=(8, 8, 8, 1)).astype('f'), 'label': np.arange(8) % 2}
    params, state = jax.jit(method.init)(jax.random.key(0), batch)
    step, seen = jax.jit(jax.value_and_grad(method.loss, has_aux=True)), []
    for i in range(steps):
        (_, (state, _)), grads = step(params, state, batch, Tick(i, jax.random.key(i)))
        params = jax.tree.map(lambda leaf, grad: leaf - 0.1 * grad, params, grads)
        seen.append((grads, state))
    return method, params, state, batch, seen


def test_numbers_are_rounded_after_the_delay():
    method, params, state, batch, _ = trained(delay=3, steps=2)
    plain = finetune(conv4(width=4, blocks=1, size=8), 2)
    predict = jax.jit(method.predict)
    before = predict(params, state, batch)['output']
    expected = jax.jit(plain.predict)(params, state, batch)['output']
    np.testing.assert_allclose(before, expected, atol=1e-6)
    after = predict(params, {**state, 'quantised': jnp.ones(())}, batch)['output']
    assert 0 < np.abs(after - before).max() < 0.2


def test_every_parameter_gets_a_gradient_through_the_rounding():
    *_, seen = trained(delay=0, steps=3)
    grads, state = seen[-1]
    assert all(0 < np.abs(leaf).max() < np.inf for leaf in jax.tree.leaves(grads))
    assert state['quantised'] == 1


def test_ranges_follow_the_outputs():
    *_, seen = trained(delay=9, steps=2)
    first, second = (state['backbone'] for _, state in seen)
    names = [name for name in first if 'low' in first[name]]
    assert names
    for name in names:
        a, b = first[name], second[name]
        assert -6 < a['low'] <= 0 <= a['high'] < 6 and b['low'] != a['low']


@pytest.mark.parametrize('keywords', [{'delay': -1}, {'bits': 1}, {'decay': 1.5}])
def test_keywords_out_of_their_range_are_refused(keywords):
    with pytest.raises(UserError, match=f'method.{next(iter(keywords))}='):
        with_fake_quantisation(finetune(conv4(), 2), **keywords)
