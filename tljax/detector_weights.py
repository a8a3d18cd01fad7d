"""Weights for the detectors of the zoo, in the form of a saved run."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import numpy as np
from flax.traverse_util import unflatten_dict

from tljax.configuration import GIVEN, METHODS, ZOO, bind_named, call_named
from tljax.core import Tree, UserError, abbreviated, nearest_name
from tljax.nn.fake_quantisation import quantised_layers
from tljax.paths import flatten
from tljax.protocols import Record, Setting
from tljax.zoo.detectors import DETECTORS
from tljax.zoo.weights.coco_classes import COCO
from tljax.zoo.weights.slim import from_slim
from tljax.zoo.weights.slim_heads import head_arrays
from tljax.zoo.weights.slim_stages import parts_from_slim, stage_arrays
from tljax.zoo.weights.tensorflow.reading import read
from tljax.zoo.weights.tensorflow.variables import variables

SIDE = 600  # of the pictures of detectors of two stages, which are squares here


def pretrained_detector(
    name: str,
    path: str,
    classes: Sequence[str] | None = None,
    quantised: bool = False,
    **keywords: Setting,
) -> tuple[Tree, Tree, Record]:
    """Returns a detector of the zoo with weights, in the form of a saved run.

    Detectors of two stages were trained on pictures of their own shapes, with a short side of 600
    pixels. Here pictures are stretched to squares of that side.

    Args:
        name: name of the detector (`zoo.detectors`).
        path: a frozen graph, checkpoint, model of TensorFlow.js or of TensorFlow Lite, or a folder
            with one.
        classes: names of the classes; None for COCO's if there are 90, and otherwise for numbers.
        quantised: whether numbers are rounded to 8 bits, in the ranges that the file states, as
            TensorFlow Lite does; False computes with the same weights in float32.
        **keywords: of the method, in place of the zoo's, such as total=10.

    Returns:
        (params, state, record) as from `checkpoint.load_final`, with one seed.

    Raises:
        UserError: an unknown detector, with the nearest name; a file that cannot be read; weights
            of another detector; another number of classes; a file without ranges where they are
            asked for.

    >>> pretrained_detector('ssdlite_v2', 'model.json')
    Traceback (most recent call last):
    tljax.core.UserError: 'ssdlite_v2' is no detector of the zoo: did you mean ssdlite_mobilenet_v2?
    """
    if name not in DETECTORS:
        raise UserError(f'{name!r} is no detector of the zoo: {nearest_name(name, DETECTORS)}')
    detector = DETECTORS[name]
    tensors, facts = variables(read(path))
    count = facts.classes or len(COCO)
    if classes is None:
        classes = COCO if count == len(COCO) else [str(i) for i in range(count)]
    if len(classes) != count:
        raise UserError(
            f'{path} tells {count} classes apart, and {len(classes)} are named: take the names '
            'that belong to it'
        )
    net = call_named(ZOO, detector.net, 'net')
    spec = {**detector.method, **keywords}
    rounding: AbstractContextManager[Any] = nullcontext()
    if quantised:
        if not facts.ranges:
            raise UserError(
                f'{path} states no ranges of 8 bits: leave out --model.quantised, or name a '
                'quantised .tflite file'
            )
        spec = {'name': 'with_fake_quantisation', 'method': spec, 'delay': 0}
        tensors, rounding = {**tensors, **facts.ranges}, quantised_layers(active=False)
    method = bind_named(METHODS, spec, 'method', *GIVEN)(net=net, classes=count)
    size = detector.size or SIDE
    shape = (size, size, 3)
    if 'tail' in detector.method:
        tail = call_named(ZOO, detector.method['tail'], 'method.tail')
        params, state = parts_from_slim(tensors, net, tail, shape)
        arrays = stage_arrays(tensors)
    else:
        with rounding:  # layers keep ranges
            params, state = ({'backbone': tree} for tree in from_slim(tensors, net, shape=shape))
        arrays = {f'head/{place}': array for place, array in head_arrays(tensors).items()}
    if quantised:
        arrays['quantised'] = np.ones((), np.float32)
    batch = {
        'input': jax.ShapeDtypeStruct((1, *shape), np.float32),
        'label': jax.ShapeDtypeStruct((1, 1, 5), np.float32),
    }
    rest, rest_state = (
        {player: leaves for player, leaves in tree.items() if player not in params}
        for tree in jax.eval_shape(method.init, jax.random.key(0), batch)
    )
    predictors = _predictors(arrays, rest, rest_state, path, name)
    params, state = ({**a, **b} for a, b in zip((params, state), predictors, strict=True))
    record = {
        'config': {
            'net': detector.net,
            'method': spec,
            'data': {'name': 'boxes', 'size': size, 'interpolation': 'legacy'},
            'weights': str(path),
        },
        'classes': list(classes),
        'task': 'boxes',
        'input': list(shape),
        'seeds': [0],
        'scores': {},
    }
    params, state = jax.tree.map(lambda leaf: np.asarray(leaf)[None], (params, state))
    return params, state, record


def _predictors(arrays, params, state, path, name):
    """The parameters and state of the layers that are no network's, of arrays by paths."""
    params, state = flatten(params), flatten(state)
    expected = {place: leaf.shape for place, leaf in {**params, **state}.items()}
    faults = {
        'missing': [place for place in expected if place not in arrays],
        'spare': [place for place in arrays if place not in expected],
        'of another shape': [
            f'{place} {arrays[place].shape} for {shape}'
            for place, shape in expected.items()
            if place in arrays and arrays[place].shape != shape
        ],
    }
    if any(faults.values()):
        text = '; '.join(
            f'{what}: {abbreviated(places, 4)}' for what, places in faults.items() if places
        )
        raise UserError(f'{path} has predictors of another detector than {name} ({text})')
    return (
        unflatten_dict({place: arrays[place] for place in tree}, sep='/')
        for tree in (params, state)
    )
