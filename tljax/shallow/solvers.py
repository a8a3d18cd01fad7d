"""Solvers of the three problems behind the weights of `tljax.shallow.instance`: compiled loops in
float64."""

import jax
import jax.numpy as jnp


@jax.jit
def least_discrepancy(
    kernel: jax.Array,
    embedding: jax.Array,
    bound: float | jax.Array,
    slack: float | jax.Array,
    tolerance: float | jax.Array = 3e-5,
) -> jax.Array:
    """Solves the problem of kernel mean matching by accelerated projected gradient descent.

    It minimises w'Kw / (2 ns) - w'embedding subject to 0 <= w <= bound and |mean(w) - 1| <= slack.
    The momentum restarts when it points uphill. The loop stops when a step changes no weight by
    more than `tolerance`; on 1000 points that takes about 500 steps. For a kernel of at most 1 the
    optimality conditions then hold within 2 * tolerance in the gradient.

    Args:
        kernel: K, (ns, ns).
        embedding: the target's kernel mean at the source points, (ns,).
        bound: largest weight, a scalar.
        slack: largest distance of the mean weight from 1, a scalar.
        tolerance: largest change of a weight in the last step, a scalar.

    Returns:
        (ns,) weights.

    Source: Beck and Teboulle 2009 (https://doi.org/10.1137/080716542); O'Donoghue and Candès 2015,
    the gradient scheme for restarts (https://arxiv.org/abs/1204.3982).

    >>> import numpy as np
    >>> from tljax.kernels import in_float64
    >>> weights = in_float64(least_discrepancy)(np.eye(2), np.array([0.25, 0.75]), 10.0, 0.0)
    >>> weights.round(3).tolist()
    [0.5, 1.5]
    """
    kernel = kernel / len(embedding)
    curvature = kernel.sum(1).max()  # the largest row sum bounds the largest eigenvalue

    def project(v):
        """Returns the closest weights that satisfy both constraints.

        These are v clipped to [0, bound]. If their mean violates the second constraint, v is
        shifted first.
        """
        mean = jnp.clip(v, 0, bound).mean()
        shifted = jax.lax.cond(
            jnp.abs(mean - 1) > slack,
            lambda: v - shift(v, jnp.clip(mean, 1 - slack, 1 + slack)),
            lambda: v,
        )
        return jnp.clip(shifted, 0, bound)

    def shift(v, goal):
        """Returns s such that v - s, clipped to [0, bound], has the mean `goal`, by bisection."""

        def halve(_, interval):
            low, high = interval
            middle = (low + high) / 2
            too_small = jnp.clip(v - middle, 0, bound).mean() > goal
            return jnp.where(too_small, middle, low), jnp.where(too_small, high, middle)

        low, high = jax.lax.fori_loop(0, 60, halve, (v.min() - goal, v.max()))
        return (low + high) / 2

    def step(state):
        weights, lookahead, momentum, _ = state
        new_weights = project(lookahead - (kernel @ lookahead - embedding) / curvature)
        points_uphill = (lookahead - new_weights) @ (new_weights - weights) > 0
        momentum = jnp.where(points_uphill, 1.0, momentum)
        new_momentum = (1 + jnp.sqrt(1 + 4 * momentum**2)) / 2
        return (
            new_weights,
            new_weights + (momentum - 1) / new_momentum * (new_weights - weights),
            new_momentum,
            jnp.abs(new_weights - lookahead).max(),
        )

    ones = jnp.ones_like(embedding)
    # weights, lookahead, momentum, change
    start = ones, ones, jnp.ones_like(curvature), jnp.full_like(curvature, jnp.inf)
    return jax.lax.while_loop(lambda state: state[-1] > tolerance, step, start)[0]


