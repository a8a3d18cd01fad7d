"""Timing of calls, which take turns, so that a slow moment of the machine affects all of them."""

import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from absl import flags

from experiments.flag_types import define_list, one_of
from tljax.report.page import table

Calls = dict[object, Callable[[], object]]


class Timed(NamedTuple):
    """Times and results of calls.

    Attributes:
        seconds: {name: (rounds,) seconds of wall-clock time}.
        processor: {name: (rounds,) seconds of processor time}; other programs on the machine hardly
            change it.
        returned: {name: result of the last call}.
    """

    seconds: dict[object, np.ndarray]
    processor: dict[object, np.ndarray]
    returned: dict[object, object]


def take_turns(calls: Calls, rounds: int, warmup: int = 1) -> Timed:
    """Times several calls, which take turns.

    Args:
        calls: {name: call}.
        rounds: number of times that each call is timed.
        warmup: number of times that each call runs before that, to be compiled.

    >>> timed = take_turns({'sum': lambda: sum(range(9))}, rounds=3)
    >>> timed.seconds['sum'].shape, timed.returned['sum']
    ((3,), 36)
    """
    seconds = {name: [] for name in calls}
    processor = {name: [] for name in calls}
    returned = {}
    for i in range(rounds + warmup):
        for name, call in calls.items():
            start, processor_start = time.perf_counter(), time.process_time()
            returned[name] = jax.block_until_ready(call())
            if i >= warmup:
                seconds[name].append(time.perf_counter() - start)
                processor[name].append(time.process_time() - processor_start)
    return Timed(
        {name: np.array(values) for name, values in seconds.items()},
        {name: np.array(values) for name, values in processor.items()},
        returned,
    )


def milliseconds(calls: Calls, rounds: int) -> dict[object, float]:
    """Returns the median milliseconds of each call.

    A call that takes less than 0.1 s is repeated within a round for about 0.1 s.

    Args:
        calls: {name: call}; a round ends when the result of the last repetition is ready.
        rounds: number of times that each call is timed; the calls take turns.

    >>> milliseconds({'sum': lambda: sum(range(9))}, rounds=1)['sum'] < 100
    True
    """
    counts = {}
    for name, call in calls.items():
        jax.block_until_ready(call())
        start = time.perf_counter()
        jax.block_until_ready(call())
        counts[name] = max(1, round(0.1 / (time.perf_counter() - start)))
    times = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(counts[name]):
                result = call()
            jax.block_until_ready(result)
            times[name].append((time.perf_counter() - start) / counts[name] * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Returns the exponent p of the power law seconds ~ sizes^p that fits best on log scales.

    Args:
        sizes: two or more different sizes.
        seconds: a time for each size.

    >>> round(exponent([1, 10, 100], [2.0, 20.0, 200.0]), 6)
    1.0
    """
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def compare(
    heading: str,
    times: list[tuple[str, dict[object, np.ndarray]]],
    results: dict[str, list],
    names: list[str],
    title: str = '',
) -> None:
    """Prints a table with a row for each library: its times, its times over tljax's, its results.

    Args:
        heading: heading of the first column, which names the library.
        times: [(unit, {library: (rounds,) times})]; one library is 'tljax'.
        results: {library: cells}.
        names: headings of the columns of results.
        title: title of the table.
    """
    columns, rows = [heading], {side: [side] for side in results}
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
    """Defines the flag `--only`, a comma-separated list of these names; the default is all of them.

    Args:
        names: names of the program's tables.
    """
    names = list(names)
    return define_list('only', names, f'Which of {", ".join(names)}.', one_of(names))


def define_rounds(default: int) -> flags.FlagHolder:
    """Defines the flag `--rounds`, the number of times that each call is timed.

    Args:
        default: value of the flag where it is not given.
    """
    text = 'How often each is timed, in turn; the least or the median is printed.'
    holder = flags.DEFINE_integer('rounds', default, text, lower_bound=1)
    flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS['rounds'])
    return holder
