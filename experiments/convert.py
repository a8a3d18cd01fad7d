"""Converts a Keras weights file into a run that every command can use, and verifies it.

    python -m experiments.convert --model=mobilenet --weights=FILE.h5 --workdir=weights/mobilenet

The run is an orbax checkpoint in the folder `--workdir`. `--classes` names the class index of the
weights; the default is the file imagenet_class_index.json beside them. A detector of the zoo takes
TensorFlow's files: --model=ssdlite_mobilenet_v2 --weights=FOLDER. With CLIP, the run predicts
the classes that `--classes` names and `--prompt` describes.
"""

from experiments import command
from tljax import studies
from tljax.core import UserError
from tljax.files.console import say
from tljax.studies.model_choice import ModelChoice


def main(choice: ModelChoice, rest: list[str]) -> None:
    """Converts the weights, writes them, reads them back, and compares every number.

    Args:
        choice: the model that the command line names.
        rest: arguments that are not flags; any argument is an error.
    """
    if rest:
        raise UserError(f'{rest[0]!r} is not a flag: write --name=value')
    if choice.net is None or not choice.workdir:
        raise UserError(
            'name the network, its file and where to write: --model=NETWORK --weights=FILE '
            '--workdir=FOLDER'
        )
    run = studies.conversion.convert(choice)
    say(
        f'{run["numbers"]:,} numbers in {run["arrays"]} arrays, read back and equal to the '
        f'file; --config.init.path={choice.workdir} starts from it'
    )
    columns = ['folder', 'model', 'classes', 'numbers']
    table = studies.tables.Table(columns, [[run[column] for column in columns]])
    command.tell(run, [table])


if __name__ == '__main__':
    command.run_on_model(main, 'prompt')
