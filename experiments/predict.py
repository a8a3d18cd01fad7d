"""What is on these pictures? Labels and probabilities by an ImageNet network or a run of your own.

    python -m experiments.predict --model=mobilenet --model.alpha=0.25 --weights=mobilenet_2_5_224_tf.h5 photos/ cat.jpg
    python -m experiments.predict --workdir=runs/mine --top=3 --json photos/

Where a run has several seeds, their probabilities are averaged.
"""
import json
import sys

import numpy as np
from absl import flags
from scipy.special import softmax

from experiments import command
from experiments.model import model
from tljax.core import Refused
from tljax.data.pictures import find, pictures
from tljax.engine.evaluate import predictions
from tljax.program import predictor
from tljax.report.page import table

TOP = flags.DEFINE_integer('top', 5, 'How many labels to tell for each picture.', lower_bound=1)
JSON = flags.DEFINE_bool('json', False, 'One JSON line for each picture on standard output: its path and [label, probability] pairs.')
BATCH = flags.DEFINE_integer('batch', 32, 'Pictures at a time.', lower_bound=1)


def main(spec, paths):
    """Predicts every picture that the paths name, in their order."""
    if not paths:
        raise Refused('name pictures, or folders of pictures')
    files = find(paths)
    params, state, record = model(spec)
    if 'head' not in params or not record['classes']:
        raise Refused('this model has no classes to tell: take weights with the top, or a run that was trained on labels')
    dataset = pictures(files, record['input'], record['config']['data'].get('resize'))
    output = predictions(predictor(record), params, state, dataset, BATCH.value, said='looking at pictures')['output']
    for path, probability in zip(files, softmax(output, -1).mean(0), strict=True):
        best = [(record['classes'][i], float(probability[i])) for i in np.argsort(-probability, kind='stable')[:TOP.value]]
        if JSON.value:
            sys.stdout.write(json.dumps({'path': str(path), 'top': best}) + '\n')
        else:
            table(['label', 'probability'], [[label, f'{share:.3f}'] for label, share in best], title=str(path))


if __name__ == '__main__':
    command.run_on_model(main)
