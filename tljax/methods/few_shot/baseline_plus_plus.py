"""Baseline++: Chen, Liu, Kira, Wang and Huang 2019, https://arxiv.org/abs/1904.04232, section 3.2.

A network is trained as a cosine classifier of the base classes; on new ones it stays as it is, and
a cosine classifier of their own is trained on the support.
"""

import jax
import jax.numpy as jnp
import optax
from jax import lax

from tljax.core import Method, Net
from tljax.kernels import cosines
from tljax.losses import cross_entropy
from tljax.methods.few_shot.episodes import on_base_classes

BATCHES = 'labelled'


def baseline_plus_plus(
    net: Net,
    classes: int,
    scale: float = 10.0,
    steps: int = 100,
    rate: float = 0.01,
    decay: float = 1e-3,
) -> Method:
    """logits = scale * cos(f(x), w_k), on base classes and, with a w of its own, in every episode.

    Args:
        net: the embedding f.
        classes: number of base classes.
        scale: of the cosines.
        steps: of the episode's classifier: full batches of the support (the authors take batches of
            four).
        rate: of the episode's classifier: SGD with momentum 0.9.
        decay: weight decay of the episode's classifier.

    Returns:
        A Method over params {'backbone', 'head': {'kernel': (classes, dim)}}, trained on labelled
        sets, measured on those or on episodes (`episodes`).

    >>> from tljax.zoo.families.identity import identity
    >>> method = baseline_plus_plus(identity(2), 3)
    >>> params, state = jax.jit(method.init)(
    ...     jax.random.key(0), {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])}
    ... )
    >>> one = {'input': jnp.array([[[[1.0, 0.0]], [[0.0, 1.0]]]]), 'label': jnp.array([[[0], [1]]])}
    >>> jax.jit(method.predict)(params, state, {'support': one, 'query': one})['output'].argmax(
    ...     -1
    ... ).tolist()
    [[0, 1]]
    """
    tx = optax.chain(optax.add_decayed_weights(decay), optax.sgd(rate, momentum=0.9))

    def start(key, count):
        return jax.random.normal(key, (count, net.dim)) / jnp.sqrt(net.dim)

    def compare(_, support, query):
        ways, shots, dim = support.shape
        x, y = support.reshape(-1, dim), jnp.repeat(jnp.arange(ways), shots)

        def step(carry, _):
            w, memory = carry
            updates, memory = tx.update(
                jax.grad(lambda w: cross_entropy(scale * cosines(x, w), y).mean())(w), memory, w
            )
            return (w + updates, memory), None

        w = start(jax.random.key(0), ways)
        return scale * cosines(query, lax.scan(step, (w, tx.init(w)), length=steps)[0][0])

    return on_base_classes(
        net,
        classes,
        lambda key: {'kernel': start(key, classes)},
        lambda head, x: scale * cosines(x, head['kernel']),
        compare,
    )
