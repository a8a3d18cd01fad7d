"""The end of a side in its conversation with `benchmarks.processes`, in lines of JSON.

    side:    {"about": "torch 2.13.0", "calls": ["step"]}     when its calls are prepared
    command: {"call": "step", "count": 3}                     run it three times
    side:    {"seconds": 1.25, "value": null}                 what the three took together
    command: {"memory": true}
    side:    {"bytes": 734003200}                             the most memory that it has held

The value is what the last call returned, if that is a number. This module needs nothing but Python,
since sides run in the environments of other libraries.
"""

import ctypes
import json
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

END_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux
Calls = dict[str, Callable[[], object]]  # each call returns when its work is done


def serve(make: Callable[..., tuple[str, Calls]]) -> None:
    """Prepares calls, and runs them as the lines of standard input ask, until it ends.

    The program's only argument is a JSON object: the keywords of `make`.

    Args:
        make: returns the versions of its libraries, and {name: call}.
    """
    if sys.platform == 'linux':  # end with the command, even while stopped
        ctypes.CDLL(None).prctl(END_WITH_PARENT, signal.SIGKILL)
    replies = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)  # what a library prints is no reply

    def reply(**document: object) -> None:
        print(json.dumps(document), file=replies, flush=True)

    about, calls = make(**json.loads(sys.argv[1]))
    reply(about=about, calls=list(calls))
    for line in sys.stdin:
        request = json.loads(line)
        if 'memory' in request:
            reply(bytes=peak_memory())
            continue
        call = calls[request['call']]
        value = None
        start = time.perf_counter()
        for _ in range(request['count']):
            value = call()
        seconds = time.perf_counter() - start
        reply(seconds=seconds, value=value if isinstance(value, int | float) else None)


def peak_memory() -> int:
    """Returns the largest memory that this process has held, in bytes.

    Linux's `ru_maxrss` may be that of the process that started this one, so its own is read.

    >>> peak_memory() > 1_000_000
    True
    """
    status = Path('/proc/self/status')
    match = re.search(r'VmHWM:\s*(\d+) kB', status.read_text()) if status.exists() else None
    if match:
        return 1024 * int(match[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == 'darwin' else 1024 * peak
