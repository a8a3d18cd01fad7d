"""Maximum classifier discrepancy: Saito, Watanabe, Ushiku and Harada 2018, https://arxiv.org/abs/1712.02560, section 3.3, steps A to C."""
import jax
import jax.numpy as jnp
from jax import lax

from tljax.adaptation import both
from tljax.core import Method
from tljax.losses import cross_entropy, weighted
from tljax.methods.finetune import finetune, linear

LOOPED = True   # its convolutions stand inside a branch, where XLA's own are as slow on a CPU as inside a loop


def mcd(net, classes, repeats=4, weight=1.):
    """Two heads learn the source (A) and to disagree on the target (B), the features to make them agree there (C).

    A step of training is one of the paper's steps, on a batch of its own: A, B, then `repeats` times C. A player that rests has no
    gradient; give the groups `backbone`, `head` and `second` the period 2 + repeats and the phases of their turns, so that its optimiser
    rests, too, as configs/adapt.py does for 4 repeats.

    Args:
        net: the generator. classes: their number. repeats: the paper's n. weight: of the discrepancy.

    Returns:
        A Method over params {'backbone', 'head', 'second'} on batches of two domains (`tljax.adaptation`); predict adds the heads.

    >>> from tljax.zoo.identity import identity
    >>> sorted(mcd(identity(2), 3).init(jax.random.key(0), {'input': jnp.zeros((1, 2)), 'label': jnp.array([0])})[0])
    ['backbone', 'head', 'second']
    """
    alone, still = finetune(net, classes), jax.lax.stop_gradient

    def init(key, batch):
        params, state = alone.init(key, batch)
        draw = jax.nn.initializers.lecun_normal(batch_axis=0)   # heads that start alike would never disagree
        kernels = draw(jax.random.fold_in(key, 1), (2, net.dim, classes))
        heads = [{**params['head'], 'kernel': kernel} for kernel in kernels]
        return {**params, 'head': heads[0], 'second': heads[1]}, state

    def loss(params, state, batch, tick):
        def play(params, objective):
            source, target, moved = both(net, params, state, batch, tick.key)
            second = [linear(params['second'], domain['features']) for domain in (source, target)]
            error = sum(weighted(cross_entropy(logits, batch['label']), batch) for logits in (source['logits'], second[0]))
            gap = jnp.mean(jnp.abs(jax.nn.softmax(target['logits']) - jax.nn.softmax(second[1])))
            accuracy = jnp.mean((source['logits'] + second[0]).argmax(-1) == batch['label'])
            return objective(error, gap), error, gap, moved, accuracy

        def learn(params):
            return play(params, lambda error, gap: error)

        def disagree(params):
            return play({**params, 'backbone': still(params['backbone'])}, lambda error, gap: error - weight * gap)

        def agree(params):
            return play({**still(params), 'backbone': params['backbone']}, lambda error, gap: weight * gap)

        value, error, gap, moved, accuracy = lax.switch(jnp.minimum(tick.step % (2 + repeats), 2), (learn, disagree, agree), params)
        return value, ({**state, 'backbone': moved}, {'loss': error / 2, 'accuracy': accuracy, 'gap': gap})

    def predict(params, state, batch):
        return alone.predict({**params, 'head': jax.tree.map(jnp.add, params['head'], params['second'])}, state, batch)

    return Method(init, loss, predict)
