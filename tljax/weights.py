"""Weights for networks of the zoo, as parameters of a method or in the form of a saved run."""

from collections.abc import Sequence
from pathlib import Path

import jax

from tljax import zoo
from tljax.configuration import ZOO, call_named
from tljax.core import Net, Tree, UserError, abbreviated, nearest_name
from tljax.files.console import say
from tljax.protocols import Config, Record
from tljax.zoo.table import ROWS
from tljax.zoo.weights import foreign, hub, keras, published, slim_file, tensors, zero_shot
from tljax.zoo.weights.above import Above
from tljax.zoo.weights.loaded import Loaded


def read_weights(net: Net, path: str, top: bool = True) -> tuple[Tree, Tree]:
    """Returns ImageNet weights for a network of the zoo, or for a part of such a network.

    Args:
        net: a network of the zoo.
        path: a file of weights, or 'imagenet' for the published file, or 'imagenet:160' for the
            published file of that picture size, or 'hub:OWNER/NAME' for a file of the Hugging Face
            hub (`zoo.weights.hub`), or a file of TensorFlow with a network of TF-slim or a detector
            (`zoo.weights.slim_file`).
        top: whether the head is read, too. If not, layers above the network are left out, with a
            message.

    Returns:
        (params, state) of a method with the network as its backbone. `params` contains 'head' if
        `top` is set and the file has a head.

    Raises:
        UserError: no weights are published for the network, or the weights do not fit, or `top` is
            set and the layers above the network are no linear head on its features.

    >>> from tljax.zoo import mobilenet
    >>> read_weights(mobilenet(), 'weights.h5')
    Traceback (most recent call last):
    tljax.core.UserError: weights.h5 does not exist: name a Keras weights file (.h5, .keras)
    """
    if slim_file.is_for(net, path):
        return slim_file.load(path, net, top)
    weights = _load(net, path, top)
    with_layers = 'above1' in net.groups  # the network has dense layers above its backbone
    if top and (weights.above.why or weights.above.dense and not with_layers):
        reason = weights.above.why or f'it stands on {abbreviated(weights.above.names[:-1])}'
        raise UserError(
            f'{path} has no linear head on the features of the network ({reason}): graft the '
            'backbone alone (init.rules)'
        )
    return _with_dense(weights) if with_layers else weights.params, weights.state


def _load(net: Net, path: str, top: bool) -> Loaded:
    """Loads a file for a network, and prints what was assumed or left out.

    Arguments and errors are those of `read_weights`. The result also has the layers between the
    features and the head.
    """
    if not net.published:
        foreign.refuse(path)
        raise UserError(
            f'this network {_why_no_weights(path)}: take one of python -m experiments.models'
        )
    row = ROWS[net.published['name']]

    def load(file):
        whole = net.whole or net
        if row.weights and tensors.is_tensors(file):
            return tensors.load(file, whole, row.size)
        return keras.load(file, whole, row.size, row.top, net.published.get('older'))

    file: str | Path = path
    if str(path) == 'imagenet' and row.weights:
        file = hub.fetch(f'hub:{row.weights}')
    elif match := published.NAME.fullmatch(str(path)):
        file = published.published(net.published, int(match[1] or 0), top, check=load)
    elif str(path).startswith('hub:'):
        file = hub.fetch(str(path))
    weights = load(file)
    _report_inputs(file, weights, net.published['name'])
    if top:
        _report_head(file, weights)
    else:
        weights = weights._replace(params={'backbone': weights.params['backbone']})
    read_layers = {*row.top}
    if top or 'above1' in net.groups:
        read_layers |= {*weights.above.names, *weights.above.folded}
    if unread_layers := [layer for layer in weights.spare if layer not in read_layers]:
        reason = f' ({weights.above.why})' if top and weights.above.why else ''
        say(f'{file}: what lies above the network is left: {abbreviated(unread_layers)}{reason}')
    return weights


def _report_inputs(file: str | Path, weights: Loaded, network: str) -> None:
    """Prints the layers below the network that are left out."""
    if weights.before:
        say(
            f'{file}: {abbreviated(weights.before)} before the network is left: its inputs were '
            'changed there, and tljax does not change them'
        )
    if weights.prepared:
        say(
            f'{file}: {abbreviated(weights.prepared)} may scale pictures otherwise than {network} '
            f'does: it is left, and the scaling of {network} is used'
        )


def _report_head(file: str | Path, weights: Loaded) -> None:
    """Prints what is assumed about outputs of a head that the file does not describe."""
    if weights.above.head and weights.above.head['bias'].size == 1:
        say(
            f'{file} has one output: it is taken for the log-odds of the second of two classes, as '
            'a sigmoid does'
        )
    elif weights.above.logits:
        say(
            f'{file}: its outputs are linear, and no loss in the file tells what they are: they '
            'are taken for the logits of a softmax'
        )


def _with_dense(weights: Loaded) -> Tree:
    """Returns the parameters with the dense layers below the head, as in `zoo.with_layers`."""
    dense = {f'above{i}': layer for i, layer in enumerate(weights.above.dense, 1)}
    return {**weights.params, 'backbone': {**weights.params['backbone'], **dense}}


