"""Compares ways to learn many tasks: each by itself, all as one, or by what they share.

    python -m experiments.tasks --config=configs/school.py
    python -m experiments.tasks --config=configs/school.py:share=0.2

A split cuts the examples of each task at random into training and test examples. A method learns
from the training examples of all tasks, and predicts the test examples of each. With the setting
`new` some tasks are new: a method learns from the other tasks, and then gets a few examples of each
new one. The table shows the share of the test labels' variance that is explained, with its interval
over the splits, and the gains over the baselines. Penalties are chosen by cuts of the training
examples. The study writes results.json and report.html into the folder `--workdir`.
"""

from pathlib import Path

from experiments import command
from tljax import studies
from tljax.protocols import Config


def main(config: Config, workdir: Path) -> None:
    """Runs every method on every split, and prints the explained variance and the gains.

    Args:
        config: the config, a plain dict.
        workdir: folder of the run.
    """
    results = studies.many_tasks.compare(config, workdir)
    command.tell_study(results, studies.many_tasks_report, workdir)


if __name__ == '__main__':
    command.run(main, 'tasks')
