"""Few-shot learning against PyTorch, side by side in one run: a step of prototypical networks, and of MAML with one and five inner steps.

    python -m pip install -e . torch torchvision easyfsl higher && python -m experiments.benchmark_torch

Conv4-64 with BatchNorm on 28x28 pictures, float32, Adam. Prototypical networks, 60 ways, 5 shots, 5 queries: sampling, loss, gradient and
update, against easyfsl's method on pictures that lie in memory. MAML of second order, 5 ways, 1 shot, 15 queries, 32 tasks a step, against
torch.autograd, torch.func and higher. The last column is what a step's convolutions take of the rate at which this machine multiplies large
matrices: 1 would be all of it. On a GPU both sides run there.
"""
import random
import time

import higher
import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch.nn.functional as F
from absl import app, flags
from easyfsl.methods import PrototypicalNetworks

from configs import maml, protonet
from tljax import build
from tljax.configuration import merge, phases
from tljax.engine.devices import first_state
from tljax.report.page import table

ONLY = flags.DEFINE_list('only', ['protonet', 'maml1', 'maml5'], 'Which.')
ROUNDS = flags.DEFINE_integer('rounds', 5, 'How often each is timed, in turn; the least is printed with the median.', lower_bound=1)
DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
PER_IMAGE = 2 * 9 * (28 ** 2 * 64 + 64 ** 2 * (14 ** 2 + 7 ** 2 + 3 ** 2))   # operations of Conv4-64's convolutions, forward


def main(_):
    """Prints the table."""
    rate, rows = _matrix_rate(), []
    for name in ONLY.value:
        calls, images = {'protonet': _protonet, 'maml1': lambda: _maml(1), 'maml5': lambda: _maml(5)}[name]()
        times = _times(calls)
        for side, values in times.items():
            rows.append([name, side, f'{min(values):.3f}', f'{np.median(values):.3f}', f'{min(values) / min(times["tljax"]):.2f}',
                         f'{images * 3 * PER_IMAGE / min(values) / rate:.2f}'])
    table(['what', 'by', 's a step, least', 'median', 'over tljax', 'share of the matrix rate'], rows,
          title=f'{jax.devices()[0].device_kind}, {torch.get_num_threads()} threads, {rate / 1e9:.0f} GFLOP/s of float32 matrices')


def _ours(config, **changes):
    """A step of a run as `fit` takes it: the indices of its episodes, and one compiled program for the rest."""
    run = build.build(merge(phases(config)[0][1], changes))
    cell, seeds = [run.step.split(first_state(run.init, run.tx, run.seeds)), 0], np.asarray(run.seeds, np.uint32)

    def step():
        index = run.source.take(run.source.index(0, cell[1]))
        cell[0], metrics = run.step.run(cell[0], run.step.place(jax.tree.map(lambda leaf: leaf[None, None], index)), seeds)
        cell[1] += 1
        return jax.block_until_ready(metrics)
    return step


def _protonet():
    held = torch.rand(600, 20, 1, 28, 28, device=DEVICE)   # as many as `configs/protonet.py` trains on
    label = torch.arange(60, device=DEVICE).repeat_interleave(5)
    method = PrototypicalNetworks(_network()).to(DEVICE)
    optimiser = torch.optim.Adam(method.parameters(), 1e-3)

    def theirs():
        classes = torch.tensor(random.sample(range(600), 60))[:, None]   # easyfsl's sampler draws so, one picture at a time
        episode = held[classes, torch.tensor([random.sample(range(20), 10) for _ in range(60)])]
        method.process_support_set(episode[:, :5].flatten(0, 1), label)
        loss = F.cross_entropy(method(episode[:, 5:].flatten(0, 1)), label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.item()

    return {'tljax': _ours(protonet.get_config('shots=5')), 'easyfsl': theirs}, 600


def _maml(steps):
    rng = np.random.default_rng(0)
    support, query = (torch.tensor(rng.uniform(size=(32, 5 * k, 1, 28, 28)), dtype=torch.float32, device=DEVICE) for k in (1, 15))
    label = [torch.arange(5, device=DEVICE).repeat_interleave(k) for k in (1, 15)]
    network = torch.nn.Sequential(_network(), torch.nn.Linear(64, 5)).to(DEVICE)
    names, weights = zip(*network.named_parameters(), strict=True)
    optimiser = torch.optim.Adam(weights, 1e-3)

    def run(weights, x):
        return torch.func.functional_call(network, dict(zip(names, weights, strict=True)), x)

    def by_autograd(x, z):
        phi = weights
        for _ in range(steps):
            slopes = torch.autograd.grad(F.cross_entropy(run(phi, x), label[0]), phi, create_graph=True)
            phi = [p - .4 * slope for p, slope in zip(phi, slopes, strict=True)]
        (F.cross_entropy(run(phi, z), label[1]) / 32).backward()

    def by_func(x, z):
        def outer(phi):
            for _ in range(steps):
                slopes = torch.func.grad(lambda phi: F.cross_entropy(run(phi, x), label[0]))(phi)
                phi = tuple(p - .4 * slope for p, slope in zip(phi, slopes, strict=True))
            return F.cross_entropy(run(phi, z), label[1]) / 32
        for weight, slope in zip(weights, torch.func.grad(outer)(tuple(w.detach() for w in weights)), strict=True):
            weight.grad = slope if weight.grad is None else weight.grad + slope

    def by_higher(x, z):
        with higher.innerloop_ctx(network, torch.optim.SGD(weights, .4), copy_initial_weights=False) as (inner, descent):
            for _ in range(steps):
                descent.step(F.cross_entropy(inner(x), label[0]))
            (F.cross_entropy(inner(z), label[1]) / 32).backward()

    def theirs(one):
        def step():
            optimiser.zero_grad()
            for x, z in zip(support, query, strict=True):
                one(x, z)
            optimiser.step()
            return weights[0].detach().sum().item()   # waits for the update
        return step

    ours = _ours(maml.get_config(), data={'queries': 15}, method={'steps': steps})
    return {'tljax': ours, 'torch.autograd': theirs(by_autograd), 'torch.func': theirs(by_func), 'higher': theirs(by_higher)}, 32 * 75


def _network():
    def block(inputs):
        return [torch.nn.Conv2d(inputs, 64, 3, padding=1), torch.nn.BatchNorm2d(64, track_running_stats=False), torch.nn.ReLU(),
                torch.nn.MaxPool2d(2)]
    return torch.nn.Sequential(*block(1), *block(64), *block(64), *block(64), torch.nn.Flatten())


def _matrix_rate(size=4096):
    x = jnp.ones((size, size))
    product = jax.jit(jnp.matmul)
    return 2 * size ** 3 / min(_times({'': lambda: product(x, x).block_until_ready()})[''])


def _times(calls):
    """Seconds of each call, {name: [...]}, taken in turn so that a slow moment of the machine hits all."""
    found = {name: [] for name in calls}
    for i in range(ROUNDS.value + 2):   # the first two compile and warm up
        for name, call in calls.items():
            begun = time.perf_counter()
            call()
            if i > 1:
                found[name].append(time.perf_counter() - begun)
    return found


if __name__ == '__main__':
    app.run(main)
