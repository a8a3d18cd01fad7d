"""Two thousand damaged files of every kind that users bring: each is read, or refused in one line,
soon and in little memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from readers import KINDS

EACH = 100  # files of each kind; the numbers of the files are their seeds


def test_there_are_two_thousand_files():
    assert EACH * len(KINDS) >= 2000


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='the peak of memory is read from /proc')
@pytest.mark.parametrize('kind', KINDS)
def test_a_damaged_file_is_read_or_refused(kind, tmp_path):
    here, root = Path(__file__).parent, Path(__file__).parents[2]
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(map(str, (root, here, here.parent)))}
    done = subprocess.run(
        [sys.executable, here / 'fuzz.py', kind, '0', str(EACH), tmp_path / 'files'],
        env=environment,
        cwd=root,
        capture_output=True,
        text=True,
        timeout=5 * EACH,
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == EACH
    for each in found:
        assert (
            each['said'] == 'read'
            or each['said'].startswith('refused: ')
            and '\n' not in each['said']
        ), each
        assert each['seconds'] < 5 and each['above'] < 2**30 and not each['wrote'], each
    assert sum(each['said'] != 'read' for each in found) > 0, 'no file was damaged'
