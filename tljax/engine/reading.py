"""What XLA tells of a program: its operations, its memory, and what its devices exchange."""

import math
import re
from typing import Any

# kinds of exchanges between devices, as XLA calls them
KINDS: tuple[str, ...] = (
    'all-reduce',
    'all-gather',
    'reduce-scatter',
    'all-to-all',
    'collective-permute',
)
# an exchange in a compiled program: the types of its result stand before its name; an exchange
# that runs beside other operations has a start and an end
EXCHANGE = re.compile(rf'= (.*?) ({"|".join(KINDS)})(-start)?\((.*)')
ARRAY = re.compile(r'(pred|[a-z]+)(\d*)\w*\[([\d,]*)\]')  # 'f32[16,10]'
# the devices that exchange with each other: '{{0,1},{2,3}}', or '[2,2]<=[4]': two groups of two
GROUPS = re.compile(r'replica_groups=(?:\{\{([\d,]*)\}|\[\d+,(\d+)\])')


def exchanged_bytes(program: str) -> dict[str, int]:
    """Returns the bytes that a compiled program exchanges between devices, by the kind of exchange.

    Each exchange counts the bytes that one device has in the end, and a reduce-scatter those that
    it has in the beginning, so that a reduce-scatter and an all-gather of one array count alike.
    What crosses a link depends on how the devices are wired; a ring carries about twice these bytes
    for an all-reduce, and once for the others. An exchange in the body of a loop counts once.

    Args:
        program: text of the program, as XLA prints it.

    >>> text = '%x = (f32[2,3]{1,0}, bf16[]) all-reduce(f32[2,3]{1,0} %y, bf16[] %z)'
    >>> exchanged_bytes(text)['all-reduce']
    26
    >>> exchanged_bytes('%x = f32[8] all-gather(%y), dimensions={0}')['all-gather']
    32
    """
    total = dict.fromkeys(KINDS, 0)
    for types, kind, starts, rest in EXCHANGE.findall(program):
        sizes = [_bytes(*array) for array in ARRAY.findall(types)]
        if starts and kind != 'all-reduce':  # the result of its start holds what is sent as well
            sizes = [
                size
                for size, array in zip(sizes, ARRAY.findall(types), strict=True)
                if array != ('u', '32', '')  # a mark of the network
            ]
            sizes = sizes[len(sizes) // 2 :]
        groups = GROUPS.search(rest)
        members = 1
        if kind == 'reduce-scatter' and groups:
            members = len(groups[1].split(',')) if groups[1] else int(groups[2])
        total[kind] += members * sum(sizes)
    return total


def _bytes(kind, bits, shape):
    """Bytes of an array of a program, in the parts of ARRAY."""
    count = math.prod(int(length) for length in shape.split(',') if length)
    return count * (1 if kind == 'pred' else int(bits) // 8)


def flops(lowered: Any) -> float:
    """Returns the floating-point operations of a program, as XLA counts them before it compiles it.

    The body of a loop counts once, so that a call of many steps counts as one. Of a step that has
    loops itself, such as the inner steps of MAML, the count is therefore too low.

    Args:
        lowered: the program (`jax.stages.Lowered`).

    >>> import jax
    >>> import jax.numpy as jnp
    >>> product = jax.jit(lambda a, b: a @ b).lower(jnp.ones((2, 3)), jnp.ones((3, 5)))
    >>> flops(product)  # 2 * 2 * 3 * 5
    60.0
    """
    return float((lowered.cost_analysis() or {}).get('flops', 0.0))


def temporary_bytes(compiled: Any) -> int:
    """Returns the bytes that a compiled program takes on a device beside its arguments.

    They are activations and other intermediates, and those results that do not take the place of
    an argument.

    Args:
        compiled: the program (`jax.stages.Compiled`).

    >>> import jax
    >>> import jax.numpy as jnp
    >>> temporary_bytes(jax.jit(lambda x: x + 1).lower(jnp.ones(100)).compile())
    400
    """
    memory = compiled.memory_analysis()
    results = memory.output_size_in_bytes - memory.alias_size_in_bytes
    return memory.temp_size_in_bytes + results
