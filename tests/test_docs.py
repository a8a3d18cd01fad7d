"""The code in docs/adding runs as it is printed."""

import doctest
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tljax
from tljax.core import Tick, UserError
from tljax.engine.scores import Score
from tljax.when import transferability

GUIDES = Path(__file__).parents[1] / 'docs' / 'adding'


def blocks(guide: str) -> list[str]:
    """The blocks of Python of a guide."""
    text = (GUIDES / f'{guide}.md').read_text()
    return re.findall(r'^```python\n(.*?)^```', text, re.DOTALL | re.MULTILINE)


def run(code: str, name: str, **names: object) -> dict:
    """Runs a block and the example of the function that it defines."""
    space = {'__name__': name, **names}
    exec(code, space)
    runner = doctest.DocTestRunner()
    for test in doctest.DocTestFinder(recurse=False).find(space[name], name, globs=space):
        assert test.examples and not runner.run(test).failed
    return space


def test_the_network_of_the_guide_is_one():
    net = run(blocks('network')[0], 'tiny')['tiny'](width=4)
    params, state = net.init(jax.random.key(0), jnp.ones((2, 8, 8, 3)))
    taps, _ = net.features(params, state, jnp.ones((2, 8, 8, 3)))
    assert taps['features'].shape == (2, net.dim) and {*net.groups} <= {*taps}


def test_the_data_set_of_the_guide_is_one():
    moons = run(blocks('dataset')[0], 'moons')['moons']
    assert moons(turn=90)['test'].classes == ('upper', 'lower')


def test_the_critic_of_the_guide_is_dann():
    space: dict = {}
    exec(blocks('method')[0], space)
    batch = {'input': jnp.eye(3), 'label': jnp.arange(3), 'target': {'input': 2 * jnp.eye(3)}}
    ours, theirs = (
        method.loss(*method.init(jax.random.key(0), batch), batch, Tick(0, jax.random.key(0)))[0]
        for method in (
            space['adversarial'](tljax.zoo.identity(3), 3),
            tljax.methods.dann(tljax.zoo.identity(3), 3, width=64),
        )
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_the_method_with_a_memory_of_the_guide_is_lwf():
    space: dict = {}
    exec(blocks('method')[1], space)
    batch = {'input': jnp.eye(3), 'label': jnp.arange(3)}
    values = []
    for make in (space['without_forgetting'], tljax.methods.lwf):
        method = make(tljax.zoo.identity(3), 3, source_classes=3)
        params, state = method.init(jax.random.key(0), batch)
        params['source_head']['kernel'] = jnp.eye(3)
        state = method.remember(params, state, None)
        params['source_head']['kernel'] = -jnp.eye(3)
        values.append(method.loss(params, state, batch, Tick(0, jax.random.key(0)))[0])
    np.testing.assert_allclose(*values, rtol=1e-6)


def test_the_method_of_several_tasks_of_the_guide_minimises_the_largest_loss():
    space: dict = {}
    exec(blocks('method')[2], space)
    method = space['worst_task'](tljax.zoo.identity(3), {'a': 2, 'b': 4})
    batch = {'input': jnp.eye(3), 'label': {'a': jnp.zeros(3, int), 'b': jnp.zeros(3, int)}}
    params, state = method.init(jax.random.key(0), batch)
    value = method.loss(params, state, batch, Tick(0, jax.random.key(0)))[0]
    np.testing.assert_allclose(value, np.log(4), rtol=1e-6)


def test_the_scores_of_the_guide():
    brier = eval('{' + blocks('score')[0] + '}', {'jax': jax, 'jnp': jnp, 'Score': Score})['brier']
    outputs = {'output': jnp.log(jnp.array([[[0.75, 0.25]]])), 'label': jnp.array([[0]])}
    np.testing.assert_allclose(brier.total(brier.keep(outputs)), [0.125], rtol=1e-6)

    fisher = run(blocks('score')[1], 'fisher', **vars(transferability))['fisher']
    with pytest.raises(UserError):
        fisher([[0.0], [1.0]], [0, 0])


def test_the_combinator_of_the_guide_floods():
    space: dict = {}
    exec(blocks('method')[3], space)
    plain = tljax.methods.finetune(tljax.zoo.identity(3), 3)
    method = space['with_flooding'](plain, level=2.0)
    batch = {'input': jnp.eye(3), 'label': jnp.arange(3)}
    params, state = method.init(jax.random.key(0), batch)
    value = method.loss(params, state, batch, Tick(0, jax.random.key(0)))[0]
    np.testing.assert_allclose(value, 2 * 2 - np.log(3), rtol=1e-6)  # |log 3 - 2| + 2
