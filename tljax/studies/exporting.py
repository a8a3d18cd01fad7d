"""Models as files that need none of this code: a program for any number of inputs, by jax.export,
with its parameters. `tljax.exported` states the form of the file, and reads it."""

import contextlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from jax.errors import InconclusiveDimensionOperation, JAXTypeError

from tljax.configuration import ZOO, call_named, stated_by_method
from tljax.core import UserError, abbreviated
from tljax.exported import ABOUT, FORMAT, PARTS, PROGRAM, Arrays
from tljax.files.text import write
from tljax.paths import flatten, map_paths
from tljax.platforms import for_any
from tljax.program import prediction
from tljax.protocols import Config, Record, Tree
from tljax.studies.episodes import read_support
from tljax.studies.pictures import Model, refuse_no_outputs
from tljax.trained import Trained, picture_config
from tljax.weights import read_weights

PLATFORMS = ('cpu', 'cuda', 'rocm', 'tpu')
START = (1980, 1, 1, 0, 0, 0)  # time of every member, so that equal models are equal files
PICTURE_KEYS = ('resize', 'interpolation', 'draft')
MEANINGS = {  # of the program's outputs
    'classes': 'prediction: probabilities of the classes; output: logits of each seed',
    'labels': 'prediction: probability of each label; output: logits of each seed',
    'numbers': 'prediction: numbers; output: numbers of each seed',
    'boxes': 'prediction: top, left, bottom, right in shares of the picture, class (-1: no more '
    'boxes) and score, of the first seed; output: the same of each seed',
}
One = Callable[[Tree, Tree, jax.Array], dict[str, jax.Array]]  # of one seed
Call = Callable[[Arrays, Arrays, jax.Array], dict[str, jax.Array]]  # of all seeds, by path


def export(
    model: Model,
    out: str,
    platforms: Sequence[str] = ('cpu', 'cuda', 'tpu'),
    vjp: bool = False,
    support: str | None = None,
    pixels: int | None = None,
) -> Record:
    """Writes a model as one file, which `tljax.exported.load` reads.

    Args:
        model: parameters, state and record, as `models.model` gives them.
        out: path of the file.
        platforms: names of the platforms that the program can run on, of PLATFORMS.
        vjp: whether outputs can be differentiated, so that others train the parameters.
        support: of a few-shot run, a folder with one folder of pictures for each class to tell. The
            pictures are stored in the file.
        pixels: largest number of pixels of a picture of the support; None: the run's own limit.

    Returns:
        {'file', 'parameters': how many numbers the program's parameters are, 'bytes': of the file,
        'platforms', 'vjp'}.

    Raises:
        UserError: an unknown platform, a model without outputs, or one whose program depends on the
            number of inputs.

    >>> export(({}, {}, {'classes': []}), 'a.tljax', platforms=['gpu'])
    Traceback (most recent call last):
    tljax.core.UserError: --platforms=gpu is unknown: there are cpu, cuda, rocm, tpu
    """
    unknown = [name for name in platforms if name not in PLATFORMS]
    if unknown or not platforms:
        raise UserError(
            f'--platforms={",".join(platforms)} is unknown: there are {abbreviated(PLATFORMS)}'
        )
    if 'exported' in model[2]:
        raise UserError('this model is an exported file: copy it, or export the run that it is of')
    trained, one, state = _function(model, support, pixels)
    shape = _input_shape(trained.record)
    call = _call(one, trained.params, state, trained.task)
    parts = _read(call, flatten(trained.params), flatten(state), shape)
    with _without_places():
        program = _traced(call, *parts, shape, platforms)
        content = bytes(program.serialize(vjp_order=int(vjp)))
    about = json.dumps(_about(trained.record, program, shape, vjp), indent=1) + '\n'
    members = {ABOUT: about.encode(), PROGRAM: content}
    for name, arrays in zip(PARTS, parts, strict=True):
        members |= {f'{name}/{path}.npy': _npy(array, path) for path, array in arrays.items()}
    content = _zip(members)
    write(out, content)
    return {
        'file': out,
        'parameters': sum(int(np.size(array)) for array in parts[0].values()),
        'bytes': len(content),
        'platforms': list(platforms),
        'vjp': vjp,
    }


