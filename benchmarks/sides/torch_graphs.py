"""Training steps of PyTorch Geometric on all nodes of a graph of random edges."""

import torch
import torch.nn.functional as F
import torch_geometric
from torch_geometric.nn import GCNConv

from benchmarks.sides.protocol import Calls, serve

INPUTS, CLASSES, WIDTH = 128, 64, 128


def make(task: str, nodes: int, threads: int) -> tuple[str, Calls]:
    """Prepares the calls of a task.

    Args:
        task: 'whole', two layers of graph convolution with the normalised links computed once; the
            calls 'step edges' and 'step csr' differ in how the links are stored. 'propagated', a
            perceptron on inputs that were propagated beforehand: the call 'step'.
        nodes: number of nodes, with ten neighbours each.
        threads: number of threads.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    about = f'PyTorch {torch.__version__}, Geometric {torch_geometric.__version__}'
    about += f', {threads} threads'
    x, y = torch.randn(nodes, INPUTS), torch.randint(CLASSES, (nodes,))
    if task == 'propagated':
        layers = [torch.nn.Linear(INPUTS, WIDTH), torch.nn.Linear(WIDTH, WIDTH)]
        return about, {'step': _step(layers, lambda layer, h: layer(h), x, y)}
    ends = torch.randint(nodes, (2, 5 * nodes))
    edges = torch.cat([ends, ends.flip(0)], 1)
    ones = torch.ones(edges.shape[1])
    csr = torch.sparse_coo_tensor(edges.flip(0), ones, (nodes, nodes)).coalesce().to_sparse_csr()
    calls = {}
    for name, links in (('edges', edges), ('csr', csr)):
        layers = [GCNConv(INPUTS, WIDTH, cached=True), GCNConv(WIDTH, WIDTH, cached=True)]
        calls[f'step {name}'] = _step(layers, lambda layer, h, links=links: layer(h, links), x, y)
    return about, calls


def _step(layers, apply, x, y):
    head = torch.nn.Linear(WIDTH, CLASSES)
    network = torch.nn.ModuleList([*layers, head])
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)

    def step():
        h = x if isinstance(layers[0], GCNConv) else F.dropout(x)  # as the networks of tljax
        h = F.dropout(F.relu(apply(layers[0], h)))
        h = F.relu(apply(layers[1], h))
        loss = F.cross_entropy(head(h), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.item()

    return step


if __name__ == '__main__':
    serve(make)
