"""Graphs with inputs and classes of their nodes: cleaning, and propagation over hops."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import coo_array, csr_array, diags_array, eye_array, issparse

from tljax.core import UserError

Inputs = Any  # of nodes, (n, d): an array, or a sparse matrix of SciPy


class Graph(NamedTuple):
    """A graph with inputs and classes of its nodes.

    Attributes:
        links: (n, n) CSR of ones, without loops: links[v, u] is 1 if v hears u.
        input: (n, d) CSR or array, float32.
        label: class of each node, (n,); -1 for a node without a label.
        classes: names of the classes.
        notes: what was changed, one line each.
        several: all classes of each node, (n, classes) booleans; None where it has `label` alone.

    >>> graph = make_graph([(0, 1), (0, 1), (1, 1)], np.eye(3), [0, 1, -1], ('a', 'b'))
    >>> graph.links.toarray().tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    >>> graph.notes
    ('1 self-loop was dropped', '1 edge was given twice', '1 node has no neighbour')
    """

    links: csr_array
    input: Inputs
    label: np.ndarray
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    several: np.ndarray | None = None

    @property
    def size(self) -> int:
        """Number of nodes."""
        return len(self.label)

    @property
    def fingerprint(self) -> str:
        """A text that identifies links, inputs and labels, for cache keys."""
        digest = hashlib.sha256()
        inputs = [self.input]
        if issparse(self.input):
            inputs = [self.input.indptr, self.input.indices, self.input.data]
        for part in (self.links.indptr, self.links.indices, self.label, *inputs):
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()

    @property
    def topics(self) -> np.ndarray:
        """Whether a node has a class, (n, classes) booleans."""
        if self.several is not None:
            return self.several
        return self.label[:, None] == np.arange(len(self.classes))


def make_graph(
    edges: ArrayLike,
    input: Inputs,
    label: ArrayLike,
    classes: Sequence[str] = (),
    directed: bool = False,
) -> Graph:
    """Makes a graph of edges, inputs and labels, and cleans the edges.

    Self-loops are dropped, as propagation adds a loop to every node. An edge that is given twice
    counts once.

    Args:
        edges: pairs of node numbers, (m, 2); there may be none.
        input: (n, d), an array or a sparse matrix.
        label: class of each node, (n,) integers from 0, or -1 for none.
        classes: names of the classes.
        directed: whether only the first node of an edge hears the second.

    Raises:
        UserError: no nodes, numbers of nodes that do not exist, inputs that are not finite, and
            labels of another length or without a class.

    >>> make_graph(np.zeros((0, 2), int), np.eye(2), [0, 0], ('a',)).notes
    ('2 nodes have no neighbour',)
    """
    label, edges = np.asarray(label), np.asarray(edges)
    n = len(label)
    input = input.tocsr() if hasattr(input, 'tocsr') else np.asarray(input)
    if not n or input.shape[0] != n or len(input.shape) != 2 or not input.shape[1]:
        raise UserError(
            f'{n} labels and inputs of shape {input.shape}: give a node or more, and one row of '
            'inputs and one label (-1 for none) for each'
        )
    if edges.size and (edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind not in 'iu'):
        raise UserError(f'edges {edges.dtype} {edges.shape}: give pairs of node numbers, (m, 2)')
    edges = edges.reshape(-1, 2).astype(np.int64)
    if edges.size and not 0 <= edges.min() <= edges.max() < n:
        raise UserError(
            f'edges name the nodes {edges.min()} to {edges.max()}, and there are 0 to {n - 1}'
        )
    if not np.isfinite(input.data if isinstance(input, csr_array) else input).all():
        raise UserError('inputs of nodes are not all finite: fill them')
    if label.dtype.kind not in 'iu' or not -1 <= label.min() <= label.max() < max(len(classes), 1):
        raise UserError(
            f'labels are {label.dtype} from {label.min()} to {label.max()} for {len(classes)} '
            'classes: give integers from 0, and -1 for a node without a label'
        )
    is_loop = edges[:, 0] == edges[:, 1]
    kept = edges[~is_loop]
    single = len(np.unique(kept[:, 0] * n + kept[:, 1]))
    if not directed:
        kept = np.concatenate([kept, kept[:, ::-1]])
    links = coo_array((np.ones(len(kept), np.float32), kept.T), (n, n)).tocsr()
    links.sum_duplicates()
    links.data[:] = 1
    alone = int((np.diff(links.indptr) == 0).sum()) if not directed else 0
    counts = (
        (int(is_loop.sum()), 'self-loop was dropped', 'self-loops were dropped'),
        (int((~is_loop).sum()) - single, 'edge was given twice', 'edges were given twice'),
        (alone, 'node has no neighbour', 'nodes have no neighbour'),
    )
    notes = tuple(f'{count} {one if count == 1 else more}' for count, one, more in counts if count)
    return Graph(links, input.astype(np.float32), label.astype(np.int32), tuple(classes), notes)


def propagation(graph: Graph) -> csr_array:
    """Returns the matrix of graph convolution, D^-1/2 (A + I) D^-1/2, where D has A + I's sums.

    Args:
        graph: the graph.

    Source: Kipf and Welling 2017, https://arxiv.org/abs/1609.02907, equation 2.

    >>> propagation(make_graph([(0, 1)], np.eye(3), [0, 0, 0], 'a')).toarray().round(6).tolist()
    [[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]
    """
    looped = (graph.links.astype(float) + eye_array(graph.size)).tocsr()
    scale = diags_array(1 / np.sqrt(looped.sum(1)))
    return (scale @ looped @ scale).tocsr().astype(np.float32)


def propagated(graph: Graph, hops: int) -> np.ndarray:
    """Returns the inputs of nodes after some hops, (n, d) float32.

    Args:
        graph: the graph.
        hops: number of multiplications by `propagation`; 0 for the inputs as they are.

    Raises:
        UserError: the number is negative.

    >>> propagated(make_graph([(0, 1)], [[1.0], [3.0]], [0, 0], 'a'), hops=1).tolist()
    [[2.0], [2.0]]
    """
    if not isinstance(hops, int) or hops < 0:
        raise UserError(f'hops={hops}: give 0 or more')
    matrix = propagation(graph)
    values: Any = graph.input
    for _ in range(hops):
        values = matrix @ values
    return np.asarray(values.toarray() if hasattr(values, 'toarray') else values, np.float32)
