"""The model that a command works on."""

from pathlib import Path
from typing import NamedTuple

from tljax.protocols import Config


class ModelChoice(NamedTuple):
    """The choice of a model: a network and its weights, or the folder of a finished run.

    Attributes:
        net: config of a zoo network; None for a run.
        weights: path of a Keras file, 'imagenet', or 'imagenet:160' for weights of that picture
            size.
        classes: path of ImageNet's class index or of a list of class names, or the names
            themselves, as `class_names.class_index` reads them; None: the file beside the weights.
        workdir: folder of a finished run; None for a network.
        prompt: for CLIP, texts around the name of a class, as `zero_shot.prompts` reads them.
        task: name of a task of a run that was trained on several; '' for a run of one task.

    >>> choice = ModelChoice({'name': 'mobilenet', 'alpha': 0.25}, weights='imagenet:160')
    >>> choice.workdir is None
    True
    """

    net: Config | None = None
    weights: str | None = None
    classes: str | None = None
    workdir: Path | None = None
    prompt: str | None = None
    task: str = ''
