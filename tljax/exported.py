"""Models in one file, which `python -m experiments.export` writes, and their predictions.

This module needs jax, numpy and flatbuffers, and nothing else of tljax: it may be copied beside a
file. The file is a ZIP:

    about.json            what the model takes and gives (`about`)
    program.bin           the program, by jax.export, for any number of inputs
    parameters/PATH.npy   what training changes; a PATH is such as backbone/conv1/kernel
    statistics/PATH.npy   what the program reads beside: BatchNorm's statistics, a support set

The program is a function of the parameters, the statistics, both as {path: array}, and the inputs.
It returns a dict:

    prediction   (n, ...), averaged over seeds: probabilities of classes or labels, numbers, boxes
    output       (seeds, n, ...), of each seed: logits of classes or labels, numbers, boxes
    features     (seeds, n, dim), what the network computes below its last layer, where it has any

Every array of the file has a leading axis of seeds.
"""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

FORMAT = 1  # of the file
ABOUT, PROGRAM = 'about.json', 'program.bin'
PARTS = 'parameters', 'statistics'
Arrays = dict[str, Any]  # {path: array}


class Exported(NamedTuple):
    """A model of a file.

    Attributes:
        about: what the file says of the model: 'task' ('classes', 'labels', 'numbers' or 'boxes'),
            'classes', 'input' (shape of one input, dtype, and the numbers of black and white in
            pictures of bytes), 'pictures' (how a file becomes an input), 'outputs' (shape of each),
            'seeds', 'vjp', 'platforms', 'calling_convention' and 'versions'.
        parameters: {path: array}; with `vjp` they may be trained.
        statistics: {path: array}.
        program: (parameters, statistics, inputs) -> {'prediction', 'output', 'features'}, compiled
            for each number of inputs.
    """

    about: dict[str, Any]
    parameters: Arrays
    statistics: Arrays
    program: Callable[..., dict[str, jax.Array]]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; empty for a regression."""
        return tuple(self.about['classes'])

    def predict(self, inputs: Any) -> np.ndarray:
        """Returns predictions.

        Args:
            inputs: (n, ...), as `inputs` takes them.

        Returns:
            Probabilities of classes or labels (n, classes), or numbers (n, d), averaged over seeds.
            For boxes detections of the first seed (n, k, 6): top, left, bottom, right in shares,
            class and score; the class is -1 where there are no more.

        Raises:
            ValueError: inputs of another shape.
        """
        called = self.program(self.parameters, self.statistics, self.inputs(inputs))
        return np.asarray(called['prediction'])

    def outputs(self, parameters: Arrays, inputs: Any) -> jax.Array:
        """Returns the outputs of each seed, (seeds, n, ...): logits of classes or labels.

        Args:
            parameters: as `self.parameters`. With `vjp`, outputs are differentiable in them.
            inputs: (n, ...), as `inputs` takes them.
        """
        return self.program(parameters, self.statistics, self.inputs(inputs))['output']

    def features(self, parameters: Arrays, inputs: Any) -> jax.Array:
        """Returns the network's features for each seed, (seeds, n, dim), for a head of your own.

        Args:
            parameters: as `self.parameters`. With `vjp`, features are differentiable in them.
            inputs: (n, ...), as `inputs` takes them.

        Raises:
            ValueError: the model has no features of its own.
        """
        if 'features' not in self.about['outputs']:
            raise ValueError('this model has no features of its own: take its outputs')
        return self.program(parameters, self.statistics, self.inputs(inputs))['features']

    def inputs(self, inputs: Any) -> jax.Array:
        """Returns inputs as the program takes them.

        Args:
            inputs: (n, ...) numbers in the shape that `about` says. Pictures of bytes (uint8)
                become floats, in which black is 0 and white is 1. Other numbers stay as they are.

        Raises:
            ValueError: inputs of another shape.
        """
        shape, pixels = tuple(self.about['input']['shape']), self.about['input']['pixels']
        if np.shape(inputs)[1:] != shape or not np.shape(inputs)[0]:
            raise ValueError(
                f'inputs are {np.shape(inputs)}: this model takes (n, {", ".join(map(str, shape))})'
            )
        if pixels and getattr(inputs, 'dtype', None) == np.uint8:
            black, white = map(np.float32, pixels)
            inputs = (inputs - black) / (white - black)
        return jnp.asarray(inputs, self.about['input']['dtype'])


def load(path: str | Path) -> Exported:
    """Loads a model.

    Args:
        path: of a file that `python -m experiments.export` wrote.

    Raises:
        ValueError: the file does not exist or is damaged, was made for other platforms than this
            machine's, or has a calling convention that this version of jax does not read.

    >>> load('nowhere.tljax')
    Traceback (most recent call last):
    ValueError: nowhere.tljax does not exist: name a file that experiments.export wrote
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f'{path} does not exist: name a file that experiments.export wrote')
    try:
        with zipfile.ZipFile(path) as file:
            members = {name: file.read(name) for name in file.namelist()}
            about = json.loads(members[ABOUT])
            parameters, statistics = (_arrays(members, part) for part in PARTS)
        _refuse_unfit(about, path)
        exported = jax.export.deserialize(bytearray(members[PROGRAM]))
    except _Unfit as error:
        raise ValueError(str(error)) from None
    except ImportError:  # jax asks for flatbuffers
        raise
    except Exception as error:  # each of the formats has errors of its own for a damaged file
        raise ValueError(
            f'{path} is damaged or no file of experiments.export ({type(error).__name__}): export '
            'the model again'
        ) from error
    return Exported(about, parameters, statistics, jax.jit(exported.call))


class _Unfit(Exception):
    """A file that is whole, and cannot be used here."""


def _arrays(members, part):
    """{path: array} of the members in a folder of the file."""
    return {
        name[len(part) + 1 : -len('.npy')]: np.load(io.BytesIO(content), allow_pickle=False)
        for name, content in members.items()
        if name.startswith(f'{part}/')
    }


def _refuse_unfit(about, path):
    """Refuses a file that this module, this version of jax or this machine cannot use."""
    if about['format'] != FORMAT:
        raise _Unfit(f'{path} has format {about["format"]}, and this module reads {FORMAT}')
    version = about['calling_convention']
    oldest = jax.export.minimum_supported_calling_convention_version
    newest = jax.export.maximum_supported_calling_convention_version
    if not oldest <= version <= newest:
        raise _Unfit(
            f'{path} has the calling convention {version} (of jax {about["versions"]["jax"]}), and '
            f'jax {jax.__version__} reads {oldest} to {newest}: take another version of jax, or '
            'export the model again'
        )
    here = jax.export.default_export_platform()
    if here not in about['platforms']:
        raise _Unfit(
            f'{path} was made for {", ".join(about["platforms"])}, and this machine has {here}: '
            f'export it with --platforms={",".join([*about["platforms"], here])}'
        )
