"""Channels of a network's intermediates that are scaled or switched off."""

import jax
from jax.core import eval_jaxpr

from tljax.core import Net, Tree


def gated(
    net: Net, params: Tree, state: Tree, input: Tree, gates: dict[str, jax.Array]
) -> dict[str, jax.Array]:
    """Computes a network's intermediates where some of them are multiplied by gates.

    All that the network computes from a gated intermediate, it computes from the product. A gate of
    0 switches a channel off, and the gradient at a gate of 1 tells what the channel is worth. It
    works with every network, because the gates are put between the steps of the computation as JAX
    records them.

    Args:
        net: the network, at inference.
        params: its parameters.
        state: its statistics.
        input: (n, ...).
        gates: {name of an intermediate: factors, (channels,)}.

    Returns:
        {name: intermediate}, all that the network has.

    >>> import jax.numpy as jnp
    >>> from tljax.zoo import mlp
    >>> net, x = mlp((2, 1)), jnp.ones((1, 3))
    >>> params = {
    ...     'dense1': {'kernel': jnp.ones((3, 2)), 'bias': jnp.array([0.0, 4.0])},
    ...     'dense2': {'kernel': jnp.ones((2, 1)), 'bias': jnp.zeros(1)},
    ... }
    >>> for gate in ([1.0, 1.0], [1.0, 0.0]):  # the second unit of layer 1 is 7
    ...     taps = gated(net, params, {}, x, {'layer1': jnp.array(gate)})
    ...     print(taps['layer1'].tolist(), taps['features'].tolist())
    [[3.0, 7.0]] [[10.0]]
    [[3.0, 0.0]] [[3.0]]
    """
    arguments = params, state, input
    recorded, shapes = jax.make_jaxpr(
        lambda *arguments: net.features(*arguments)[0], return_shape=True
    )(*arguments)
    jaxpr, names = recorded.jaxpr, sorted(shapes)  # the order of a dict's leaves
    variable_of = dict(zip(names, jaxpr.outvars, strict=True))
    values = dict(zip(jaxpr.constvars, recorded.consts, strict=True))
    values |= dict(zip(jaxpr.invars, jax.tree.leaves(arguments), strict=True))
    # the computation is cut behind every gated intermediate
    behind = {out: i for i, step in enumerate(jaxpr.eqns, 1) for out in step.outvars}
    gate_at = {behind[variable_of[name]]: name for name in gates}
    start = 0
    for end in sorted({*gate_at, len(jaxpr.eqns)}):
        steps = jaxpr.eqns[start:end]
        outputs = [out for step in steps for out in step.outvars]
        part = jaxpr.replace(constvars=[], invars=[*values], outvars=outputs, eqns=steps)
        values |= zip(outputs, eval_jaxpr(part, [], *values.values()), strict=True)
        if name := gate_at.get(end):
            values[variable_of[name]] *= gates[name]
        start = end
    return {name: values[variable] for name, variable in variable_of.items()}
