"""Which model a command works on."""

from pathlib import Path
from typing import NamedTuple

from tljax.protocols import Config


class ModelChoice(NamedTuple):
    """Which model is meant: a network with its weights, or a run.

    Attributes:
        net: config of a zoo network, or None for a run.
        weights: its Keras file, 'imagenet', or 'imagenet:160' for that picture size.
        classes: path of ImageNet's class index, or of names, as `class_names.class_index` reads
            them; None: the file beside the weights.
        workdir: folder of a finished run.

    >>> ModelChoice({'name': 'mobilenet'}, weights='imagenet:160').weights
    'imagenet:160'
    """

    net: Config | None = None
    weights: str | None = None
    classes: str | None = None
    workdir: Path | None = None
