"""Networks of nodes against the same layers on dense matrices."""

import jax
import numpy as np
import pytest

from tljax.core import UserError
from tljax.data.graph_nodes import labelled_nodes
from tljax.data.graphs import make_graph
from tljax.zoo.families.gcn import gcn
from tljax.zoo.families.graph import graph_perceptron, graphsage


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
    dropped = net.features(params, state, x, jax.random.key(1))[0]['features']
    kept = np.asarray(dropped) != 0
    np.testing.assert_allclose(np.asarray(dropped)[kept], 2 * np.asarray(first)[kept], rtol=1e-5)


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
