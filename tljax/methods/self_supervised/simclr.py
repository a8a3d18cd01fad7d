"""SimCLR: Chen, Kornblith, Norouzi and Hinton 2020, https://arxiv.org/abs/2002.05709, equation 1
and algorithm 1."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from tljax.core import Method, Net, UserError
from tljax.kernels import cosines
from tljax.losses import cross_entropy, weighted_mean
from tljax.methods.self_supervised.perceptron import Perceptron
from tljax.nn.augment import affine, chain
from tljax.protocols import Augmentation

BATCHES = 'unlabelled'
CACHED = False  # it augments the inputs itself
VIEWS = (affine(degrees=20.0, shear=0.3, scale=0.3, translate=0.1),)


def simclr(
    net: Net,
    width: int = 128,
    outputs: int = 64,
    temperature: float = 0.5,
    views: Sequence[Augmentation] = VIEWS,
) -> Method:
    """SimCLR: two random views of an example are alike, and unlike the views of all others.

    Let z be the projector's outputs for the 2n views of a batch. The loss is the mean over all
    views i of -log softmax_k(cos(z_i, z_k) / temperature) at the other view of the same example,
    where k runs over all views but i.

    Args:
        net: the network whose features are learnt.
        width: of the projector's hidden layer. The projector is thrown away.
        outputs: of the projector.
        temperature: the paper's tau.
        views: functions of `tljax.nn.augment` that make a view. The default suits characters: an
            affine map keeps which character it is. For photographs give crops, flips and colours,
            as the paper.

    Returns:
        A Method over params {'backbone', 'projector'} on unlabelled sets; views are compared
        within the batch of a device under pmap, and within the whole batch under jit. The metric
        'paired' is the share of views whose most similar view is their own example's. Its predict
        returns the projector's outputs. A run with labels takes over the backbone.

    Raises:
        UserError: for a temperature that is not positive, and a batch of a single example.

    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> method = simclr(identity(2), width=0, outputs=2, temperature=1.0, views=())
    >>> batch = {'input': jnp.eye(2), 'label': jnp.array([0, 0])}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> params['projector']['out']['kernel'] = jnp.eye(2)  # a cosine of 1, and two of 0
    >>> value = jax.jit(method.loss)(params, state, batch, Tick(0, jax.random.key(0)))[0]
    >>> round(float(value), 4)  # log(e + 2) - 1
    0.5514
    """
    if not temperature > 0:
        raise UserError(f'method.temperature={temperature}: give a number above 0, such as 0.5')
    projector = Perceptron(width, outputs)
    view = jax.vmap(chain(views))

    def init(key, batch):
        backbone, state = net.init(key, batch['input'])
        head = projector.start(jax.random.fold_in(key, 1), net.dim)
        return {'backbone': backbone, 'projector': head}, {'backbone': state}

    def projected(params, state, input, key=None):
        taps, backbone_state = net.features(params['backbone'], state['backbone'], input, key)
        outputs = projector.outputs_of(params['projector'], taps['features'])
        return outputs, {**state, 'backbone': backbone_state}

    def loss(params, state, batch, tick):
        input = batch['input']
        n = len(input)
        if n < 2:
            raise UserError('batch=1: SimCLR tells examples of a batch apart: give two or more')
        keys = jax.random.split(tick.key, (2, n))
        # the two views of an example stand side by side, so that they share a device
        both = jnp.stack([view(keys[0], input), view(keys[1], input)], 1)
        z, new_state = projected(params, state, both.reshape(-1, *input.shape[1:]), keys[0, 0])
        similarity = jnp.where(jnp.eye(2 * n, dtype=bool), -jnp.inf, cosines(z, z) / temperature)
        other = jnp.arange(2 * n) ^ 1
        values = cross_entropy(similarity, other).reshape(n, 2).mean(1)
        value = weighted_mean(values, batch)
        paired = jnp.mean(similarity.argmax(-1) == other)
        return value, (new_state, {'loss': value, 'paired': paired})

    def predict(params, state, batch):
        return {'output': projected(params, state, batch['input'])[0], 'label': batch['label']}

    return Method(init, loss, predict)
