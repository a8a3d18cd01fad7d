"""Domain-specific batch normalisation: BatchNorm sees one domain at a time.

Source: Chang et al. 2019 (https://arxiv.org/abs/1906.03950), equations 3 and 4, but with one scale
and bias for all domains.
"""

import jax
import jax.numpy as jnp

from tljax.core import Net, UserError


def by_domain(net: Net, domains: int = 2) -> Net:
    """Returns a network that normalises each domain of a training batch by its own statistics.

    At inference it normalises all inputs by the statistics of the last domain, the target, as AdaBN
    does. It works with every method of adaptation.

    Args:
        net: the network. The new network has the same parameters.
        domains: number of domains in a training batch. Their rows alternate, with the target last,
            as `two_domains.in_one_batch` arranges them. 1 leaves the network as it is, for methods
            that take one domain at a time (finetune, adabn, adda, shot).

    Raises:
        UserError: the number of domains does not divide the rows of a training batch.

    >>> from tljax.zoo import mlp
    >>> net = by_domain(mlp(widths=(2,), norm='batch'))
    >>> source, target = [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]
    >>> batch = jnp.array([source, target])
    >>> params, state = net.init(jax.random.key(0), batch)
    >>> _, new_state = net.features(params, state, batch, jax.random.key(1))
    >>> target_mean = params['dense1']['kernel'].sum(0)  # the source's mean is 0
    >>> bool(jnp.allclose(new_state['norm1']['mean'], 0.1 * target_mean))
    True
    """

    def features(params, state, input, key=None):
        if key is None:
            return net.features(params, state, input)
        if len(input) % domains:
            raise UserError(
                f'a training batch of {len(input)} rows does not divide into domains={domains}: '
                'give net.domains=1 where a method takes one domain at a time'
            )
        parts = [
            net.features(params, state, input[i::domains], jax.random.fold_in(key, i))
            for i in range(domains)
        ]
        taps, states = zip(*parts, strict=True)

        def interleave(*leaves):
            return jnp.stack(leaves, 1).reshape(len(input), *leaves[0].shape[1:])

        return jax.tree.map(interleave, *taps), states[-1]

    return net._replace(features=features, fingerprint=f'by_domain({net.fingerprint}, {domains})')
