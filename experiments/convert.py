"""Turns a Keras weights file into a run that every command takes, and checks it back.

    python -m experiments.convert --model=mobilenet --weights=FILE.h5 --workdir=weights/mobilenet

The run is an orbax checkpoint in the folder `--workdir`. `--classes` names the class index of the
weights; by default it is the file imagenet_class_index.json beside them.
"""

from experiments import command
from tljax import studies
from tljax.core import UserError
from tljax.files.console import say
from tljax.studies.model_choice import ModelChoice


def main(choice: ModelChoice, rest: list[str]) -> None:
    """Converts, writes, reads again, and compares every number.

    Args:
        choice: the model that the command line names.
        rest: arguments that are no flags; there may be none.
    """
    if rest:
        raise UserError(f'{rest[0]!r} is not a flag: write --name=value')
    if choice.net is None or not choice.workdir:
        raise UserError(
            'name the network, its file and where to write: --model=NETWORK --weights=FILE '
            '--workdir=FOLDER'
        )
    found = studies.conversion.convert(choice)
    say(
        f'{found["numbers"]:,} numbers in {found["arrays"]} arrays, read back and equal to the '
        f'file; --config.init.path={choice.workdir} starts from it'
    )
    row = [found['folder'], found['model'], found['classes'], found['numbers']]
    table = studies.tables.Table
    command.tell(found, [table(['folder', 'model', 'classes', 'numbers'], [row])])


if __name__ == '__main__':
    command.run_on_model(main)
