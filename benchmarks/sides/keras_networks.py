"""Networks of Keras on the JAX backend: forward pass and training step, compiled by jax.jit."""

import os

import jax
import jax.numpy as jnp
import optax

from benchmarks.sides.protocol import Calls, serve
from benchmarks.sides.tljax_networks import pictures

os.environ['KERAS_BACKEND'] = 'jax'  # must be set before Keras is imported


def make(title: str, batch: int, size: int) -> tuple[str, Calls]:
    """Prepares the calls 'predict' and 'step' of a network.

    Args:
        title: name of a network of Keras.
        batch: number of pictures.
        size: side of the pictures, pixels.
    """
    import keras

    data, tx = pictures(batch, size), optax.sgd(1e-3, momentum=0.9)
    model = getattr(keras.applications, title)(
        weights=None, input_shape=(size, size, 3), classifier_activation=None
    )
    params = [jnp.array(variable.value) for variable in model.trainable_variables]
    state = [jnp.array(variable.value) for variable in model.non_trainable_variables]

    @jax.jit
    def predict(params, state):
        return model.stateless_call(params, state, data['input'], training=False)[0]

    def train(params, state, opt_state):
        def loss(params):
            logits, new_state = model.stateless_call(params, state, data['input'], training=True)
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, data['label'])
            return losses.mean(), new_state

        (_, new_state), grads = jax.value_and_grad(loss, has_aux=True)(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), new_state, opt_state

    compiled = jax.jit(train, donate_argnums=(0, 1, 2))
    variables = (params, state, tx.init(params))

    def step():
        nonlocal variables
        variables = jax.block_until_ready(compiled(*variables))

    return f'Keras {keras.__version__}, JAX {jax.__version__}', {
        'predict': lambda: predict(*variables[:2]).block_until_ready(),
        'step': step,
    }


if __name__ == '__main__':
    serve(make)
