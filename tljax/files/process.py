"""What a process does once, before its first program is compiled."""

from tljax.files.memory import keep_freed_memory, release_memory_after_compiling
from tljax.files.programs import keep_programs


def prepare_process() -> None:
    """Keeps compiled programs on the disk and freed memory for the next step.

    It is called wherever data are loaded or programs are compiled; only the first call does
    anything.

    >>> prepare_process()
    """
    release_memory_after_compiling()
    keep_freed_memory()
    keep_programs()
