"""The networks that have ImageNet weights: input, preprocessing, size, published accuracy, and where the weights come from.

    python -m experiments.models
    python -m experiments.models --json          # everything, a list with one entry per network

Accuracies are those published with the weights (top-1 and top-5 on ImageNet's validation pictures). `--model=NAME --weights=imagenet` takes
any of them; those with several widths and picture sizes as `--model.alpha=0.5 --weights=imagenet:160`.
"""
import json
import sys

import jax
from absl import app, flags

from tljax.configuration import named
from tljax.report.page import table
from tljax.zoo.table import ROWS

JSON = flags.DEFINE_bool('json', False, 'A JSON list on standard output.')


def main(_):
    """Prints the table."""
    if JSON.value:
        sys.stdout.write(json.dumps([_all(name, row) for name, row in ROWS.items()], indent=1) + '\n')
        return
    cells = [[name, row.size, row.mode, f'{row.parameters:,}', row.megabytes, f'{100 * row.top1:.1f}', f'{100 * row.top5:.1f}',
              row.depth, ', '.join(map(str, row.widths))] for name, row in ROWS.items()]
    table(['name', 'input', 'mode', 'parameters', 'MB', 'top-1 %', 'top-5 %', 'depth', 'alpha'], cells, title='ImageNet networks')


def _all(name, row):
    files = [{'top': top, 'url': row.url(name, top), 'md5': row.md5[0 if top else 1] if row.md5 else None} for top in (True, False)]
    widths = [{'alpha': alpha, 'parameters': parameters({'name': name, 'alpha': alpha}), 'url': row.url(name, alpha=alpha)}
              for alpha in row.widths]
    return {'name': name, 'title': row.title, 'input': row.size, 'preprocessing': row.mode, 'parameters': row.parameters,
            'megabytes': row.megabytes, 'top1': row.top1, 'top5': row.top5, 'depth': row.depth, 'weights': files, 'widths': widths,
            'sizes': list(row.sizes or (row.size,))}


def parameters(spec, classes=1000):
    """How many numbers a network holds, batch statistics and an output for each class counted.

    >>> parameters({'name': 'mobilenet', 'alpha': .25})
    475544
    """
    net, size = named('tljax.zoo', spec, 'net'), ROWS[spec['name']].size
    shapes = jax.eval_shape(net.init, jax.random.key(0), jax.ShapeDtypeStruct((1, size, size, 3), 'float32'))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes)) + classes * (net.dim + 1)


if __name__ == '__main__':
    app.run(main)
