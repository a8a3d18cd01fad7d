"""The cache of compiled programs is shared by processes and repaired after damage."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
import jax
from tljax.engine.devices import compilation_cache
compilation_cache(sys.argv[1])
jax.jit(lambda x: x * 3 + 1)(2.).block_until_ready()
"""


def compile_in_process(folder: Path) -> tuple[str, dict[str, int]]:
    """The standard error of another process that needs one program, and the times at which the
    programs in the folder were written."""
    process = subprocess.run(
        [sys.executable, '-c', PROGRAM, folder],
        env={**os.environ, 'PYTHONPATH': str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return process.stderr, {path.name: path.stat().st_mtime_ns for path in folder.glob('*-cache')}


def test_a_second_process_takes_what_the_first_compiled_and_compiles_what_is_damaged(tmp_path):
    first = compile_in_process(tmp_path)
    assert first[0] == '' and len(first[1]) == 1 and compile_in_process(tmp_path) == first
    (path,) = tmp_path.glob('*-cache')
    path.write_bytes(path.read_bytes()[:-20])
    assert 'Error reading persistent compilation cache entry' in compile_in_process(tmp_path)[0]
