"""LoRA: Hu et al. 2022, https://arxiv.org/abs/2106.09685, equation 3.

    kernel + alpha / rank * A B

in place of a frozen kernel, where A has `rank` columns and B as many rows. The paper writes B A,
since its kernels are transposed.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax.traverse_util import unflatten_dict

from tljax import paths
from tljax.core import Method, UserError, abbreviated
from tljax.nn.low_rank import LowRank

CACHED = False  # the features change, although the backbone is frozen


def with_lora(
    method: Method,
    rank: int = 4,
    alpha: float | None = None,
    rules: Sequence[str] = (),
    merged: bool = False,
) -> Method:
    """LoRA: trains updates of low rank in place of kernels, for any method.

    Before the first step B is zero, so that training starts at the donor exactly. The partition
    `freeze` keeps the kernels as they are. A finished run keeps the sums, kernels of the plain
    network, so that predictions take no longer. Weight decay shrinks A and B, which is another
    penalty than decay of A B: `groups.lora.weight_decay=0` switches it off.

    Args:
        method: the method.
        rank: rank of the updates.
        alpha: the updates are multiplied by alpha / rank; None for alpha = rank.
        rules: regexes over paths. A kernel that one of them matches gets an update; of a
            convolution, A is a convolution with `rank` outputs and B one of 1x1. Empty: all kernels
            of the backbone but depthwise ones, which mix no channels.
        merged: whether the method is given the sums as kernels. A method that moves parameters by
            gradients of its own (maml, reptile) needs that, or this one inside it. Otherwise
            layers add x A B to what they make of x, and no gradient of a kernel is computed.

    Returns:
        A Method with one more player, `lora`.

    Raises:
        UserError: a rule that matches no kernel or a depthwise one, and a rank above a kernel's.

    >>> from tljax.methods.fine_tuning.finetune import finetune
    >>> from tljax.zoo.families.mlp import mlp
    >>> method = with_lora(finetune(mlp((20,)), classes=2), rank=1)
    >>> batch = {'input': jnp.ones((4, 30)), 'label': jnp.array([0, 1, 1, 1])}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> {path: leaf.shape for path, leaf in paths.flatten(params['lora']).items()}
    {'backbone/dense1/kernel/a': (30, 1), 'backbone/dense1/kernel/b': (1, 20)}
    >>> sorted(method.final(params))  # the plain network
    ['backbone', 'head']
    """
    if rank < 1:
        raise UserError(f'method.rank={rank}: give 1 or more')
    scale = 1.0 if alpha is None else alpha / rank

    def init(key, batch):
        params, state = method.init(key, batch)
        if 'lora' in params:
            raise UserError("method.name='with_lora' stands twice: give it once, with all rules")
        updates = {}
        for i, (path, shape) in enumerate(_chosen(params, rules).items()):
            _refuse_rank(rank, path, shape)
            *inputs, outputs = shape
            a = jax.random.normal(jax.random.fold_in(key, i), (*inputs, rank))
            updates[f'{path}/a'] = a / math.sqrt(math.prod(inputs))
            updates[f'{path}/b'] = jnp.zeros((rank, outputs))
        return {**params, 'lora': unflatten_dict(updates, sep='/')}, state

    def adapted(params, merged=merged):
        """The parameters that the method takes."""
        own = {player: leaves for player, leaves in params.items() if player != 'lora'}
        updates = paths.flatten(params.get('lora', {}))  # a finished run has none

        def kernel(path, leaf):
            if f'{path}/a' not in updates:
                return leaf
            low_rank = LowRank(leaf, updates[f'{path}/a'], scale * updates[f'{path}/b'])
            return jnp.asarray(low_rank) if merged else low_rank

        return paths.map_paths(kernel, own)

    def loss(params, state, batch, tick):
        return method.loss(adapted(params), state, batch, tick)

    def predict(params, state, batch):
        return method.predict(adapted(params), state, batch)

    def final(params):
        params = adapted(params, merged=True)
        return method.final(params) if method.final else params

    def remember(params, state, start):
        return method.remember(adapted(params, merged=True), state, start)

    return Method(init, loss, predict, remember, final)


def _chosen(params, rules):
    """The kernels that get an update, {path: shape}."""
    shapes = {
        path: leaf.shape for path, leaf in paths.flatten(params).items() if path.endswith('kernel')
    }
    if not rules:
        rules, shapes = ['backbone/.*'], {path: s for path, s in shapes.items() if _mixes(s)}
    pairs = [(rule, 'lora') for rule in ([rules] if isinstance(rules, str) else rules)]
    paths.refuse_rules(pairs, 'method.rules')
    for pair in pairs:
        if not any(paths.first([pair], path) for path in shapes):
            raise UserError(
                f'method.rules: {pair[0]!r} matches no kernel; kernels are {abbreviated(shapes)}'
            )
    chosen = {path: shape for path, shape in shapes.items() if paths.first(pairs, path)}
    for path, shape in chosen.items():
        if not _mixes(shape):
            raise UserError(
                f'method.rules: {path} {shape} is depthwise, it mixes no channels and has no low '
                'rank: leave it out'
            )
    return chosen


def _mixes(shape):
    """Whether a kernel mixes channels: it is dense, or a convolution of several input channels."""
    return len(shape) == 2 or shape[-2] > 1


def _refuse_rank(rank, path, shape):
    largest = min(math.prod(shape[:-1]), shape[-1])
    if rank > largest:
        raise UserError(
            f'method.rank={rank} is above {largest}, the rank of {path} {shape}: give at most '
            f'{largest}, or method.rules without it'
        )
