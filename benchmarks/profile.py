"""Shows where a training step of a network of the zoo spends its time, by kinds of operations.

    python -m benchmarks.profile --network=mobilenet --batch=8

XLA's profiler times each operation of the compiled step; several threads run one at a time. An
operation that XLA fused with others counts for the last of them. A step fine-tunes everything, with
BatchNorm on batch statistics. `--operations=20` lists the longest operations, too.
"""

import collections
import re
import tempfile
from pathlib import Path

import jax
from absl import flags

from benchmarks.sides.tljax_networks import training
from experiments import command
from tljax.report.page import table
from tljax.zoo.table import ROWS

NETWORK = flags.DEFINE_enum('network', 'mobilenet', list(ROWS), 'Name of a network of the zoo.')
BATCH = flags.DEFINE_integer('batch', 8, 'Pictures in a batch.', lower_bound=1)
SIZE = flags.DEFINE_integer(
    'size', 0, 'Side of the pictures in pixels; 0: the size that the network was trained on.'
)
STEPS = flags.DEFINE_integer('steps', 3, 'Number of steps whose times are averaged.', lower_bound=1)
OPERATIONS = flags.DEFINE_integer('operations', 0, 'How many of the longest operations to list.')

# what names of operations have in them, first match first; layers name their scopes so
KINDS = {
    'depthwise convolution': 'depthwise',
    'pointwise convolution': 'pointwise',
    'strided convolution': 'strided_convolution',
    'other convolution': 'convolution',
    'BatchNorm': 'batch_norm',
    'pooling': 'max_pool|mean_pool',
    'ReLU': r'jit\(relu6?\)|relu6|jit\(clip\)|select_n',
    'concatenation': 'concatenate|split',
    'other layers, loss': r'jvp\(',
    'optimiser': '',
}


def main() -> None:
    """Prints the table."""
    size = SIZE.value or ROWS[NETWORK.value].size
    _, train, state, data = training(NETWORK.value, BATCH.value, size)
    compiled = train.lower(state, data, 0).compile()
    state, _ = compiled(state, data, 0)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(STEPS.value):
                state, _ = jax.block_until_ready(compiled(state, data, 0))
        times = operation_times(folder)
    names = operation_names(compiled.as_text())
    milliseconds = collections.Counter()
    for operation, ms in times.items():
        milliseconds[kind_of(names.get(operation, ''))] += ms / STEPS.value
    total = sum(milliseconds.values())
    rows = []
    for kind in KINDS:
        forward, backward = (milliseconds[kind, way] for way in ('forward', 'backward'))
        if forward + backward:
            share = f'{(forward + backward) / total:.1%}'
            rows.append([kind, f'{forward:.1f}', f'{backward:.1f}', share])
    table(
        ['operations', 'ms forward', 'ms backward', 'share'],
        rows,
        title=f'{ROWS[NETWORK.value].title}, a step of {BATCH.value} pictures of {size} pixels',
    )
    if OPERATIONS.value:
        longest = [
            [f'{ms / STEPS.value:.2f}', operation, names.get(operation, '')]
            for operation, ms in times.most_common(OPERATIONS.value)
        ]
        table(['ms', 'operation', 'name'], longest, title='The longest operations')


def operation_times(folder: str) -> collections.Counter[str]:
    """Returns the milliseconds of each operation of a compiled program in a trace.

    An operation that calls others is left out.

    Args:
        folder: where `jax.profiler` has written the trace.
    """
    times = collections.Counter()
    path = next(Path(folder).rglob('*.xplane.pb'))
    for plane in jax.profiler.ProfileData.from_file(str(path)).planes:
        for line in plane.lines:
            for event in line.events:
                operation = str(dict(event.stats).get('hlo_op', ''))
                if operation and not re.match(r'while|call|conditional|jit__', operation):
                    times[operation] += event.duration_ns / 1e6
    return times


def operation_names(program: str) -> dict[str, str]:
    """Returns {operation: its name in JAX} of a compiled program.

    Args:
        program: text of the program.

    >>> operation_names('  %add.1 = f32[] add(%a, %b), metadata={op_name="jit(f)/norm/add" id=1}')
    {'add.1': 'jit(f)/norm/add'}
    """
    pattern = r'^\s*(?:ROOT )?%?([\w.\-]+) = .*?metadata=\{.*?op_name="([^"]*)"'
    return dict(re.findall(pattern, program, re.MULTILINE))


def kind_of(name: str) -> tuple[str, str]:
    """Returns the kind of an operation, one of KINDS, and 'forward' or 'backward'.

    Args:
        name: of the operation in JAX.

    >>> kind_of('jit(step)/transpose(jvp(_MobileNet))/conv_dw_1/depthwise/jit(_compute)/add')
    ('depthwise convolution', 'backward')
    >>> kind_of('jit(step)/mul')
    ('optimiser', 'forward')
    """
    kind = next(kind for kind, pattern in KINDS.items() if re.search(pattern, name))
    return kind, 'backward' if 'transpose(' in name else 'forward'


if __name__ == '__main__':
    command.run_plain(main)
