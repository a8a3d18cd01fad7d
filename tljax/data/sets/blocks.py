"""Graphs that are made: nodes of one class are linked more often (stochastic block model)."""

from collections.abc import Sequence

import numpy as np

from tljax.core import Dataset, UserError
from tljax.data.graph_nodes import held_out, labelled_nodes
from tljax.data.purposes import Purpose
from tljax.graphs import Graph, make_graph


def blocks(
    nodes: int = 300,
    classes: int = 3,
    within: float = 6.0,
    between: float = 1.0,
    shift: float = 0.0,
    seed: int = 0,
    hops: int | None = None,
    fanouts: Sequence[int] = (),
    draws: int = 1,
    weights: str = 'gcn',
    whole: bool = False,
    test: float = 0.3,
) -> dict[str, Dataset]:
    """Makes a graph of classes, with noisy inputs that the neighbours share.

    Args:
        nodes: number of nodes.
        classes: number of classes, of equal size.
        within: mean number of neighbours of a node in its class.
        between: mean number of neighbours in other classes.
        shift: what is added to every input: another domain has another shift.
        seed: of links and inputs.
        hops: as `graph_nodes.labelled_nodes` takes it; 1 if no other way of inputs is given.
        fanouts: as `graph_nodes.labelled_nodes` takes it.
        draws: as `graph_nodes.labelled_nodes` takes it.
        weights: as `graph_nodes.labelled_nodes` takes it.
        whole: as `graph_nodes.labelled_nodes` takes it.
        test: share of the nodes.

    Returns:
        {'train', 'test'}: Datasets.

    Raises:
        UserError: as `block_graph` and `graph_nodes.labelled_nodes`.

    >>> splits = blocks(nodes=30)
    >>> splits['train'].size, splits['test'].take(np.arange(2))['input'].shape
    (21, (2, 6))
    """
    graph = block_graph(nodes, classes, within, between, shift, seed)
    if hops is None and not fanouts and not whole:
        hops = 1
    dataset = labelled_nodes(graph, hops, fanouts, draws, weights, seed, whole)
    return held_out(dataset, nodes, {'test': test}, seed)


def block_graph(
    nodes: int = 300,
    classes: int = 3,
    within: float = 6.0,
    between: float = 1.0,
    shift: float = 0.0,
    seed: int = 0,
) -> Graph:
    """Makes the graph of `blocks`.

    Args:
        nodes: as `blocks` takes it.
        classes: as `blocks` takes it.
        within: as `blocks` takes it.
        between: as `blocks` takes it.
        shift: as `blocks` takes it.
        seed: as `blocks` takes it.

    Raises:
        UserError: fewer than two classes, or fewer nodes than classes.

    >>> block_graph(nodes=9).label.tolist()
    [0, 1, 2, 0, 1, 2, 0, 1, 2]
    """
    if not 2 <= classes <= nodes or min(within, between) < 0:
        raise UserError(
            f'nodes={nodes}, classes={classes}, within={within}, between={between}: give two '
            'classes or more, as many nodes, and no negative numbers'
        )
    rng = np.random.default_rng([Purpose.BLOCKS, seed])
    label = np.arange(nodes) % classes
    edges = []
    for mean, is_same in ((within, True), (between, False)):
        count = round(nodes * mean / 2)
        first = rng.integers(0, nodes, count)
        step = rng.integers(1, classes, count) * (not is_same)
        # of the class that the step leads to
        second = (
            classes * rng.integers(0, nodes // classes, count) + (label[first] + step) % classes
        )
        edges.append(np.stack([first, second], 1))
    input = np.eye(classes, 2 * classes)[label] + rng.normal(size=(nodes, 2 * classes)) + shift
    names = tuple(f'block{i}' for i in range(classes))
    return make_graph(np.concatenate(edges), input, label, names)
