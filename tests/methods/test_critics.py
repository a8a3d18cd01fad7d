"""Methods with a critic of domains against the papers' equations."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from two_sets import TICK, logits, made, softmax

from tljax.core import Tick
from tljax.zoo.families.identity import identity
from tljax.zoo.families.mlp import mlp


def critic_error(params, xs, xt, weights=(1.0, 1.0)):
    """Logistic error of a critic of hidden layers, the source being 1, in NumPy's terms but
    differentiable."""

    def critic_logits(x):
        for name in sorted(name for name in params if name != 'out'):
            # of all-zero rows a maximum's gradient would differ
            x = jax.nn.relu(x @ params[name]['kernel'] + params[name]['bias'])
        return (x @ params['out']['kernel'] + params['out']['bias'])[:, 0]

    return (
        (jnp.log1p(jnp.exp(-critic_logits(xs))) * weights[0]).mean()
        + (jnp.log1p(jnp.exp(critic_logits(xt))) * weights[1]).mean()
    ) / 2


def test_dann_descends_for_the_critic_and_ascends_for_the_features(batch):
    method, params, state = made('dann', batch=batch, weight=0.7)
    gradients = jax.jit(jax.grad(lambda p: method.loss(p, state, batch, TICK)[0]))(params)
    net = mlp((4,))

    def features(backbone):
        return [
            net.features(backbone, {}, x)[0]['features']
            for x in (batch['input'], batch['target']['input'])
        ]

    def error(params):
        out = features(params['backbone'])[0] @ params['head']['kernel'] + params['head']['bias']
        return optax.softmax_cross_entropy_with_integer_labels(out, batch['label']).mean()

    source_gradient = jax.jit(jax.grad(error))(params)
    adversary = jax.jit(jax.grad(lambda p: critic_error(p['critic'], *features(p['backbone']))))(
        params
    )
    source_gradient, adversary = jax.device_get((source_gradient, adversary))
    expected = {
        'backbone': jax.tree.map(
            lambda a, b: a - 0.7 * b, source_gradient['backbone'], adversary['backbone']
        ),
        'head': source_gradient['head'],
        'critic': adversary['critic'],
    }
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), gradients, expected
    )


def test_strength_rises_with_the_steps(batch):
    method, params, state = made('dann', batch=batch, ramp=100)

    @jax.jit
    def gradient(step):
        return jax.grad(lambda p: method.loss(p, state, batch, Tick(step, TICK.key))[0])(params)[
            'backbone'
        ]['dense1']['kernel']

    parts = [np.asarray(gradient(step)) - gradient(0) for step in (50, 100)]
    np.testing.assert_allclose(
        parts[0] / parts[1], (2 / (1 + np.exp(-5)) - 1) / (2 / (1 + np.exp(-10)) - 1), rtol=1e-2
    )


def test_domain_confusion_parts_the_critic_from_the_features(batch):
    method, params, state = made('domain_confusion', batch=batch, weight=1.0)
    net = mlp((4,))
    gradient = jax.jit(jax.grad(lambda p: method.loss(p, state, batch, TICK)[0]))
    gradients = jax.device_get(gradient(params))

    def error(critic):
        features = [
            net.features(params['backbone'], {}, x)[0]['features']
            for x in (batch['input'], batch['target']['input'])
        ]
        return critic_error(critic, *features)

    expected = jax.jit(jax.grad(error))(params['critic'])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        gradients['critic'],
        expected,
    )
    # a critic that cannot tell is already confused: nothing is asked of features
    zero_critic = jax.tree.map(np.zeros_like, params['critic'])
    backbone_gradient = jax.device_get(gradient({**params, 'critic': zero_critic}))['backbone']
    assert any(
        np.abs(a - b).max() > 1e-4
        for a, b in zip(
            jax.tree.leaves(backbone_gradient), jax.tree.leaves(gradients['backbone']), strict=True
        )
    )


def test_cdan_sees_features_times_predictions_and_weighs_the_sure(batch):
    method, params, state = made('cdan', identity(5), batch, width=6)
    value = jax.jit(method.loss)(params, state, batch, TICK)[1][1]['gap']
    joint, weights = [], []
    for x, out in zip(
        (batch['input'], batch['target']['input']), logits(batch, params['head']), strict=True
    ):
        probability = softmax(out)
        joint.append(np.einsum('nd,nc->ndc', x, probability).reshape(12, -1))
        example_weight = 1 + np.exp((probability * np.log(probability + 1e-6)).sum(1))
        weights.append(example_weight / example_weight.mean())
    np.testing.assert_allclose(
        value, jax.jit(critic_error)(params['critic'], *joint, weights), rtol=1e-4
    )


def test_cdans_random_map_stands_for_the_product():
    batch = {
        'input': np.ones((1, 2000), 'f'),
        'label': np.array([0]),
        'target': {'input': np.ones((1, 2000), 'f')},
    }
    _, params, _ = made('cdan', identity(2000), batch, random=64, width=8)
    assert params['critic']['dense1']['kernel'].shape == (64, 8)
