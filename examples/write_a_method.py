# %% [markdown]
# # Write a method
#
# A method is a scalar whose gradient is right for every parameter. This one draws the mean
# features of two domains together while it learns the source's labels: deep domain confusion
# (Tzeng et al. 2014). It needs no file of its own to be tried.

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
# `adapting` is cross-entropy on the source plus what `align` returns. `source` and `target` hold
# what the network computes of both halves of a batch, by the names of its layers.


# %%
def confusion(net: Net, classes: int, weight: float = 1.0) -> Method:
    """CE(source) + weight * |mean f(source) - mean f(target)|^2."""

    def align(params, source, target, strength):
        gap = source['features'].mean(0) - target['features'].mean(0)
        return strength * jnp.sum(gap**2)

    return adapting(net, classes, align, weight=weight)


# %% [markdown]
# ## A shift to mend
#
# Two classes lie side by side. The target is the same, moved by 2.5 along the axis that tells them
# apart.

# %%
rng = np.random.default_rng(0)
label = np.arange(200) % 2
points = rng.normal(size=(200, 2)) + np.stack([4 * label, 0 * label], 1)
shifted = points + np.array([2.5, 3.0])
names = ('left', 'right')
source = {'train': arrays(points.astype('float32'), label, names)}
target = {'train': arrays(shifted.astype('float32'), label, names)}
both = domains(source, target)['train']

# %% [markdown]
# ## A training, by hand
#
# `tljax.train` does this with checkpoints, devices and a log. Here it is bare: a gradient, and an
# update.

# %%
optimiser = optax.adam(1e-2)


def trained(weight: float, steps: int = 300) -> float:
    """The accuracy on the target after a training with this weight of the gap."""
    method = confusion(mlp(widths=(16,)), classes=2, weight=weight)
    stream = training_stream(both, batch=64)
    params, state = method.init(jax.random.key(0), stream.batch(0, 0))
    moments = optimiser.init(params)

    @jax.jit
    def step(params, state, moments, batch, tick):
        (_, (state, metrics)), gradient = jax.value_and_grad(method.loss, has_aux=True)(
            params, state, batch, tick
        )
        update, moments = optimiser.update(gradient, moments, params)
        return optax.apply_updates(params, update), state, moments, metrics

    for number in range(steps):
        tick = Tick(jnp.asarray(number), jax.random.fold_in(jax.random.key(1), number))
        batch = stream.batch(0, number)
        params, state, moments, metrics = step(params, state, moments, batch, tick)
        if number % 100 == 0 or number == steps - 1:
            print(number, {name: round(float(value), 3) for name, value in metrics.items()})
    asked = {'input': jnp.asarray(shifted, jnp.float32), 'label': jnp.asarray(label)}
    told = method.predict(params, state, asked)['output']
    return float((told.argmax(-1) == label).mean())


# %% [markdown]
# ## What it gains
#
# Without its weight the same training learns the source alone.

# %%
for weight in (0.0, 1.0):
    print(f'weight {weight}: accuracy on the target {trained(weight):.3f}')
