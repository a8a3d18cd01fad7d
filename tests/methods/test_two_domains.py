"""Two domains in one batch: they come apart as they went in, each normalised and augmented by
itself."""

from functools import partial

import jax
import numpy as np
import pytest
from two_sets import TICK, made

from tljax.core import UserError
from tljax.methods.adaptation.two_domains import both_domains
from tljax.nn import augment
from tljax.zoo.families.conv4 import conv4
from tljax.zoo.families.mlp import mlp
from tljax.zoo.wrappers.by_domain import by_domain


def test_each_domain_is_normalised_by_itself_and_the_target_afterwards(batch):
    net = by_domain(mlp(widths=(4,), norm='batch'))
    _, params, state = made('dann', net, batch)
    *domains, new_state = jax.jit(partial(both_domains, net))(
        params, state, batch, jax.random.key(0)
    )
    rows = [
        x @ np.asarray(params['backbone']['dense1']['kernel'])
        for x in (batch['input'], batch['target']['input'])
    ]
    for domain, x in zip(domains, rows, strict=True):
        np.testing.assert_allclose(
            domain['features'],
            np.maximum((x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5), 0),
            rtol=1e-4,
            atol=1e-5,
        )
    mean, var = 0.1 * rows[1].mean(0), 0.9 + 0.1 * rows[1].var(0)
    np.testing.assert_allclose(new_state['norm1']['mean'], mean, rtol=1e-4)
    at_rest = jax.jit(net.features)(params['backbone'], new_state, batch['input'])[0]['features']
    np.testing.assert_allclose(
        at_rest, np.maximum((rows[0] - mean) / np.sqrt(var + 1e-5), 0), rtol=1e-4, atol=1e-5
    )
    with pytest.raises(UserError, match='3 rows does not divide into domains=2'):
        net.features(params['backbone'], state['backbone'], batch['input'][:3], jax.random.key(0))


def test_both_domains_come_apart_as_they_went_in(batch):
    net = mlp((4,))
    params, state = jax.jit(net.init)(jax.random.key(0), batch['input'])
    head = {'kernel': np.ones((4, 3)), 'bias': np.zeros(3)}
    source, target, _ = jax.jit(partial(both_domains, net))(
        {'backbone': params, 'head': head}, {'backbone': state}, batch
    )
    for domain, x in ((source, batch['input']), (target, batch['target']['input'])):
        np.testing.assert_allclose(
            domain['features'], jax.jit(net.features)(params, state, x)[0]['features'], rtol=1e-5
        )


def test_adabn_stores_the_targets_statistics():
    net = conv4(width=3, size=8, blocks=1)
    rng = np.random.default_rng(0)
    pictures = [rng.normal(mean, size=(6, 8, 8, 1)).astype('f') for mean in (0, 3)]
    batch = {'input': pictures[0], 'label': np.zeros(6, int), 'target': {'input': pictures[1]}}
    method, params, state = made('adabn', net, batch)
    new_state = jax.jit(method.loss)(params, state, batch, TICK)[1][0]['backbone']['norm1']
    map = jax.lax.conv_general_dilated(
        pictures[1],
        params['backbone']['conv1']['kernel'],
        (1, 1),
        'SAME',
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )
    np.testing.assert_allclose(
        new_state['mean'], 0.1 * np.asarray(map).mean((0, 1, 2)), rtol=1e-4, atol=1e-6
    )


def test_the_target_is_augmented_by_draws_of_its_own():
    prepare = augment.prepare_batch([augment.flip(probability=0.5)])
    picture = np.tile(np.arange(2.0)[None, None, :, None], (64, 1, 1, 1))
    keys = np.random.default_rng(0).integers(2**32, size=(64, 2), dtype=np.uint32)
    batch = jax.jit(prepare)({'input': picture, 'key': keys, 'target': {'input': picture}})
    flipped = [
        np.asarray(each)[:, 0, 0, 0] == 1 for each in (batch['input'], batch['target']['input'])
    ]
    assert (
        16 < flipped[0].sum() < 48
        and 16 < flipped[1].sum() < 48
        and (flipped[0] != flipped[1]).any()
    )
    assert 'key' not in batch
