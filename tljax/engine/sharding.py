"""Fully sharded data parallelism: each device holds a part of the training state.

Between two steps, large parameters, the moments of the optimiser and the method's variables are
divided among the devices. The loss gathers the parameters and the variables, so that a step
computes what plain data parallelism computes, and each device updates its own part. This is stage 3
of ZeRO (Rajbhandari et al. 2020, section 5, https://arxiv.org/abs/1910.02054), as a compiler does
it (Xu et al. 2020, https://arxiv.org/abs/2004.13336).
"""

import jax
import numpy as np
from jax import lax
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from tljax.core import Method, Tree

# A smaller array (64 KiB of float32) stays whole on each device, as it would save little memory for
# one more message between devices. Together such arrays are 0.4 % of a ResNet-50's parameters.
LEAST_SHARDED = 2**14  # elements of one seed


def make_mesh() -> Mesh:
    """Makes a mesh of all devices of all processes along one axis, 'data'.

    >>> make_mesh().axis_names
    ('data',)
    """
    # in the order of the processes, as `devices.shard` needs
    return Mesh(np.array(jax.devices()), ('data',), axis_types=(AxisType.Auto,))


def replicated(tree: Tree, mesh: Mesh | None = None) -> Tree:
    """Returns the shardings of a state of which every device holds all.

    Args:
        tree: a training state, or a part of it: arrays, or their shapes.
        mesh: of devices; None for all devices.

    Returns:
        A tree of shardings with the structure of `tree`.

    >>> replicated({'w': np.zeros((1, 2**14))})['w'].is_fully_replicated
    True
    """
    sharding = NamedSharding(mesh or make_mesh(), PartitionSpec())
    return jax.tree.map(lambda leaf: sharding, tree)


def fully_sharded(tree: Tree, mesh: Mesh | None = None) -> Tree:
    """Returns the shardings of a state that is divided among the devices.

    An array with LEAST_SHARDED elements or more for each seed is divided along its largest axis
    that the number of devices divides, but not along axis 0, that of the seeds. Other arrays are
    replicated.

    Args:
        tree: a training state, or a part of it: arrays (seeds, ...), or their shapes.
        mesh: of devices, with one axis 'data'; None for all devices.

    Returns:
        A tree of shardings with the structure of `tree`.

    >>> shapes = {'kernel': np.zeros((1, 3, 2**14)), 'bias': np.zeros((1, 2**10))}
    >>> shardings = fully_sharded(shapes)
    >>> tuple(shardings['kernel'].spec), tuple(shardings['bias'].spec)
    ((None, None, 'data'), ())
    """
    mesh = mesh or make_mesh()

    def sharding(leaf):
        axes = [i for i in range(1, leaf.ndim) if leaf.shape[i] % mesh.size == 0]
        if not axes or leaf.size < LEAST_SHARDED * leaf.shape[0]:
            return NamedSharding(mesh, PartitionSpec())
        largest = max(axes, key=lambda axis: leaf.shape[axis])
        return NamedSharding(mesh, PartitionSpec(*[None] * largest, 'data'))

    return jax.tree.map(sharding, tree)


def gather_at_use(method: Method, mesh: Mesh) -> Method:
    """Makes the loss of a method gather parameters and variables that are divided among devices.

    The loss is then computed as in plain data parallelism, and the gradients are averaged over the
    devices before they are divided again.

    Args:
        method: the method.
        mesh: of devices, with one axis 'data'.

    Returns:
        The method, whose loss takes params and state with any shardings.

    >>> def loss(params, state, batch, tick):
    ...     return params['w'].sum(), (state, {})
    >>> gathering = gather_at_use(Method(None, loss, None), make_mesh())
    >>> float(gathering.loss({'w': np.ones(3)}, {}, (), ())[0])
    3.0
    """

    def loss(params, state, batch, tick):
        params, state = lax.with_sharding_constraint(
            (params, state), replicated((params, state), mesh)
        )
        return method.loss(params, state, batch, tick)

    return method._replace(loss=loss)


def to_host(tree: Tree) -> Tree:
    """Copies arrays to the memory of the host, whole, also where no process holds all of them.

    All processes call it together.

    Args:
        tree: of arrays.

    Returns:
        The tree in NumPy.

    >>> to_host({'w': jax.numpy.ones(2)})
    {'w': array([1., 1.], dtype=float32)}
    """

    def whole(leaf):
        if isinstance(leaf, jax.Array) and not (
            leaf.is_fully_addressable or leaf.is_fully_replicated
        ):
            return multihost_utils.process_allgather(leaf, tiled=True)
        return leaf

    return jax.device_get(jax.tree.map(whole, tree))
