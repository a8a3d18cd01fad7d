"""Measures whether a network decides by the shape or by the texture of a picture, beside published
answers of people and networks, and how fine-tuning changes it.

Protocol: Geirhos et al. 2019 (https://arxiv.org/abs/1811.12231), as in
`tljax.studies.cue_decisions`. The pictures are shown whole, as people saw them: they are scaled to
the network's size if it is not their own, 224 pixels, and nothing is cut off. All networks of one
comparison see the same pixels.

Two measures make decisions between the categories:

- 'outputs', for a network whose outputs are ImageNet's classes or the categories themselves: the
  category with the largest mean probability over its classes. This is the published protocol.
- 'features', for any network: a category is known by the pictures of the set whose shape and
  texture are both of that category, five for each. The category with the most similar features, on
  average, is chosen. Both cues agree in these pictures, so that neither is taught. Those that share
  the photograph of the shape, or that of the texture, with the picture to decide are left out, so
  that no picture is recognised by a part of itself.

A network that was fine-tuned on other classes has no outputs for the categories, and is measured by
its features. The network before fine-tuning is then measured by its features, too: a bias by
features is compared with no bias by outputs. A linear probe on photographs would be an alternative
if each category had photographs.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from scipy.special import softmax

from tljax.configuration import ZOO, call_named
from tljax.core import Dataset, Task, UserError, abbreviated
from tljax.data.formats.arrays import arrays
from tljax.data.layout import normalised_name
from tljax.data.sets import cue_conflict, textured_shapes
from tljax.data.sets.cue_conflict import Stimuli
from tljax.engine.evaluate import predictions
from tljax.engine.scores import first_score
from tljax.features import extractor
from tljax.files.text import write
from tljax.program import predictor
from tljax.protocols import Record
from tljax.studies import cue_decisions, models, shape_bias_report
from tljax.studies.cue_decisions import NONE
from tljax.studies.model_choice import ModelChoice
from tljax.studies.pictures import Model
from tljax.trained import Trained, picture_config, train

MEASURES = ('outputs', 'features')
PEOPLE = 'people'


class Observer(NamedTuple):
    """Who decides, and the decisions.

    Attributes:
        name: name in tables.
        kind: 'model' (measured here), 'people' or 'network' (published answers).
        measure: one of MEASURES, or 'answers' for published ones.
        decision: (seeds, n) categories, NONE for no decision.
    """

    name: str
    kind: str
    measure: str
    decision: np.ndarray


def measure(
    choice: ModelChoice,
    runs: Sequence[str] = (),
    path: str | Path | None = None,
    by: str = 'auto',
    size: int = 0,
    batch: int = 32,
    seed: int = 0,
    out: str | Path | None = None,
) -> Record:
    """Measures the shape bias of a model, and of runs that were fine-tuned from it.

    Args:
        choice: the model; if it names none, only published answers are reported.
        runs: folders of finished runs. The change of their bias is measured from the model's.
        path: folder of the set, as `cue_conflict.stimuli` takes it; None: cue_conflict in the
            folder `$TLJAX_DATA`.
        by: 'outputs' or 'features'; 'auto' takes outputs if all models have them.
        size: side of the pictures for all models, in pixels; 0: that of the first run, or else of
            the model.
        batch: pictures at a time.
        seed: of the bootstrap.
        out: folder for results.json and report.html; None writes nothing.

    Returns:
        The dict of `summarise`, with 'size', the side of the pictures, which is None without a
        model.

    Raises:
        UserError: the set is not there; a model takes no pictures or has no such outputs.

    >>> measure(ModelChoice(), path='nowhere')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere does not exist: take stimuli/style-transfer-preprocessed-512 ...
    """
    if path is None:
        path = Path(os.environ.get('TLJAX_DATA', 'data'), 'cue_conflict')
    stimuli = cue_conflict.stimuli(path)
    observers = published(path, stimuli)
    named, shown = _models(choice, runs), {}
    if named:
        reference = str(runs[0]) if runs else next(iter(named))
        shown = _shown(reference, named[reference], size)
        decisions = _decisions(named, choice, stimuli, path, by, shown, batch)
        observers = [*decisions, *observers]
    if not observers:
        raise UserError(
            f'{path} has no published answers ({cue_conflict.ANSWERS}): name a model, too: '
            '--model=NETWORK --weights=FILE'
        )
    has_before = bool(runs) and len(named) > len(runs)
    results = summarise(
        observers, stimuli.shape, stimuli.texture, stimuli.categories, has_before, seed
    )
    results['size'] = shown.get('size')
    return _written(results, out)


def demonstrate(
    seeds: Sequence[int] = (0, 1, 2), steps: int = 120, out: str | Path | None = None, seed: int = 0
) -> Record:
    """Measures the shape bias of a small network on pictures that are drawn for it.

    The network learns from pictures whose shape and texture agree (`data.textured_shapes`), and is
    measured on pictures where they conflict. This only demonstrates the measure: what a network
    prefers in such pictures says nothing about photographs, or about other networks.

    Args:
        seeds: seeds of the training.
        steps: steps of the training.
        out: as in `measure`; the run is kept in its folder `run`.
        seed: of the pictures in conflict and of the bootstrap.

    Returns:
        The dict of `summarise`, with 'size' and the test accuracy where the cues agree, 'right'
        (one number for each seed).

    >>> results = demonstrate(seeds=[0], steps=2)
    >>> results['rows'][0]['name'], results['pictures']
    ('conv4 on textured shapes', 300)
    """
    size = 24
    with tempfile.TemporaryDirectory() as folder:
        model = train(
            data={'name': 'textured_shapes', 'size': size},
            net={'name': 'conv4', 'width': 8, 'blocks': 3, 'size': size},
            workdir=Path(out or folder, 'run'),
            steps=steps,
            batch=32,
            seeds=[*seeds],
            optim={'lr': 1e-2},
        )
    pictures, shape, texture = textured_shapes.pairs(size, seed=seed)
    dataset = arrays(pictures, shape.astype(np.int32), model.classes)
    probability = _probability(model, dataset, batch=60)
    decision = cue_decisions.decide(probability, [np.array([c]) for c in range(len(model.classes))])
    observer = Observer('conv4 on textured shapes', 'model', 'outputs', decision)
    results = summarise([observer], shape, texture, model.classes, seed=seed)
    right = model.scores['test'][first_score(Task.of(model.classes))]
    results |= {'size': size, 'right': list(right)}
    return _written(results, out)


def summarise(
    observers: Sequence[Observer],
    shape: np.ndarray,
    texture: np.ndarray,
    categories: Sequence[str],
    has_before: bool = False,
    seed: int = 0,
) -> Record:
    """Computes the shape bias of each observer.

    Args:
        observers: those that decided on the same pictures.
        shape: category of the shapes, (n,).
        texture: category of the textures, (n,).
        categories: names of the categories.
        has_before: whether the first observer is the model that the other models were fine-tuned
            from.
        seed: of the bootstrap, which resamples the same pictures for every observer.

    Returns:
        {'rows', 'categories', 'pictures', 'seed'}. A row has 'name', 'kind' and 'measure' of the
        observer; 'bias', 'low', 'high', 'decided' and 'by_seed' of `cue_decisions.Bias`;
        'agreeing', the accuracy where the cues agree; 'by_category' and 'decided_by_category', a
        list each; and 'change', [mean, low, high] from the first model, or None. A bias of no
        decisions is None.

    >>> shape, texture = np.array([0, 0, 1]), np.array([1, 1, 0])
    >>> cat = Observer('cat', 'model', 'outputs', np.array([[0, 0, 0]]))
    >>> row = summarise([cat], shape, texture, ('cat', 'dog'))['rows'][0]
    >>> row['by_category'], row['decided']
    ([1.0, 0.0], 1.0)
    """
    rows = []
    for i, observer in enumerate(observers):
        bias = cue_decisions.shape_bias(observer.decision, shape, texture, seed=seed)
        by_category, decided = cue_decisions.by_category(
            observer.decision, shape, texture, len(categories)
        )
        change = None
        if has_before and i and observer.kind == 'model':
            before = observers[0].decision
            change = cue_decisions.change(before, observer.decision, shape, texture, seed=seed)
        rows.append(
            {
                'name': observer.name,
                'kind': observer.kind,
                'measure': observer.measure,
                'bias': _known(bias.mean),
                'low': _known(bias.low),
                'high': _known(bias.high),
                'decided': bias.decided,
                'by_seed': [*map(_known, bias.by_seed)],
                'agreeing': _known(
                    cue_decisions.agreeing_accuracy(observer.decision, shape, texture)
                ),
                'by_category': [*map(_known, by_category.tolist())],
                'decided_by_category': decided.tolist(),
                'change': [*map(_known, change)] if change else None,
            }
        )
    return {
        'rows': rows,
        'categories': list(categories),
        'pictures': int((shape != texture).sum()),
        'seed': seed,
    }


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def published(path: str | Path, stimuli: Stimuli) -> list[Observer]:
    """Returns the published answers: all people as one observer, and each network.

    Args:
        path: folder of the set; none are returned if it has no answers.
        stimuli: the pictures.

    Raises:
        UserError: the answers are damaged, or do not cover the pictures.

    >>> nothing = np.zeros(0, int)
    >>> published('nowhere', Stimuli((), (), (), nothing, nothing, nothing, nothing))
    []
    """
    if not Path(path).expanduser().joinpath(cue_conflict.ANSWERS).is_file():
        return []
    numbers = {name: i for i, name in enumerate(stimuli.categories)}
    by_observer: dict[str, dict[str, int]] = {}
    for answer in cue_conflict.answers(path):
        by_observer.setdefault(answer.who, {})[answer.picture] = numbers.get(answer.answer, NONE)
    decisions = {}
    for who, given in by_observer.items():
        if missing := [name for name in stimuli.names if name not in given]:
            raise UserError(
                f'{path}: {who} has no answer for {abbreviated(missing, 3)}: take the pictures and '
                'the answers of one experiment'
            )
        decisions[who] = np.array([given[name] for name in stimuli.names])
    people = [who for who in decisions if who.startswith('person ')]
    networks = [Observer(who, 'network', 'answers', decisions[who][None]) for who in decisions]
    networks = [network for network in networks if network.name not in people]
    if not people:
        return networks
    together = np.stack([decisions[who] for who in people])
    return [Observer(f'{PEOPLE} ({len(people)})', PEOPLE, 'answers', together), *networks]


def output_groups(
    classes: Sequence[str],
    wordnet_ids: Sequence[str] | None,
    categories: dict[str, list[str]],
) -> list[np.ndarray] | None:
    """Finds the outputs of a network that belong to each category.

    Args:
        classes: names of the outputs.
        wordnet_ids: WordNet ids of the outputs; None: the names themselves may be such ids.
        categories: {category: WordNet ids of its classes}.

    Returns:
        For each category the numbers of its outputs; None if a category has none.

    >>> categories = {'cat': ['n02123045', 'n02123159'], 'knife': ['n03041632']}
    >>> ids = ['n01440764', 'n02123159', 'n02123045', 'n03041632']
    >>> output_groups('abcd', ids, categories)
    [array([1, 2]), array([3])]
    >>> output_groups(['Knife', 'cat'], None, categories)
    [array([1]), array([0])]
    """
    names = [normalised_name(name) for name in classes]
    ids = list(wordnet_ids or classes)
    groups = []
    for category, members in categories.items():
        of_category = np.array([i for i, name in enumerate(ids) if name in members], int)
        if not len(of_category) and normalised_name(category) in names:
            of_category = np.array([names.index(normalised_name(category))])
        groups.append(of_category)
    return groups if all(map(len, groups)) else None


def feature_decisions(features: np.ndarray, stimuli: Stimuli) -> np.ndarray:
    """Decides by features, as the module describes.

    Args:
        features: of all pictures, (n, d).
        stimuli: the pictures.

    Returns:
        (n,) categories.

    Raises:
        UserError: a category has too few pictures whose cues agree.

    >>> cues = np.array([[0, 0, 1, 1], [0, 0, 2, 2], [1, 1, 1, 1], [1, 1, 2, 2], [0, 1, 3, 3]])
    >>> shape, texture, shape_number, texture_number = cues.T
    >>> stimuli = Stimuli((), (), ('bear', 'cat'), shape, texture, shape_number, texture_number)
    >>> bear, cat = [1.0, 0.0], [0.0, 1.0]
    >>> feature_decisions(np.array([bear, bear, cat, cat, [0.7, 0.3]]), stimuli).tolist()
    [0, 0, 1, 1, 0]
    """
    shapes = np.stack([stimuli.shape, stimuli.shape_number], 1)
    textures = np.stack([stimuli.texture, stimuli.texture_number], 1)
    examples = np.flatnonzero(stimuli.shape == stimuli.texture)
    same_shape = (shapes[:, None] == shapes[examples]).all(-1)
    same_texture = (textures[:, None] == textures[examples]).all(-1)
    label, allowed = stimuli.shape[examples], ~(same_shape | same_texture)
    known = allowed.astype(int) @ (label[:, None] == np.arange(len(stimuli.categories)))
    if not known.all():
        raise UserError(
            'a category has too few pictures whose shape and texture agree, by which features are '
            'measured: take the whole set of 1,280 pictures'
        )
    return cue_decisions.decide_by_similarity(features, features[examples], label, allowed)


def _models(choice: ModelChoice, runs: Sequence[str]) -> dict[str, Model]:
    """{name: model} of the choice, if it names one, and of the runs."""
    named = {}
    if choice.net or choice.workdir or choice.weights:
        name = choice.net['name'] if choice.net else str(choice.workdir)
        named[name] = models.model(choice)
    for run in runs:
        named[str(run)] = models.model(ModelChoice(workdir=Path(run)))
    return named


def _shown(name: str, model: Model, size: int) -> Record:
    """How a model sees pictures: keywords of `cue_conflict.dataset`."""
    settings = picture_config(model[2]['config']['data'])
    return {
        'size': size or _shape(name, model)[0],
        'interpolation': settings.get('interpolation', 'bilinear'),
    }


def _shape(name: str, model: Model) -> tuple[int, ...]:
    """Shape of the pictures that a model was trained on."""
    shape = tuple(model[2]['input'])
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise UserError(
            f'{name} takes inputs of shape {shape}, which are no pictures: name a network or a run '
            'of pictures'
        )
    return shape


def _decisions(
    named: dict[str, Model],
    choice: ModelChoice,
    stimuli: Stimuli,
    path: str | Path,
    by: str,
    shown: Record,
    batch: int,
) -> list[Observer]:
    """Decisions of the models, all by the same measure."""
    groups = {}
    if by != 'features':
        ids = cue_conflict.imagenet_classes(path)
        categories = {name: ids.get(name, []) for name in stimuli.categories}
        for name, model in named.items():
            groups[name] = _groups(model, choice if name == next(iter(named)) else None, categories)
    without = [name for name in groups if groups[name] is None]
    if by == 'outputs' and without:
        raise UserError(
            f'{abbreviated(without, 3)} has no outputs for the {len(stimuli.categories)} '
            'categories: measure it by --by=features'
        )
    measure = 'features' if by == 'features' or without else 'outputs'
    observers = []
    for name, model in named.items():
        everything, channels = np.arange(len(stimuli.names)), _shape(name, model)[2]
        dataset = cue_conflict.dataset(stimuli, everything, channels=channels, **shown)
        if measure == 'outputs':
            probability = _probability(Trained(*model), dataset, batch)
            decision = cue_decisions.decide(probability, groups[name])
        else:
            features = _features(Trained(*model), dataset, batch)
            decision = np.stack([feature_decisions(of_seed, stimuli) for of_seed in features])
        observers.append(Observer(name, 'model', measure, decision))
    return observers


def _groups(
    model: Model, choice: ModelChoice | None, categories: dict[str, list[str]]
) -> list[np.ndarray] | None:
    """The outputs of each category; None where a model has none for a category."""
    record = model[2]
    classes = list(record['classes'])
    is_classifier = 'head' in model[0] and Trained(*model).task == 'classes'
    index = models.wordnet(choice, classes) if choice else None
    groups = output_groups(classes, [key for key, _ in index] if index else None, categories)
    if groups is None and choice and choice.net and is_classifier and not index:
        raise UserError(
            f"the outputs of {choice.net['name']} have no WordNet ids: name ImageNet's class index "
            'by --classes=imagenet_class_index.json, or measure features by --by=features'
        )
    return groups if is_classifier else None


def _probability(trained: Trained, dataset: Dataset, batch: int) -> np.ndarray:
    """Probabilities of the classes, (seeds, n, classes)."""
    outputs = predictions(
        predictor(trained.record),
        trained.params,
        trained.state,
        dataset,
        batch,
        text='looking at pictures',
    )
    return softmax(outputs['output'], -1)


def _features(trained: Trained, dataset: Dataset, batch: int) -> np.ndarray:
    """Features, (seeds, n, d)."""
    network = call_named(ZOO, trained.record['config']['net'], 'net')
    params, state = ({'backbone': tree['backbone']} for tree in (trained.params, trained.state))
    outputs = predictions(
        extractor(network), params, state, dataset, batch, text='looking at pictures'
    )
    return np.asarray(jax.device_get(outputs['features']), float)


def _written(results: Record, out: str | Path | None) -> Record:
    """Returns the results; writes results.json and report.html into a folder if there is one."""
    if out is not None:
        from tljax.report.page import page  # imported late, for a quick start

        write(Path(out, 'results.json'), json.dumps(results, indent=1))
        page(Path(out, 'report.html'), 'Shape or texture?', shape_bias_report.sections(results))
    return results
