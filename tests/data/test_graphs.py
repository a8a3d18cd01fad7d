"""Graphs: cleaning, propagation and sampled neighbours against dense matrices, and CSV files."""

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csr_array

from tljax.core import UserError
from tljax.data.formats.nodes import nodes, read_graph
from tljax.data.graph_nodes import held_out, labelled_nodes
from tljax.data.sets.citation import citation, citation_graph
from tljax.graphs import make_graph, propagated, propagation


def some_graph(n=12, m=20, d=4, seed=0, directed=False, sparse=False):
    rng = np.random.default_rng(seed)
    input = rng.normal(size=(n, d)).astype(np.float32)
    edges = rng.integers(0, n - 1, (m, 2))  # the last node stays alone
    return edges, make_graph(
        edges, csr_array(input) if sparse else input, rng.integers(0, 3, n), 'abc', directed
    )


def dense_propagation(edges, n):
    links = np.zeros((n, n))
    for a, b in edges:
        links[a, b] = links[b, a] = 1
    np.fill_diagonal(links, 1)
    scale = 1 / np.sqrt(links.sum(1))
    return scale[:, None] * links * scale


@pytest.mark.parametrize('sparse', [False, True])
def test_hops_are_powers_of_the_dense_matrix(sparse):
    edges, graph = some_graph(sparse=sparse)
    dense = dense_propagation(edges, 12)
    np.testing.assert_allclose(propagation(graph).toarray(), dense, atol=1e-6)
    input = graph.input.toarray() if sparse else graph.input
    for hops in (0, 1, 3):
        expected = np.linalg.matrix_power(dense, hops) @ input
        np.testing.assert_allclose(propagated(graph, hops), expected, atol=1e-5)
    np.testing.assert_allclose(propagated(graph, 5)[-1], input[-1], atol=1e-6)  # isolated


def test_loops_repeats_and_lonely_nodes_are_told():
    graph = make_graph([(0, 1), (0, 1), (1, 0), (2, 2)], np.eye(4), [0, 1, -1, -1], ('a', 'b'))
    assert graph.notes == (
        '1 self-loop was dropped',
        '1 edge was given twice',
        '2 nodes have no neighbour',
    )
    assert graph.links.toarray().tolist() == [[0, 1, 0, 0], [1, 0, 0, 0], [0] * 4, [0] * 4]
    directed = make_graph([(0, 1)], np.eye(2), [0, 0], ('a',), directed=True)
    assert directed.links.toarray().tolist() == [[0, 1], [0, 0]]
    empty = make_graph(np.zeros((0, 2), int), np.eye(2), [0, 0], ('a',))
    np.testing.assert_array_equal(propagated(empty, 4), np.eye(2))
    assert labelled_nodes(empty, fanouts=(3,)).take(np.array([1]))['input'].shape == (1, 4, 4)


def sums_of(example, fanout):
    """sum of weight * input over the neighbours, and the node's own part."""
    node, others = example[0], example[1 : 1 + fanout]
    return others[:, -2] @ others[:, :-2], node[-1] * node[:-2]


def test_all_neighbours_up_to_the_fanout_give_exact_sums():
    edges, graph = some_graph()
    dense = dense_propagation(edges, 12)
    fanout = int(graph.links.sum(1).max())
    inputs = labelled_nodes(graph, fanouts=(fanout,)).take(np.arange(12))['input']
    means = labelled_nodes(graph, fanouts=(fanout,), weights='mean').take(np.arange(12))['input']
    for node in range(12):
        others, own = sums_of(inputs[node], fanout)
        np.testing.assert_allclose(others + own, dense[node] @ graph.input, atol=1e-5)
        neighbours = graph.links[[node]].nonzero()[1]
        expected = graph.input[neighbours].mean(0) if len(neighbours) else np.zeros(4)
        np.testing.assert_allclose(sums_of(means[node], fanout)[0], expected, atol=1e-5)


def test_drawn_neighbours_are_unbiased_pure_and_differ_by_draw():
    rng = np.random.default_rng(0)
    star = np.stack([np.zeros(9, int), np.arange(1, 10)], 1)
    graph = make_graph(star, rng.normal(size=(10, 3)), np.zeros(10, int), ('a',))
    dataset = labelled_nodes(graph, fanouts=(3, 2), draws=2000)
    assert dataset.size == 20_000
    index = 10 * np.arange(2000)  # node 0, again and again
    inputs = dataset.take(index)['input']
    expected = dense_propagation(star, 10)[0] @ graph.input
    found = np.mean([np.add(*sums_of(each, 3)) for each in inputs[:, :4]], 0)
    np.testing.assert_allclose(found, expected, atol=0.05)
    again = dataset.take(index[[7, 3]])['input']
    np.testing.assert_array_equal(again, inputs[[7, 3]])
    assert (inputs[0] != inputs[1]).any()
    # a leaf has one neighbour, node 0, whose two neighbours are drawn; the rest is padding
    leaf = dataset.take(np.array([4]))['input'][0]
    assert (leaf[1:4, -2] > 0).tolist() == [True, False, False]
    assert (leaf[4:, -2] > 0).tolist() == [True, True, False, False, False, False]


