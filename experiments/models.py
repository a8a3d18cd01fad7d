"""Lists the networks that have ImageNet weights: input, preprocessing, size, accuracy, files.

    python -m experiments.models
    python -m experiments.models --json          # everything, a list with one entry per network
    python -m experiments.models --detectors     # the detectors with COCO weights

Accuracies are those published with the weights (top-1 and top-5 on ImageNet's validation pictures).
`predict` and `evaluate` take a network by its name and its published weights. For a network with
several widths and picture sizes, the keyword alpha chooses the width, and weights such as
imagenet:160 choose the picture size.
"""

from absl import flags

from experiments import command
from tljax import studies

DETECTORS = flags.DEFINE_bool('detectors', False, 'List detectors instead of networks.')


def main() -> None:
    """Prints the networks, or the detectors."""
    networks = studies.networks
    if DETECTORS.value:
        command.tell(networks.detector_facts(), [networks.detector_table()])
    else:
        command.tell(networks.facts() if flags.FLAGS.json else None, [networks.table()])


if __name__ == '__main__':
    command.run_plain(main, 'json')
