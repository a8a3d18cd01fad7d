"""The model that a command works on: a network with a weights file, or a finished run."""
from pathlib import Path

from tljax.core import Refused
from tljax.engine.checkpoint import last, load_final
from tljax.features import pretrained
from tljax.studies.model_choice import ModelChoice
from tljax.zoo.weights.published import NAME, class_index, published_classes


def model(choice: ModelChoice) -> tuple[dict, dict, dict]:
    """The parameters, the state and the record of a model, as `checkpoint.load_final` gives them.

    Args:
        choice: which model.

    Raises:
        Refused: where nothing is named, or what is named does not exist or does not fit.

    >>> model(ModelChoice())
    Traceback (most recent call last):
    tljax.core.Refused: name a model: --model=NETWORK --weights=FILE, or --workdir=FOLDER of a ...
    """
    if choice.net is None:
        if choice.weights or not choice.workdir:
            raise Refused('name a model: --model=NETWORK --weights=FILE, or --workdir=FOLDER of a '
                          'finished run')
        return load_final(last(choice.workdir))
    if not choice.weights:
        raise Refused(f'--weights is missing: name a Keras weights file for {choice.net["name"]}, '
                      'or --weights=imagenet')
    classes = index(choice)
    names = [name for _, name in classes] if classes else None
    return pretrained(choice.net, choice.weights, names)


def index(choice: ModelChoice) -> list[tuple[str, str]] | None:
    """ImageNet's classes, [(WordNet id, name)]: as `choice.classes` gives them, the file beside
    the weights, or the published one; None where there is none.

    >>> index(ModelChoice()) is None
    True
    """
    weights = choice.weights or ''
    if not choice.classes and NAME.fullmatch(weights):
        return class_index(published_classes())
    beside = Path(weights).expanduser().with_name('imagenet_class_index.json') if weights else None
    if choice.classes or beside and beside.exists():
        return class_index(choice.classes or beside)
    return None
