"""Trained models in Python: training, loading, predictions and features of arrays or pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, softmax

from tljax.build import build, refuse_other_config
from tljax.configuration import ZOO, call_named, settings, stated_by_method
from tljax.core import Dataset, Tree, UserError, abbreviated, nearest_name
from tljax.data.archives import File
from tljax.data.finding import find
from tljax.data.formats.arrays import arrays
from tljax.data.formats.boxes import stretched_pictures
from tljax.data.pictures import pictures
from tljax.data.ranges import GIVE, query_range, refuse_channels_first, scale
from tljax.data.splits import refuse_unfit
from tljax.engine.evaluate import predictions
from tljax.engine.train import fit
from tljax.features import extractor, run_at
from tljax.program import predictor
from tljax.protocols import Config, Record, Setting
from tljax.weights import read_weights

# an array (n, ...), a data set, or paths of picture files and folders
Inputs = ArrayLike | Dataset | str | Path | Sequence[str | Path]


class Trained(NamedTuple):
    """A finished run, or a network with its weights.

    Attributes:
        params: parameters, with a leading axis of seeds.
        state: state of the method, with a leading axis of seeds.
        record: config, names of the classes, shape of an input, seeds and scores.
    """

    params: Tree
    state: Tree
    record: Record

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; empty for regression."""
        return tuple(self.record['classes'])

    @property
    def task(self) -> str:
        """Kind of the task: 'classes', 'labels', 'numbers' or 'boxes' (`core.Task`)."""
        return self.record.get('task') or ('classes' if self.classes else 'numbers')

    @property
    def scores(self) -> dict[str, dict[str, list[float]]]:
        """{split: {score: one value per seed}}; early stopping and studies use the first score."""
        return self.record['scores']

    def for_task(self, name: str) -> 'Trained':
        """Returns the model as one of a single task, if it was trained on several.

        Args:
            name: name of the task; '' for a model of a single task, which stays as it is.

        Raises:
            UserError: the model has no such task, or has several and `name` is ''.

        >>> record = {'tasks': {'age': {'task': 'numbers', 'classes': []}}, 'classes': ['age']}
        >>> model = Trained({}, {}, record)
        >>> model.for_task('age').task, model.for_task('age').classes
        ('numbers', ())
        >>> model.for_task('agee')
        Traceback (most recent call last):
        tljax.core.UserError: this model has no task 'agee': did you mean age?
        """
        tasks = self.record.get('tasks', {})
        if not tasks and not name or name and name == self.record.get('answers'):
            return self
        if not tasks:
            raise UserError(f'task={name!r}: this model was trained on a single task: leave it out')
        if not name:
            raise UserError(
                f'this model has several tasks, and its inputs do not tell which: give one of '
                f'{abbreviated(tasks)} as --task, or in Python as model.for_task(name)'
            )
        if name not in tasks:
            raise UserError(f'this model has no task {name!r}: {nearest_name(name, tasks)}')
        return self._replace(record={**self.record, **tasks[name], 'answers': name})

    def predict(self, inputs: Inputs, batch: int = 32) -> np.ndarray:
        """Returns predictions for inputs, averaged over seeds.

        A model of several tasks predicts by `model.for_task(name)`.

        Args:
            inputs: numbers (n, ...) in the shape of the training inputs, as an array or as anything
                that NumPy converts to one; pictures are in the training range or in [0, 1]. Or a
                data set. Or paths of pictures, folders, ZIP and tar archives; the pictures of a
                folder or archive are sorted by name.
            batch: inputs at a time.

        Returns:
            Probabilities of classes (n, classes) that sum to 1; for the task 'labels' one
            independent probability per label; for regression numbers (n, d). For boxes detections
            of the first seed (n, k, 6): top, left, bottom, right in shares, class and score; the
            class is -1 where there are no more.

        Raises:
            UserError: for inputs of another shape, a path without pictures, a model without
                outputs, a model that was trained on episodes, and one of several tasks.

        >>> import tempfile
        >>> points = np.array([[0.0, 1.0], [1.0, 0.0]] * 8, np.float32)
        >>> splits = {'train': arrays(points, np.array([0, 1] * 8), ('up', 'right'))}
        >>> model = train(
        ...     data=splits,
        ...     net={'name': 'identity', 'dim': 2},
        ...     workdir=tempfile.mkdtemp(),
        ...     steps=50,
        ...     batch=8,
        ...     optim={'lr': 0.1},
        ... )
        >>> model.predict(np.array([[0.0, 1.0]])).round().tolist()
        [[1.0, 0.0]]
        """
        refuse_episodes(self.record)
        self.for_task(self.record.get('answers', ''))  # refuses several tasks
        if 'head' not in self.params and (self.classes or 'weights' in self.record['config']):
            raise UserError(
                self.record.get('left')
                or 'this model has no outputs: take weights with the top, or a run that was '
                'trained on labels'
            )
        output = predictions(
            predictor(self.record), self.params, self.state, self._dataset(inputs), batch
        )['output']
        if self.task == 'boxes':
            return output[0]
        if self.task == 'labels':
            return expit(output).mean(0)
        return softmax(output, -1).mean(0) if self.classes else output.mean(0)

    def features(self, inputs: Inputs, batch: int = 32, seed: int = 0) -> np.ndarray:
        """Returns the network's features of inputs, (n, dim).

        Args:
            inputs: as in `predict`.
            batch: inputs at a time.
            seed: position of the seed whose network is used.

        Raises:
            UserError: as in `predict`, and for a model with a network for each task.

        >>> config = {'net': {'name': 'mlp', 'widths': [1]}, 'method': {'name': 'finetune'}}
        >>> sum_of_two = {'kernel': np.ones((1, 2, 1)), 'bias': np.zeros((1, 1))}
        >>> params = {'backbone': {'dense1': sum_of_two}}
        >>> model = Trained(params, {'backbone': {}}, {'config': config, 'input': [2]})
        >>> model.features(np.array([[0.5, 1.0]])).tolist()
        [[1.5]]
        """
        if stated_by_method(self.record['config']['method'], 'COLUMNS', False):
            raise UserError('this run has a network for each task, and no features of its own')
        network = call_named(ZOO, self.record['config']['net'], 'net')
        # with the head, as a network without parameters has no leaf that tells the number of seeds
        params, state = jax.tree.map(
            lambda leaf: leaf[seed : seed + 1],
            (self.params, {'backbone': self.state['backbone']}),
        )
        outputs = predictions(extractor(network), params, state, self._dataset(inputs), batch)
        return outputs['features'][0]

    def _dataset(self, inputs: Inputs) -> Dataset:
        """Returns inputs as a data set of the training shape and range."""
        shape = tuple(self.record['input'])
        if not shape:
            raise UserError('this run does not say the shape of its inputs: train it again')
        if isinstance(inputs, Dataset):
            return inputs
        if isinstance(inputs, str | Path):
            return self.pictures(find([inputs]))
        if isinstance(inputs, Sequence):
            paths = [item for item in inputs if isinstance(item, str | Path)]
            if len(paths) == len(inputs):
                return self.pictures(find(paths))
        inputs = np.asarray(inputs)  # from an array of JAX, a list, or a picture of Pillow
        refuse_channels_first(inputs.shape[1:])
        if inputs.shape[1:] != shape and (*inputs.shape[1:], 1) != shape:
            is_single = inputs.shape == shape or (*inputs.shape, 1) == shape
            remedy = ', and one is inputs[None]' if is_single else ''
            raise UserError(
                f'inputs are {inputs.shape}: this model takes (n, {", ".join(map(str, shape))})'
                f'{remedy}'
            )
        if not len(inputs):
            raise UserError('there are no inputs: give one or more')
        inputs = inputs.reshape(-1, *shape)
        training_range = tuple(self.record.get('range') or ())
        inputs = scale(inputs, query_range(inputs, training_range), GIVE)
        return arrays(inputs, np.zeros(len(inputs), np.int32))

    def pictures(
        self,
        files: Sequence[File],
        pixels: int | None = None,
        errors: dict[int, str] | None = None,
        size: int = 0,
        sizes: dict[int, tuple[int, int]] | None = None,
    ) -> Dataset:
        """Returns picture files as the model's inputs: pictures of the training size.

        For a model that was trained on extracted features, these are the features of the pictures.

        Args:
            files: files that `tljax.data.finding.find` returned.
            pixels: most pixels that a picture may have; None for the run's own limit.
            errors: a dict to which the row of an unreadable picture and the reason are added; None
                raises an error for it.
            size: side in pixels at which the network sees the pictures; 0 for the training size.
                A detector takes its own alone.
            sizes: for a detector, a dict to which row and original height and width of each
                picture are added once it is read; None for none.

        Raises:
            UserError: for a model that takes no pictures; as in `tljax.data.pictures.pictures`.

        >>> import tempfile
        >>> from PIL import Image
        >>> path = Path(tempfile.mkdtemp(), 'red.png')
        >>> Image.new('RGB', (9, 6), 'red').save(path)
        >>> record = {'config': {'data': {'name': 'folder', 'size': 4}}, 'input': [4, 4, 3]}
        >>> Trained({}, {}, record).pictures(find([path])).take(np.array([0]))['input'].shape
        (1, 4, 4, 3)
        """
        if tuple(self.record.get('range') or ())[2:] == ('as is',):
            raise UserError(
                'this run was trained on arrays as they are, whose range pictures of files do not '
                'have: give arrays'
            )
        data = self.record['config']['data']
        picture_settings, is_extracted = picture_config(data), data['name'] == 'extracted'
        shape = tuple(self.record['input'])
        if self.record.get('task') == 'boxes':
            interpolation = picture_settings.get('interpolation', 'bilinear')
            return stretched_pictures(
                files, shape[0], shape[2], interpolation, pixels, sizes=sizes, errors=errors
            )
        if is_extracted:
            if 'size' not in picture_settings:
                raise UserError(
                    'the data of this run say no size of pictures: give an array of features'
                )
            shape = (picture_settings['size'], picture_settings['size'], 3)
        resize = picture_settings.get('resize')
        if size:
            resize = resize and round(resize * size / shape[0])
            shape = (size, size, *shape[2:])
        pixels = pixels or picture_settings.get('pixels')
        dataset = pictures(
            files,
            shape,
            resize,
            pixels=pixels,
            errors=errors,
            draft=picture_settings.get('draft', 0),
            interpolation=picture_settings.get('interpolation', 'bilinear'),
        )
        return _features_of(dataset, data) if is_extracted else dataset


