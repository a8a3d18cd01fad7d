"""The graph of a saved model, from its config as plain data: which layer stands on which."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tljax.protocols import Config

MOST = 100  # layers that one joins; without a limit a short text tells a graph of billions of ways


class Layer(NamedTuple):
    """A layer of a saved model.

    Attributes:
        kind: name of its class, 'Dense'.
        config: its keywords.
        below: names of the layers that it stands on.
        args: what it is called with: a tuple of names stands for a layer's output, () for the
            model's input, and anything else for itself.

    >>> Layer('Dense', {'activation': 'relu'}, ('pool',)).below
    ('pool',)
    """

    kind: str
    config: Config
    below: tuple[str, ...]
    args: tuple[Any, ...] = ()


class Graph(NamedTuple):
    """A saved model.

    Attributes:
        layers: {name: Layer}, those of models within the model among them.
        outputs: names of the layers that its outputs come from.
        shape: of its inputs, (height, width, channels), None where it takes any; () where unknown.

    >>> Graph({}, ('dense',), ()).under(['dense'])
    {'dense'}
    """

    layers: dict[str, Layer]
    outputs: tuple[str, ...]
    shape: tuple[int | None, ...]

    def under(self, names: Iterable[str]) -> set[str]:
        """These layers and all that they stand on.

        Args:
            names: of the layers.
        """
        found, pending = set(), list(names)
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending += self.layers[name].below if name in self.layers else ()
        return found

    def before(self, names: Iterable[str]) -> dict[str, Layer]:
        """The layers that these stand on, and that stand on none of them.

        Args:
            names: of these layers.
        """
        below, above = self.under(names), set(names)
        for name, layer in self.layers.items():  # each comes after those that it stands on
            if not above.isdisjoint(layer.below):
                above.add(name)
        return {
            name: layer
            for name, layer in self.layers.items()
            if name in below and name not in above
        }


def graph(config: Config) -> Graph | None:
    """The graph that a config tells.

    Args:
        config: of a saved model, as its JSON says it, of Keras 1 to 3.

    Returns:
        The graph; None where the config tells none, or two layers of one name.

    >>> dense = {
    ...     'class_name': 'Dense',
    ...     'config': {'name': 'out', 'activation': 'softmax'},
    ... }
    >>> shape = {'name': 'in', 'batch_shape': [None, 8, 8, 3]}
    >>> layers = [{'class_name': 'InputLayer', 'config': shape}, dense]
    >>> graph({'class_name': 'Sequential', 'config': {'layers': layers}})[1:]
    (('out',), (8, 8, 3))
    """
    found, shapes = {}, []
    try:
        outputs = _walk(config, (), found, shapes)
    except (
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        RecursionError,
    ):  # subclassed models tell no graph
        return None
    return Graph(found, outputs, shapes[0] if shapes else ()) if found else None


def _walk(model, inputs, found, shapes):
    """Adds the layers of a model that stands on `inputs`, and gives the names of its outputs."""
    config, ends = model['config'], {}
    if (
        isinstance(config, list) or 'output_layers' not in config
    ):  # a Sequential: each stands on the one before
        for layer in config if isinstance(config, list) else config['layers']:
            inputs = _place(layer, inputs, found, shapes)
        return inputs
    for layer in config['layers']:
        below = [end for parent in _parents(layer.get('inbound_nodes', ())) for end in ends[parent]]
        ends[layer.get('name') or layer['config']['name']] = _place(
            layer,
            tuple(dict.fromkeys(below)) or inputs,
            found,
            shapes,
            _args(layer.get('inbound_nodes'), ends),
        )
    return tuple(
        dict.fromkeys(end for name in _parents(config['output_layers']) for end in ends[name])
    )


def _place(layer, below, found, shapes, args=()):
    kind, config = layer['class_name'], layer['config']
    shape = (
        config.get('batch_shape') or config.get('batch_input_shape')
        if isinstance(config, dict)
        else None
    )
    if shape:
        shapes.append(tuple(shape[1:]))
    if isinstance(config, list) or isinstance(config.get('layers'), list):
        return _walk(layer, below, found, shapes)
    if kind == 'InputLayer':
        return below
    if config['name'] in found:
        raise ValueError(f'two layers are named {config["name"]}')
    if len(below) > MOST:
        raise ValueError(f'{config["name"]} joins {len(below)} layers')
    found[config['name']] = Layer(kind, config, below, args)
    return (config['name'],)


def _args(nodes, ends):
    """What a layer is called with, as `Layer.args`; () where it is called several times."""
    try:
        (node,) = nodes
        if isinstance(node, dict):
            return tuple(_resolved(each, ends) for each in node['args'])
        node = [node] if isinstance(node[0], str) else node
        return tuple(
            part
            for name, _, _, said in node
            for part in (ends[name], *(value for value in said.values() if value is not None))
        )
    except (LookupError, TypeError, ValueError, AttributeError):  # not as Keras writes it
        return ()


def _resolved(arg, ends):
    if isinstance(arg, dict) and 'keras_history' in (config := arg.get('config') or {}):
        return ends[config['keras_history'][0]]
    return [_resolved(each, ends) for each in arg] if isinstance(arg, list) else arg


def _parents(nodes: object) -> Iterator[str]:
    """The names in inbound nodes, [name, node, tensor, ...] each, however they are nested."""
    if isinstance(nodes, dict):
        nodes = list(nodes.values())
    if not isinstance(nodes, list | tuple):
        return
    if (
        len(nodes) > 2
        and isinstance(nodes[0], str)
        and isinstance(nodes[1], int)
        and isinstance(nodes[2], int)
    ):
        yield nodes[0]
    else:
        for node in nodes:
            yield from _parents(node)
