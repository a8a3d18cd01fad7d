"""Measures how cost grows: of a step with its batch, of LogME with its rows, of a ranking with its
sources, of a study with its cells.

    GLIBC_TUNABLES=glibc.malloc.hugetlb=1 python -m benchmarks.growth
    python -m benchmarks.growth --only=logme --largest=10000

Each size is timed `--rounds` times, in turn, and the median is printed. The exponent is the slope
of the time over the size, both on log scales: 1 means that the cost is proportional. The load is
what other programs took of a core before, during and after; the exponent is marked `busy` where it
was above 0.3.
"""

import functools
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from absl import flags

from benchmarks.machine import Watch, describe
from benchmarks.sides import tljax_networks
from benchmarks.sides.protocol import peak_memory
from benchmarks.timing import define_only, define_rounds, exponent, take_turns
from configs import digits
from configs import rank as rank_config
from experiments import command
from tljax import studies
from tljax.configuration import plain
from tljax.files.console import say
from tljax.report.page import table
from tljax.when.evidence import logme_of, moments

SIZES = {  # name of a table: its sizes
    'step': (1, 2, 4, 8, 16, 32, 64),
    'logme': (1_000, 10_000, 100_000, 1_000_000),
    'rank': (2, 5, 10, 20, 50, 100),  # a ranking of one source is refused
    'study': (1, 2, 4, 8, 16),
}
DIM, CLASSES, BLOCK = 256, 10, 4096  # of the features that LogME reads, and rows of a block

ONLY = define_only(SIZES)
LARGEST = flags.DEFINE_integer(
    'largest', None, 'Leave out larger sizes, but not the two smallest.', lower_bound=1
)
ROUNDS = define_rounds(3)


def main() -> None:
    """Prints the tables of `--only`."""
    for name in ONLY.value:
        {'step': step, 'logme': logme, 'rank': rank, 'study': study}[name]()


def step():
    """Times a training step of MobileNet, alpha 0.25, on batches of pictures of 224x224."""

    def call(batch):
        return tljax_networks.make('mobilenet', batch, 224, alpha=0.25)[1]['step']

    _grow('batch', _sizes('step'), call, 'A training step of MobileNet, alpha 0.25, 224x224')


def logme():
    """Times LogME on features that arrive in blocks, and prints the memory of the process.

    The sizes grow, so that each row's memory is the largest of the sizes so far.
    """
    rng = np.random.default_rng(0)
    f = rng.normal(size=(BLOCK, DIM)).astype(np.float32)
    y = rng.integers(CLASSES, size=BLOCK)

    def blocks(rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, rows, BLOCK):
            count = min(BLOCK, rows - start)
            yield f[:count], y[:count]

    def call(rows):
        return lambda: logme_of(moments(blocks(rows)))

    rows = _sizes('logme')
    memory = []
    for count in rows:
        call(count)()
        memory.append(f'{peak_memory() / 1e6:.0f}')
    title = f'LogME of streamed features, {DIM} columns, {CLASSES} classes'
    _grow('rows', rows, call, title, {'largest memory so far, MB': memory})


def rank():
    """Times a ranking of sources that are already trained: features, scores and report."""
    with tempfile.TemporaryDirectory() as folder:
        config = plain(rank_config.get_config('smoke'))
        untrained = config['study']['sources']['untrained']
        config['study'].update(controls=[], probe='')

        def call(count):
            names = [f'source{i}' for i in range(count)]
            sources = {name: {**untrained, 'seeds': [i]} for i, name in enumerate(names)}
            settings = {**config, 'study': {**config['study'], 'sources': sources}}
            return functools.partial(_rank_again, settings, Path(folder))

        title = 'A ranking of untrained Conv4s, two seeds, one target'
        _grow('sources', _sizes('rank'), call, title)


def _rank_again(config, folder):
    """Ranks sources whose runs are kept and whose scores are not."""
    shutil.rmtree(folder / 'scores', ignore_errors=True)
    studies.ranking.rank(config, folder)


def study():
    """Times the smallest study, whose cells are its strategies times its numbers of labels."""
    config = plain(digits.get_config('smoke'))
    strategies = config['study']['strategies']

    def call(cells):
        budgets = list(range(1, cells // len(strategies) + 1))
        settings = {**config, 'study': {**config['study'], 'budgets': budgets}}
        return functools.partial(_study_afresh, settings)

    cells = [len(strategies) * budgets for budgets in _sizes('study')]
    _grow('cells', cells, call, 'The smallest study of digits, two seeds, four steps a cell')


def _study_afresh(config):
    with tempfile.TemporaryDirectory() as folder:
        studies.comparison.compare(config, Path(folder))


def _grow(
    heading: str,
    sizes: Sequence[int],
    call: Callable[[int], Callable[[], object]],
    title: str,
    columns: dict[str, list[str]] | None = None,
) -> None:
    """Times a call at each size, and prints a table with the exponent.

    Args:
        heading: what the sizes are.
        sizes: the sizes.
        call: returns the call of a size.
        title: title of the table.
        columns: further columns, {heading: cells}.
    """
    calls = {size: call(size) for size in sizes}
    with Watch() as watch:
        timed = take_turns(calls, ROUNDS.value)
    seconds = [float(np.median(timed.seconds[size])) for size in sizes]
    power = watch.load.mark(f'{exponent(sizes, seconds):.2f}')
    say(f'{title}: exponent {power}')
    columns = columns or {}
    rows = [
        [f'{size:,}', f'{value:.4f}', f'{1e3 * value / size:.4f}', *cells]
        for size, value, *cells in zip(sizes, seconds, *columns.values(), strict=True)
    ]
    table(
        [heading, 's', 'ms for one', *columns],
        rows,
        f'{title}: exponent {power}, load {watch.load}\n{describe()}',
    )


def _sizes(name):
    """Returns the sizes of a table up to `--largest`, at least two."""
    sizes = SIZES[name]
    kept = [size for size in sizes if LARGEST.value is None or size <= LARGEST.value]
    return kept if len(kept) > 1 else list(sizes[:2])


if __name__ == '__main__':
    command.run_plain(main)
