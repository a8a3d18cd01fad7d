"""Compiled programs on the disk: a process loads what an earlier one has compiled.

JAX keys a program by its text, the version of jaxlib, the flags of XLA and the kind of accelerator.
For a CPU, XLA compiles for the processor's features and for the number of cores, and neither is
certain to be in the key. Both are in the name of the folder. JAX has a cache of its own, which is
not used, for three reasons (JAX 0.10): a program that a killed process left half written is never
replaced, two processes may read and write a file at once, and a bound of its size looks through the
whole folder at each new program. JAX promises no place for another cache; a release of JAX without
this one's place gets JAX's own.
"""

import functools
import hashlib
import itertools
import os
import platform
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax

from tljax.files.cache import cache_dir

MOST = 4 << 30  # bytes of the folder
DAY = 24 * 60 * 60  # seconds; the use of a program is noted no more often


def keep_programs() -> None:
    """Makes this process load compiled programs from `$TLJAX_CACHE/programs`, and store its own.

    Many processes may share the folder at once. Where JAX's own cache is set
    (`JAX_COMPILATION_CACHE_DIR`) or switched off (`JAX_ENABLE_COMPILATION_CACHE=0`), nothing is
    changed. With several processes in one run, the first stores what it compiles.

    >>> keep_programs()
    """
    config = jax.config
    options = config.values
    if options['jax_compilation_cache_dir'] or not options['jax_enable_compilation_cache']:
        return
    private, folder = _private_module_of_jax(), cache_dir() / 'programs' / machine()
    if private is None:
        folder = folder.with_name(f'{folder.name}-jax')  # JAX's own files have another form
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:  # JAX would warn at each program
            return
        config.update('jax_compilation_cache_dir', str(folder))
    elif private._cache is None:
        private._cache, private._cache_initialized = Programs(folder), True
    else:
        return
    # by default JAX stores only what takes a second: a run has hundreds of smaller programs
    config.update('jax_persistent_cache_min_compile_time_secs', 0.0)


def _private_module_of_jax() -> Any:
    """JAX's module whose variables name its cache; None if this JAX lacks it."""
    try:
        from jax._src import compilation_cache
    except ImportError:
        return None
    names = ('_cache', '_cache_initialized')
    return compilation_cache if all(hasattr(compilation_cache, name) for name in names) else None


class Programs:
    """A folder of compiled programs, of bounded size. A damaged file is removed and compiled again.

    A folder that cannot be written is read only, and one that cannot be read is empty.

    Args:
        folder: where programs are stored; made when the first is stored.
        most: size in bytes. When the folder has grown larger, the programs that were not used for
            the longest time are removed.

    >>> programs = Programs(tempfile.mkdtemp())
    >>> programs.put('step', b'program')
    >>> programs.get('step'), programs.get('another')
    (b'program', None)
    """

    def __init__(self, folder: str | Path, most: int = MOST) -> None:
        self._path = Path(folder)  # JAX reads this name
        self._most = most
        self._unmeasured = most  # bytes that were stored since the folder was last measured

    def get(self, key: str) -> bytes | None:
        """Returns a program, or None if the folder does not have it.

        Args:
            key: name of the program.
        """
        path = self._path / key
        with suppress(OSError):
            content = path.read_bytes()
            digest, program = content[:32], content[32:]
            if digest != hashlib.sha256(program).digest():
                path.unlink(missing_ok=True)
                return None
            with suppress(OSError):  # the folder may be read only
                if path.stat().st_mtime < time.time() - DAY:
                    os.utime(path)
            return program
        return None

    def put(self, key: str, value: bytes) -> None:
        """Stores a program, in place of one that cannot be loaded.

        Args:
            key: name of the program.
            value: the program.
        """
        with suppress(OSError):
            self._path.mkdir(parents=True, exist_ok=True)
            self._make_room(len(value))
            number, name = tempfile.mkstemp(dir=self._path)
            try:
                with os.fdopen(number, 'wb') as file:
                    file.write(hashlib.sha256(value).digest() + value)
                os.replace(name, self._path / key)  # Windows replaces no open file
            except BaseException:  # an interrupt, too, leaves no part of a file
                os.unlink(name)
                raise

    def _make_room(self, size):
        """Removes old programs if the folder is too large; measures it now and then."""
        self._unmeasured += size
        if self._unmeasured < self._most / 16:
            return
        self._unmeasured = 0
        files = []
        for entry in os.scandir(self._path):
            with suppress(FileNotFoundError):  # another process makes room
                files.append((entry.stat().st_mtime, entry.stat().st_size, entry.path))
        files.sort(reverse=True)
        sizes = itertools.accumulate(size for _, size, _ in files)
        for (_, _, path), total in zip(files, sizes, strict=True):
            if total > self._most:
                with suppress(OSError):  # Windows removes no file that another process reads
                    os.unlink(path)


@functools.cache
def machine() -> str:
    """Returns a name of this machine's kind: the processor, its features and the number of cores.

    >>> machine() == machine()
    True
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    facts = [platform.machine(), str(cores)]
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            facts += [
                line
                for line in itertools.takewhile(str.strip, file)  # of the first core
                if line.startswith(('model name', 'flags', 'Features', 'CPU '))
            ]
    except OSError:  # not Linux
        facts.append(platform.processor())
    return hashlib.sha256('\n'.join(facts).encode()).hexdigest()[:16]
