"""Evaluation of a model on labelled pictures: classes, numbers or several labels."""

from tljax.core import UserError, abbreviated
from tljax.protocols import Record
from tljax.studies import detection, label_scores, models, picture_scores
from tljax.studies.model_choice import ModelChoice
from tljax.studies.tables import Table
from tljax.trained import Trained


def evaluate(
    choice: ModelChoice,
    paths: list[str],
    size: int = 0,
    batch: int = 32,
    pixels: int | None = None,
    annotations: str = '',
) -> tuple[Record, list[Table]]:
    """Evaluates a model by `picture_scores.evaluate` (classes), `label_scores.evaluate`, or
    `detection.evaluate` (boxes).

    Args:
        choice: the model to load.
        paths: pictures, folders and archives, or one table of pictures.
        size: side of the pictures in pixels; 0: the size of the network's training.
        batch: number of pictures in a batch.
        pixels: maximal number of pixels of a picture; None: the limit of the model's run.
        annotations: of boxes, where they are not with the pictures.

    Returns:
        The scores, as those functions return them, and their tables.

    Raises:
        UserError: as those functions and `models.model`.

    >>> evaluate(ModelChoice(), ['pictures'])
    Traceback (most recent call last):
    tljax.core.UserError: name a model: --model=NETWORK --weights=FILE, or --workdir=FOLDER of a ...
    """
    model = models.model(choice)
    if detection.is_detector(model):
        if len(paths) > 1:
            raise UserError(f'{abbreviated(paths)}: name one folder or archive of pictures')
        where = paths[0] if annotations else ''
        scores = detection.evaluate(model, annotations or paths[0], where, batch, pixels)
        return scores, detection.score_tables(scores)
    if annotations:
        raise UserError(f'--annotations={annotations}: this model finds no boxes: leave it out')
    index = models.wordnet(choice, model[2]['classes'])
    if Trained(*model).task != 'classes':
        scores = label_scores.evaluate(model, paths, size, batch, pixels)
        return scores, label_scores.tables(scores)
    data = model[2]['config']['data']
    columns = {key: data.get(key, '') for key in ('file', 'label', 'task')}
    files, names = picture_scores.named_pictures(paths, columns)
    scores = picture_scores.evaluate(model, files, index, size, batch, pixels, names)
    return scores, picture_scores.accuracy_tables(scores)
