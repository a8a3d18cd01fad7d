"""A network whose BatchNorm sees one domain at a time (Chang et al. 2019,
https://arxiv.org/abs/1906.03950, equations 3 and 4, with one scale and bias for all of them)."""

import jax
import jax.numpy as jnp

from tljax.core import Net, UserError


def by_domain(net: Net, domains: int = 2) -> Net:
    """A network that normalises the rows of each domain by their own statistics while it trains,
    and everything by the last domain's, the target's, afterwards: as AdaBN does, and for every
    method of adaptation.

    Args:
        net: the network, whose parameters it has.
        domains: how many alternate in the rows of a training batch, the target last, as
            `two_domains.in_one_batch` lays them; 1 for a method that takes each domain by itself
            (finetune, adabn, adda, shot): it is then the network as it is.

    Raises:
        UserError: the domains do not divide a training batch.

    >>> from tljax.zoo import mlp
    >>> net = by_domain(mlp(widths=(2,), norm='batch'))
    >>> params, state = net.init(jax.random.key(0), jnp.ones((1, 3)))
    >>> moved = net.features(params, state, jnp.array([[0.0] * 3, [1.0] * 3]), jax.random.key(1))[
    ...     1
    ... ]  # one row of each domain
    >>> bool(jnp.allclose(moved['norm1']['mean'], 0.1 * params['dense1']['kernel'].sum(0)))
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
        taps, moved = zip(*parts, strict=True)
        return jax.tree.map(
            lambda *each: jnp.stack(each, 1).reshape(len(input), *each[0].shape[1:]), *taps
        ), moved[-1]

    return net._replace(features=features, fingerprint=f'by_domain({net.fingerprint}, {domains})')
