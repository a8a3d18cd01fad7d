"""Networks of nodes against the same layers on dense matrices."""

import jax
import numpy as np
import pytest
from scipy.sparse import csr_array

from tljax import build
from tljax.configuration import settings
from tljax.core import UserError
from tljax.data.graph_nodes import labelled_nodes
from tljax.engine.train import fit
from tljax.graphs import make_graph, propagation
from tljax.nn.sparse import times
from tljax.paths import flatten
from tljax.zoo.families.gcn import gcn
from tljax.zoo.families.graph import graph_perceptron, graphsage
from tljax.zoo.families.whole_gcn import whole_gcn


@pytest.fixture(scope='module')
def graph():
    rng = np.random.default_rng(0)
    edges = rng.integers(0, 9, (12, 2))
    return make_graph(edges, rng.normal(size=(10, 3)), rng.integers(0, 2, 10), 'ab')


def run(net, graph, weights):
    fanout = int(graph.links.sum(1).max())
    input = labelled_nodes(graph, fanouts=(fanout, fanout), weights=weights).take(np.arange(10))
    network = net((5, 4), (fanout, fanout), dropout=0.5)
    params, state = network.init(jax.random.key(0), input['input'][:1])
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), params)
    taps, _ = network.features(params, state, input['input'])
    return params, np.asarray(taps['features']), taps


def test_gcn_is_the_dense_network(graph):
    params, features, _ = run(gcn, graph, 'gcn')
    links = graph.links.toarray() + np.eye(10)
    scale = 1 / np.sqrt(links.sum(1))
    matrix = scale[:, None] * links * scale
    h = graph.input
    for name in ('dense1', 'dense2'):
        h = np.maximum(matrix @ h @ params[name]['kernel'] + params[name]['bias'], 0)
    np.testing.assert_allclose(features, h, rtol=1e-4, atol=1e-4)


def test_graphsage_is_the_dense_network(graph):
    params, features, _ = run(graphsage, graph, 'mean')
    links = graph.links.toarray()
    mean = links / np.maximum(links.sum(1, keepdims=True), 1)
    h = graph.input
    for i in (1, 2):
        layer = params[f'dense{i}']
        h = h @ layer['kernel'] + layer['bias'] + mean @ h @ params[f'neighbours{i}']['kernel']
        h = np.maximum(h, 0)
        h = h / np.maximum(np.linalg.norm(h, axis=1, keepdims=True), 1e-6)
    np.testing.assert_allclose(features, h, rtol=1e-4, atol=1e-4)


def test_dropout_is_of_training_alone(graph):
    x = graph.input
    net = graph_perceptron((6,), dropout=0.5)
    params, state = net.init(jax.random.key(0), x)
    first, second = (net.features(params, state, x)[0]['features'] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    keys = jax.random.split(jax.random.key(1), 2000)
    params['dense1']['bias'] += 100.0  # above 0, the layer is linear
    first = net.features(params, state, x)[0]['features']
    dropped = jax.vmap(lambda key: net.features(params, state, x, key)[0]['features'])(keys)
    np.testing.assert_allclose(dropped.mean(0), first, atol=0.2)  # inputs are dropped without bias
    assert dropped.std(0).min() > 0.01


@pytest.mark.parametrize(
    'make',
    [
        lambda: gcn((4,), (2, 2)),
        lambda: graphsage((), ()),
        lambda: graph_perceptron((4,), dropout=1.0),
    ],
    ids=['layers', 'none', 'dropout'],
)
def test_layers_that_do_not_fit(make):
    with pytest.raises(UserError, match='give a layer or more, as many fan-outs, and a share'):
        make()


@pytest.mark.parametrize('sparse', [False, True])
def test_the_network_of_the_whole_graph_is_gcn_with_all_neighbours(graph, sparse):
    params, features, sampled = run(gcn, graph, 'gcn')
    if sparse:
        graph = graph._replace(input=csr_array(graph.input))
    network = whole_gcn(graph, (5, 4), dropout=0.5)
    node = labelled_nodes(graph, whole=True).take(np.array([7, 2, 2]))['input']
    shapes = jax.eval_shape(network.init, jax.random.key(0), node)[0]
    assert jax.tree.map(np.shape, shapes) == jax.tree.map(np.shape, params)
    taps, _ = network.features(params, {}, node)
    for name, values in taps.items():
        np.testing.assert_allclose(values, sampled[name][node], rtol=1e-4, atol=1e-4)


def test_gradients_of_the_whole_graph_are_those_of_dense_matrices():
    rng = np.random.default_rng(2)
    edges = rng.integers(0, 40, (300, 2))  # node 0 has more neighbours than one piece of a row
    edges = np.concatenate([edges, [[0, i] for i in range(1, 41)]])
    graph = make_graph(edges, csr_array(rng.normal(size=(42, 3))), np.zeros(42, int), 'a')
    network, slope = whole_gcn(graph, (5, 4), dropout=0.0), rng.normal(size=(42, 4))
    matrix = propagation(graph).toarray()
    params, _ = network.init(jax.random.key(0), np.arange(42))

    def here(params):
        return (slope * network.features(params, {}, np.arange(42))[0]['features']).sum()

    def dense(params):
        h = graph.input.toarray()
        for name in ('dense1', 'dense2'):
            h = jax.nn.relu(matrix @ (h @ params[name]['kernel']) + params[name]['bias'])
        return (slope * h).sum()

    expected = jax.grad(dense)(params)
    for path, leaf in flatten(jax.grad(here)(params)).items():
        np.testing.assert_allclose(leaf, flatten(expected)[path], rtol=1e-3, atol=1e-4)


def test_directed_links_have_gradients_along_the_other_direction():
    graph = make_graph([(0, 1), (0, 2)], np.eye(3), [0, 0, 0], 'a', directed=True)
    product = times(graph.links)
    np.testing.assert_array_equal(product(np.eye(3)), graph.links.toarray())
    _, pull_back = jax.vjp(product, jax.numpy.eye(3))
    np.testing.assert_array_equal(pull_back(jax.numpy.eye(3))[0], graph.links.toarray().T)


def test_the_whole_graph_is_learnt_in_full_batches(tmp_path):
    data = dict(name='blocks', nodes=120, within=8.0)
    config = settings(
        data=dict(data, whole=True),
        net=dict(name='whole_gcn', graph=data, widths=[16, 16]),
        batch=84,  # the training nodes
        steps=60,
        optim=dict(lr=1e-2),
    )
    run = build.build(config)
    assert fit(run, tmp_path).scores['test']['accuracy'][0] > 0.8
