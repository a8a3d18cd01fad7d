"""A weights file as a finished run."""

import jax
import numpy as np

from tljax.core import UserError
from tljax.engine.checkpoint import claim, load_final, save_final
from tljax.files.folders import refuse_file
from tljax.paths import flatten
from tljax.protocols import Record
from tljax.studies.models import ModelChoice, model


def convert(choice: ModelChoice) -> Record:
    """Writes a network with its weights as a finished run, or compares it with the one there.

    Args:
        choice: network, weights, and in `workdir` the folder to write.

    Returns:
        {'folder', 'model', 'classes': their number, 0 without a top, 'numbers', 'arrays'}.

    Raises:
        UserError: as `models.model`; for a folder that holds something else.

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
    stored_params, stored_state, stored_record = load_final(workdir)
    written = flatten({'params': params, 'state': state})
    read = flatten({'params': stored_params, 'state': stored_state})
    unlike = [
        path
        for path in {**written, **read}
        if path not in written or path not in read or not np.array_equal(written[path], read[path])
    ]
    if unlike or stored_record['classes'] != record['classes']:
        places = ', '.join(unlike[:8]) or 'its classes'
        raise UserError(
            f'{workdir}/final differs from {record["config"]["weights"]} at {places}: remove it '
            'and convert again'
        )
    count = sum(leaf.size for leaf in jax.tree.leaves((params, state)))
    classes = len(record['classes']) if 'head' in params else 0
    return dict(
        folder=str(workdir),
        model=choice.net['name'],
        classes=classes,
        numbers=int(count),
        arrays=len(read),
    )
