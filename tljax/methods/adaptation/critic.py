"""Parts of adversarial methods: gradient reversal, a critic that tells domains apart, and the
critic's error."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from tljax.core import Tree
from tljax.nn.layers import apply_stateless


@jax.custom_vjp
def scale_gradient(x: Tree, factor: ArrayLike) -> Tree:
    """Returns x, and multiplies the gradient with respect to x by a factor.

    Args:
        x: a tree of arrays.
        factor: of the gradient, a scalar; 0 stops the gradient.

    >>> float(jax.grad(lambda x: scale_gradient(x, 0.5) ** 2)(3.0))
    3.0
    """
    return x


def _scale_back(factor, gradient):
    return jax.tree.map(lambda leaf: factor * leaf, gradient), jnp.zeros_like(factor)


scale_gradient.defvjp(lambda x, factor: (x, jnp.asarray(factor, jnp.float32)), _scale_back)


def reverse(x: Tree, strength: ArrayLike) -> Tree:
    """Gradient reversal: returns x, and multiplies the gradient with respect to x by -strength.

    Source: Ganin and Lempitsky 2015, equations 9 and 10.

    Args:
        x: a tree of arrays.
        strength: factor of the reversed gradient, a scalar.

    >>> float(jax.grad(lambda x: reverse(x, 2.0) ** 2)(3.0))
    -12.0
    """
    return scale_gradient(x, -jnp.asarray(strength, jnp.float32))


def hidden_layers(x: jax.Array, widths: Sequence[int]) -> jax.Array:
    """Applies dense layers with ReLU: (n, widths[-1]).

    Call it in a compact method of a flax module. The layers 'dense1', 'dense2', ... then belong to
    that module.

    Args:
        x: rows, (n, ...), which are flattened.
        widths: of the layers, lowest first.

    >>> class Layers(nn.Module):
    ...     @nn.compact
    ...     def __call__(self, x):
    ...         return hidden_layers(x, (4, 2))
    >>> shapes = jax.eval_shape(Layers().init, jax.random.key(0), jnp.zeros((1, 3)))['params']
    >>> shapes['dense1']['kernel'].shape, shapes['dense2']['kernel'].shape
    ((3, 4), (4, 2))
    """
    x = x.reshape(len(x), -1)
    for i, width in enumerate(widths, 1):
        x = nn.relu(nn.Dense(width, name=f'dense{i}')(x))
    return x


class Critic(nn.Module):
    """A perceptron that tells domains apart: (n, ...) -> (n,) logits of the class 'source'.

    Attributes:
        widths: of the hidden layers, lowest first; empty for a linear critic.

    >>> critic = Critic(())
    >>> params = {'critic': {'out': {'kernel': -jnp.ones((1, 1)), 'bias': jnp.ones(1)}}}
    >>> critic.logits(params, jnp.array([[0.0], [2.0]])).tolist()
    [1.0, -1.0]
    """

    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.Dense(1, name='out')(hidden_layers(x, self.widths))[:, 0]

    def start(self, key: jax.Array, *shape: int) -> dict[str, Tree]:
        """Draws the critic's parameters: {'critic': parameters}.

        Args:
            key: random key.
            shape: of one input.
        """
        return {'critic': self.init(key, jnp.zeros((1, *shape)))['params']}

    def logits(self, params: Tree, x: jax.Array) -> jax.Array:
        """Returns the logits of rows, (n,).

        Args:
            params: of all players, with the key 'critic'.
            x: rows, (n, ...).
        """
        return apply_stateless(self, params['critic'], x)


def domain_error(
    source: jax.Array,
    target: jax.Array,
    source_weight: ArrayLike = 1.0,
    target_weight: ArrayLike = 1.0,
) -> jax.Array:
    """Mean cross-entropy of a critic's logits, where the source is class 1 and the target class 0.

    The papers add the means of the two domains. This is their average, half of that, as in the
    authors' code.

    Args:
        source: logits of the source's rows, (n,).
        target: logits of the target's rows, (n,).
        source_weight: of the source's rows, (n,) of average 1, or one number for all.
        target_weight: of the target's rows, (n,) of average 1, or one number for all.

    >>> for logit in (0.0, 2.0):
    ...     print(round(float(domain_error(jnp.full(2, logit), jnp.full(2, -logit))), 2))
    0.69
    0.13
    """
    source_error = optax.sigmoid_binary_cross_entropy(source, jnp.ones_like(source))
    target_error = optax.sigmoid_binary_cross_entropy(target, jnp.zeros_like(target))
    return ((source_error * source_weight).mean() + (target_error * target_weight).mean()) / 2
