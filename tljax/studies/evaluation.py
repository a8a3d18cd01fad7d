"""A model scored on what paths name: classes, numbers or several labels."""

from tljax.protocols import Record
from tljax.studies import label_scores, models, picture_scores
from tljax.studies.model_choice import ModelChoice
from tljax.studies.tables import Table
from tljax.trained import Trained


def evaluate(
    choice: ModelChoice, paths: list[str], size: int = 0, batch: int = 32, pixels: int | None = None
) -> tuple[Record, list[Table]]:
    """What `picture_scores.evaluate` or `label_scores.evaluate` finds, and its tables.

    Args:
        choice: of the model.
        paths: of pictures, folders and archives, or of one table.
        size: side of the pictures that the network is shown; 0: the one it is for.
        batch: pictures at a time.
        pixels: the most that a picture may have; None: the run's own limit.

    Raises:
        UserError: as those, and as `models.model`.

    >>> evaluate(ModelChoice(), ['pictures'])
    Traceback (most recent call last):
    tljax.core.UserError: name a model: --model=NETWORK --weights=FILE, or --workdir=FOLDER of a ...
    """
    model = models.model(choice)
    index = models.wordnet(choice, model[2]['classes'])
    if Trained(*model).task != 'classes':
        found = label_scores.evaluate(model, paths, size, batch, pixels)
        return found, label_scores.tables(found)
    data = model[2]['config']['data']
    columns = {key: data.get(key, '') for key in ('file', 'label', 'task')}
    files, names = picture_scores.named_pictures(paths, columns)
    found = picture_scores.evaluate(model, files, index, size, batch, pixels, names)
    return found, picture_scores.accuracy_tables(found)