@jax.jit
def largest_likelihood(
    log_target: jax.Array, share: jax.Array, tolerance: float | jax.Array = 1e-8
) -> jax.Array:
    """Finds the proportions of a mixture with the largest likelihood, by a primal-dual interior
    point method.

    It maximises sum_j share_j log(sum_l b_l exp(log_target_jl)) subject to b >= 0 and sum(b) = 1.
    The multiplier of sum(b) = 1 is 1. Subtracting sum(b) from the objective therefore replaces this
    constraint, and Newton's method handles b >= 0 alone. The loop stops when max(gradient) - 1 is
    at most `tolerance`, after about 20 steps. This quantity bounds the distance to the largest
    likelihood.

    Args:
        log_target: logarithms of the mixture's kernels at the target's rows, (nt, c).
        share: weights of the rows, (nt,), at least 0 and of sum 1.
        tolerance: a scalar, in nats.

    Returns:
        The mixture's proportions b, (c,).

    Source: Wright, Primal-dual interior-point methods, 1997, chapter 1; the bound: Lindsay 1983
    (https://doi.org/10.1214/aos/1176346059).

    >>> import numpy as np
    >>> from tljax.kernels import in_float64
    >>> log_target = np.log([[3.0, 1.0], [1.0, 1.0]])  # the first kernel is never smaller
    >>> in_float64(largest_likelihood)(log_target, np.array([0.5, 0.5])).round(3).tolist()
    [1.0, 0.0]
    """
    # a factor per row changes the likelihood, and not where its maximum lies
    values = jnp.exp(log_target - log_target.max(1, keepdims=True))
    c = values.shape[1]

    def continues(state):
        b, _ = state
        return (share / (values @ b) @ values).max() * b.sum() - 1 > tolerance

    def step(state):
        b, dual = state
        ratio = values / (values @ b)[:, None]
        barrier = 0.1 * (b @ dual) / c / b
        b_change = jnp.linalg.solve(
            (ratio.T * share) @ ratio + jnp.diag(dual / b), barrier - 1 + share @ ratio
        )
        dual_change = barrier - dual - dual * b_change / b
        # at most 99 % of the way to 0
        length = 1 / jnp.maximum(1, jnp.maximum(-b_change / b, -dual_change / dual).max() / 0.99)
        return b + length * b_change, dual + length * dual_change

    start = jnp.full_like(values[0], 1 / c), jnp.ones_like(values[0])
    b, _ = jax.lax.while_loop(continues, step, start)
    return b / b.sum()


@jax.jit
def leave_one_out(
    source: jax.Array, target: jax.Array, alpha: float | jax.Array, penalty: float | jax.Array
) -> jax.Array:
    """Leave-one-out score of `rulsif`; smaller is better.

    Fit i leaves out row i of the source and row i of the target, for as many rows as the smaller
    sample has. The score is the mean least-squares error on the two rows. Leaving them out changes
    the linear system by a matrix of rank 2, so that one inverse serves all fits (Woodbury's
    identity). With alpha 0 it is the score of Kanamori et al. 2009.

    Args:
        source: kernels at the source's rows, (ns, c).
        target: kernels at the target's rows, (nt, c).
        alpha: weight of the target in the denominator of the ratio, a scalar.
        penalty: on the squared coefficients, a scalar.

    Returns:
        A scalar.

    >>> ones = jnp.ones((3, 1))
    >>> float(leave_one_out(ones, ones, 0.0, 1.0))  # each fit: (1 + 1) coefficient = 1
    -0.375
    """
    (ns, c), nt = source.shape, len(target)
    n = min(ns, nt)
    from_target, from_source = alpha / (nt - 1), (1 - alpha) / (ns - 1)
    inverse = jnp.linalg.inv(
        from_target * target.T @ target + from_source * source.T @ source + penalty * jnp.eye(c)
    )
    means = (target.sum(0) - target[:n]) / (nt - 1)
    # (n, 2, c)
    left = jnp.stack([from_target**0.5 * target[:n], from_source**0.5 * source[:n]], 1)
    solved = left @ inverse
    core = jnp.linalg.inv(jnp.eye(2) - jnp.einsum('nic,njc->nij', solved, left))
    coefficients = jnp.maximum(
        means @ inverse + jnp.einsum('nic,nij,njd,nd->nc', solved, core, solved, means), 0
    )
    at_source, at_target = (coefficients * source[:n]).sum(1), (coefficients * target[:n]).sum(1)
    return (alpha * at_target**2 / 2 + (1 - alpha) * at_source**2 / 2 - at_target).mean()
