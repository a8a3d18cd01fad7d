"""The model that a command works on: a network with a weights file, or a finished run."""
from pathlib import Path

from tljax.core import Refused, short
from tljax.features import run_at
from tljax.files.console import say
from tljax.studies.model_choice import ModelChoice
from tljax.weights import pretrained
from tljax.zoo.weights.class_names import class_index
from tljax.zoo.weights.published import NAME, published_classes


def model(choice: ModelChoice, top: bool = True) -> tuple[dict, dict, dict]:
    """The parameters, the state and the record of a model, as `checkpoint.load_final` gives them.

    Args:
        choice: which model.
        top: whether its answers are asked for, rather than its features alone.

    Raises:
        Refused: where nothing is named, or what is named does not exist or does not fit.

    >>> model(ModelChoice())
    Traceback (most recent call last):
    tljax.core.Refused: name a model: --model=NETWORK --weights=FILE, or --workdir=FOLDER of a ...
    """
    if choice.net and choice.workdir:
        raise Refused('--model names a network and --workdir a run: give one of them')
    if choice.net is None:
        if choice.weights or not choice.workdir:
            raise Refused('name a model: --model=NETWORK --weights=FILE, or --workdir=FOLDER of a '
                          'finished run')
        return run_at(choice.workdir)
    if not choice.weights:
        raise Refused(f'--weights is missing: name a Keras weights file for {choice.net["name"]}, '
                      'or --weights=imagenet')
    classes = index(choice) if top else None
    names = [name for _, name in classes] if classes else None
    params, state, record = pretrained(choice.net, choice.weights, names, top)
    if top and not classes:
        record = {**record, 'classes': _beside(choice.weights, record['classes'])}
    return params, state, record


def _beside(weights: str, numbers: list[str]) -> list[str]:
    """The names in a labels.txt beside the weights, where there are as many, or the numbers."""
    path = Path(weights).expanduser().with_name('labels.txt')
    if not numbers or not path.is_file():
        return numbers
    try:
        names = [name for _, name in class_index(path)]
    except Refused as refused:   # nobody has asked for it
        say(f'{refused}; it is left')
        return numbers
    if len(names) != len(numbers):
        say(f'{path} beside the weights names {len(names)} classes, they tell {len(numbers)} apart: '
            'it is left')
        return numbers
    say(f'the names of the classes are those of {path}: {short(names)}')
    return names


def index(choice: ModelChoice) -> list[tuple[str, str]] | None:
    """The classes as `choice.classes` gives them, ImageNet's by the file beside the weights, or by
    the published one, [(WordNet id, name)]; None where there is none.

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
