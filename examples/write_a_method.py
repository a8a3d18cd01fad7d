# %% [markdown]
# # Write a method
#
# A method is a loss, a scalar, whose gradient trains every parameter. This one learns the source's
# labels and also reduces the distance between the mean features of two domains: deep domain
# confusion (Tzeng et al. 2014). You can try a method in a script before you add it to tljax.

# %%
import jax
import jax.numpy as jnp
import numpy as np
import optax

from tljax.core import Method, Net, Tick
from tljax.data import arrays, domains
from tljax.data.streams import training_stream
from tljax.methods.adaptation.two_domains import adapting
from tljax.zoo import mlp

# %% [markdown]
# ## The loss
#
# The loss of `adapting` is the cross-entropy on the source plus the value of `align`. `source` and
# `target` are the network's outputs for both halves of a batch, {name of the layer: output}.


# %%
def confusion(net: Net, classes: int, weight: float = 1.0) -> Method:
    """Returns the method with loss CE(source) + weight |mean f(source) - mean f(target)|^2."""

    def align(params, source, target, strength):
        gap = source['features'].mean(0) - target['features'].mean(0)
        return strength * jnp.sum(gap**2)

    return adapting(net, classes, align, weight=weight)


# %% [markdown]
# ## Two shifted domains
#
# The source has two classes, 4 apart along the first axis. The target has the same points, shifted
# by 2.5 along that axis and by 3 along the other.

# %%
rng = np.random.default_rng(0)
label = np.arange(200) % 2
points = rng.normal(size=(200, 2)) + np.stack([4 * label, 0 * label], 1)
shifted = points + np.array([2.5, 3.0])
names = ('left', 'right')
source = {'train': arrays(points.astype('float32'), label, names)}
target = {'train': arrays(shifted.astype('float32'), label, names)}
dataset = domains(source, target)['train']

# %% [markdown]
# ## A training loop
#
# `tljax.train` adds checkpoints, several devices and a log. A bare loop needs only a gradient and
# an update.

# %%
optimiser = optax.adam(1e-2)


def target_accuracy(weight: float, steps: int = 300) -> float:
    """Trains with a weight of the distance, and returns the accuracy on the target."""
    method = confusion(mlp(widths=(16,)), classes=2, weight=weight)
    stream = training_stream(dataset, batch=64)
    params, state = method.init(jax.random.key(0), stream.batch(0, 0))
    moments = optimiser.init(params)

    @jax.jit
    def step(params, state, moments, batch, tick):
        (_, (state, metrics)), gradient = jax.value_and_grad(method.loss, has_aux=True)(
            params, state, batch, tick
        )
        update, moments = optimiser.update(gradient, moments, params)
        return optax.apply_updates(params, update), state, moments, metrics

    for i in range(steps):
        tick = Tick(jnp.asarray(i), jax.random.fold_in(jax.random.key(1), i))
        batch = stream.batch(0, i)
        params, state, moments, metrics = step(params, state, moments, batch, tick)
        if i % 100 == 0 or i == steps - 1:
            print(i, {name: round(float(value), 3) for name, value in metrics.items()})
    batch = {'input': jnp.asarray(shifted, jnp.float32), 'label': jnp.asarray(label)}
    logits = method.predict(params, state, batch)['output']
    return float((logits.argmax(-1) == label).mean())


# %% [markdown]
# ## The gain
#
# With weight 0 the same training learns from the source only.

# %%
for weight in (0.0, 1.0):
    print(f'weight {weight}: accuracy on the target {target_accuracy(weight):.3f}')