def _features_of(dataset: Dataset, data: Config) -> Dataset:
    """Returns the features of pictures as a data set.

    Args:
        dataset: pictures.
        data: config of the set `extracted` that the model was trained on.
    """
    net = call_named(ZOO, data['net'], 'data.net')
    weights = read_weights(net, data.get('weights', 'imagenet'), top=False)
    params, state = jax.tree.map(lambda leaf: leaf[None], weights)
    features = predictions(extractor(net), params, state, dataset)['features'][0]
    return arrays(features, np.zeros(dataset.size, np.int32))


def refuse_episodes(record: Record) -> None:
    """Refuses a run that was trained on episodes, because it has no classes of its own.

    Args:
        record: record of the run, with the config of the method.

    >>> refuse_episodes({'config': {'method': {'name': 'protonet'}}})
    Traceback (most recent call last):
    tljax.core.UserError: this run was trained on episodes: python -m experiments.predict ...
    """
    if 'exported' in record:  # with the support set of its classes
        return
    if stated_by_method(record['config']['method'], 'BATCHES', 'labelled') == 'episodes':
        raise UserError(
            'this run was trained on episodes: python -m experiments.predict --support=FOLDER '
            'tells new classes by a few pictures of each, experiments.few_shot measures it'
        )


def picture_config(data: Config) -> Record:
    """Returns the config with the size of the pictures: the set's, or that of a set inside it.

    Args:
        data: config of the set; a wrapper such as `domains` contains the config of another set.

    >>> picture_config({'name': 'domains', 'source': {}, 'target': {'name': 'usps', 'size': 16}})
    {'name': 'usps', 'size': 16}
    """
    while 'size' not in data and isinstance(data.get('of') or data.get('target'), dict):
        data = data.get('of') or data['target']
        if 'name' not in data:  # the sets of several tasks, whose pictures have one size
            data = next(iter(data.values()))
    return data


