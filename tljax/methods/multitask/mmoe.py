"""MMoE, multi-gate mixture of experts: each task mixes the outputs of shared experts by a gate.

Source: Ma, Zhao, Yi, Chen, Hong and Chi 2018, Modeling task relationships in multi-task learning
with multi-gate mixture-of-experts, equations 5 to 7 (https://doi.org/10.1145/3219819.3220007).
"""

import math
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp

from tljax.core import Method, Net, UserError
from tljax.losses import linear
from tljax.methods.multitask.joint_model import joint, summed

BATCHES = 'tasks'


def mmoe(
    net: Net,
    classes: Mapping[str, int],
    several: Mapping[str, bool] | None = None,
    experts: int = 4,
    widths: Sequence[int] = (64,),
) -> Method:
    """MMoE: the head of task k sees sum_i g_k(x)_i f_i(x), and the sum of the losses is minimised.

    x are the features of the network, f_i is expert i, a stack of dense layers with ReLU, and g_k =
    softmax(W_k x) is the gate of task k. The network `identity` gives the model of the paper, whose
    experts see the inputs. With one expert it is hard sharing.

    Args:
        net: the shared network below the experts.
        classes: {task: number of classes or labels; 0 for numbers}.
        several: {task: whether its examples have any number of labels}; None: no task's have.
        experts: number of experts.
        widths: number of units of each layer of an expert.

    Returns:
        A Method with params {'backbone', 'experts': {'dense1': ...}, 'gates': {task: ...}, 'head'}.
        The parameters of the experts have a leading axis of experts.

    Raises:
        UserError: no experts, or an expert without layers.

    >>> from tljax.zoo import identity
    >>> method = mmoe(identity(5), {'a': 2, 'b': 3}, experts=2, widths=(4,))
    >>> batch = {'input': jnp.ones((1, 5)), 'label': dict.fromkeys(('a', 'b'), jnp.zeros(1, int))}
    >>> params, state = method.init(jax.random.key(0), batch)
    >>> params['experts']['dense1']['kernel'].shape, params['gates']['a']['kernel'].shape
    ((2, 5, 4), (5, 2))
    """
    if experts < 1 or not widths or min(widths) < 1:
        raise UserError(
            f'method.experts={experts}, method.widths={list(widths)}: give one expert or more, and '
            'a layer of one unit or more'
        )

    def init(key, input):
        backbone, state = net.init(key, input)
        sizes, layers = [net.dim, *widths], {}
        for i, (fan_in, fan_out) in enumerate(zip(sizes, widths, strict=False), 1):
            kernel = jax.random.normal(jax.random.fold_in(key, i), (experts, fan_in, fan_out))
            layers[f'dense{i}'] = {
                'kernel': kernel * math.sqrt(2 / fan_in),
                'bias': jnp.zeros((experts, fan_out)),
            }
        gate = {'kernel': jnp.zeros((net.dim, experts)), 'bias': jnp.zeros(experts)}
        gates = dict.fromkeys(classes, gate)
        return {'backbone': backbone, 'experts': layers, 'gates': gates}, {'backbone': state}

    def features(params, state, input, key):
        taps, backbone = net.features(params['backbone'], state['backbone'], input, key)
        x = taps['features']
        outputs = jax.vmap(_expert, (0, None))(params['experts'], x)  # (experts, n, width)
        by_task = {
            task: jnp.einsum(
                'ne,enw->nw', jax.nn.softmax(linear(params['gates'][task], x)), outputs
            )
            for task in classes
        }
        return by_task, {**state, 'backbone': backbone}

    return summed(joint(init, features, widths[-1], classes, several))


def _expert(layers, x):
    """The output of one expert."""
    for i in range(1, len(layers) + 1):
        x = jax.nn.relu(linear(layers[f'dense{i}'], x))
    return x
