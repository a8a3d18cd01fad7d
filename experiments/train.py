"""Trains what a config describes, phase by phase; a restart skips finished phases and goes on with the one that was cut off.

    python -m experiments.train --config=configs/digits.py --config.optim.lr=3e-4 --workdir=runs/mine
"""
import jax

from experiments import command
from tljax import build
from tljax.log import console
from tljax.report import table
from tljax.train import fit
from tljax.transferability import mean_interval


def main(config):
    """Fits every phase and prints the scores of the last."""
    phases = build.phases(config)
    names = [name for name, _ in phases]
    for i, (name, phase) in enumerate(phases):
        donor = phase['init']['phase']
        run = build.build(phase, name, donor and build.folder(command.workdir(), names[:i], donor))
        fitted = fit(run, build.folder(command.workdir(), names, name))
    if jax.process_index():
        return
    rows = [[split, metric, *_said(values)] for split, found in fitted.scores.items() for metric, values in found.items()]
    table(['split', 'metric', 'mean', '±95 % over seeds'], rows, title=f'{name}, {len(run.seeds)} seeds')
    console.print(f'parameters in {build.folder(command.workdir(), names, name)}/final', soft_wrap=True)


def _said(values):
    mean, half = mean_interval(values)
    return [f'{mean:.4f}', '' if half is None else f'{half:.4f}']


if __name__ == '__main__':
    command.run(main)
