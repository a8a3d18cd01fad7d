"""Tells whether a finished model was trained without some examples.

    python -m experiments.withdrawn --workdir=runs/mine --ids=gone.txt
    python -m experiments.withdrawn --workdir=runs/mine --ids=a.jpg,b.jpg

The setting `withdrawn` of a run leaves examples out. The answer comes from the record of the run
and from its data. An id is the name of a picture or a key; where a set has none, the split and the
row, 'train/17'. The phases of the run, and the runs that it starts from, are checked, too. The exit
status is 1 unless the model was trained without all of the examples.
"""

import sys
from pathlib import Path

from absl import flags

from experiments import command
from tljax import studies
from tljax.core import UserError
from tljax.files.console import say

IDS = flags.DEFINE_string('ids', '', 'Ids joined by commas, or a text file with one id a line.')


def main() -> None:
    """Prints the answer for each id, and ends with status 1 if the model was trained with one."""
    if not flags.FLAGS.workdir:
        raise UserError('--workdir is missing: name the folder of a finished run')
    result = studies.withdrawal.check(Path(flags.FLAGS.workdir), IDS.value)
    command.tell(result, [studies.withdrawal.table(result)])
    for place in result['unknown']:
        say(f'what the weights {place} were trained on, no record tells')
    if not result['without']:
        sys.exit(1)


if __name__ == '__main__':
    command.run_plain(main, 'workdir', 'json')
