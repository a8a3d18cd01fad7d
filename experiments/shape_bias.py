"""Measures whether networks decide by the shape or the texture of a picture (Geirhos et al. 2019).

    python -m experiments.shape_bias
    python -m experiments.shape_bias --model=mobilenet --model.alpha=0.25 --weights=FILE.h5
    python -m experiments.shape_bias --model=mobilenet --model.alpha=0.25 --weights=FILE.h5 \\
        --out=runs/bias runs/photo runs/sketch
    python -m experiments.shape_bias --demo --out=runs/demo

The pictures have the shape of one category and the texture of another, such as a cat with the skin
of an elephant. The first command prints the published answers of people and networks alone, the
second one a network beside them. Runs that are named behind a network are compared with it: how did
fine-tuning change its bias? `--workdir` names a run in place of `--model` and `--weights`.

A network with ImageNet's classes, or with the 16 categories, is measured by its outputs. If one has
other classes, all are measured by their features, so that the comparison is fair
(`tljax/studies/shape_bias.py`); `--by=features` does so for any network. `--size` is the side of
the pictures for all networks, by default that of the first run, or else of the network. `--data` is
the folder of the set, by default `$TLJAX_DATA/cue_conflict`. `--out` names a folder for report.html
and results.json. `--demo` needs no data: it draws shapes with textures, trains a small network on
them in seconds, and measures its bias. It is a demonstration only.
"""

from absl import flags

from experiments import command
from tljax import studies
from tljax.core import UserError
from tljax.files.console import say
from tljax.studies.model_choice import ModelChoice

DATA = flags.DEFINE_string('data', None, 'Folder of the pictures and the published answers.')
BY = flags.DEFINE_enum('by', 'auto', ['auto', 'outputs', 'features'], 'What is measured.')
SIZE = flags.DEFINE_integer('size', 0, 'Side of the pictures in pixels.', lower_bound=0)
OUT = flags.DEFINE_string('out', None, 'Folder for report.html and results.json.')
SEED = flags.DEFINE_integer('seed', 0, 'Seed of the bootstrap over pictures.', lower_bound=0)
DEMO = flags.DEFINE_bool('demo', False, 'Demonstrate the measure on pictures that are drawn.')


def main(choice: ModelChoice, runs: list[str]) -> None:
    """Prints the shape bias of the network, of the runs, and of the published answers.

    Args:
        choice: the model that the command line names.
        runs: folders of runs that were fine-tuned from it.
    """
    study, report = studies.shape_bias, studies.shape_bias_report
    if DEMO.value:
        if runs or choice != ModelChoice():
            raise UserError('--demo trains a network of its own: name no other')
        results = study.demonstrate(out=OUT.value, seed=SEED.value)
    else:
        results = study.measure(
            choice, runs, DATA.value, BY.value, SIZE.value, flags.FLAGS.batch, SEED.value, OUT.value
        )
    command.tell(results, report.tables(results))
    if OUT.value:
        say(f'{OUT.value}/report.html, {OUT.value}/results.json')


if __name__ == '__main__':
    command.run_on_model(main, 'batch')
