"""What adversarial methods share: gradient reversal, a critic that tells domains apart, and the
error of the critic."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from tljax.core import Tree
from tljax.nn.layers import apply_stateless


@jax.custom_vjp
def reverse(x: Tree, strength: ArrayLike) -> Tree:
    """x on the way forward, -strength times the gradient on the way back: Ganin and Lempitsky 2015,
    equations 9 and 10.

    Args:
        x: what goes forward, a tree of arrays.
        strength: factor of the gradient, a scalar.

    >>> float(jax.grad(lambda x: reverse(x, 2.0) ** 2)(3.0))
    -12.0
    """
    return x


def _reverse_back(strength, gradient):
    return jax.tree.map(lambda leaf: -strength * leaf, gradient), jnp.zeros_like(strength)


reverse.defvjp(lambda x, strength: (x, jnp.asarray(strength, jnp.float32)), _reverse_back)


def hidden_layers(x: jax.Array, widths: Sequence[int]) -> jax.Array:
    """Dense layers with ReLU on rows x, of the module that calls this while it is compact: (n,
    widths[-1]).

    Args:
        x: rows, (n, ...).
        widths: of the layers, lowest first.

    >>> jax.eval_shape(lambda key: Critic((4, 2)).start(key, 3), jax.random.key(0))['critic'][
    ...     'dense2'
    ... ]['kernel'].shape
    (4, 2)
    """
    x = x.reshape(len(x), -1)
    for i, width in enumerate(widths, 1):
        x = nn.relu(nn.Dense(width, name=f'dense{i}')(x))
    return x


class Critic(nn.Module):
    """A perceptron that tells domains apart: (n, ...) -> (n,) logits of 'source'.

    >>> jax.eval_shape(lambda key: Critic((4,)).start(key, 3), jax.random.key(0))['critic'][
    ...     'dense1'
    ... ]['kernel'].shape
    (3, 4)
    """

    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.Dense(1, name='out')(hidden_layers(x, self.widths))[:, 0]

    def start(self, key: jax.Array, *shape: int) -> dict[str, Tree]:
        """{'critic': its parameters}.

        Args:
            key: random key.
            shape: of one input.
        """
        return {'critic': self.init(key, jnp.zeros((1, *shape)))['params']}

    def tell(self, params: Tree, x: jax.Array) -> jax.Array:
        """Logits of rows, (n,).

        Args:
            params: of all players, 'critic' among them.
            x: rows, (n, ...).
        """
        return apply_stateless(self, params['critic'], x)


def domain_error(
    source: jax.Array,
    target: jax.Array,
    source_weight: ArrayLike = 1.0,
    target_weight: ArrayLike = 1.0,
) -> jax.Array:
    """Mean error of a critic's logits, (n,) for the source, which is 1, and (n,) for the target,
    which is 0; weights average 1.

    The papers add the two domains' means; here, as in their code, both together are averaged, which
    is half of it.

    Args:
        source: the critic's logits of the source's rows, (n,).
        target: its logits of the target's rows, (n,).
        source_weight: of the source's rows, (n,), or one for all.
        target_weight: of the target's rows, (n,), or one for all.

    >>> round(float(domain_error(jnp.zeros(2), jnp.zeros(2))), 4)
    0.6931
    """
    right = optax.sigmoid_binary_cross_entropy(source, jnp.ones_like(source)) * source_weight
    left = optax.sigmoid_binary_cross_entropy(target, jnp.zeros_like(target)) * target_weight
    return (right.mean() + left.mean()) / 2