def test_nodes_without_labels_stay_in_the_graph():
    graph = make_graph([(0, 1), (1, 2)], np.eye(3), [1, -1, 0], ('a', 'b'))
    dataset = labelled_nodes(graph, hops=1)
    assert dataset.size == 2 and dataset.label.tolist() == [1, 0]
    np.testing.assert_allclose(
        dataset.take(np.array([0]))['input'][0], propagation(graph).toarray()[0], atol=1e-6
    )
    assert 'nodes without a label, in the graph and not in the set: 1' in dataset.notes
    none = labelled_nodes(make_graph([(0, 1)], np.eye(2), [-1, -1]), hops=1)
    assert none.task.kind == 'unlabelled' and none.size == 2


def test_every_draw_of_a_node_is_in_one_split():
    _, graph = some_graph()
    dataset = labelled_nodes(graph, fanouts=(2,), draws=3)
    parts = held_out(dataset, 12, {'validation': 0.25, 'test': 0.25}, seed=1)
    assert {name: part.size for name, part in parts.items()} == {
        'train': 18,
        'validation': 3,
        'test': 3,
    }
    ids = {
        name: {tuple(row) for row in part.take(np.arange(part.size))['input'][:, 0, :4]}
        for name, part in parts.items()
    }
    assert len(set.union(*ids.values())) == 12 == sum(map(len, ids.values()))


EDGES, TABLE = 'from,to\na,b\nb,c\na,a\n', 'node,x,y,label\na,1,0,old\nb,2,0,new\nc,3,1,\n'


def write(folder, edges=EDGES, table=TABLE):
    (folder / 'edges.csv').write_text(edges)
    (folder / 'nodes.csv').write_text(table)
    return folder / 'edges.csv', folder / 'nodes.csv'


def test_a_graph_of_ones_own(tmp_path):
    graph = read_graph(*write(tmp_path))
    assert graph.classes == ('new', 'old') and graph.label.tolist() == [1, 0, -1]
    assert graph.input.tolist() == [[1, 0], [2, 0], [3, 1]]
    assert graph.links.toarray().tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    splits = nodes(*write(tmp_path), validation=0, test=0.5, fanouts=(2,), draws=4)
    assert {name: part.size for name, part in splits.items()} == {
        'train': 4,
        'validation': 0,
        'test': 1,
    }
    bare = TABLE.replace('old', '').replace('new', '')
    assert list(nodes(*write(tmp_path, table=bare))) == ['train']
    assert read_graph(*write(tmp_path, edges='from,to\n')).links.nnz == 0


@pytest.mark.parametrize(
    'edges, table, said',
    [
        ('from,to\na,d\n', TABLE, "the node 'd' is not in"),
        (EDGES, TABLE + 'a,1,1,old\n', "names the node 'a' twice"),
        (EDGES, TABLE.replace('2', 'two'), "x='two' is no number: fill it"),
        (EDGES, TABLE.replace('label', 'class'), "has no column 'label'"),
        (EDGES, TABLE + 'd,1\n', 'row 5: 2 values under the 4 columns'),
        (EDGES, 'node,label\na,old\nb,new\nc,new\n', 'has no column of numbers'),
        ('', TABLE, 'has no header of two columns'),
        ('from,to\n', 'node,x,label\n', '0 labels and inputs of shape'),
    ],
)
def test_tables_that_do_not_fit_are_one_clear_line(edges, table, said, tmp_path):
    with pytest.raises(UserError) as refused:
        nodes(*write(tmp_path, edges, table))
    assert said in str(refused.value) and '\n' not in str(refused.value)


@pytest.mark.parametrize(
    'call, said',
    [
        (lambda g: make_graph([(0, 9)], np.eye(2), [0, 0], 'a'), 'edges name the nodes 0 to 9'),
        (lambda g: make_graph([(0, 1)], np.eye(2), [0, 3], 'a'), 'for 1 classes: give integers'),
        (lambda g: make_graph([(0, 1)], np.eye(2) * np.nan, [0, 0], 'a'), 'are not all finite'),
        (lambda g: make_graph([(0.5, 1)], np.eye(2), [0, 0], 'a'), 'give pairs of node numbers'),
        (lambda g: labelled_nodes(g), 'hops=None, fanouts=(), whole=False: give one of them'),
        (lambda g: labelled_nodes(g, hops=-1), 'hops=-1: give 0 or more'),
        (lambda g: labelled_nodes(g, fanouts=(0,)), 'fanouts=(0,), draws=1'),
        (lambda g: labelled_nodes(g, fanouts=(1,), weights='sum'), "weights='sum': give 1 or more"),
    ],
)
def test_graphs_that_do_not_fit_are_one_clear_line(call, said):
    with pytest.raises(UserError) as refused:
        call(some_graph()[1])
    assert said in str(refused.value)


def test_a_citation_network_keeps_all_topics(tmp_path):
    links = np.zeros((3, 3))
    links[0, 1] = links[1, 0] = links[2, 2] = 1
    topics = np.array([[0, 1, 1, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1]])
    content = {'network': csr_array(links).tocsc(), 'attrb': 3 * np.eye(3), 'group': topics}
    savemat(tmp_path / 'dblpv7.mat', content)
    graph = citation_graph(tmp_path, 'dblpv7')
    several = graph.topics
    assert (several == topics).all() and graph.label.tolist() == [1, 0, 4]
    assert graph.notes == ('1 self-loop was dropped', '1 node has no neighbour')
    inputs = citation(tmp_path, 'dblpv7', hops=1)['test'].take(np.arange(3))['input']
    np.testing.assert_allclose(inputs, [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]], atol=1e-6)
    with pytest.raises(UserError, match="data.network='dblp' is not one of acmv9"):
        citation(tmp_path, 'dblp')
