"""A graph of a million directed edges trains in little memory, and a step costs the same as on a
smaller graph."""

import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest


def measure(nodes):
    """Seconds of a step and of a batch's draw, and the process's largest memory in GB."""
    from tljax import build
    from tljax.configuration import settings
    from tljax.data.graph_nodes import labelled_nodes
    from tljax.data.sets.blocks import block_graph
    from tljax.engine.train import fit

    graph = block_graph(nodes, classes=64, within=8.0, between=2.0)  # 128 inputs, 10 neighbours
    train = labelled_nodes(graph, fanouts=(10, 10))
    net = {'name': 'gcn', 'widths': [128, 128], 'fanouts': [10, 10]}
    config = settings(data={'name': 'blocks'}, net=net, batch=256, steps=20, log_every=0)
    run = build.build(config, splits={'train': train})._replace(evals={})
    fit(run, tempfile.mkdtemp())  # compiles
    start = time.process_time()  # of this process, whatever else runs
    fit(run, tempfile.mkdtemp())
    step = (time.process_time() - start) / 20
    start = time.process_time()
    for i in range(5):
        train.take(np.arange(256) * 7 + i)
    draw = (time.process_time() - start) / 5
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(graph.links.nnz, step, draw, memory)


@pytest.mark.slow
def test_memory_follows_the_batch_and_time_the_number_of_batches():
    found = []
    for nodes in (25_000, 100_000):
        out = subprocess.run(
            [sys.executable, __file__, str(nodes)], capture_output=True, text=True, check=True
        )
        found.append([float(text) for text in out.stdout.splitlines()[-1].split()])
    (few, *_), (many, step, _, memory) = found
    assert many > 990_000 and many > 3.9 * few
    assert memory < 4
    # an epoch has a batch for every 256 nodes: it is linear in the edges if a step costs the same
    assert step < 2 * found[0][1]


if __name__ == '__main__':
    measure(int(sys.argv[1]))
