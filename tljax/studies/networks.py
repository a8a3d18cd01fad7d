"""What is known of the networks that have ImageNet weights."""

from collections.abc import Iterable

import jax

from tljax.configuration import ZOO, call_named
from tljax.protocols import Config, Record
from tljax.studies.tables import Table
from tljax.zoo.table import ROWS


def facts(names: Iterable[str] = ROWS) -> list[Record]:
    """Everything about networks, one dict each: names, sizes, accuracies, files.

    Args:
        names: of the networks; all that have ImageNet weights by default.

    >>> facts(['xception'])[0]['top1']
    0.79
    """
    return [_facts(name) for name in names]


def table() -> Table:
    """The networks in a table.

    >>> table().columns[:3]
    ['name', 'input', 'mode']
    """
    rows = [
        [
            name,
            row.size,
            row.mode,
            f'{row.parameters:,}',
            row.megabytes,
            f'{100 * row.top1:.1f}',
            f'{100 * row.top5:.1f}',
            row.depth,
            ', '.join(map(str, row.widths)),
        ]
        for name, row in ROWS.items()
    ]
    return Table(
        ['name', 'input', 'mode', 'parameters', 'MB', 'top-1 %', 'top-5 %', 'depth', 'alpha'],
        rows,
        'ImageNet networks',
    )


def _facts(name: str) -> Record:
    row = ROWS[name]
    files = [
        {
            'top': top,
            'url': row.url(name, top),
            'md5': row.md5[0 if top else 1] if row.md5 else None,
        }
        for top in (True, False)
    ]
    widths = [
        {
            'alpha': alpha,
            'parameters': parameters({'name': name, 'alpha': alpha}),
            'url': row.url(name, alpha=alpha),
        }
        for alpha in row.widths
    ]
    return {
        'name': name,
        'title': row.title,
        'input': row.size,
        'preprocessing': row.mode,
        'parameters': row.parameters,
        'megabytes': row.megabytes,
        'top1': row.top1,
        'top5': row.top5,
        'depth': row.depth,
        'weights': files,
        'widths': widths,
        'sizes': list(row.sizes or (row.size,)),
    }


def parameters(net: Config, classes: int = 1000) -> int:
    """How many numbers a network holds, batch statistics and an output for each class counted.

    Args:
        net: config of a network.
        classes: outputs of its head.

    >>> parameters({'name': 'mobilenet', 'alpha': 0.25})
    475544
    """
    network, size = call_named(ZOO, net, 'net'), ROWS[net['name']].size
    picture = jax.ShapeDtypeStruct((1, size, size, 3), 'float32')
    shapes = jax.eval_shape(network.init, jax.random.key(0), picture)
    return sum(leaf.size for leaf in jax.tree.leaves(shapes)) + classes * (network.dim + 1)
