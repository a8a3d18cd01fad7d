"""Facts about the networks that have published weights: sizes, accuracies and files."""

from collections.abc import Iterable

import jax

from tljax.configuration import ZOO, call_named
from tljax.protocols import Config, Record
from tljax.studies.tables import Table
from tljax.zoo.detectors import DETECTORS
from tljax.zoo.table import ROWS


def facts(names: Iterable[str] = ROWS) -> list[Record]:
    """Returns a dict for each network: its names, sizes, accuracies and files.

    Args:
        names: names of networks; by default all that have ImageNet weights.

    >>> facts(['xception'])[0]['top1']
    0.79
    """
    return [_facts(name) for name in names]


def table() -> Table:
    """Returns a table of the networks that have ImageNet weights, one a row.

    >>> {row[0]: row[3] for row in table().rows}['mobilenet']
    '4,253,864'
    """
    rows = [
        [
            name,
            row.size,
            row.mode,
            f'{row.parameters:,}',
            row.megabytes,
            _percent(row.top1),
            _percent(row.top5),
            row.depth or '',
            f'{row.interpolation} {row.crop:g}',
            row.licence,
            ', '.join(map(str, row.widths)),
        ]
        for name, row in ROWS.items()
    ]
    return Table(
        [
            'name',
            'input',
            'mode',
            'parameters',
            'MB',
            'top-1 %',
            'top-5 %',
            'depth',
            'resize',
            'licence',
            'alpha',
        ],
        rows,
        'ImageNet networks',
    )


def detector_facts() -> list[Record]:
    """Returns a dict for each detector of the zoo: its config, size, parameters and published AP.

    >>> detector_facts()[0]['name']
    'ssd_mobilenet_v1'
    """
    return [{'name': name, **row._asdict()} for name, row in DETECTORS.items()]


def detector_table() -> Table:
    """Returns a table of the detectors of the zoo, one a row.

    >>> {row[0]: row[3] for row in detector_table().rows}['ssdlite_mobilenet_v2']
    '4,500,543'
    """
    rows = [
        [
            name,
            row.size or '600 to 1024',
            ', '.join(map(str, row.strides)),
            f'{row.parameters:,}',
            '' if row.ap is None else row.ap,
            row.milliseconds,
            row.note,
        ]
        for name, row in DETECTORS.items()
    ]
    return Table(
        ['name', 'input', 'strides', 'parameters', 'COCO AP %', 'ms', 'note'],
        rows,
        'Detectors with COCO weights (ms: published, of a GeForce GTX TITAN X)',
    )


def _percent(share: float | None) -> str:
    return '' if share is None else f'{100 * share:.1f}'


def _facts(name: str) -> Record:
    row = ROWS[name]
    files = [
        {
            'top': top,
            'url': row.url(name, top),
            'md5': row.md5[0 if top else 1] if row.md5 else None,
        }
        for top in (True, False)
        if row.file
    ]
    if row.weights:
        files.append({'top': row.top1 is not None, 'url': f'hub:{row.weights}', 'md5': None})
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
        'mean': row.pixels.mean,
        'std': row.pixels.deviation,
        'interpolation': row.interpolation,
        'crop': row.crop,
        'licence': row.licence,
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
    """Counts the numbers that a network holds, with its batch statistics and its output layer.

    Args:
        net: config of a network.
        classes: number of outputs.

    >>> parameters({'name': 'mobilenet', 'alpha': 0.25})
    475544
    """
    network, size = call_named(ZOO, net, 'net'), ROWS[net['name']].size
    picture = jax.ShapeDtypeStruct((1, size, size, 3), 'float32')
    shapes = jax.eval_shape(network.init, jax.random.key(0), picture)
    return sum(leaf.size for leaf in jax.tree.leaves(shapes)) + classes * (network.dim + 1)
