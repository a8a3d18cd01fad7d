"""Models of zero-shot learning on the features of a network that has learnt the seen classes.

Each model is a function of seen examples, new examples, a knowledge base and settings. It returns
scores of all classes of the base for the new examples, (n, c).
"""

import inspect
import tempfile
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from tljax import build
from tljax.configuration import METHODS, settings
from tljax.core import UserError, nearest_name
from tljax.data.formats.arrays import arrays
from tljax.doors import contents
from tljax.engine.evaluate import predictions
from tljax.engine.train import fit
from tljax.knowledge import Knowledge, unit_rows
from tljax.protocols import Config
from tljax.shallow import attribute_predictions as by_attributes
from tljax.shallow import zero_shot as closed_forms


class Examples(NamedTuple):
    """What a network says of examples.

    Attributes:
        features: (n, d).
        probability: of the classes that the network has learnt, (n, k).
        label: numbers of classes, (n,).
    """

    features: np.ndarray
    probability: np.ndarray
    label: np.ndarray

    def scaled(self, like: 'Examples') -> 'Examples':
        """The examples with features in standard deviations of others', and rows of length about 1.

        Args:
            like: the examples whose means and deviations are taken.

        >>> one, two = np.array([[0.0], [2.0]]), np.array([[3.0]])
        >>> like = Examples(one, one, np.arange(2))
        >>> Examples(two, two, np.arange(1)).scaled(like).features.tolist()
        [[2.0]]
        """
        mean, deviation = like.features.mean(0), like.features.std(0)
        width = self.features.shape[1] ** 0.5
        scaled = (self.features - mean) / np.where(deviation > 0, deviation, 1) / width
        return self._replace(features=scaled)

    def numbered(self, rows: np.ndarray) -> 'Examples':
        """The examples with other numbers of their classes.

        Args:
            rows: new number of each class, (classes,).

        >>> Examples(np.eye(2), np.eye(2), np.arange(2)).numbered(np.array([7, 5])).label.tolist()
        [7, 5]
        """
        return self._replace(label=rows[self.label])


class Task(NamedTuple):
    """A task of zero-shot learning, of which a model makes scores.

    Attributes:
        seen: the training examples. Labels are rows of the base.
        new: the examples to score.
        base: descriptions of all classes.
        spec: config of the base, for methods that are trained.
        rows: rows of the base of the classes that the network has learnt, in the order of its
            outputs, (k,).
        seed: of the training of a method.
    """

    seen: Examples
    new: Examples
    base: Knowledge
    spec: Config
    rows: np.ndarray
    seed: int = 0


def eszsl(task: Task, gamma: float = 1.0, penalty: float = 1.0) -> np.ndarray:
    """ESZSL, with descriptions of length 1.

    Args:
        task: the task.
        gamma: as `shallow.eszsl` takes it, for every example.
        penalty: as `shallow.eszsl` takes it.
    """
    vectors, (x, _, y) = unit_rows(task.base.vectors), task.seen
    weights = closed_forms.eszsl(x, y, vectors, gamma * len(y), penalty)
    return closed_forms.compatibility(task.new.features, weights, vectors)


def sae(task: Task, weight: float = 1.0, by: str = 'encoded', centred: bool = True) -> np.ndarray:
    """SAE, with descriptions of length 1.

    Args:
        task: the task.
        weight: as `shallow.sae` takes it.
        by: 'encoded' compares descriptions, 'decoded' features.
        centred: whether the mean description of the seen examples is subtracted from all, as the
            mean of the features is.
    """
    if by not in ('encoded', 'decoded'):
        raise UserError(f'methods.sae.by={by!r} is not encoded or decoded')
    vectors = unit_rows(task.base.vectors)
    if centred:
        vectors = vectors - vectors[task.seen.label].mean(0)
    weights = closed_forms.sae(task.seen.features, task.seen.label, vectors, weight)
    return getattr(closed_forms, by)(task.new.features, weights, vectors)


