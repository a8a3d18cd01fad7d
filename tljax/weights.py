"""Networks of the zoo with the weights of a file: as parts of a method, and as what a finished run
saves."""

from collections.abc import Sequence
from pathlib import Path

import jax

from tljax import zoo
from tljax.configuration import ZOO, call_named
from tljax.core import Net, Tree, UserError, abbreviated, nearest_name
from tljax.files.console import say
from tljax.protocols import Config, Record
from tljax.zoo.table import ROWS
from tljax.zoo.weights import foreign, keras, published


def read_weights(net: Net, path: str, top: bool = True) -> tuple[Tree, Tree]:
    """ImageNet weights of a network, or of the network that it is a part of.

    Args:
        net: a network of the zoo.
        path: a Keras weights file, or 'imagenet' for the published one, 'imagenet:160' for the one
            of that picture size.
        top: whether a head is asked for. Without, what lies above the network is left, and said.

    Returns:
        (params, state) of a method that has the network as its backbone; 'head' stands in `params`
        if it is asked for and the file has one.

    Raises:
        UserError: no weights are published for the network, or the weights do not fit; what lies
            above the network is no linear head on its features, and one is asked for.

    >>> from tljax.zoo import mobilenet
    >>> read_weights(mobilenet(), 'weights.h5')
    Traceback (most recent call last):
    tljax.core.UserError: weights.h5 does not exist: name a Keras weights file (.h5, .keras)
    """
    found, over = _loaded(net, path, top), 'above1' in net.groups  # over dense layers of its own
    if top and (found.above.why or found.above.dense and not over):
        why = found.above.why or f'it stands on {abbreviated(found.above.names[:-1])}'
        raise UserError(
            f'{path} has no linear head on the features of the network ({why}): graft the backbone '
            'alone (init.rules)'
        )
    return _with_dense(found) if over else found.params, found.state


def _loaded(net: Net, path: str, top: bool) -> keras.Loaded:
    """As `read_weights`, with what lies between the features and the head."""
    if not net.published:
        foreign.refuse(path)
        raise UserError(f'this network {_lack(path)}: take one of python -m experiments.models')
    row = ROWS[net.published['name']]

    def read(file):
        return keras.load(file, net.whole or net, row.size, row.top, net.published.get('older'))

    file: str | Path = path
    if name := published.NAME.fullmatch(str(path)):
        file = published.published(net.published, int(name[1] or 0), top, check=read)
    found = read(file)
    if found.before:
        say(
            f'{file}: {abbreviated(found.before)} before the network is left: its inputs were '
            'changed there, and are not here'
        )
    if found.prepared:
        say(
            f'{file}: {abbreviated(found.prepared)} may scale pictures otherwise than '
            f'{net.published["name"]} does, which is what holds here'
        )
    if not top:
        found = found._replace(params={'backbone': found.params['backbone']})
    elif found.above.head and found.above.head['bias'].size == 1:
        say(
            f'{file} has one output: it is taken for the log-odds of the second of two classes, as '
            'a sigmoid does'
        )
    elif found.above.logits:
        say(
            f'{file}: its outputs are linear, and no loss in the file tells what they are: they '
            'are taken for the logits of a softmax'
        )
    taken = (*found.above.names, *found.above.folded) if top or 'above1' in net.groups else ()
    if left := [layer for layer in found.spare if layer not in (*row.top, *taken)]:
        why = f' ({found.above.why})' if top and found.above.why else ''
        say(f'{file}: what lies above the network is left: {abbreviated(left)}{why}')
    return found


def _with_dense(found: keras.Loaded) -> Tree:
    """The parameters, with those of the dense layers below the head (`zoo.with_layers`)."""
    dense = {f'above{i}': layer for i, layer in enumerate(found.above.dense, 1)}
    return {**found.params, 'backbone': {**found.params['backbone'], **dense}}


def pretrained(
    spec: Config, path: str, classes: Sequence[str] | None = None, top: bool = True
) -> tuple[Tree, Tree, Record]:
    """A network of the zoo with ImageNet weights, as what a finished run saves.

    Args:
        spec: config of the network.
        path: as `read_weights` takes it.
        classes: names of the outputs; None numbers them.
        top: as `read_weights` takes it.

    Returns:
        (params, state, record) as `checkpoint.load_final` gives, with one seed. Where dense layers
        lie between the features and the head, the record's network has them (`zoo.with_layers`).
        Where layers lie above that are no head, there is none, and `record['left']` says why.

    Raises:
        UserError: as `read_weights`; another number of classes; a network without published
            weights, and one that is not in the zoo, with the nearest one.

    >>> pretrained({'name': 'resnet50v1'}, 'weights.h5')
    Traceback (most recent call last):
    tljax.core.UserError: net.name='resnet50v1' is no network of tljax.zoo: did you mean resnet50v2?
    """
    if spec['name'] not in ROWS:
        _refuse_network(spec['name'], path)
    row = ROWS[spec['name']]
    found = _loaded(call_named(ZOO, spec, 'net'), path, top)
    taken = _with_dense(found) if top else found.params
    params, state = jax.tree.map(lambda leaf: leaf[None], (taken, found.state))
    if top and found.above.dense:
        widths = [layer['bias'].size for layer in found.above.dense]
        layers = [list(layer) for layer in zip(widths, found.above.activations, strict=True)]
        spec = {'name': 'with_layers', 'of': spec, 'layers': layers}
    if found.above.guessed and 'head' in params:
        say(
            f'{path}: weights alone do not tell what {found.above.names[0]} stands on: it is taken '
            'for a softmax on the mean of the features'
        )
    count = params['head']['bias'].shape[1] if 'head' in params else 0
    classes = [str(i) for i in range(count)] if classes is None else list(classes)
    if count and len(classes) != count:
        raise UserError(
            f'{path} tells {count} classes apart, and {len(classes)} are named: take the class '
            'index that belongs to it'
        )
    size = _size(found, row.size, path)
    data = {'name': 'folder', 'size': size, 'resize': round(size * row.resize / row.size)}
    return (
        params,
        state,
        {
            'config': {
                'net': spec,
                'method': {'name': 'finetune'},
                'data': data,
                'weights': str(path),
            },
            'classes': classes,
            'input': [size, size, 3],
            'seeds': [0],
            'scores': {},
            'left': found.above.why
            and f'{path} has no head that answers ({found.above.why}): train one on its backbone '
            '(init.path)',
        },
    )


def _refuse_network(name: str, path: str) -> None:
    """Refuses a network that has no weights of files, by whether it is in the zoo."""
    remedy = nearest_name(str(name).lower(), ROWS)
    if name not in dir(zoo):
        raise UserError(f'net.name={name!r} is no network of tljax.zoo: {remedy}')
    raise UserError(f'net.name={name!r} {_lack(path)}: {remedy}')


def _lack(path):
    """What a network of the zoo has not that is in none of Keras's rows."""
    known = published.NAME.fullmatch(str(path))
    return 'has no published ImageNet weights' if known else f'reads no Keras weights ({path})'


def _size(found: keras.Loaded, size: int, path: str) -> int:
    """The side of the pictures that a whole saved model is made for, or else `size`."""
    sides = set(found.shape[:2])
    side = sides.pop() if len(sides) == 1 else None
    if not isinstance(side, int) or side < 1 or side == size:
        return size
    say(f'{path} is made for pictures of {side} pixels, in place of {size}')
    return side
