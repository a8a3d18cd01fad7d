"""Three citation networks with the same words and classes: ACMv9, Citationv1 and DBLPv7."""

import functools
from pathlib import Path

import numpy as np
from scipy.io import loadmat
from scipy.sparse import csr_array, csr_matrix, vstack

from tljax.core import Dataset, UserError
from tljax.data.graph_nodes import labelled_nodes
from tljax.data.reading import reading
from tljax.graphs import Graph, make_graph

NETWORKS = ('acmv9', 'citationv1', 'dblpv7')
TOPICS = tuple(f'topic{i}' for i in range(1, 6))


def citation(
    path: str | Path, network: str, hops: int = 2, whole: bool = False, directions: int = 0
) -> dict[str, Dataset]:
    """Loads papers that cite each other: words of titles, mixed over some hops, and a topic.

    Inputs are float32, (n, 6775): whether a word is in the title, propagated (`graphs.propagated`).
    A paper with several topics, of which there are 0.3 to 6 %, has the first of them as its label;
    `citation_graph` has them all.

    Args:
        path: folder of `acmv9.mat`, `citationv1.mat` and `dblpv7.mat`, with 'network', 'attrb' and
            'group'.
        network: one of these three names.
        hops: number of propagations.
        whole: inputs are the numbers of the papers instead, as `graph_nodes.labelled_nodes` says.
        directions: as `citation_graph` takes it.

    Splits: 'train' and 'test' both hold all papers, as results on these networks are transductive.

    Returns:
        {'train': Dataset, 'test': Dataset}.

    Raises:
        UserError: the network is unknown, or the file is missing or damaged.

    Source: Shen et al. 2020, Adversarial deep network embedding for cross-network node
        classification.

    >>> import tempfile
    >>> from scipy.io import savemat
    >>> folder = tempfile.mkdtemp()
    >>> content = {'network': np.ones((2, 2)), 'attrb': np.eye(2), 'group': np.eye(2, 5)}
    >>> savemat(f'{folder}/acmv9.mat', content)
    >>> train = citation(folder, 'acmv9', hops=1)['train']
    >>> train.take(np.arange(2))
    {'input': array([[0.5, 0.5],
           [0.5, 0.5]], dtype=float32), 'label': array([0, 1], dtype=int32)}
    """
    file = Path(path, f'{network}.mat').expanduser()
    stamp = file.stat().st_mtime_ns if file.exists() else 0
    nodes = _nodes(str(path), network, None if whole else hops, whole, directions, stamp)
    return {'train': nodes, 'test': nodes}


@functools.lru_cache(maxsize=3)  # of the pairs of three networks each is in memory once
def _nodes(path, network, hops, whole, directions, stamp):
    return labelled_nodes(citation_graph(path, network, directions), hops=hops, whole=whole)


def citation_graph(path: str | Path, network: str, directions: int = 0) -> Graph:
    """Loads a citation network.

    Args:
        path: as `citation` takes it.
        network: as `citation` takes it.
        directions: number of directions to which words are reduced, the first ones of the words of
            all three networks together (truncated singular values), scaled to a root mean square of
            1; 0: the words.

    Raises:
        UserError: as `citation`, and for a negative number of directions.
    """
    if network not in NETWORKS:
        raise UserError(f'data.network={network!r} is not one of {", ".join(NETWORKS)}')
    if directions < 0:
        raise UserError(f'data.directions={directions}: give 0 for the words, or how many')
    if not directions:
        return _read(path, network)
    graphs = [_read(path, name) for name in NETWORKS]
    place = NETWORKS.index(network)
    reduced = _reduced([graph.input for graph in graphs], directions)
    return graphs[place]._replace(input=reduced[place])


def _reduced(words, directions):
    """Words of several networks in the directions of all of them."""
    from sklearn.decomposition import TruncatedSVD  # imported late, for a quick start

    together = csr_matrix(vstack(words))
    values = TruncatedSVD(directions, random_state=0).fit_transform(together)
    values /= np.sqrt((values**2).mean())
    ends = np.cumsum([each.shape[0] for each in words])[:-1]
    return [part.astype(np.float32) for part in np.split(values, ends)]


def _read(path, network):
    with reading(
        Path(path, f'{network}.mat'), 'give data.path the folder of the .mat files'
    ) as file:
        content = loadmat(file)
        links, words, topics = (csr_array(content[key]) for key in ('network', 'attrb', 'group'))
    topics = topics.toarray() > 0
    edges = np.stack(links.nonzero(), 1)
    edges = edges[edges[:, 0] <= edges[:, 1]]  # the file has both directions
    words.data = np.ones_like(words.data, np.float32)
    label = np.where(topics.any(1), topics.argmax(1), -1)
    graph = make_graph(edges, words, label, TOPICS[: topics.shape[1]])
    return graph._replace(several=topics)
