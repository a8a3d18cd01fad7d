"""Measures the accuracy of a model on labelled pictures, over all of them and by class.

    python -m experiments.evaluate --model=mobilenet --weights=imagenet photographs/
    python -m experiments.evaluate --workdir=runs/mine --json pictures/
    python -m experiments.evaluate --model=mobilenet --weights=imagenet --size=96 photographs/
    python -m experiments.evaluate --model=ssdlite_mobilenet_v2 --weights=FOLDER \
        --annotations=instances.json photographs.zip

A picture's class is the name of its folder. For an ImageNet network it may also be the WordNet id
with which the name of the picture or of its folder begins (`n01440764_tench.jpg`); `--classes`
names the class index of other weights. CLIP is evaluated on the classes that `--classes` names and
`--prompt` describes. A path may also be a ZIP or tar archive, and a single path may be a CSV of
pictures and classes. A run that was trained on numbers or on several labels needs
such a CSV; it reports the error, or the mean average precision and each label. For a run of several
tasks `--task` names the one to measure. A detector's average precision is measured on pictures
with boxes; `--annotations` names the boxes where they are not with the pictures. `--size` gives the
network pictures of another size than its own, and `--batch` pictures are read at a time. Scores are
means over the seeds of a run. `--json` also holds the confusion matrix. A picture that cannot be
read is reported and left out, and the exit status is then 1; `--pixels` raises the limit of pixels
that a picture may have.
"""

import sys

from absl import flags

from experiments import command
from tljax import studies
from tljax.core import UserError
from tljax.studies.model_choice import ModelChoice

SIZE = flags.DEFINE_integer(
    'size',
    0,
    'Side in pixels at which the network sees the pictures; 0: the side it is made for.',
    lower_bound=0,
)

ANNOTATIONS = flags.DEFINE_string(
    'annotations', '', 'Of a detector: JSON of COCO, CSV or folder with the boxes of the pictures.'
)


def main(choice: ModelChoice, paths: list[str]) -> None:
    """Prints the accuracy on the pictures that the paths name.

    Args:
        choice: the model that the command line names.
        paths: pictures, folders and archives, or a CSV.
    """
    if not paths:
        raise UserError('name folders of pictures')
    scores, tables = studies.evaluation.evaluate(
        choice, paths, SIZE.value, flags.FLAGS.batch, flags.FLAGS.pixels, ANNOTATIONS.value
    )
    if not flags.FLAGS.json:
        for top in (1, 5):
            if f'top{top}' in scores:
                print(f'top-{top} {scores[f"top{top}"]:.3f}')
    command.tell(scores, tables)
    if scores['unread']:
        sys.exit(1)


if __name__ == '__main__':
    command.run_on_model(main, 'batch', 'pixels', 'prompt', 'task')
