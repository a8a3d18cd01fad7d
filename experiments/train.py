"""Trains what a config describes, phase by phase; a restart skips finished phases and goes on with the one that was cut off.

    python -m experiments.train --config=configs/digits.py --config.optim.lr=3e-4 --workdir=runs/mine

With `--guard` the last phase is also trained from scratch, everything moving, with the same data, seeds and steps, and the gain of transfer
is told, or its harm.
"""
import json

import jax
import numpy as np
from absl import flags

from experiments import command
from tljax import build
from tljax.configuration import folder, merge, phases, plain
from tljax.core import Refused
from tljax.engine.log import read
from tljax.engine.scores import proportion
from tljax.engine.train import fit
from tljax.files.console import console, say
from tljax.report.figures import svg, training_curves
from tljax.report.page import page, table
from tljax.when.gain import mean_interval, transfer_gain, verdicts

GUARD = flags.DEFINE_bool('guard', False, 'Train the last phase from scratch, too, and say whether transfer helped.')
FOUND = {'positive': 'transfer helps', 'negative': 'transfer hurts', 'none detected': 'neither gain nor harm detected'}
COLUMNS = ['split', 'metric', 'mean']


def main(config):
    """Fits every phase, prints the scores of the last, and draws its curves where it was measured more than once."""
    fits = phases(config)
    run, fitted = build.fit_phases(fits, command.workdir())
    if GUARD.value:
        guard(fits[-1][1], fitted.scores, command.workdir() / 'guard')
    if jax.process_index():
        return
    rows = [[split, metric, *_said(metric, found, run.evals[split].size)] for split, found in fitted.scores.items()
            for metric in found if not metric.endswith('_ci95')]
    over = f'{len(run.seeds)} seeds' if len(run.seeds) > 1 else 'episodes or examples'
    table(COLUMNS + [f'95 % interval over {over}'], rows, title=run.name)
    place = folder(command.workdir(), [name for name, _ in fits], run.name)
    console.print(f'parameters in {place}/final', soft_wrap=True)
    records = read(place / 'log.jsonl')
    if sum('accuracy' in record for record in records if record['kind'] in run.evals) > len(run.evals):
        page(place / 'report.html', run.name, [
            dict(heading='Accuracy over training', text=f'Means and 95 % intervals over {len(run.seeds)} seeds.' * (len(run.seeds) > 1),
                 svg=svg(training_curves(records))),
            dict(heading='At the end', table=(COLUMNS + [f'95 % interval over {over}'], rows)),
            dict(heading='How it was run', code=json.dumps(plain(config), indent=1))])
        console.print(f'curves in {place}/report.html', soft_wrap=True)


def guard(settings, scores, workdir):
    """Trains what `settings` describe from scratch, and says what transfer gained: on the validation split, or the test's without one."""
    if not settings['init']['path'] and not settings['init']['phase']:
        raise Refused('--guard compares transfer with scratch, and the last phase starts from scratch: give it init.path or init.phase')
    split = next((split for split in ('validation', 'test') if 'accuracy' in scores.get(split, ())), None)
    if split is None:
        raise Refused('--guard compares accuracies, and this data has no validation or test split with classes')
    alone = merge(settings, {'init': {'path': '', 'phase': ''}, 'partition': {'name': 'full'}, 'statistics': 'follow'}) | {'groups': {}}
    transfer, scratch = scores[split]['accuracy'], fit(build.build(alone, 'scratch'), workdir).scores[split]['accuracy']
    gained = f'{100 * (np.mean(transfer) - np.mean(scratch)):+.1f} points over scratch on the {split} split'
    if len(scratch) < 2:
        say(f'transfer: {gained}; one seed has no interval: give --config.seeds="(0,1,2)"')
        return
    gain = transfer_gain(transfer, scratch)
    found = FOUND[verdicts([gain])[0]]
    say(f'{found}: {gained}, 95 % interval {100 * gain.low:+.1f} to {100 * gain.high:+.1f} over {len(scratch)} seeds')


def _said(metric, found, count):
    """Mean and interval: over seeds, or of one seed over its episodes or examples."""
    mean, half = mean_interval(found[metric])
    if half is None and f'{metric}_ci95' in found:
        half = found[f'{metric}_ci95'][0]
    if half is None and metric != 'accuracy':
        return [f'{mean:.4f}', '']
    low, high = (mean - half, mean + half) if half is not None else proportion(round(mean * count), count)[1:]
    return [f'{mean:.4f}', f'{low:.4f} to {high:.4f}']


if __name__ == '__main__':
    command.run(main)
