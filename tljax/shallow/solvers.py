"""What the weights of `tljax.shallow.instance` are the solutions of: three small problems, solved
in compiled loops in float64."""

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
    """Minimises w'Kw / (2 ns) - w'embedding over 0 <= w <= bound, |mean(w) - 1| <= slack, by
    accelerated projected gradient steps.

    The momentum restarts where it points uphill. It stops where a step moves no weight by more than
    `tolerance`; on 1000 points that takes some 500 steps. For a kernel of at most 1 the optimality
    conditions then hold to 2 `tolerance` in the gradient.

    Args:
        kernel: (ns, ns).
        embedding: (ns,) the target's kernel mean at the source points.
        bound: scalar.
        slack: scalar.
        tolerance: scalar.

    Returns:
        (ns,) weights.

    Source: Beck and Teboulle 2009 (https://doi.org/10.1137/080716542); O'Donoghue and Candès 2015,
    the gradient scheme for restarts (https://arxiv.org/abs/1204.3982).

    >>> import numpy as np
    >>> from tljax.kernels import in_float64
    >>> in_float64(least_discrepancy)(np.eye(2), np.array([0.25, 0.75]), 10.0, 0.0).round(
    ...     3
    ... ).tolist()
    [0.5, 1.5]
    """
    kernel = kernel / len(embedding)
    curvature = kernel.sum(1).max()  # the largest row sum bounds the largest eigenvalue

    # the nearest weights within all bounds are those within the box, where need be after a shift
    def project(v):
        mean = jnp.clip(v, 0, bound).mean()
        return jnp.clip(
            jax.lax.cond(
                jnp.abs(mean - 1) > slack,
                lambda: v - shift(v, jnp.clip(mean, 1 - slack, 1 + slack)),
                lambda: v,
            ),
            0,
            bound,
        )

    def shift(v, goal):  # by bisection
        def halve(_, ends):
            middle = sum(ends) / 2
            above = jnp.clip(v - middle, 0, bound).mean() > goal
            return jnp.where(above, middle, ends[0]), jnp.where(above, ends[1], middle)

        return sum(jax.lax.fori_loop(0, 60, halve, (v.min() - goal, v.max()))) / 2

    def step(state):
        old, ahead, momentum, _ = state
        new = project(ahead - (kernel @ ahead - embedding) / curvature)
        momentum = jnp.where((ahead - new) @ (new - old) > 0, 1.0, momentum)
        following = (1 + jnp.sqrt(1 + 4 * momentum**2)) / 2
        return (
            new,
            new + (momentum - 1) / following * (new - old),
            following,
            jnp.abs(new - ahead).max(),
        )

    ones = jnp.ones_like(embedding)
    # weights, the point ahead, momentum, change
    start = ones, ones, jnp.ones_like(curvature), jnp.full_like(curvature, jnp.inf)
    return jax.lax.while_loop(lambda state: state[-1] > tolerance, step, start)[0]


@jax.jit
def largest_likelihood(
    log_target: jax.Array, share: jax.Array, tolerance: float | jax.Array = 1e-8
) -> jax.Array:
    """Maximises sum_j share_j log(sum_l b_l exp(log_target_jl)) over b >= 0, sum(b) = 1, by a
    primal-dual interior point method.

    The multiplier of sum(b) = 1 is 1, so that sum(b) is subtracted in place of the constraint and
    Newton's method meets b >= 0 only. It stops where max(gradient) - 1, which bounds how much
    likelihood is missing, is at most `tolerance`: after some 20 steps.

    Args:
        log_target: (nt, c).
        share: (nt,) nonnegative, of sum 1.
        tolerance: a scalar, in nats.

    Returns:
        (c,) the mixture's proportions b.

    Source: Wright, Primal-dual interior-point methods, 1997, chapter 1; the bound: Lindsay 1983
    (https://doi.org/10.1214/aos/1176346059).

    >>> import numpy as np
    >>> from tljax.kernels import in_float64
    >>> in_float64(largest_likelihood)(
    ...     np.log([[3.0, 1.0], [1.0, 1.0]]), np.array([0.5, 0.5])
    ... ).round(3).tolist()
    [1.0, 0.0]
    """
    # a factor per row moves the likelihood, not its maximum
    values = jnp.exp(log_target - log_target.max(1, keepdims=True))
    c = values.shape[1]

    def missing(state):
        b = state[0]
        return (share / (values @ b) @ values).max() * b.sum() - 1 > tolerance

    def step(state):
        b, dual = state
        ratio = values / (values @ b)[:, None]
        barrier = 0.1 * (b @ dual) / c / b
        move = jnp.linalg.solve(
            (ratio.T * share) @ ratio + jnp.diag(dual / b), barrier - 1 + share @ ratio
        )
        dual_move = barrier - dual - dual * move / b
        # at most 99 % of the way to 0
        length = 1 / jnp.maximum(1, jnp.maximum(-move / b, -dual_move / dual).max() / 0.99)
        return b + length * move, dual + length * dual_move

    b = jax.lax.while_loop(
        missing, step, (jnp.full_like(values[0], 1 / c), jnp.ones_like(values[0]))
    )[0]
    return b / b.sum()


@jax.jit
def leave_one_out(
    source: jax.Array, target: jax.Array, alpha: float | jax.Array, penalty: float | jax.Array
) -> jax.Array:
    """The least-squares score of `rulsif` on a source and a target row, averaged over fits without
    these two: smaller is better.

    Row i of the source goes with row i of the target, up to the shorter of both. A fit without them
    changes the system by a matrix of rank 2, so that one inverse serves all (Woodbury's identity).
    With alpha 0 it is the score of Kanamori et al. 2009.

    Args:
        source: (ns, c) the kernels at the source's samples.
        target: (nt, c) the kernels at the target's samples.
        alpha: scalar.
        penalty: scalar.

    Returns:
        A scalar.

    >>> float(
    ...     leave_one_out(jnp.ones((3, 1)), jnp.ones((3, 1)), 0.0, 1.0)
    ... )  # each fit: (1 + 1) coefficient = 1
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
