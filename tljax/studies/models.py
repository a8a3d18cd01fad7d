"""Loads the model that a command works on: a network with its weights, or a finished run."""

import re
from pathlib import Path

from tljax import exported
from tljax.core import UserError, abbreviated
from tljax.detector_weights import pretrained_detector
from tljax.features import run_at
from tljax.files.console import say
from tljax.protocols import Record, Tree
from tljax.studies.model_choice import ModelChoice
from tljax.trained import Trained
from tljax.weights import pretrained
from tljax.zoo.detectors import DETECTORS
from tljax.zoo.table import ROWS
from tljax.zoo.weights import zero_shot
from tljax.zoo.weights.class_names import class_index
from tljax.zoo.weights.published import has_imagenet_classes, published_classes

EXPORTED = '.tljax'  # end of the name of an exported file


def model(choice: ModelChoice, top: bool = True) -> tuple[Tree, Tree, Record]:
    """Loads a model: its parameters, its state and its record, as `checkpoint.load_final` does.

    Args:
        choice: the network and its weights, or the run, or an exported file as the network.
        top: whether the output layer is read too; without it the model gives features alone.

    Raises:
        UserError: the choice names neither a network nor a run, or both; a file or a run does not
            exist, or does not fit; or the run has several tasks and the choice names none of them.

    >>> model(ModelChoice())
    Traceback (most recent call last):
    tljax.core.UserError: name a model: --model=NETWORK --weights=FILE, or --workdir=FOLDER of a ...
    """
    if choice.net and choice.workdir:
        raise UserError('--model names a network and --workdir a run: give one of them')
    if choice.net and choice.net['name'].endswith(EXPORTED):
        return _exported(choice, top)
    if choice.net is None:
        if choice.prompt is not None:
            raise UserError(
                '--prompt describes the classes of --model, and a run has its own: leave it out'
            )
        if choice.weights or not choice.workdir:
            raise UserError(
                'name a model: --model=NETWORK --weights=FILE, or --workdir=FOLDER of a finished '
                'run'
            )
        trained = Trained(*run_at(choice.workdir))
        return trained.for_task(choice.task) if top else trained
    if choice.task:
        raise UserError('--task names a task of a run, and --model has none: leave it out')
    if not choice.weights:
        raise UserError(
            f'--weights is missing: name a Keras weights file for {choice.net["name"]}, or '
            '--weights=imagenet'
        )
    if choice.net['name'] in DETECTORS:
        names = [name for _, name in class_index(choice.classes)] if choice.classes else None
        return pretrained_detector(choice.net['name'], choice.weights, names, **_keywords(choice))
    classes = index(choice) if top else None
    names = [name for _, name in classes] if classes else None
    prompts = () if choice.prompt is None else zero_shot.prompts(choice.prompt)
    if top and names is None and _is_clip(choice.net):  # which has as many classes as are named
        names = _labels_beside(choice.weights)
    params, state, record = pretrained(choice.net, choice.weights, names, top, prompts)
    if top and not names:
        record = {**record, 'classes': _names_beside(choice.weights, record['classes'])}
    return params, state, record


def _exported(choice: ModelChoice, top: bool) -> tuple[Tree, Tree, Record]:
    """The model of an exported file, whose program `program.predictor` loads."""
    path = (choice.net or {})['name']
    if not top:
        raise UserError(f'--model={path} is an exported file, which predicts: name the run itself')
    given = choice._replace(net=None, workdir=None)
    if given != ModelChoice() or len(choice.net or {}) > 1:
        raise UserError(f'--model={path} has all that it needs: leave the flags about models out')
    try:
        model = exported.load(path)
    except ValueError as error:
        raise UserError(str(error)) from None
    about = model.about
    config = {
        'data': {'name': '', **(about['pictures'] or {})},
        'net': {'name': about['network']},
        'method': {'name': about['method']},
    }
    record = {
        'exported': path,
        'task': about['task'],
        'classes': about['classes'],
        'input': about['input']['shape'],
        'range': about['input']['range'],
        'seeds': [*range(about['seeds'])],
        'config': config,
    }
    return {'head': model.parameters}, model.statistics, record


def _keywords(choice):
    """The keywords of a model, beside its name."""
    return {key: value for key, value in choice.net.items() if key != 'name'}


def _is_clip(net):
    return net['name'] in ROWS and ROWS[net['name']].module == 'clip'


def _names_beside(weights: str, numbers: list[str]) -> list[str]:
    """Returns the class names of a labels.txt beside the weights, if it has one for every output.

    Args:
        weights: path of the weights file.
        numbers: the outputs as numbers, which are returned without such a labels.txt.
    """
    return numbers and _labels_beside(weights, len(numbers)) or numbers


def _labels_beside(weights: str, count: int = 0) -> list[str] | None:
    """Returns the class names of a labels.txt beside the weights, or None.

    Args:
        weights: path of the weights file.
        count: how many there must be; 0: any number.
    """
    path = Path(weights).expanduser().with_name('labels.txt')
    if not path.is_file():
        return None
    try:
        names = [name for _, name in class_index(path)]
    except UserError as error:  # the user did not ask for this file, so it stops nothing
        say(f'{error}; the file is ignored')
        return None
    if count and len(names) != count:
        say(
            f'{path} beside the weights names {len(names)} classes, and the weights have '
            f'{count} outputs: the file is ignored'
        )
        return None
    say(f'the class names are read from {path}: {abbreviated(names)}')
    return names


def index(choice: ModelChoice) -> list[tuple[str, str]] | None:
    """Returns the class index of a network, [(WordNet id, name)], or None where there is none.

    The index is read from `choice.classes`. Without it, published weights have ImageNet's
    published index, and other weights have the file imagenet_class_index.json beside them.

    Args:
        choice: the model; its `classes` and `weights` are used.

    >>> index(ModelChoice()) is None
    True
    """
    weights = choice.weights or ''
    if not choice.classes and has_imagenet_classes(weights):
        return class_index(published_classes())
    beside = Path(weights).expanduser().with_name('imagenet_class_index.json') if weights else None
    path = choice.classes or (beside if beside and beside.exists() else None)
    return class_index(path) if path else None


def wordnet(choice: ModelChoice, classes: list[str]) -> list[tuple[str, str]] | None:
    """Returns the class index by which pictures with WordNet ids in their names get their classes.

    A run has class names of its own. For a run, `choice.classes` may name an ImageNet class index
    of the same classes: only its WordNet ids are used.

    Args:
        choice: the model.
        classes: names of the model's outputs.

    Raises:
        UserError: `choice.classes` has no WordNet ids or other classes than the run.

    >>> wordnet(ModelChoice(workdir=Path('runs')), ['cat']) is None
    True
    """
    pairs = index(choice)
    if not choice.workdir or not pairs:
        return pairs
    if not all(re.match(r'n\d{8}', wordnet_id) for wordnet_id, _ in pairs):
        raise UserError(
            '--classes names the classes of --model, and a run has its own: leave it out'
        )
    names = [name for _, name in pairs]
    if names != list(classes) and classes != [str(i) for i in range(len(pairs))]:
        raise UserError(
            f'--classes={choice.classes} has {len(pairs)} classes ({abbreviated(names, 2)}), and '
            f'the run has others ({abbreviated(classes, 2)}): leave it out'
        )
    return pairs
