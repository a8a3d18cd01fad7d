"""The model that a command works on: a network with a weights file, or a finished run."""

import re
from pathlib import Path

from tljax.core import UserError, abbreviated
from tljax.features import run_at
from tljax.files.console import say
from tljax.protocols import Record, Tree
from tljax.studies.model_choice import ModelChoice
from tljax.weights import pretrained
from tljax.zoo.weights.class_names import class_index
from tljax.zoo.weights.published import NAME, published_classes


def model(choice: ModelChoice, top: bool = True) -> tuple[Tree, Tree, Record]:
    """The parameters, the state and the record of a model, as `checkpoint.load_final` gives them.

    Args:
        choice: which model.
        top: whether its answers are asked for, rather than its features alone.

    Raises:
        UserError: where nothing is named, or what is named does not exist or does not fit.

    >>> model(ModelChoice())
    Traceback (most recent call last):
    tljax.core.UserError: name a model: --model=NETWORK --weights=FILE, or --workdir=FOLDER of a ...
    """
    if choice.net and choice.workdir:
        raise UserError('--model names a network and --workdir a run: give one of them')
    if choice.net is None:
        if choice.weights or not choice.workdir:
            raise UserError(
                'name a model: --model=NETWORK --weights=FILE, or --workdir=FOLDER of a finished '
                'run'
            )
        return run_at(choice.workdir)
    if not choice.weights:
        raise UserError(
            f'--weights is missing: name a Keras weights file for {choice.net["name"]}, or '
            '--weights=imagenet'
        )
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
    except UserError as refused:  # nobody has asked for it
        say(f'{refused}; it is left')
        return numbers
    if len(names) != len(numbers):
        say(
            f'{path} beside the weights names {len(names)} classes, they tell {len(numbers)} '
            'apart: it is left'
        )
        return numbers
    say(f'the names of the classes are those of {path}: {abbreviated(names)}')
    return names


def index(choice: ModelChoice) -> list[tuple[str, str]] | None:
    """The classes as `choice.classes` gives them, ImageNet's by the file beside the weights, or by
    the published one, [(WordNet id, name)]; None where there is none.

    Args:
        choice: whose `classes` and `weights` are looked at.

    >>> index(ModelChoice()) is None
    True
    """
    weights = choice.weights or ''
    if not choice.classes and NAME.fullmatch(weights):
        return class_index(published_classes())
    beside = Path(weights).expanduser().with_name('imagenet_class_index.json') if weights else None
    path = choice.classes or (beside if beside and beside.exists() else None)
    return class_index(path) if path else None


def wordnet(choice: ModelChoice, classes: list[str]) -> list[tuple[str, str]] | None:
    """The classes by which pictures are told that are named by WordNet ids, as `index` gives them.

    Args:
        choice: of the model; a run has names of its own, so that only ids are taken for it.
        classes: names of the model's outputs.

    Raises:
        UserError: for names of the classes of a run, and an index of other classes.

    >>> wordnet(ModelChoice(workdir=Path('runs')), ['cat']) is None
    True
    """
    found = index(choice)
    if not choice.workdir or not found:
        return found
    if not all(re.match(r'n\d{8}', known) for known, _ in found):
        raise UserError(
            '--classes names the classes of --model, and a run has its own: leave it out'
        )
    names = [name for _, name in found]
    if names != list(classes) and classes != [str(i) for i in range(len(found))]:
        raise UserError(
            f'--classes={choice.classes} has {len(found)} classes ({abbreviated(names, 2)}), and '
            f'the run others ({abbreviated(classes, 2)}): leave it out'
        )
    return found
