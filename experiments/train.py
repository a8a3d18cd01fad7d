"""Trains what a config describes, phase by phase; a restart skips finished phases and goes on with the one that was cut off.

    python -m experiments.train --config=configs/digits.py --config.optim.lr=3e-4 --workdir=runs/mine
"""
import jax

from experiments import command
from tljax import build
from tljax.configuration import folder, phases
from tljax.evaluate import proportion
from tljax.log import console
from tljax.report import table
from tljax.transferability import mean_interval


def main(config):
    """Fits every phase and prints the scores of the last."""
    fits = phases(config)
    run, fitted = build.fit_phases(fits, command.workdir())
    if jax.process_index():
        return
    rows = [[split, metric, *_said(metric, values, run.evals[split].size)] for split, found in fitted.scores.items()
            for metric, values in found.items()]
    over = f'{len(run.seeds)} seeds' if len(run.seeds) > 1 else 'examples'
    table(['split', 'metric', 'mean', f'95 % interval over {over}'], rows, title=run.name)
    console.print(f'parameters in {folder(command.workdir(), [name for name, _ in fits], run.name)}/final', soft_wrap=True)


def _said(metric, values, count):
    mean, half = mean_interval(values)
    if half is None and metric != 'accuracy':
        return [f'{mean:.4f}', '']
    low, high = (mean - half, mean + half) if half is not None else proportion(round(mean * count), count)[1:]
    return [f'{mean:.4f}', f'{low:.4f} to {high:.4f}']


if __name__ == '__main__':
    command.run(main)