def load(workdir: str | Path) -> Trained:
    """Loads a finished run, or the last finished phase of a run.

    Args:
        workdir: folder of the run.

    Raises:
        UserError: the folder has no finished run.

    >>> load('nowhere')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere holds no finished run (no final/): train it to its last step first
    """
    return Trained(*run_at(workdir))


def train(
    data: str | Config,
    net: str | Config,
    method: str | Config = 'finetune',
    workdir: str | Path = 'runs/python',
    **changes: Setting,
) -> Trained:
    """Trains a model, or continues an interrupted run, or loads a finished one.

    Args:
        data: name of a data set, {'name': name, keyword: value} with keywords of its function in
            `tljax.data`, or splits {'train': Dataset, 'validation': Dataset, 'test': Dataset}.
        net: name of a network, or {'name': name, keyword: value} with keywords of its function in
            `tljax.zoo`.
        method: name of a method, or {'name': name, keyword: value} with keywords of its function
            in `tljax.methods`.
        workdir: folder of the run.
        **changes: other settings of `tljax.configuration.DEFAULTS`, such as steps=500, optim={'lr':
            1e-2}, seeds=[0, 1, 2] or init={'path': 'imagenet'}.

    Raises:
        UserError: for unknown names, keywords and settings, with the nearest one, and for values
            that do not fit.

    >>> train(data='digits', net='conv4', stepz=3)
    Traceback (most recent call last):
    tljax.core.UserError: stepz is unknown to tljax.train: did you mean steps?
    """
    _refuse_unknown(changes)
    if 'steps' in changes and changes.get('epochs'):
        raise UserError(
            f'steps={changes["steps"]} and epochs={changes["epochs"]} both say how long to train: '
            'give one of them'
        )
    splits = None
    if isinstance(data, dict) and 'name' not in data:
        refuse_unfit(data)
        splits = data
        fingerprints = {name: split.fingerprint for name, split in splits.items()}
        data = {'name': 'arrays', 'fingerprints': fingerprints}
    elif not isinstance(data, str | dict):
        raise UserError(
            f'data is of type {type(data).__name__}: give the name of a set, a config or splits, '
            "such as {'train': tljax.data.arrays(input, label, classes)}"
        )
    config = settings(data=_spec(data), net=_spec(net), method=_spec(method), **changes)
    refuse_other_config(config, workdir)
    fit(build(config, splits=splits), workdir)
    return load(workdir)


def _refuse_unknown(changes: dict[str, Setting]) -> None:
    """Refuses keywords of `train` that are no settings."""
    arguments = ['data', 'net', 'method']
    known_keys = [key for key in settings() if key not in arguments]
    for key in changes:
        if key not in known_keys:
            remedy = nearest_name(key, [*arguments, 'workdir', *known_keys])
            raise UserError(f'{key} is unknown to tljax.train: {remedy}')


def _spec(value: str | Config) -> Config:
    """Returns the config of something that is given by its name or its config."""
    return {'name': value} if isinstance(value, str) else value
