#!/usr/bin/env bash
# A guess: `jax.lax.optimization_barrier` keeps XLA from fusing a value into the operations that read
# it, so that the value is computed once. On a CPU that is not so: XLA removes the barrier before it
# fuses, and each reader computes the value again. A jitted call whose operations carry the attribute
# inlineable="false" (jax.experimental.xla_metadata) does keep the value: it is computed once, as the
# argument of the call.
#
# Seen with jax 0.10.2 and jaxlib 0.10.2 on Linux x86-64, Python 3.11; number of sines in the compiled
# program whose one sine is read by three operations:
#
#     plain 3
#     optimization_barrier 3
#     call that is not inlined 1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PYTHON'
import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata


def readers(y):
    return y[1:] * 2, y[:-1] + 1, lax.pad(y, 0.0, [(1, 1, 0), (1, 1, 0)])


def plain(x):
    return readers(jnp.sin(x))


def barrier(x):
    return readers(lax.optimization_barrier(jnp.sin(x)))


def call(x):
    y = jnp.sin(x)
    with set_xla_metadata(inlineable='false'):
        return jax.jit(readers)(y)


names = {'plain': plain, 'optimization_barrier': barrier, 'call that is not inlined': call}
counts = {}
for name, function in names.items():
    program = jax.jit(function).lower(jnp.ones((64, 64))).compile().as_text()
    counts[name] = program.count(' sine(')
    print(name, counts[name])
assert list(counts.values()) == [3, 3, 1], counts
PYTHON
