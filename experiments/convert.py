"""Turns a Keras weights file into an orbax checkpoint that every command takes as a finished run, and checks it back.

    python -m experiments.convert --model=mobilenet --model.alpha=0.25 --weights=mobilenet_2_5_224_tf.h5 --workdir=weights/mobilenet
"""
import jax
import numpy as np

from experiments import command
from experiments.model import model
from tljax.core import Refused
from tljax.engine.checkpoint import claim, load_final, save_final
from tljax.files.console import console, say
from tljax.paths import flatten


def main(spec, rest):
    """Converts, writes, reads again, and compares every number."""
    if rest:
        raise Refused(f'{rest[0]!r} is not a flag: write --name=value')
    if spec is None or not command.WORKDIR.value:
        raise Refused('name the network, its file and where to write: --model=NETWORK --weights=FILE --workdir=FOLDER')
    workdir = command.workdir()
    params, state, record = model(spec)
    if (workdir / 'final').exists():
        claim(workdir, record['config'])
    else:
        claim(workdir, record['config'], look=True)
        save_final(workdir, params, state, record)
        claim(workdir, record['config'])
    stored = load_final(workdir)
    wanted, found = flatten({'params': params, 'state': state}), flatten({'params': stored[0], 'state': stored[1]})
    unlike = [path for path in {**wanted, **found}
              if path not in wanted or path not in found or not np.array_equal(wanted[path], found[path])]
    if unlike or stored[2]['classes'] != record['classes']:
        raise Refused(f'{workdir}/final differs from {record["config"]["weights"]} at {", ".join(unlike[:8]) or "its classes"}: remove it '
                      'and convert again')
    count = sum(leaf.size for leaf in jax.tree.leaves((params, state)))
    say(f'{count:,} numbers in {len(found)} arrays, read back and equal to the file')
    top = f'{len(record["classes"])} classes' if 'head' in params else 'no top'
    console.print(f'{workdir}/final: {spec["name"]}, {top}; --config.init.path={workdir} starts from it', soft_wrap=True)


if __name__ == '__main__':
    command.run_on_model(main)
