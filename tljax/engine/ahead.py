"""Batches that are made ahead of their use, and the share of time that steps wait for them."""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import jax

from tljax.protocols import Tree

MAKERS = 2  # while one waits for the last pictures of its batch, the other starts the next batch
MOST = 8  # batches that are ready or being made at most
MEMORY = 2**28  # bytes of these batches at most, but as many batches as MAKERS all the same
Item = TypeVar('Item')


def ahead(
    make: Callable[[Item], Tree], items: Iterable[Item]
) -> Generator[tuple[Item, Future], None, None]:
    """Makes batches in threads, ahead of their use.

    The batches come in the order of the items, however long each takes. What is made depends on
    the item alone, so it does not matter how far ahead the threads are. `close` ends the threads,
    for a caller that stops early.

    Args:
        make: (item) -> batch, a tree of arrays; two threads call it at once.
        items: one for each batch.

    Yields:
        (item, the future of its batch).

    >>> tens = ahead(lambda step: jax.numpy.asarray(10 * step), range(3))
    >>> [(step, int(batch.result())) for step, batch in tens]
    [(0, 0), (1, 10), (2, 20)]
    """
    waiting, most, items = deque(), MAKERS, iter(items)
    pool = ThreadPoolExecutor(MAKERS)
    try:
        while True:
            while len(waiting) < most and (item := next(items, None)) is not None:
                waiting.append((item, pool.submit(make, item)))
            if not waiting:
                return
            item, future = waiting.popleft()
            yield item, future
            if most == MAKERS and future.done() and not future.exception():
                size = sum(leaf.nbytes for leaf in jax.tree.leaves(future.result()))
                most = min(max(MAKERS, MEMORY // max(1, size)), MOST)
            future = None  # the caller's batch is not kept
    finally:  # a run that stops early needs no further batches
        pool.shutdown(cancel_futures=True)


class Waits:
    """The share of time in which steps wait for their batches, and the speed of the steps.

    A step waits from the moment at which its batch and the devices are both needed: while the
    devices still compute the step before, nothing waits.

    >>> waits = Waits()
    >>> pool = ThreadPoolExecutor(1)
    >>> batch = waits.batch(pool.submit(lambda: time.sleep(0.1) or 'a batch'), ())
    >>> batch, 0.5 < waits.share() <= 1
    ('a batch', True)
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Starts a new interval."""
        self.start, self.seconds, self.steps = time.perf_counter(), 0.0, 0

    def batch(self, future: Future, results: Tree) -> Tree:
        """Returns a batch, and adds the time that the devices wait for it.

        Args:
            future: of the batch.
            results: what the devices compute before they need the batch.
        """
        if not future.done():
            jax.block_until_ready(results)  # only now do the devices wait
            start = time.perf_counter()
            future.exception()  # waits, and leaves the error to `result`
            self.seconds += time.perf_counter() - start
        return future.result()

    def share(self) -> float:
        """The share of the interval so far in which the devices waited, in [0, 1]."""
        elapsed = time.perf_counter() - self.start
        return min(self.seconds / elapsed, 1.0) if elapsed > 0 else 0.0

    def took(self, steps: int) -> None:
        """Counts steps of the interval.

        Args:
            steps: number of steps.
        """
        self.steps += steps

    def speed(self) -> float:
        """Returns the steps per second of the interval so far; 0 if it has none."""
        elapsed = time.perf_counter() - self.start
        return self.steps / elapsed if elapsed > 0 else 0.0
