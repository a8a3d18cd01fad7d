"""Training steps of few-shot learning, and the rate of matrix products."""

import jax
import jax.numpy as jnp

from benchmarks.sides.protocol import Calls, serve
from benchmarks.sides.run_steps import steps_of
from configs import maml, protonet
from tljax import build
from tljax.configuration import merge, phases


def make(task: str, rows: int) -> tuple[str, Calls]:
    """Prepares the call 'step', a training step as `fit` takes it, and the call 'matrices'.

    A step draws the indices of its episodes, and one compiled program does the rest. 'matrices' is
    a product of two square matrices.

    Args:
        task: 'protonet', or 'maml' with the number of inner steps behind it.
        rows: rows of a matrix.
    """
    x = jnp.ones((rows, rows))
    product = jax.jit(jnp.matmul)
    return f'JAX {jax.__version__} on {jax.devices()[0].device_kind}', {
        'step': steps_of(build.build(_settings(task))),
        'matrices': lambda: product(x, x).block_until_ready(),
    }


def _settings(task):
    """Returns the config of the task's fit, a plain dict."""
    if task == 'protonet':
        return phases(protonet.get_config('shots=5'))[0][1]
    changes = {'data': {'queries': 15}, 'method': {'steps': int(task.removeprefix('maml'))}}
    return merge(phases(maml.get_config())[0][1], changes)


if __name__ == '__main__':
    serve(make)
