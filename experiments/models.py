"""The networks that have ImageNet weights: input, preprocessing, size, published accuracy, files.

    python -m experiments.models
    python -m experiments.models --json          # everything, a list with one entry per network

Accuracies are those published with the weights (top-1 and top-5 on ImageNet's validation pictures).
`predict` and `evaluate` take a network by its name and its published weights; those with several
widths and picture sizes by its keyword alpha and by weights such as imagenet:160.
"""

from absl import flags

from experiments import command
from tljax import studies


def main() -> None:
    """Prints the table."""
    command.tell(studies.networks.facts() if flags.FLAGS.json else None, [studies.networks.table()])


if __name__ == '__main__':
    command.run_plain(main, 'json')
