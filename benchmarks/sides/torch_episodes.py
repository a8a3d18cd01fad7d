"""Training steps of few-shot learning by easyfsl, torch.autograd, torch.func and higher."""

import random

import higher
import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.sides.protocol import Calls, serve
from benchmarks.sides.torch_operators import define_missing_operators

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'


def make(task: str, threads: int) -> tuple[str, Calls]:
    """Prepares the training steps of a task, one for each library.

    Args:
        task: 'protonet', or 'maml' with the number of inner steps behind it.
        threads: number of threads on a CPU.
    """
    torch.set_num_threads(threads)
    calls = _protonet() if task == 'protonet' else _maml(int(task.removeprefix('maml')))
    return f'PyTorch {torch.__version__}, {threads} threads', calls


def _protonet():
    define_missing_operators()
    from easyfsl.methods import PrototypicalNetworks  # it imports torchvision

    # as many classes and pictures as in `configs/protonet.py`
    pictures = torch.rand(600, 20, 1, 28, 28, device=DEVICE)
    label = torch.arange(60, device=DEVICE).repeat_interleave(5)
    method = PrototypicalNetworks(_network()).to(DEVICE)
    optimiser = torch.optim.Adam(method.parameters(), 1e-3)

    def step():
        # as in easyfsl's sampler
        classes = torch.tensor(random.sample(range(600), 60))[:, None]
        examples = torch.tensor([random.sample(range(20), 10) for _ in range(60)])
        episode = pictures[classes, examples]
        method.process_support_set(episode[:, :5].flatten(0, 1), label)
        loss = F.cross_entropy(method(episode[:, 5:].flatten(0, 1)), label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.item()

    return {'step easyfsl': step}


def _maml(steps):
    rng = np.random.default_rng(0)
    support, query = (
        torch.tensor(rng.uniform(size=(32, 5 * k, 1, 28, 28)), dtype=torch.float32, device=DEVICE)
        for k in (1, 15)
    )
    label = [torch.arange(5, device=DEVICE).repeat_interleave(k) for k in (1, 15)]
    network = torch.nn.Sequential(_network(), torch.nn.Linear(64, 5)).to(DEVICE)
    names, weights = zip(*network.named_parameters(), strict=True)
    optimiser = torch.optim.Adam(weights, 1e-3)

    def run(weights, x):
        return torch.func.functional_call(network, dict(zip(names, weights, strict=True)), x)

    def by_autograd(x, z):
        phi = weights
        for _ in range(steps):
            slopes = torch.autograd.grad(
                F.cross_entropy(run(phi, x), label[0]), phi, create_graph=True
            )
            phi = [p - 0.4 * slope for p, slope in zip(phi, slopes, strict=True)]
        (F.cross_entropy(run(phi, z), label[1]) / 32).backward()

    def by_func(x, z):
        def outer(phi):
            for _ in range(steps):
                slopes = torch.func.grad(lambda phi: F.cross_entropy(run(phi, x), label[0]))(phi)
                phi = tuple(p - 0.4 * slope for p, slope in zip(phi, slopes, strict=True))
            return F.cross_entropy(run(phi, z), label[1]) / 32

        for weight, slope in zip(
            weights, torch.func.grad(outer)(tuple(w.detach() for w in weights)), strict=True
        ):
            weight.grad = slope if weight.grad is None else weight.grad + slope

    def by_higher(x, z):
        with higher.innerloop_ctx(
            network, torch.optim.SGD(weights, 0.4), copy_initial_weights=False
        ) as (inner, descent):
            for _ in range(steps):
                descent.step(F.cross_entropy(inner(x), label[0]))
            (F.cross_entropy(inner(z), label[1]) / 32).backward()

    def train_step(add_gradient):
        """Returns a training step; `add_gradient` adds the gradient of a task."""

        def step():
            optimiser.zero_grad()
            for x, z in zip(support, query, strict=True):
                add_gradient(x, z)
            optimiser.step()
            return weights[0].detach().sum().item()  # waits for the update

        return step

    return {
        'step torch.autograd': train_step(by_autograd),
        'step torch.func': train_step(by_func),
        'step higher': train_step(by_higher),
    }


def _network():
    def block(inputs):
        return [
            torch.nn.Conv2d(inputs, 64, 3, padding=1),
            torch.nn.BatchNorm2d(64, track_running_stats=False),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
        ]

    return torch.nn.Sequential(*block(1), *block(64), *block(64), *block(64), torch.nn.Flatten())


if __name__ == '__main__':
    serve(make)