def dap(task: Task, penalty: float = 1.0) -> np.ndarray:
    """DAP, with a logistic regression for each attribute.

    Args:
        task: the task.
        penalty: as `shallow.attribute_probabilities` takes it.
    """
    x, _, y = task.seen
    vectors = task.base.vectors
    probability = by_attributes.attribute_probabilities(x, y, vectors, task.new.features, penalty)
    return by_attributes.dap(probability, vectors, by_attributes.attribute_prior(y, vectors))


def iap(task: Task) -> np.ndarray:
    """IAP, by the probabilities of the network.

    Args:
        task: the task.
    """
    vectors = task.base.vectors
    prior = by_attributes.attribute_prior(task.seen.label, vectors)
    return by_attributes.iap(task.new.probability, task.rows, vectors, prior)


def conse(task: Task, top: int = 10) -> np.ndarray:
    """ConSE, by the probabilities of the network.

    Args:
        task: the task.
        top: as `shallow.conse` takes it.
    """
    return by_attributes.conse(task.new.probability, task.rows, task.base.vectors, top)


def trained(
    task: Task, name: str, rate: float = 1e-2, steps: int = 300, batch: int = 64
) -> np.ndarray:
    """A method of `tljax.methods.zero_shot`, trained on the features by Adam.

    Args:
        task: the task.
        name: name of the method.
        rate: learning rate.
        steps: number of steps.
        batch: examples per step.
    """
    classes = task.base.classes
    data = arrays(task.seen.features.astype(np.float32), task.seen.label, classes)
    config = settings(
        net=dict(name='identity', dim=task.seen.features.shape[1]),
        method=dict(name=name, knowledge=task.spec),
        optim=dict(lr=rate),
        steps=steps,
        batch=batch,
        seeds=[task.seed],
        log_every=0,
    )
    run = build.build(config, name, splits={'train': data})
    run = run._replace(evals={}, facts=lambda: (), transferred=())
    with tempfile.TemporaryDirectory() as folder:
        found = fit(run, folder)
    new = arrays(task.new.features.astype(np.float32), np.zeros(len(task.new.label), int), classes)
    return predictions(run.predict, found.params, found.state, new)['output'][0]


MODELS: dict[str, Callable[..., np.ndarray]] = {
    model.__name__: model for model in (eszsl, sae, dap, iap, conse)
}


def refuse_unknown(name: str, keys: Iterable[str]) -> None:
    """Raises an error for an unknown model, or a setting that it does not take.

    Args:
        name: name of a model.
        keys: names of settings.

    >>> refuse_unknown('eszls', [])
    Traceback (most recent call last):
    tljax.core.UserError: methods.eszls is unknown: did you mean eszsl?
    """
    learnt = contents(METHODS, ('zero_shot',))
    if name not in MODELS and name not in learnt:
        raise UserError(f'methods.{name} is unknown: {nearest_name(name, [*MODELS, *learnt])}')
    parameters = inspect.signature(MODELS.get(name, trained)).parameters
    takes = [key for key in parameters if key not in ('task', 'name')]
    for key in keys:
        if key not in takes:
            raise UserError(f'methods.{name}.{key} is unknown: {nearest_name(key, takes)}')


def scores(task: Task, name: str, **values: float | str | bool) -> np.ndarray:
    """Scores of all classes by the model of a name, (n, c).

    Args:
        task: the task.
        name: a name in MODELS, or of a method in `tljax.methods.zero_shot`.
        **values: settings of the model.

    Raises:
        UserError: as `refuse_unknown`, and for examples that do not fit.

    >>> from tljax.knowledge import knowledge
    >>> base = knowledge(['horse', 'tiger', 'zebra'], [[1, 0], [0, 1], [1, 1]])
    >>> seen = Examples(np.eye(2), np.eye(2), np.arange(2))
    >>> new = Examples(np.ones((1, 2)), np.full((1, 2), 0.5), np.array([2]))
    >>> task = Task(seen, new, base, {}, np.arange(2))
    >>> scores(task, 'conse', top=2).argmax(1)
    array([2])
    """
    refuse_unknown(name, values)
    given: Any = values
    return MODELS[name](task, **given) if name in MODELS else trained(task, name, **given)