def _function(model: Model, support: str | None, pixels: int | None) -> tuple[Trained, One, Tree]:
    """The model, the function of one seed that predicts inputs, and the state that it reads."""
    trained = Trained(*model)
    if support is not None:
        classes, inputs, is_inverted = read_support(model, support, pixels)
        if stated_by_method(trained.record['config']['method'], 'TRANSDUCTIVE', False):
            raise UserError(
                f'{trained.record["config"]["method"]["name"]} predicts the pictures of a batch '
                'together, and a file predicts each alone: take experiments.predict'
            )
        record = {**trained.record, 'classes': classes, 'task': 'classes'}
        state = {'state': trained.state, 'support': np.repeat(inputs, len(record['seeds']), 0)}
        return trained._replace(record=record), _of_episode(record, is_inverted), state
    trained = Trained(*refuse_no_outputs(model))
    data = trained.record['config'].get('data', {})
    one = _of_inputs(trained.record)
    if data.get('name') != 'extracted':
        return trained, one, trained.state
    if 'size' not in picture_config(data):
        return trained, one, trained.state  # trained on features of a file
    return _with_extractor(trained, one, data)


def _of_inputs(record: Record) -> One:
    """The prediction of a model; with the features of its network where the method has not changed
    it."""
    predict, config = prediction(record), record['config']
    method = config['method']
    has_features = stated_by_method(method, 'CACHED', True) and record.get('task') != 'boxes'
    has_features &= not stated_by_method(method, 'COLUMNS', False)
    net = call_named(ZOO, config['net'], 'net') if has_features else None

    def one(params, state, input):
        label = jnp.zeros(input.shape[0], jnp.int32)
        outputs = {'output': predict(params, state, {'input': input, 'label': label})['output']}
        if net is not None:
            taps, _ = net.features(params['backbone'], state['backbone'], input)
            outputs['features'] = taps['features']
        return outputs

    return one


def _of_episode(record: Record, is_inverted: bool) -> One:
    """The prediction of a few-shot model, whose state has the support (ways, shots, ...)."""
    predict, ways = prediction(record), len(record['classes'])

    def one(params, state, input):
        support = state['support'][None]
        label = jnp.broadcast_to(jnp.arange(ways)[:, None], support.shape[1:3])[None]
        query = (1 - input if is_inverted else input)[None, None]
        batch = {
            'support': {'input': support, 'label': label},
            'query': {'input': query, 'label': jnp.zeros((1, 1, input.shape[0]), jnp.int32)},
        }
        output = predict(params, state['state'], batch)['output']
        return {'output': output.reshape(input.shape[0], ways)}

    return one


def _with_extractor(trained: Trained, one: One, data: Config) -> tuple[Trained, One, Tree]:
    """A model of extracted features, with the network that extracts them from pictures."""
    net = call_named(ZOO, data['net'], 'data.net')
    weights, statistics = read_weights(net, data.get('weights', 'imagenet'), top=False)
    seeds = len(trained.record['seeds'])
    params, state = jax.tree.map(
        lambda leaf: np.repeat(np.asarray(leaf)[None], seeds, 0),
        (weights['backbone'], statistics['backbone']),
    )

    def whole(params, state, input):
        taps, _ = net.features(params['extractor'], state['extractor'], input)
        return one(params['model'], state['model'], taps['features'])

    size = picture_config(data)['size']
    model = Trained(
        {'model': trained.params, 'extractor': params},
        {},
        {**trained.record, 'input': [size, size, 3], 'range': []},
    )
    return model, whole, {'model': trained.state, 'extractor': state}


def _input_shape(record: Record) -> tuple[int, ...]:
    if not record.get('input'):
        raise UserError('this run does not say the shape of its inputs: train it again')
    return tuple(record['input'])


def _call(one: One, params: Tree, state: Tree, task: str) -> Call:
    """The program as a function of the parameters and statistics that are given, by their paths."""
    seeds = jax.tree.leaves((params, state))[0].shape[0]

    def of_seed(seed, given, tree):
        return map_paths(
            lambda path, leaf: (
                given[path][seed] if path in given else np.zeros(leaf.shape[1:], leaf.dtype)
            ),
            tree,
        )

    def call(parameters, statistics, input):
        outputs = [  # in no loop, in which a CPU is slow to differentiate convolutions
            one(of_seed(seed, parameters, params), of_seed(seed, statistics, state), input)
            for seed in range(seeds)
        ]
        outputs = jax.tree.map(lambda *leaves: jnp.stack(leaves), *outputs)
        return {'prediction': _prediction(outputs['output'], task), **outputs}

    return call


def _prediction(output, task):
    """The prediction from the outputs (seeds, n, ...), as `Trained.predict` has it."""
    if task == 'boxes':
        return output[0]
    if task == 'labels':
        return jax.nn.sigmoid(output).mean(0)
    return jax.nn.softmax(output).mean(0) if task == 'classes' else output.mean(0)


