"""Baseline++: Chen, Liu, Kira, Wang and Huang 2019, https://arxiv.org/abs/1904.04232, section 3.2.

A network is trained as a cosine classifier of the base classes. For new classes the network stays
fixed, and a new cosine classifier is trained on the support.
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
    """Baseline++: a cosine classifier of the base classes, and a new one in every episode.

    The logit of class k is scale * cos(f(x), w_k). Training learns f and the w_k of the base
    classes. In an episode, SGD on the support learns new w_k.

    Args:
        net: the embedding f.
        classes: number of base classes.
        scale: of the cosines.
        steps: of SGD on the support, each on the full support (the authors use batches of four).
        rate: of SGD on the support, whose momentum is 0.9.
        decay: weight decay of SGD on the support.

    Returns:
        A Method over params {'backbone', 'head': {'kernel': (classes, dim)}}. It is trained on
        labelled sets, and predicts labelled sets and episodes (`episodes`).

    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> method = baseline_plus_plus(identity(2), 2)
    >>> batch = {'input': jnp.eye(2), 'label': jnp.arange(2)}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> slope = jax.jit(jax.value_and_grad(method.loss, has_aux=True))
    >>> for i in range(3):  # gradient descent on the base classes
    ...     (value, _), grads = slope(params, state, batch, Tick(i, jax.random.key(i)))
    ...     params = jax.tree.map(lambda leaf, grad: leaf - 0.1 * grad, params, grads)
    ...     print(round(float(value), 3))
    7.526
    1.049
    0.016
    >>> examples = {
    ...     'input': jnp.eye(2).reshape(1, 2, 1, 2),
    ...     'label': jnp.arange(2).reshape(1, 2, 1),
    ... }
    >>> episode = {'support': examples, 'query': examples}
    >>> jax.jit(method.predict)(params, state, episode)['output'].argmax(-1).tolist()
    [[0, 1]]
    """
    tx = optax.chain(optax.add_decayed_weights(decay), optax.sgd(rate, momentum=0.9))

    def draw_weights(key, count):
        return jax.random.normal(key, (count, net.dim)) / jnp.sqrt(net.dim)

    def compare(_, support, query):
        ways, shots, dim = support.shape
        x, y = support.reshape(-1, dim), jnp.repeat(jnp.arange(ways), shots)

        def loss(w):
            return cross_entropy(scale * cosines(x, w), y).mean()

        def step(carry, _):
            w, memory = carry
            updates, memory = tx.update(jax.grad(loss)(w), memory, w)
            return (w + updates, memory), None

        w = draw_weights(jax.random.key(0), ways)
        (w, _), _ = lax.scan(step, (w, tx.init(w)), length=steps)
        return scale * cosines(query, w)

    return on_base_classes(
        net,
        classes,
        lambda key: {'kernel': draw_weights(key, classes)},
        lambda head, x: scale * cosines(x, head['kernel']),
        compare,
    )
