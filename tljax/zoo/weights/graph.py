"""The graph of a saved model: which layer has which layers as inputs.

The graph is read from the model's config, as plain data. No layer is built.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tljax.protocols import Config

# Inputs of a layer, at most. Without a limit, a short text can describe a graph with billions of
# paths.
MOST = 100


class Layer(NamedTuple):
    """A layer of a saved model.

    Attributes:
        kind: name of the layer's class, 'Dense'.
        config: keywords of the layer.
        below: names of the layers that are its inputs.
        args: arguments of its call. A tuple of names is the output of those layers, () is the
            model's input, and anything else is a constant.
    """

    kind: str
    config: Config
    below: tuple[str, ...]
    args: tuple[Any, ...] = ()


class Graph(NamedTuple):
    """The graph of a saved model.

    Attributes:
        layers: {name: Layer}, with the layers of inner models. Every layer comes after its inputs.
        outputs: names of the output layers.
        shape: shape of the inputs, (height, width, channels), with None for any length; () where
            unknown.

    >>> layers = {'pool': Layer('Pool', {}, ()), 'dense': Layer('Dense', {}, ('pool',))}
    >>> model = Graph(layers, outputs=('dense',), shape=())
    >>> sorted(model.under(['dense'])), list(model.before(['dense']))
    (['dense', 'pool'], ['pool'])
    """

    layers: dict[str, Layer]
    outputs: tuple[str, ...]
    shape: tuple[int | None, ...]

    def under(self, names: Iterable[str]) -> set[str]:
        """Returns some layers, and all layers that their inputs come from.

        Args:
            names: names of the layers.
        """
        seen, pending = set(), list(names)
        while pending:
            name = pending.pop()
            if name not in seen:
                seen.add(name)
                pending += self.layers[name].below if name in self.layers else ()
        return seen

    def before(self, names: Iterable[str]) -> dict[str, Layer]:
        """Returns the layers that come before some layers and after none of them.

        Args:
            names: names of the latter layers.
        """
        below, above = self.under(names), set(names)
        for name, layer in self.layers.items():
            if not above.isdisjoint(layer.below):
                above.add(name)
        return {
            name: layer
            for name, layer in self.layers.items()
            if name in below and name not in above
        }


def graph(config: Config) -> Graph | None:
    """Reads the graph in the config of a saved model.

    Args:
        config: Keras's config of the model, of Keras 1 to 3, from the file's JSON.

    Returns:
        The graph; None for a config without one, and for two layers with one name.

    >>> inputs = {'name': 'in', 'batch_shape': [None, 8, 8, 3]}
    >>> layers = [
    ...     {'class_name': 'InputLayer', 'config': inputs},
    ...     {'class_name': 'Dense', 'config': {'name': 'out'}},
    ... ]
    >>> model = graph({'class_name': 'Sequential', 'config': {'layers': layers}})
    >>> model.outputs, model.shape
    (('out',), (8, 8, 3))
    """
    layers, shapes = {}, []
    try:
        outputs = _add_model(config, (), layers, shapes)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
        return None  # the config of a subclassed model has no graph
    return Graph(layers, outputs, shapes[0] if shapes else ()) if layers else None


def _add_model(model, inputs, layers, shapes):
    """Adds the layers of a model on `inputs`, and returns the names of its outputs."""
    config = model['config']
    if isinstance(config, list):  # a Sequential of Keras 1
        return _add_sequential(config, inputs, layers, shapes)
    if 'output_layers' not in config:
        return _add_sequential(config['layers'], inputs, layers, shapes)
    ends = {}  # name of a layer or an inner model -> names of its output layers
    for layer in config['layers']:
        nodes = layer.get('inbound_nodes', ())
        below = _ends_of(_parents(nodes), ends) or inputs
        args = _args(layer.get('inbound_nodes'), ends)
        name = layer.get('name') or layer['config']['name']
        ends[name] = _add_layer(layer, below, layers, shapes, args)
    return _ends_of(_parents(config['output_layers']), ends)


def _add_sequential(configs, inputs, layers, shapes):
    """Adds layers that are each the input of the next, and returns the name of the last."""
    for layer in configs:
        inputs = _add_layer(layer, inputs, layers, shapes)
    return inputs


def _ends_of(names, ends):
    """Returns the output layers of some layers or inner models, without repetition."""
    outputs = []
    for name in names:
        outputs += ends[name]
    return tuple(dict.fromkeys(outputs))


def _add_layer(layer, below, layers, shapes, args=()):
    """Adds a layer or an inner model, and returns the names of its output layers."""
    kind, config = layer['class_name'], layer['config']
    if isinstance(config, dict):
        shape = config.get('batch_shape') or config.get('batch_input_shape')
        if shape:
            shapes.append(tuple(shape[1:]))
    if isinstance(config, list) or isinstance(config.get('layers'), list):
        return _add_model(layer, below, layers, shapes)
    if kind == 'InputLayer':
        return below
    name = config['name']
    if name in layers:
        raise ValueError(f'two layers are named {name}')
    if len(below) > MOST:
        raise ValueError(f'{name} joins {len(below)} layers')
    layers[name] = Layer(kind, config, below, args)
    return (name,)


def _args(nodes, ends):
    """Returns the arguments of a layer's call, as `Layer.args`; () for several calls."""
    try:
        (node,) = nodes
        if isinstance(node, dict):  # Keras 3
            return tuple(_resolve(arg, ends) for arg in node['args'])
        args = []
        for name, _, _, keywords in [node] if isinstance(node[0], str) else node:
            args.append(ends[name])
            args += [value for value in keywords.values() if value is not None]
        return tuple(args)
    except (LookupError, TypeError, ValueError, AttributeError):  # not as Keras writes it
        return ()


def _resolve(arg, ends):
    """Replaces the tensors in an argument by the names of the layers that they come from."""
    if isinstance(arg, list):
        return [_resolve(item, ends) for item in arg]
    if isinstance(arg, dict):
        config = arg.get('config') or {}
        if 'keras_history' in config:
            return ends[config['keras_history'][0]]
    return arg


def _parents(nodes: object) -> Iterator[str]:
    """Yields the names in inbound nodes. A node is [name, node, tensor, ...], nested anyhow."""
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
