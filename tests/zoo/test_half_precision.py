"""Networks that compute in bfloat16: kernels are multiplied in halves, the rest is float32."""

import importlib
import inspect
import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from commands import call
from jax.extend.core import jaxprs_in_params
from tiny import tiny

from tljax import build, zoo
from tljax.configuration import call_named
from tljax.core import Net
from tljax.data.graph_nodes import labelled_nodes
from tljax.engine.checkpoint import last_phase, load_final
from tljax.engine.devices import first_state
from tljax.graphs import make_graph
from tljax.zoo import families

PICTURES = jax.ShapeDtypeStruct((2, 32, 32, 3), 'float32')
NETWORKS = [
    {'name': 'conv4', 'size': 32},
    {'name': 'conv4', 'size': 32, 'norm': 'layer'},
    {'name': 'lenet', 'size': 32},
    {'name': 'mlp', 'norm': 'batch'},
    {'name': 'cifar_resnet', 'depth': 8},
    pytest.param({'name': 'inception_v2'}, marks=pytest.mark.slow),
    pytest.param({'name': 'resnet_slim'}, marks=pytest.mark.slow),
]


def networks():
    """The functions of the families that make a network."""
    for info in pkgutil.iter_modules(families.__path__):
        module = importlib.import_module(f'{families.__name__}.{info.name}')
        for name, function in inspect.getmembers(module, inspect.isfunction):
            makes_net = inspect.signature(function).return_annotation is Net
            if makes_net and function.__module__ == module.__name__ and name[0] != '_':
                yield name, function


def test_every_network_takes_a_type():
    assert [n for n, make in networks() if 'dtype' not in inspect.signature(make).parameters] == []


def products(jaxpr):
    """The types of the operands of all products and convolutions of a computation."""
    for step in jaxpr.eqns:
        if step.primitive.name in ('dot_general', 'conv_general_dilated', 'convolution_form'):
            yield {str(variable.aval.dtype) for variable in step.invars}
        for inner in jaxprs_in_params(step.params):
            yield from products(inner)


def assert_half(net, input, wide=0):
    """`wide` products are of float32."""
    params, state = jax.eval_shape(net.init, jax.random.key(0), input)

    def loss(params, state, input):
        taps, new_state = net.features(params, state, input, jax.random.key(0))
        return taps['features'].mean(), (new_state, taps)

    arguments = params, state, input
    grads, (new_state, taps) = jax.eval_shape(jax.grad(loss, has_aux=True), *arguments)
    kept = params, state, grads, new_state, taps['features']
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(kept)} == {'float32'}
    types = [*products(jax.make_jaxpr(lambda *arguments: loss(*arguments)[0])(*arguments).jaxpr)]
    assert types and sum(kinds != {'bfloat16'} for kinds in types) == wide, types


@pytest.mark.parametrize('spec', NETWORKS, ids=lambda spec: '-'.join(map(str, spec.values())))
def test_parameters_statistics_gradients_and_features_are_float32(spec):
    net = call_named('tljax.zoo', {**spec, 'dtype': 'bfloat16'}, 'net')
    assert_half(net, PICTURES if spec['name'] != 'mlp' else jax.ShapeDtypeStruct((2, 5), 'float32'))


@pytest.fixture(scope='module')
def graph():
    rng = np.random.default_rng(0)
    edges = rng.integers(0, 9, (12, 2))
    return make_graph(edges, rng.normal(size=(10, 3)), rng.integers(0, 2, 10), 'ab')


@pytest.mark.parametrize('name', ['gcn', 'graphsage'])
def test_networks_of_sampled_nodes(name, graph):
    nodes = labelled_nodes(graph, fanouts=(2, 2), weights='gcn' if name == 'gcn' else 'mean')
    input = jnp.asarray(nodes.take(np.arange(4))['input'])
    assert_half(getattr(zoo, name)((8, 8), (2, 2), dtype=jnp.bfloat16), input)


def test_networks_of_whole_graphs_and_of_propagated_nodes(graph):
    assert_half(zoo.graph_perceptron((8,), dtype=jnp.bfloat16), jnp.ones((4, 3)))
    # the inputs of all nodes are multiplied in float32
    assert_half(zoo.whole_gcn(graph, (8, 8), dtype=jnp.bfloat16), jnp.arange(4), wide=1)


def test_losses_and_the_optimiser_s_state_are_float32():
    run = build.build(tiny({'net': {'dtype': 'bfloat16'}, 'optim': {'accumulate': 2}}))
    state = first_state(run.init, run.tx, run.seeds)
    batch = jax.tree.map(lambda leaf: leaf[None, None], run.stream.batch(0, 0))
    new, metrics = jax.eval_shape(run.step.run, state, batch, np.zeros(1, np.uint32))
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(metrics)} == {'float32'}
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(new)} == {'float32', 'int32'}


@pytest.mark.slow
def test_the_command_trains_in_halves(tmp_path):
    done = call(
        'train',
        '--config=configs/finetune.py:smoke',
        '--config.net.dtype=bfloat16',
        '--config.optim.accumulate=2',
        '--config.remat',
        f'--workdir={tmp_path}',
    )
    assert done.code == 0, done.err
    params, state, record = load_final(last_phase(tmp_path))
    assert {str(leaf.dtype) for leaf in jax.tree.leaves((params, state))} == {'float32'}
    config = record['config']
    assert config['net']['dtype'] == 'bfloat16'
    assert config['optim']['accumulate'] == 2 and config['remat']
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
