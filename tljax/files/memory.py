"""Memory of the host, as the C library hands it out."""

import ctypes
import functools
import sys
from pathlib import Path

import jax

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # options of glibc's mallopt


@functools.cache
def keep_freed_memory() -> None:
    """Makes glibc keep the memory that a step frees, for the next step.

    XLA takes the memory of a step's intermediates anew for each step on a CPU. By default glibc
    gives large pieces back to the operating system, which then has to clear every page again: a
    third of the time of a step of MobileNet. The memory is taken by the thread that starts the
    step, since glibc keeps large pieces for the first thread only. JAX therefore starts steps on a
    CPU without a thread of its own. On systems without glibc only that is changed.

    Call it before the first array is made, as loading data does; later it has no effect.

    >>> keep_freed_memory()
    """
    jax.config.update('jax_cpu_enable_async_dispatch', False)
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None) if sys.platform == 'linux' else None
    if mallopt is not None:
        mallopt(MMAP_MAX, 0)
        mallopt(TRIM_THRESHOLD, -1)


def give_back_freed_memory() -> None:
    """Returns memory that was freed to the operating system; without glibc it does nothing.

    >>> give_back_freed_memory()
    """
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None) if sys.platform == 'linux' else None
    if trim is not None:
        trim(0)


def has_many_maps() -> bool:
    """Tells whether the process has more than half of the memory maps that Linux allows it.

    XLA's programs for a CPU take thousands of maps each, and their number is limited
    (vm.max_map_count, 65,530 by default). A process that reaches the limit while it compiles is
    killed by a segmentation fault. Other systems have no such limit.

    >>> has_many_maps()
    False
    """
    maps, limit = Path('/proc/self/maps'), Path('/proc/sys/vm/max_map_count')
    try:
        return 2 * maps.read_bytes().count(b'\n') > int(limit.read_text())
    except (OSError, ValueError):
        return False


@functools.cache
def release_memory_after_compiling() -> None:
    """Returns memory freed by XLA compilation to the operating system.

    XLA takes gigabytes to compile a large network for a CPU, and glibc would keep them beside the
    memory that a step needs. A listener gives them back after every compilation longer than a
    second.

    >>> release_memory_after_compiling()
    """

    def trim_after_compilation(event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event.endswith('backend_compile_duration') and duration_secs > 1:
            give_back_freed_memory()

    jax.monitoring.register_event_duration_secs_listener(trim_after_compilation)