def _read(
    call: Call, parameters: Arrays, statistics: Arrays, shape: tuple[int, ...]
) -> tuple[Arrays, Arrays]:
    """The parameters and the statistics that the program reads, without critics, starting points
    and whatever else no prediction reads."""
    # with a known number of inputs, as jax drops no argument otherwise
    program = _traced(call, parameters, statistics, shape, ('cpu',), count=2)
    paths = [(parameters, path) for path in sorted(parameters)]
    paths += [(statistics, path) for path in sorted(statistics)]
    kept = [paths[place] for place in program.module_kept_var_idx if place < len(paths)]
    read, beside = (
        {path: part[path] for whole, path in kept if whole is part}
        for part in (parameters, statistics)
    )
    return read, beside


def _traced(call, parameters, statistics, shape, platforms, count=None):
    """The program for any number of inputs, or for `count` of them."""
    (any_count,) = jax.export.symbolic_shape('n')
    arrays = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), (parameters, statistics)
    )
    inputs = jax.ShapeDtypeStruct((count or any_count, *shape), jnp.float32)
    try:
        return jax.export.export(jax.jit(for_any(call)), platforms=platforms)(*arrays, inputs)
    except (InconclusiveDimensionOperation, JAXTypeError, TypeError) as error:
        raise UserError(
            'this model computes with the number of its inputs, and a file is for any number '
            f'({" ".join(str(error).split())[:60]}): take experiments.predict'
        ) from error


@contextlib.contextmanager
def _without_places() -> Iterator[None]:
    """Leaves the names of this machine's source files out of programs."""
    setting = 'jax_traceback_in_locations_limit'
    before = getattr(jax.config, setting)
    jax.config.update(setting, 0)
    try:
        yield
    finally:
        jax.config.update(setting, before)


def _about(record: Record, program: jax.export.Exported, shape: tuple, vjp: bool) -> Record:
    """What the file says of the model."""
    trained, config = Trained({}, {}, record), record['config']
    outputs = jax.tree.unflatten(program.out_tree, program.out_avals)
    return {
        'format': FORMAT,
        'task': trained.task,
        'classes': list(trained.classes),
        'input': {
            'shape': list(shape),
            'dtype': 'float32',
            'pixels': _pixels(record, shape),
            'range': list(record.get('range') or ()),
        },
        'pictures': _pictures(config.get('data', {}), shape, trained.task),
        'outputs': {name: [str(size) for size in leaf.shape] for name, leaf in outputs.items()},
        'meaning': MEANINGS[trained.task],
        'seeds': len(record.get('seeds', [0])),
        'vjp': vjp,
        'network': config['net']['name'],
        'method': config['method']['name'],
        'platforms': list(program.platforms),
        'calling_convention': program.calling_convention_version,
        'versions': {'tljax': _version(), 'jax': jax.__version__},
    }


def _version():
    try:
        return metadata.version('tljax')
    except metadata.PackageNotFoundError:  # run from its folder
        return ''


def _pixels(record, shape):
    """The numbers of black and white in pictures of bytes; None for inputs that are no pictures, or
    that were not scaled."""
    black, white, kind = record.get('range') or (0.0, 255.0, 'i')
    if len(shape) != 3 or kind == 'as is':
        return None
    return [black, white] if kind == 'i' and white <= 255 else [0.0, 255.0]


def _pictures(data: Config, shape: tuple[int, ...], task: str) -> Record | None:
    """How a picture's file becomes an input: `data.pictures` does it, and others can."""
    if len(shape) != 3:
        return None
    settings = picture_config(data)
    facts = {key: settings[key] for key in PICTURE_KEYS if settings.get(key)}
    scale = 'stretch to the size'
    if task != 'boxes':
        scale = 'scale the short side to `resize` (without it: to the size), cut out the middle'
    return {
        'size': list(shape[:2]),
        'channels': shape[2],
        **facts,
        'steps': f'decode, turn upright as EXIF says, {scale}; bytes (uint8) are inputs',
    }


def _npy(array: Any, path: str) -> bytes:
    array = np.asarray(array)
    if array.dtype.kind not in 'biuf':
        raise UserError(
            f'{path} is of type {array.dtype}, which no file of NumPy has: train it in float32'
        )
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _zip(members: dict[str, bytes]) -> bytes:
    """A ZIP that depends on its members alone."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as archive:
        for name, content in members.items():
            member = zipfile.ZipInfo(name, START)
            kind = zipfile.ZIP_STORED if name.endswith('.npy') else zipfile.ZIP_DEFLATED
            archive.writestr(member, content, kind)
    return file.getvalue()
