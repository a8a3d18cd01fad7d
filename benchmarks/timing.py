"""How long calls take, side by side: in turn, so that a slow moment of the machine hits all."""

import statistics
import sys
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import jax
import numpy as np
from absl import flags

from experiments.flag_types import define_list, one_of
from tljax.report.page import table

Calls = dict[object, Callable[[], object]]


class Timed(NamedTuple):
    """What `take_turns` measured of each call.

    Attributes:
        seconds: {name: of every round, by the clock}.
        processor: the same by the processor, which others on the machine hardly change.
        returned: {name: what the last call returned}.
    """

    seconds: dict[object, np.ndarray]
    processor: dict[object, np.ndarray]
    returned: dict[object, object]


def take_turns(calls: Calls, rounds: int, warm: int = 1) -> Timed:
    """Times calls in turn.

    Args:
        calls: {name: call}.
        rounds: how often each is timed.
        warm: how often each is called before that, to be compiled.

    >>> timed = take_turns({'sum': lambda: sum(range(9))}, rounds=3)
    >>> timed.seconds['sum'].shape, timed.returned['sum']
    ((3,), 36)
    """
    seconds, processor, returned = ({name: [] for name in calls} for _ in range(3))
    for i in range(rounds + warm):
        for name, call in calls.items():
            begun = time.perf_counter(), time.process_time()
            returned[name] = jax.block_until_ready(call())
            if i >= warm:
                seconds[name].append(time.perf_counter() - begun[0])
                processor[name].append(time.process_time() - begun[1])
    return Timed(
        {name: np.array(values) for name, values in seconds.items()},
        {name: np.array(values) for name, values in processor.items()},
        returned,
    )


def milliseconds(calls: Calls, rounds: int) -> dict[object, float]:
    """The median milliseconds of each call; calls that take less than 0.1 s are repeated.

    Args:
        calls: {name: call}; what they return is waited for once a round.
        rounds: how often each is timed, in turn.

    >>> milliseconds({'sum': lambda: sum(range(9))}, rounds=1)['sum'] < 100
    True
    """
    counts = {}
    for name, call in calls.items():
        jax.block_until_ready(call())
        begun = time.perf_counter()
        jax.block_until_ready(call())
        counts[name] = max(1, round(0.1 / (time.perf_counter() - begun)))
    found = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begun = time.perf_counter()
            for _ in range(counts[name]):
                out = call()
            jax.block_until_ready(out)
            found[name].append((time.perf_counter() - begun) / counts[name] * 1e3)
    return {name: statistics.median(values) for name, values in found.items()}


def compare(
    first: str,
    times: list[tuple[str, dict[object, np.ndarray]]],
    results: dict[str, list],
    names: list[str],
    title: str = '',
) -> None:
    """Prints a row for each side: its times, those over tljax's, and its results.

    Args:
        first: heading of the first column.
        times: [(unit, {side: of every round})].
        results: {side: cells}.
        names: of the results' columns.
        title: of the table.
    """
    columns, rows = [first], {side: [side] for side in results}
    for unit, values in times:
        columns += [f'{unit}, least', 'median', 'over tljax']
        for side, row in rows.items():
            least = values[side].min()
            row += [
                f'{least:.2f}',
                f'{np.median(values[side]):.2f}',
                f'{least / values["tljax"].min():.2f}',
            ]
    table([*columns, *names], [[*row, *results[side]] for side, row in rows.items()], title)


def define_only(names: Iterable[str]) -> flags.FlagHolder:
    """Defines the flag `--only`, a list of some of these names with commas, by default all."""
    names = list(names)
    return define_list('only', names, f'Which of {", ".join(names)}.', one_of(names))


def define_rounds(default: int) -> flags.FlagHolder:
    """Defines the flag `--rounds`."""
    text = 'How often each is timed, in turn; the least or the median is printed.'
    holder = flags.DEFINE_integer('rounds', default, text, lower_bound=1)
    flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS['rounds'])
    return holder
