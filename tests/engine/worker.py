"""A process that a test starts: `python tests/engine/worker.py RUNS.json DEVICES [COORDINATOR
PROCESSES PROCESS]`.

RUNS.json maps paths to configs. The process fits each config and writes the parameters and scores
to its path.
"""

import json
import sys
from pathlib import Path

import jax

configs, devices, *cluster = sys.argv[1:]
jax.config.update('jax_platforms', 'cpu')
jax.config.update('jax_num_cpu_devices', int(devices))
if cluster:
    jax.distributed.initialize(cluster[0], int(cluster[1]), int(cluster[2]))

import numpy as np  # noqa: E402
from processes import fit_arrays  # noqa: E402

for out, config in json.loads(Path(configs).read_text()).items():
    arrays = fit_arrays(config, Path(out).with_suffix(''))
    if jax.process_index() == 0:
        np.savez(out, **arrays)
