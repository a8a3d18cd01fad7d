"""A trained model from Python: what it predicts, and its features, for arrays or picture files."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, softmax

from tljax.build import build, refuse_other_config
from tljax.configuration import ZOO, call_named, settings, stated_by_method
from tljax.core import Dataset, Tree, UserError, nearest_name
from tljax.data.archives import File
from tljax.data.finding import find
from tljax.data.formats.arrays import arrays
from tljax.data.pictures import pictures
from tljax.data.ranges import GIVE, query_range, refuse_channels_first, scale
from tljax.data.splits import refuse_unfit
from tljax.engine.evaluate import predictions
from tljax.engine.train import fit
from tljax.features import extractor, run_at
from tljax.program import form, predictor
from tljax.protocols import Config, Record, Setting
from tljax.weights import read_weights

# an array (n, ...), a set, or files and folders of pictures
Inputs = ArrayLike | Dataset | str | Path | Sequence[str | Path]


class Trained(NamedTuple):
    """A finished run, or a network with its weights.

    Attributes:
        params: parameters, with a leading axis of seeds.
        state: state of the method, with a leading axis of seeds.
        record: config, names of the classes, shape of an input, seeds and scores.

    >>> Trained(
    ...     {}, {}, {'classes': ['cat', 'dog'], 'scores': {'test': {'accuracy': [0.75]}}}
    ... ).classes
    ('cat', 'dog')
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
        """'classes', 'labels' or 'numbers', as `core.Task` has them."""
        return self.record.get('task') or ('classes' if self.classes else 'numbers')

    @property
    def scores(self) -> dict[str, dict[str, list[float]]]:
        """{split: {score: value of each seed}}; the first score is the one that decides."""
        return self.record['scores']

    def predict(self, inputs: Inputs, batch: int = 32) -> np.ndarray:
        """What the model says of inputs, averaged over seeds.

        Args:
            inputs: array (n, ...) of the shape that the run was trained on, or what NumPy makes one
                of, pictures in the range of its training or in [0, 1]; a data set; or paths of
                pictures, and of folders, ZIP and tar archives whose pictures are taken in the order
                of their names.
            batch: inputs at a time.

        Returns:
            Probabilities (n, classes), those of several labels each by itself, or numbers (n, d)
            for regression.

        Raises:
            UserError: inputs of another shape, a path without pictures, a model without outputs or
                of episodes.

        >>> import tempfile
        >>> blobs = np.array([[0.0, 1.0], [1.0, 0.0]] * 8, np.float32)
        >>> splits = {'train': arrays(blobs, np.array([0, 1] * 8), ('up', 'right'))}
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
        if 'head' not in self.params and (self.classes or 'weights' in self.record['config']):
            raise UserError(
                self.record.get('left')
                or 'this model has no outputs: take weights with the top, or a run that was '
                'trained on labels'
            )
        output = predictions(
            predictor(self.record), self.params, self.state, self._dataset(inputs), batch
        )['output']
        if self.task == 'labels':
            return expit(output).mean(0)
        return softmax(output, -1).mean(0) if self.classes else output.mean(0)

    def features(self, inputs: Inputs, batch: int = 32, seed: int = 0) -> np.ndarray:
        """The features (n, dim) that the network makes of inputs.

        Args:
            inputs: as `predict` takes them.
            batch: inputs at a time.
            seed: place of the seed whose network is taken.

        Raises:
            UserError: as `predict`.
        """
        spec, method = self.record['config']['net'], self.record['config']['method']
        params, state = (
            jax.tree.map(lambda leaf: leaf[seed : seed + 1], {'backbone': tree['backbone']})
            for tree in (self.params, self.state)
        )
        return predictions(
            extractor(call_named(ZOO, spec, 'net', **form(spec, method))),
            params,
            state,
            self._dataset(inputs),
            batch,
        )['features'][0]

    def _dataset(self, inputs: Inputs) -> Dataset:
        shape = tuple(self.record['input'])
        if not shape:
            raise UserError('this run does not say the shape of its inputs: train it again')
        if isinstance(inputs, Dataset):
            return inputs
        if isinstance(inputs, str | Path):
            return self.pictures(find([inputs]))
        if isinstance(inputs, Sequence):
            paths = [each for each in inputs if isinstance(each, str | Path)]
            if len(paths) == len(inputs):
                return self.pictures(find(paths))
        inputs = np.asarray(inputs)  # of JAX, of a list, of Pillow's pictures
        refuse_channels_first(inputs.shape[1:])
        if inputs.shape[1:] != shape and (*inputs.shape[1:], 1) != shape:
            one = inputs.shape == shape or (*inputs.shape, 1) == shape
            raise UserError(
                f'inputs are {inputs.shape}: this model takes (n, '
                f'{", ".join(map(str, shape))})' + (', and one is inputs[None]' if one else '')
            )
        if not len(inputs):
            raise UserError('there is no input to tell anything of: give one or more')
        inputs = inputs.reshape(-1, *shape)
        trained = tuple(self.record.get('range') or ())
        inputs = scale(inputs, query_range(inputs, trained), GIVE)
        return arrays(inputs, np.zeros(len(inputs), np.int32))

    def pictures(
        self,
        files: Sequence[File],
        pixels: int | None = None,
        failed: dict[int, str] | None = None,
        size: int = 0,
    ) -> Dataset:
        """Picture files as the model takes them: in the size of its training, or their features.

        Args:
            files: as `tljax.data.finding.find` gives them.
            pixels: the most that a picture may have; None: the run's own limit.
            failed: where {row: why} of pictures that cannot be read is put; None: they are refused.
            size: side of the pictures that the network is shown; 0: that of the training.

        Raises:
            UserError: a model that takes no pictures; as `tljax.data.pictures.pictures`.
        """
        if tuple(self.record.get('range') or ())[2:] == ('as is',):
            raise UserError(
                'this run was trained on arrays as they are, whose range pictures of files do not '
                'have: give arrays'
            )
        shape, data = tuple(self.record['input']), self.record['config']['data']
        shown, features = picture_config(data), data['name'] == 'extracted'
        if features and 'size' not in shown:
            raise UserError(
                'the data of this run say no size of pictures: give an array of features'
            )
        if features:
            shape = (shown['size'], shown['size'], 3)
        resize = shown.get('resize')
        if size:
            resize, shape = resize and round(resize * size / shape[0]), (size, size, *shape[2:])
        found = pictures(files, shape, resize, pixels=pixels or shown.get('pixels'), errors=failed)
        if not features:
            return found
        net = call_named(ZOO, data['net'], 'data.net')
        weights = read_weights(net, data.get('weights', 'imagenet'), top=False)
        params, state = jax.tree.map(lambda leaf: leaf[None], weights)
        told = predictions(extractor(net), params, state, found)
        return arrays(told['features'][0], np.zeros(found.size, np.int32))


def refuse_episodes(record: Record) -> None:
    """Refuses a run that tells the classes of an episode apart, and has none of its own.

    Args:
        record: of the run; the config of its method counts.

    >>> refuse_episodes({'config': {'method': {'name': 'protonet'}}})
    Traceback (most recent call last):
    tljax.core.UserError: this run was trained on episodes: python -m experiments.predict ...
    """
    if stated_by_method(record['config']['method'], 'BATCHES', 'labelled') == 'episodes':
        raise UserError(
            'this run was trained on episodes: python -m experiments.predict --support=FOLDER '
            'tells new classes by a few pictures of each, experiments.few_shot measures it'
        )


def picture_config(data: Config) -> Record:
    """The config of a set, or of the set inside it, that says the size of its pictures.

    Args:
        data: config of the set.

    >>> picture_config({'name': 'domains', 'source': {}, 'target': {'name': 'usps', 'size': 16}})
    {'name': 'usps', 'size': 16}
    """
    while 'size' not in data and isinstance(data.get('of') or data.get('target'), dict):
        data = data.get('of') or data['target']
    return data


def load(workdir: str | Path) -> Trained:
    """A finished run, or the last finished phase of one.

    Args:
        workdir: folder of the run.

    Raises:
        UserError: the folder holds no finished run.

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
    """Trains a model, or goes on where a killed call was cut off, or loads what is finished.

    Args:
        data: name of a data set, {'name': name, keyword: value} with keywords of its function in
            `tljax.data`, or splits {'train': Dataset, 'validation': Dataset, 'test': Dataset}.
        net: name of a network, or {'name': name, keyword: value}, as `tljax.zoo` has them.
        method: the same of a method, as `tljax.methods` has them.
        workdir: folder of the run.
        **changes: other settings of `tljax.configuration.DEFAULTS`, such as steps=500, optim={'lr':
            1e-2}, seeds=[0, 1, 2] or init={'path': 'imagenet'}.

    Raises:
        UserError: for names, keywords and settings that do not fit, with the nearest one.

    >>> train(data='digits', net='conv4', stepz=3)
    Traceback (most recent call last):
    tljax.core.UserError: stepz is unknown to tljax.train: did you mean steps?
    """
    taken = [key for key in settings() if key not in ('data', 'net', 'method')]
    if unknown := [key for key in changes if key not in taken]:
        raise UserError(
            f'{unknown[0]} is unknown to tljax.train: '
            f'{nearest_name(unknown[0], ["data", "net", "method", "workdir", *taken])}'
        )
    if 'steps' in changes and changes.get('epochs'):
        raise UserError(
            f'steps={changes["steps"]} and epochs={changes["epochs"]} both say how long to train: '
            'give one of them'
        )
    splits = None
    if not isinstance(data, str | dict):
        raise UserError(
            f'data is of type {type(data).__name__}: give the name of a set, a config or '
            'splits, '
            "such as {'train': tljax.data.arrays(input, label, classes)}"
        )
    if isinstance(data, dict) and 'name' not in data:
        refuse_unfit(data)
        data, splits = (
            {
                'name': 'arrays',
                'fingerprints': {name: split.fingerprint for name, split in data.items()},
            },
            data,
        )
    config = settings(
        **changes,
        **{
            key: {'name': value} if isinstance(value, str) else value
            for key, value in (('data', data), ('net', net), ('method', method))
        },
    )
    refuse_other_config(config, workdir)
    fit(build(config, splits=splits), workdir)
    return load(workdir)
