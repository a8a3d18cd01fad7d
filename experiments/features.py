"""Extracts the features of pictures with a network, into a file with the pictures' names.

    python -m experiments.features --workdir=runs/mine --out=features.npz photos/
    python -m experiments.features --model=mobilenet --weights=imagenet --out=features.csv photos/

An .npz holds `path` (n,) and `features` (n, dim), float32; a .csv has a row for each picture, its
path first. `experiments.rank` takes such a file as a source. `--batch` pictures are read at a time;
`--json` prints the path and the shape of the features. A path may also be a ZIP or tar archive of
pictures, or a CSV that lists pictures. A picture that cannot be read is reported and left out, and
the exit status is then 1; `--pixels` raises the limit of pixels that a picture may have.
"""

import sys

from absl import flags

from experiments import command
from tljax import studies
from tljax.core import UserError
from tljax.files.text import refuse_unwritable
from tljax.studies.model_choice import ModelChoice

OUT = flags.DEFINE_string('out', None, 'File to write: .npz or .csv.')


def main(choice: ModelChoice, paths: list[str]) -> None:
    """Extracts the features of every picture that the paths name, in their order.

    Args:
        choice: the model that the command line names.
        paths: pictures, folders, archives, and CSVs that list pictures.
    """
    if not paths:
        raise UserError('name pictures, or folders of pictures')
    out = OUT.value or ''
    if not out.endswith(('.npz', '.csv')):
        raise UserError(f'--out={OUT.value}: name a file that ends in .npz or .csv')
    refuse_unwritable(out, '--out')
    if choice.classes:
        raise UserError(
            '--classes names the outputs of --model, and features have no names: leave it out'
        )
    pictures = studies.pictures
    files = pictures.find(paths)
    model = studies.models.model(choice, top=False)
    summary = pictures.write_features(model, files, out, flags.FLAGS.batch, flags.FLAGS.pixels)
    command.tell(summary, [pictures.feature_table(summary)])
    if summary['unread']:
        sys.exit(1)


if __name__ == '__main__':
    command.run_on_model(main, 'batch', 'pixels')