def pretrained(
    spec: Config,
    path: str,
    classes: Sequence[str] | None = None,
    top: bool = True,
    prompts: Sequence[str] = (),
) -> tuple[Tree, Tree, Record]:
    """Returns a network of the zoo with ImageNet weights, in the form of a saved run.

    Args:
        spec: config of the network.
        path: as in `read_weights`.
        classes: names of the outputs; None for their numbers. CLIP's head is made of them.
        top: as in `read_weights`.
        prompts: texts that describe a class to CLIP, with {} for its name; without, the paper's.

    Returns:
        (params, state, record) as from `checkpoint.load_final`, with one seed. If the file has
        dense layers between the features and the head, the network of the record has them, too
        (`zoo.with_layers`). If the layers above the network are no head, `params` has no head and
        `record['left']` states the reason.

    Raises:
        UserError: as in `read_weights`; for another number of classes; for a network without
            published weights; for an unknown network, with the nearest name; for prompts without
            CLIP or without classes; as `zero_shot.head`.

    >>> pretrained({'name': 'resnet50v1'}, 'weights.h5')
    Traceback (most recent call last):
    tljax.core.UserError: net.name='resnet50v1' is no network of tljax.zoo: did you mean resnet50v2?
    """
    if spec['name'] not in ROWS:
        _refuse_network(spec['name'], path)
    row = ROWS[spec['name']]
    if prompts and (row.module != 'clip' or not classes):
        _refuse_prompts(spec['name'], prompts, row.module)
    weights = _load(call_named(ZOO, spec, 'net'), path, top)
    if top and classes and row.module == 'clip' and (prompts or not weights.above.head):
        prompts = prompts or [zero_shot.PROMPT]
        activation = {**row.keywords, **spec}['activation']
        weights = _with_zero_shot_head(weights, classes, path, row, prompts, activation)
    above = weights.above
    params = _with_dense(weights) if top else weights.params
    params, state = jax.tree.map(lambda leaf: leaf[None], (params, weights.state))
    if top and above.dense:
        widths = [layer['bias'].size for layer in above.dense]
        layers = [list(layer) for layer in zip(widths, above.activations, strict=True)]
        spec = {'name': 'with_layers', 'of': spec, 'layers': layers}
    if above.guessed and 'head' in params:
        say(
            f'{path}: weights alone do not tell what {above.names[0]} stands on: it is taken for a '
            'softmax on the mean of the features'
        )
    names = _class_names(params, classes, path)
    size = _size(weights, row.size, path)
    data: Record = {'name': 'folder', 'size': size, 'resize': round(size * row.resize / row.size)}
    if row.interpolation != 'bilinear':
        data['interpolation'] = row.interpolation
    config = {'net': spec, 'method': {'name': 'finetune'}, 'data': data, 'weights': str(path)}
    if prompts:
        config['prompts'] = list(prompts)
    record = {
        'config': config,
        'classes': names,
        'input': [size, size, 3],
        'seeds': [0],
        'scores': {},
        'left': above.why
        and f'{path} has no head that answers ({above.why}): train one on its backbone (init.path)',
    }
    return params, state, record


def _with_zero_shot_head(weights, classes, path, row, prompts, activation):
    """Returns the weights of CLIP with a head for classes."""
    if not weights.text:
        raise UserError(
            f'{path} has no tower for texts, so that class names make no head: take a file of both '
            'towers, or train a head on its backbone (init.path)'
        )
    say(f'CLIP reads each class as {abbreviated(map(repr, prompts), 3)} (--prompt)')
    if published.is_name(str(path)):
        name = f'hub:{row.weights}' if str(path) == 'imagenet' else str(path)
        path = hub.fetch(name, 'tokenizer.json')
    head = zero_shot.head(weights.text, classes, path, prompts, activation)
    return weights._replace(params={**weights.params, 'head': head}, above=Above())


def _refuse_prompts(name: str, prompts: Sequence[str], module: str) -> None:
    """Refuses prompts for a network other than CLIP, or without classes."""
    text = f'--prompt={"|".join(prompts)!r}'
    if module != 'clip':
        raise UserError(
            f'{text} describes classes to CLIP, and {name} reads no texts: leave it out'
        )
    raise UserError(f"{text} describes classes, and none are named: give --classes='ant,bee'")


def _class_names(params: Tree, classes: Sequence[str] | None, path: str) -> list[str]:
    """Returns the names of a head's classes, and refuses another number of names."""
    count = params['head']['bias'].shape[1] if 'head' in params else 0
    if classes is None:
        return [str(i) for i in range(count)]
    if count and len(classes) != count:
        raise UserError(
            f'{path} tells {count} classes apart, and {len(classes)} are named: take the class '
            'index that belongs to it'
        )
    return list(classes)


def _refuse_network(name: str, path: str) -> None:
    """Refuses a network that has no Keras weights; the message differs for networks of the zoo."""
    remedy = nearest_name(str(name).lower(), ROWS)
    if name not in dir(zoo):
        raise UserError(f'net.name={name!r} is no network of tljax.zoo: {remedy}')
    raise UserError(f'net.name={name!r} {_why_no_weights(path)}: {remedy}')


def _why_no_weights(path: str) -> str:
    """Returns the predicate of an error about a network of the zoo that Keras does not have."""
    if published.NAME.fullmatch(str(path)):
        return 'has no published ImageNet weights'
    return f'reads no Keras weights ({path})'


def _size(weights: Loaded, size: int, path: str) -> int:
    """Returns the picture size that a saved model states, or else `size`."""
    sides = set(weights.shape[:2])
    side = sides.pop() if len(sides) == 1 else None
    if not isinstance(side, int) or side < 1 or side == size:
        return size
    say(f'{path} is made for pictures of {side} pixels, in place of {size}')
    return side
