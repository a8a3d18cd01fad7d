"""Branches: a stack of residual blocks keeps its gradients, and reads each of them once."""

import re

import jax
import jax.numpy as jnp
import numpy as np
from jax.test_util import check_grads

from tljax.nn.apart import branch

WEIGHTS = list(np.random.default_rng(0).normal(size=(8, 6, 6)).astype(np.float32) / 6)
X = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)


def blocks(x, weights, branched):
    for weight in weights:
        shortcut, y = branch(x) if branched else (x, x)
        y = y - y.mean(-1, keepdims=True)
        x = shortcut + y / jnp.sqrt((y**2).mean(-1, keepdims=True) + 1) @ weight
    return jnp.sum(x**2)


def test_gradients_are_those_without_branches():
    def gradient(branched):
        return jax.jit(jax.grad(lambda w: blocks(X, w, branched)))(WEIGHTS)

    for ours, expected in zip(gradient(True), gradient(False), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)
    check_grads(lambda x: blocks(x, WEIGHTS[:2], True), (X,), order=2, atol=0.05, rtol=0.05)


def test_a_sum_of_gradients_is_not_computed_again_by_each_block():
    def most_arguments(depth, branched):
        step = jax.jit(jax.grad(lambda x, w: blocks(x, w, branched), argnums=(0, 1)))
        program = step.lower(X, WEIGHTS[:depth]).compile().as_text()
        fusions = re.findall(r' fusion\((.*?)\), kind=', program)
        return max(fusion.count('%') for fusion in fusions)

    assert most_arguments(8, True) == most_arguments(4, True) < 10
    assert most_arguments(8, False) > 50, 'XLA no longer needs branches: take them out'


def test_more_branches_and_examples_side_by_side():
    def of_three(x):
        a, b, c = branch(x, 3)
        return jnp.sum(a * b**2 * c**3)

    gradient = jax.vmap(jax.grad(of_three))(X)
    np.testing.assert_allclose(gradient, 6 * X**5, rtol=1e-5)
