"""Training steps on all nodes of a made graph."""

import jax

from benchmarks.sides.protocol import Calls, serve
from benchmarks.sides.run_steps import steps_of
from tljax import build
from tljax.configuration import settings

CLASSES = 64  # half as many as inputs


def make(task: str, nodes: int) -> tuple[str, Calls]:
    """Prepares the call 'step', a training step as `fit` takes it.

    Args:
        task: 'whole', two layers of graph convolution, or 'propagated', a perceptron on inputs that
            were propagated over two hops.
        nodes: number of nodes, with ten neighbours each.
    """
    graph = dict(name='blocks', nodes=nodes, classes=CLASSES, within=8.0, between=2.0)
    if task == 'whole':
        data = dict(graph, whole=True, test=0.0)
        net = dict(name='whole_gcn', graph=graph, widths=[128, 128])
    else:
        data = dict(graph, hops=2, test=0.0)
        net = dict(name='graph_perceptron', widths=[128, 128])
    splits = build.load(data)
    config = settings(data=data, net=net, batch=nodes, optim=dict(lr=1e-2))
    run = build.build(config, splits={'train': splits['train']})
    return f'JAX {jax.__version__} on {jax.devices()[0].device_kind}', {'step': steps_of(run)}


if __name__ == '__main__':
    serve(make)
