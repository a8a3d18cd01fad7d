"""Predicts pictures of classes that a model has never learnt, by a table of their attributes.

The table describes classes of the model and new ones. A picture is described by the model's most
probable classes, weighted by their probabilities, and compared with every description (ConSE).
Nothing is trained.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tljax.core import UserError, abbreviated
from tljax.data.archives import File
from tljax.data.knowledge.attribute_files import attributes
from tljax.data.layout import normalised_name
from tljax.files.console import say
from tljax.knowledge import Knowledge
from tljax.protocols import Record
from tljax.shallow.attribute_predictions import conse
from tljax.shallow.generalised import stacked
from tljax.studies.pictures import Model, answers, read_once, refuse_no_outputs
from tljax.trained import Trained


def predict(
    model: Model,
    table: str | Path,
    files: list[File],
    top: int = 5,
    batch: int = 32,
    pixels: int | None = None,
    shift: float | None = None,
) -> list[Record]:
    """Predicts every picture by a table of attributes, averaged over seeds.

    It says which classes are new, and what the backbone may have seen of them.

    Args:
        model: parameters, state and record, as `models.model` gives them.
        table: a file or folder of attributes, as `attributes` reads it, of two classes of the model
            or more, and of new ones.
        files: the pictures.
        top: number of classes in an answer, the most similar first.
        batch: pictures at a time.
        pixels: the largest number of pixels that a picture may have; None: the run's own limit.
        shift: None chooses among the new classes alone. A number lets the model's classes of the
            table compete, with this number subtracted from their similarities.

    Returns:
        Answers as `pictures.predict` gives them, whose 'by' is 'similarity': numbers beside the
        labels are cosines.

    Raises:
        UserError: the model has no classes, the table lacks classes of the model or new ones, or
            too few may be chosen.

    >>> predict(({}, {}, {'classes': []}), 'attributes.csv', [])
    Traceback (most recent call last):
    tljax.core.UserError: this model has no outputs: take weights with the top, or a run that ...
    """
    trained = Trained(*refuse_no_outputs(model))
    if trained.task != 'classes':
        raise UserError(
            f'--knowledge describes classes, and this model predicts {trained.task}: take another'
        )
    base = attributes(table)
    known, rows = shared(trained.classes, base)
    new = np.setdiff1d(np.arange(len(base.classes)), rows)
    _refuse_too_few(base, rows, new, shift)
    names = [base.classes[row] for row in new]
    say(
        f'new classes: {abbreviated(names)}; {len(rows)} of the {len(trained.classes)} classes of '
        f'the model are in {table}'
    )
    for line in caveats(trained.record, names):
        say(line)
    probability, errors = read_once(
        trained, files, pixels, lambda data: trained.predict(data, batch)
    )
    may = new if shift is None else np.arange(len(base.classes))
    similarity = None
    if probability is not None:
        scores = conse(probability[:, known], rows, base.vectors)
        is_seen = np.isin(np.arange(len(base.classes)), rows)
        similarity = stacked(scores, is_seen, shift or 0.0)[:, may]
    found = answers(files, similarity, errors, [base.classes[row] for row in may], top)
    return [answer if 'error' in answer else {**answer, 'by': 'similarity'} for answer in found]


def shared(classes: Sequence[str], base: Knowledge) -> tuple[np.ndarray, np.ndarray]:
    """The classes that a model and a knowledge base share, whatever the case of their names.

    In a name '_' and '+' stand for a blank.

    Args:
        classes: names of the model's classes.
        base: the knowledge base.

    Returns:
        (places among the model's classes, rows of the base), in the order of the model.

    >>> from tljax.knowledge import knowledge
    >>> base = knowledge(['Polar bear', 'zebra', 'cow'], np.eye(3))
    >>> [places.tolist() for places in shared(['cow', 'tiger', 'polar_bear'], base)]
    [[0, 2], [2, 0]]
    """
    row_of = {_spelt(name): row for row, name in enumerate(base.classes)}
    pairs = [(i, row_of[_spelt(name)]) for i, name in enumerate(classes) if _spelt(name) in row_of]
    places = np.array(pairs, int).reshape(-1, 2)
    return places[:, 0], places[:, 1]


def caveats(record: Record, names: Sequence[str]) -> list[str]:
    """Says which new classes the backbone of a model has seen, or may have seen.

    Args:
        record: record of the model, with its config.
        names: names of the new classes.

    >>> record = {'config': {'init': {'path': 'imagenet'}, 'data': {}}}
    >>> for line in caveats(record, ['zebra']):
    ...     print(line)
    caveat: the backbone comes from imagenet; where that has learnt zebra, this is no ...
    >>> caveats({'config': {'init': {'path': ''}, 'data': {}}}, ['zebra'])
    []
    """
    config = record['config']
    init, data, places = config.get('init') or {}, config.get('data') or {}, []
    if init.get('path') or init.get('phase'):
        places.append(init.get('path') or f'the phase {init["phase"]}')
    if data.get('name') == 'extracted':
        places.append(data.get('weights', 'imagenet'))
    return [
        f'caveat: the backbone comes from {place}; where that has learnt {abbreviated(names, 4)}, '
        'this is no recognition without examples'
        for place in filter(None, places)
    ]


def _spelt(name: str) -> str:
    """A name without what differs between files."""
    return normalised_name(name.replace('_', ' ').replace('+', ' '))


def _refuse_too_few(
    base: Knowledge, rows: np.ndarray, new: np.ndarray, shift: float | None
) -> None:
    """Raises an error for a table that shares too little with the model, or adds nothing."""
    if len(rows) < 2:
        raise UserError(
            f'{base.place} describes {len(rows)} class{"es" * (len(rows) != 1)} of the model: '
            'describe two or more, by which pictures are compared with new classes'
        )
    if not len(new):
        raise UserError(
            f'{base.place} describes classes of the model alone: add a row for each new class'
        )
    if len(new) == 1 and shift is None:
        raise UserError(
            f'{base.place} describes the single new class {base.classes[new[0]]!r}, which would be '
            'predicted for every picture: add others, or let the classes of the model compete: '
            '--shift=0.1'
        )
