"""Networks that compute their activations a second time for the gradient, instead of keeping them.

Chen et al. 2016, section 4.1 (https://arxiv.org/abs/1604.06174).
"""

import functools

import jax
from jax.core import eval_jaxpr
from jax.extend.core import Literal

from tljax.core import Net, Tree
from tljax.nn.apart import apart


def rematerialised(net: Net) -> Net:
    """Returns a network that keeps nothing for the gradient but its intermediates.

    The gradient computes the activations between two intermediates again, one block after the
    other, from the last to the first. Results are those of `net`; a training step costs one more
    forward pass. It works with every network, because the computation is cut behind its
    intermediates as JAX records it. What follows the last of them is computed once.

    Args:
        net: the network.

    Two layers, of which the first one alone is computed again:

    >>> import jax.numpy as jnp
    >>> from tljax.zoo import mlp
    >>> net, x = mlp((2, 2)), jnp.ones((1, 3))
    >>> params, state = net.init(jax.random.key(0), x)
    >>> def loss(params, net):
    ...     return net.features(params, state, x)[0]['features'].sum()
    >>> gradients = [jax.grad(loss)(params, n) for n in (net, rematerialised(net))]
    >>> jax.tree.all(jax.tree.map(jnp.allclose, *gradients))
    True
    """

    def features(
        params: Tree, state: Tree, input: Tree, key: jax.Array | None = None
    ) -> tuple[Tree, Tree]:
        arguments = params, state, input, key
        # a new function, as JAX would remember what an old one recorded
        recorded, shapes = jax.make_jaxpr(
            lambda *arguments: net.features(*arguments), return_shape=True
        )(*arguments)
        *blocks, rest = _cut(recorded.jaxpr, _intermediates(recorded.jaxpr, shapes[0]))
        values = dict(zip(recorded.jaxpr.constvars, recorded.consts, strict=True))
        values |= zip(recorded.jaxpr.invars, jax.tree.leaves(arguments), strict=True)
        for block in blocks:
            # apart, because XLA on a CPU computes everything again at once otherwise
            again = apart(jax.checkpoint(functools.partial(eval_jaxpr, block, [])))
            outputs = again(*(values[variable] for variable in block.invars))
            values |= zip(block.outvars, outputs, strict=True)
        outputs = eval_jaxpr(rest, [], *(values[variable] for variable in rest.invars))
        return jax.tree.unflatten(jax.tree.structure(shapes), outputs)

    return net._replace(features=features)


def _intermediates(jaxpr, taps):
    """The variables of a network's intermediates, without its features, which are the end."""
    names = [path[0].key for path, _ in jax.tree.leaves_with_path(taps)]
    return {
        variable
        for name, variable in zip(names, jaxpr.outvars, strict=False)  # the statistics follow
        if name != 'features' and not isinstance(variable, Literal)
    }


def _cut(jaxpr, ends):
    """The parts of a computation, each of which ends where one of `ends` is computed, but the last.

    A part takes what it reads of the parts before, and returns what is read behind it.
    """
    parts = [[]]
    for step in jaxpr.eqns:
        parts[-1].append(step)
        if not ends.isdisjoint(step.outvars):
            parts.append([])
    cut, read = [], dict.fromkeys(_variables(jaxpr.outvars))
    for steps in reversed(parts):
        made = dict.fromkeys(variable for step in steps for variable in step.outvars)
        outputs = [variable for variable in made if variable in read] if cut else jaxpr.outvars
        taken = [variable for step in steps for variable in step.invars]
        inputs = dict.fromkeys(_variables([*taken, *outputs]))
        inputs = [variable for variable in inputs if variable not in made]
        cut.append(jaxpr.replace(constvars=[], invars=inputs, outvars=outputs, eqns=steps))
        read |= dict.fromkeys(inputs)
    return cut[::-1]


def _variables(atoms):
    """Those of the atoms that are no constants."""
    return [atom for atom in atoms if not isinstance(atom, Literal)]
