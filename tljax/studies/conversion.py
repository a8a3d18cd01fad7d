"""Conversion of a weights file to a finished run."""

from pathlib import Path

import jax
import numpy as np

from tljax.core import UserError
from tljax.engine.checkpoint import claim, load_final, save_final
from tljax.files.folders import refuse_file
from tljax.paths import flatten
from tljax.protocols import Record, Tree
from tljax.studies.models import ModelChoice, model


def convert(choice: ModelChoice) -> Record:
    """Writes a network with its weights as a finished run, and checks the written arrays.

    A run that is already in the folder is compared with the weights instead.

    Args:
        choice: network and weights; `workdir` is the folder to write.

    Returns:
        {'folder', 'model', 'classes': number of classes, 0 without a top, 'numbers': number of
        weights, 'arrays': number of arrays}.

    Raises:
        UserError: as `models.model`, or if the folder holds something else.

    >>> convert(ModelChoice({'name': 'mobilenet'}, 'nowhere.h5'))
    Traceback (most recent call last):
    tljax.core.UserError: nowhere.h5 does not exist: name a Keras weights file (.h5, .keras)
    """
    workdir = choice.workdir
    if workdir:
        refuse_file(workdir)
    params, state, record = model(choice._replace(workdir=None))
    if workdir is None or choice.net is None:
        raise UserError('--workdir is missing: name the folder to write')
    if not (workdir / 'final').exists():
        claim(workdir, record['config'], compare_only=True)
        save_final(workdir, params, state, record)
    claim(workdir, record['config'])
    arrays = _refuse_difference(workdir, params, state, record)
    classes = len(record['classes']) if 'head' in params else 0
    numbers = sum(leaf.size for leaf in jax.tree.leaves((params, state)))
    return dict(
        folder=str(workdir),
        model=choice.net['name'],
        classes=classes,
        numbers=int(numbers),
        arrays=arrays,
    )


def _refuse_difference(workdir: Path, params: Tree, state: Tree, record: Record) -> int:
    """Raises an error if a finished run differs from a model; returns its number of arrays."""
    stored_params, stored_state, stored_record = load_final(workdir)
    arrays = flatten({'params': params, 'state': state})
    stored_arrays = flatten({'params': stored_params, 'state': stored_state})
    paths = [
        path
        for path in {**arrays, **stored_arrays}
        if path not in arrays
        or path not in stored_arrays
        or not np.array_equal(arrays[path], stored_arrays[path])
    ]
    if paths or stored_record['classes'] != record['classes']:
        places = ', '.join(paths[:8]) or 'its classes'
        raise UserError(
            f'{workdir}/final differs from {record["config"]["weights"]} at {places}: remove it '
            'and convert again'
        )
    return len(stored_arrays)
