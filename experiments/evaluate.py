"""How often is a model right on pictures whose classes are known? Top-1 and top-5, with 95 % intervals.

    python -m experiments.evaluate --model=mobilenet --model.alpha=0.25 --weights=mobilenet_2_5_224_tf.h5 photographs/
    python -m experiments.evaluate --workdir=runs/mine pictures/
    python -m experiments.evaluate --model=mobilenet --weights=imagenet --size=96 photographs/       (smaller pictures than it is for)

A picture's class is the name of its folder, or, for an ImageNet network, the WordNet id that its name or its folder's begins with
(`n01440764_tench.jpg`). Where a run has several seeds, each is evaluated and the mean is told.
"""
import re

import numpy as np
from absl import flags

from experiments import command
from experiments.model import index, model
from tljax.core import Refused
from tljax.data.pictures import find, pictures
from tljax.engine.evaluate import predictions
from tljax.engine.scores import proportion
from tljax.program import predictor
from tljax.report.page import table

SIZE = flags.DEFINE_integer('size', 0, 'Side of the pictures that the network is shown; 0: the one it is for.', lower_bound=0)
BATCH = flags.DEFINE_integer('batch', 32, 'Pictures at a time.', lower_bound=1)


def main(spec, paths):
    """Prints top-1 and top-5 accuracy on the pictures below the paths."""
    if not paths:
        raise Refused('name folders of pictures')
    files = find(paths)
    params, state, record = model(spec)
    if 'head' not in params or not record['classes']:
        raise Refused('this model has no classes to tell: take weights with the top, or a run that was trained on labels')
    numbers = {name: i for i, name in enumerate(record['classes'])}
    wordnet = {wnid: i for i, (wnid, _) in enumerate(index() or ())}
    label = [_class(path, numbers, wordnet) for path in files]
    shape, resize = record['input'], record['config']['data'].get('resize')
    if SIZE.value:
        shape, resize = (SIZE.value, SIZE.value, *shape[2:]), resize and round(resize * SIZE.value / shape[0])
    dataset = pictures(files, shape, resize, label, record['classes'])
    output = predictions(predictor(record), params, state, dataset, BATCH.value, said='looking at pictures')['output']
    best, rows = np.argsort(-output, axis=-1, kind='stable'), []
    for top in (1, 5):
        right = (best[..., :top] == np.array(label)[:, None]).any(-1).mean(0)
        accuracy, low, high = proportion(round(right.sum()), len(files))
        rows.append([f'top-{top}', f'{right.mean():.4f}', f'{low:.4f} to {high:.4f}'])
    table(['accuracy', 'mean', '95 % interval over pictures'], rows, title=f'{len(files)} pictures')


def _class(path, numbers, wordnet):
    for name in (path.name, path.parent.name):
        wnid = re.match(r'n\d{8}', name)
        if wnid and wnid.group() in wordnet:
            return wordnet[wnid.group()]
    if path.parent.name in numbers:
        return numbers[path.parent.name]
    raise Refused(f'{path} names no class of the model: put it into a folder of its class, or begin its name with a WordNet id and name '
                  "ImageNet's class index by --classes")


if __name__ == '__main__':
    command.run_on_model(main)
