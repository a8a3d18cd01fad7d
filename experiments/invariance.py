"""Measures what a network ignores, layer by layer, and advises which layers to fine-tune.

    python -m experiments.invariance --model=mobilenet --weights=imagenet photographs/
    python -m experiments.invariance --workdir=runs/mine --page=invariance.html pictures/
    python -m experiments.invariance --workdir=runs/mine --config=configs/digits.py

A layer ignores a flip if a picture and its mirror image have the same features there. The table has
a row for each layer of the network and a column for each transformation. The target is given by
pictures, whose folders are their classes, or by the data of a config (of its last phase). With two
classes or more, linear probes on each layer measure whether the target needs what the network
ignores, and a sentence advises which layers to freeze. `--most` pictures are used, drawn at random;
of a config, of each split. `--page` also writes an HTML page with a figure, and `--json` prints one
JSON document. Of a run with several seeds the first network is measured. A picture that cannot be
read is reported and left out, and the exit status is then 1; `--pixels` raises the limit of pixels
that a picture may have. `--batch` pictures go through the network at a time.
"""

import sys

from absl import flags

from experiments import command
from tljax import studies
from tljax.core import UserError
from tljax.files.text import refuse_unwritable
from tljax.protocols import Config
from tljax.studies.model_choice import ModelChoice

MOST = flags.DEFINE_integer('most', 500, 'The largest number of pictures.', lower_bound=3)
PAGE = flags.DEFINE_string('page', None, 'HTML page to write.')


def main(choice: ModelChoice, paths: list[str], config: Config | None) -> None:
    """Prints the tables and the advice.

    Args:
        choice: the model that the command line names.
        paths: pictures, folders and archives, or a CSV.
        config: a config whose data are the target; None for pictures.
    """
    if bool(paths) == bool(config):
        raise UserError('name folders of pictures, or --config=FILE whose data are the target')
    if PAGE.value is not None:
        refuse_unwritable(PAGE.value, '--page')
    model, unread = studies.models.model(choice, top=False), 0
    target = studies.invariance
    if config:
        splits = target.splits_of_config(model, config, MOST.value)
    else:
        splits, unread = target.splits_of_pictures(model, paths, MOST.value, flags.FLAGS.pixels)
    results = target.measure_model(model, splits, batch=flags.FLAGS.batch)
    report = studies.invariance_report
    command.tell(results, report.tables(results))
    if not flags.FLAGS.json and 'advice' in results:
        print(f'\n{results["advice"]["sentence"]}')
    if PAGE.value is not None:
        report.write_page(PAGE.value, results, str(choice.workdir or choice.weights))
    if unread:
        sys.exit(1)


if __name__ == '__main__':
    command.run_on_model(main, 'batch', 'pixels', 'config')
