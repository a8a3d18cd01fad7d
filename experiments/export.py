"""Exports a model as one file, which predicts without this code.

    python -m experiments.export --workdir=runs/mine --out=mine.tljax
    python -m experiments.export --model=mobilenet --weights=imagenet --out=mobilenet.tljax
    python -m experiments.export --workdir=runs/mine --out=mine.tljax --vjp
    python -m experiments.export --workdir=runs/protonet --support=labelled/ --out=new.tljax

The file has the network as a program of StableHLO, its parameters and the names of its classes. It
predicts any number of inputs on the platforms that `--platforms` names. The module
tljax/exported.py loads it; it needs jax, numpy and flatbuffers alone. With `--vjp` others can train
the parameters. The file of a few-shot run has the pictures of `--support` in it.
`python -m experiments.predict --model=mine.tljax pictures/` predicts from the file, too.
"""

from absl import flags

from experiments import command
from tljax import studies
from tljax.core import UserError
from tljax.files.text import refuse_unwritable
from tljax.studies.model_choice import ModelChoice

SHARED = 'prompt', 'task', 'support', 'pixels'
OUT = flags.DEFINE_string('out', None, 'The file to write; its name ends in .tljax.')
PLATFORMS = flags.DEFINE_list(
    'platforms', ['cpu', 'cuda', 'tpu'], 'The platforms that the program runs on.'
)
VJP = flags.DEFINE_bool('vjp', False, 'Whether the program can be differentiated, to be trained.')


def main(choice: ModelChoice, rest: list[str]) -> None:
    """Writes the file.

    Args:
        choice: the model that the command line names.
        rest: arguments that are not flags; any argument is an error.
    """
    if rest:
        raise UserError(f'{rest[0]!r} is not a flag: write --name=value')
    if not OUT.value or not OUT.value.endswith('.tljax'):
        raise UserError('--out is missing: name the file to write, such as --out=model.tljax')
    refuse_unwritable(OUT.value, '--out')
    model, given = studies.models.model(choice), flags.FLAGS
    summary = studies.exporting.export(
        model, OUT.value, PLATFORMS.value, VJP.value, given.support, given.pixels
    )
    cells = [summary['file'], f'{summary["parameters"]:,}', f'{summary["bytes"] / 1e6:.1f}']
    table = studies.tables.Table(
        ['file', 'parameters', 'MB', 'platforms'], [[*cells, ', '.join(summary['platforms'])]]
    )
    command.tell(summary, [table])


if __name__ == '__main__':
    command.run_on_model(main, *SHARED)
