"""Nodes of a graph as a data set.

A node becomes an example in one of three ways. `hops` mixes the inputs of its surroundings once, on
the host (Wu et al. 2019, Simplifying graph convolutional networks). `fanouts` gives a network the
node with a sample of its neighbours, and of theirs, so that memory follows the batch and not the
graph (Hamilton, Ying and Leskovec 2017, Inductive representation learning on large graphs). `whole`
gives the number of the node to a network that has the graph itself (`whole_gcn`).
"""

from collections.abc import Sequence

import numpy as np

from tljax.core import Dataset, Task, UserError
from tljax.data.splits import restrict
from tljax.graphs import Graph, propagated

WEIGHTS = ('gcn', 'mean')  # of neighbours: those of graph convolution, or their mean


def labelled_nodes(
    graph: Graph,
    hops: int | None = None,
    fanouts: Sequence[int] = (),
    draws: int = 1,
    weights: str = 'gcn',
    seed: int = 0,
    whole: bool = False,
) -> Dataset:
    """Returns the nodes of a graph that have a label as a data set; all nodes if none has one.

    Args:
        graph: the graph.
        hops: inputs are those of `propagated`, (d,).
        fanouts: inputs are nodes with neighbours, (1 + f1 + f1 f2 + ..., d + 2), for the networks
            `gcn` and `graphsage` of the same fan-outs. Of a node with more neighbours than the
            fan-out, so many are drawn with replacement. The last two columns are the weight of a
            node in the sum over neighbours, 0 for padding, and the weight of the node itself.
        draws: how often each node is in the set, each time with other draws of neighbours.
        weights: 'gcn' for the entries of `propagation`, estimated without bias where neighbours
            are drawn; 'mean' for the mean of the neighbours.
        seed: of the draws.
        whole: inputs are the numbers of the nodes, () int32.

    Raises:
        UserError: none or several of hops, fanouts and whole, and settings out of range.

    >>> from tljax.graphs import make_graph
    >>> graph = make_graph([(0, 1), (0, 2)], np.eye(3), [0, 0, -1], ('a',))
    >>> labelled_nodes(graph, fanouts=(2,), weights='mean').take(np.array([0]))['input'][0]
    array([[1. , 0. , 0. , 0. , 1. ],
           [0. , 1. , 0. , 0.5, 1. ],
           [0. , 0. , 1. , 0.5, 1. ]], dtype=float32)
    """
    if (hops is not None) + bool(fanouts) + whole != 1:
        raise UserError(f'hops={hops}, fanouts={tuple(fanouts)}, whole={whole}: give one of them')
    known = np.flatnonzero(graph.label >= 0)
    rows = known if len(known) else np.arange(graph.size)
    task = Task('classes', graph.classes) if len(known) else Task('unlabelled', graph.classes)
    notes = graph.notes
    if len(rows) < graph.size:
        count = graph.size - len(rows)
        notes += (f'nodes without a label, in the graph and not in the set: {count}',)
    if fanouts:
        sample = _sampler(graph, fanouts, draws, weights, seed)
    else:
        values = propagated(graph, hops) if hops is not None else np.arange(graph.size, dtype='i4')
        draws = 1

    def take(index):
        node = rows[index % len(rows)]
        inputs = sample(node, index // len(rows)) if fanouts else values[node]
        return {'input': inputs, 'label': graph.label[node]}

    settings = hops, tuple(fanouts), draws, weights, seed, whole
    return Dataset(
        take,
        np.tile(graph.label[rows], draws),
        task,
        f'{graph.fingerprint} {settings}',
        notes=notes,
    )


def held_out(
    dataset: Dataset, count: int, shares: dict[str, float], seed: int
) -> dict[str, Dataset]:
    """Cuts the nodes of a data set into splits; every draw of a node is in the same split.

    Args:
        dataset: as `labelled_nodes` returns it.
        count: number of its different nodes.
        shares: {split: share of the nodes}; the rest are 'train'. Other splits have one draw.
        seed: of the cut.

    >>> from tljax.graphs import make_graph
    >>> graph = make_graph([(0, 1)], np.eye(4), [0, 0, 0, 0], ('a',))
    >>> nodes = labelled_nodes(graph, fanouts=(1,), draws=3)
    >>> {name: part.size for name, part in held_out(nodes, 4, {'test': 0.5}, 0).items()}
    {'train': 6, 'test': 2}
    """
    order = np.random.default_rng(seed).permutation(count)
    parts, start = {}, 0
    for name, share in shares.items():
        size = round(share * count)
        parts[name] = restrict(dataset, np.sort(order[start : start + size]))
        start += size
    draws = dataset.size // count
    train = (np.sort(order[start:]) + count * np.arange(draws)[:, None]).ravel()
    return {'train': restrict(dataset, train), **parts}


def _sampler(graph, fanouts, draws, weights, seed):
    """(nodes, draws) -> nodes with their neighbours, (n, rows, d + 2)."""
    if min(fanouts) < 1 or draws < 1 or weights not in WEIGHTS:
        raise UserError(
            f'fanouts={tuple(fanouts)}, draws={draws}, weights={weights!r}: give 1 or more, and '
            f'one of {", ".join(WEIGHTS)}'
        )
    starts, ends = graph.links.indptr[:-1], graph.links.indptr[1:]
    degree = (ends - starts).astype(np.int64)
    others = np.append(graph.links.indices, 0)  # a place to read for nodes without neighbours
    own_weight = 1 / (degree + 1.0) if weights == 'gcn' else np.ones(graph.size)

    def neighbours(node, key, fanout):
        """Neighbours of nodes (m,), their weights and their keys, each (m, fanout)."""
        place = np.arange(fanout)
        keys = _hash(key[:, None] * np.uint64(2) + np.uint64(1), place)
        count = degree[node][:, None]
        uniform = (keys >> np.uint64(11)).astype(np.float64) / 2.0**53
        offset = np.where(count > fanout, (uniform * count).astype(np.int64), place)
        is_there = place < np.minimum(count, fanout)
        found = np.where(
            is_there, others[np.where(is_there, starts[node][:, None] + offset, -1)], 0
        )
        if weights == 'mean':
            weight = 1 / np.maximum(np.minimum(count, fanout), 1)
        else:
            weight = np.maximum(count / fanout, 1) / np.sqrt((count + 1.0) * (degree[found] + 1.0))
        return found, weight * is_there, keys

    def sample(node, draw):
        n = len(node)
        key = _hash(
            node.astype(np.uint64), draw.astype(np.uint64) + np.uint64(seed) * np.uint64(977)
        )
        level, keys, weight = node, key, np.ones(n)
        columns = [(level, weight)]
        for fanout in fanouts:
            found, own, keys = neighbours(level, keys, fanout)
            own = own * (columns[-1][1] != 0)[:, None]  # neighbours of padding are padding
            level, keys = found.ravel(), keys.ravel()
            columns.append((level, own.ravel()))
        ids = np.concatenate([level.reshape(n, -1) for level, _ in columns], 1)
        sums = np.concatenate([weight.reshape(n, -1) for _, weight in columns], 1)
        sums[:, 0] = 0  # the node itself is nobody's neighbour
        rows = graph.input[ids.ravel()]
        rows = rows.toarray() if hasattr(rows, 'toarray') else rows
        both = np.stack([sums, own_weight[ids]], -1)
        return np.concatenate([rows.reshape(*ids.shape, -1), both], -1).astype(np.float32)

    return sample


def _hash(a, b):
    """A well mixed 64-bit number of two (splitmix64)."""
    with np.errstate(over='ignore'):
        z = np.asarray(a, np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = z + np.asarray(b, np.uint64) * np.uint64(0xD1B54A32D192ED03) + np.uint64(0x632BE5AB)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
