"""How often is a model right on pictures whose classes are known? Accuracy in all and by class.

    python -m experiments.evaluate --model=mobilenet --weights=imagenet photographs/
    python -m experiments.evaluate --workdir=runs/mine --json pictures/
    python -m experiments.evaluate --model=mobilenet --weights=imagenet --size=96 photographs/

A picture's class is the name of its folder, or, for an ImageNet network, the WordNet id that its
name or its folder's begins with (`n01440764_tench.jpg`); `--classes` names the class index of other
weights. A path may be a ZIP or a tar archive, too; a single one may be a CSV of pictures and
classes. A run of numbers or of several labels takes such a CSV of its own: it tells the error, or
the mean average precision and every label. `--size` shows the network smaller pictures than it is
for, `--batch` is how many are read at a time. Where a run has several seeds, each is evaluated and
the mean is told. `--json` holds the confusion matrix, too. A picture that cannot be read is told
and left out, and the exit status is 1; `--pixels` raises the limit of pixels that a picture may
have.
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
    'Side of the pictures that the network is shown; 0: the one it is for.',
    lower_bound=0,
)


def main(choice: ModelChoice, paths: list[str]) -> None:
    """Prints the accuracy on the pictures below the paths.

    Args:
        choice: the model that the command line names.
        paths: of pictures, folders and archives.
    """
    if not paths:
        raise UserError('name folders of pictures')
    found, tables = studies.evaluation.evaluate(
        choice, paths, SIZE.value, flags.FLAGS.batch, flags.FLAGS.pixels
    )
    if not flags.FLAGS.json:
        for top in (1, 5):
            if f'top{top}' in found:
                print(f'top-{top} {found[f"top{top}"]:.3f}')
    command.tell(found, tables)
    if found['unread']:
        sys.exit(1)


if __name__ == '__main__':
    command.run_on_model(main, 'batch', 'pixels')
