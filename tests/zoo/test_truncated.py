"""Lower parts of networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tljax.configuration import call_named
from tljax.core import UserError
from tljax.paths import flatten
from tljax.zoo import mobilenet
from tljax.zoo.wrappers.truncated import truncated


@pytest.mark.parametrize(
    'of, tap, shape',
    [
        ({'name': 'conv4', 'width': 4, 'blocks': 2, 'size': 8}, 'block1', (8, 8, 1)),
        (
            {'name': 'lenet', 'widths': [3], 'dense': [5, 4], 'size': 12, 'norm': 'batch'},
            'dense1',
            (12, 12, 3),
        ),
    ],
)
def test_a_truncated_network_is_the_lower_part_of_the_whole(of, tap, shape):
    network = call_named('tljax.zoo', of, 'net')
    part = truncated(network, tap, shape[0], shape[2])
    input = jax.random.uniform(jax.random.key(1), (3, *shape))
    params, state = jax.jit(network.init)(jax.random.key(0), input)
    part_params, part_state = jax.jit(part.init)(jax.random.key(0), input)
    jax.tree.map(
        np.testing.assert_array_equal,
        flatten(part_params),
        {path: flatten(params)[path] for path in flatten(part_params)},
    )
    for key in (None, jax.random.key(2)):
        taps, new_state = jax.jit(network.features)(params, state, input, key)
        part_taps, new_part_state = jax.jit(part.features)(part_params, part_state, input, key)
        mean = taps[tap].mean((1, 2)) if taps[tap].ndim == 4 else taps[tap]
        np.testing.assert_allclose(part_taps['features'], mean, rtol=1e-5, atol=1e-6)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5),
            flatten(new_part_state),
            {path: flatten(new_state)[path] for path in flatten(new_part_state)},
        )
    assert part.dim == taps[tap].shape[-1] and list(part.groups)[-1] == tap
    gradient = jax.jit(
        jax.grad(
            lambda params: jnp.sum(part.features(params, part_state, input)[0]['features'] ** 2)
        )
    )(part_params)
    assert all(float(jnp.abs(leaf).max()) > 0 for leaf in jax.tree.leaves(gradient))


def test_a_truncated_network_costs_what_its_lower_part_does():
    def flops(net):
        input = jax.ShapeDtypeStruct((1, 64, 64, 3), 'float32')
        params, state = jax.eval_shape(net.init, jax.random.key(0), input)
        forward = jax.jit(lambda *arguments: net.features(*arguments)[0]['features'])
        return forward.lower(params, state, input).compile().cost_analysis()['flops']

    network = mobilenet(alpha=0.25)
    assert flops(truncated(network, 'block3', 64)) < 0.6 * flops(network)


def test_a_tap_that_is_not_there():
    with pytest.raises(
        UserError,
        match="net.tap='blok3' is no group of the network among its "
        'intermediates: did you mean block3?',
    ):
        truncated(mobilenet(alpha=0.25), 'blok3', 32)
