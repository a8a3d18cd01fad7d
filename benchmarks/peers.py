"""Compares shallow adaptation with skada and ADAPT: times, and accuracies on Office-Caltech10.

    python -m pip install -e . skada adapt tensorflow && python -m benchmarks.peers
    python -m benchmarks.peers --only=weights --rounds=3

All libraries get the same arrays, kernel widths (gamma is 1 / (2 width^2)), grids, numbers of
centres and numbers of folds. Other settings are each library's defaults. The table of weights uses
Gaussians, whose density ratio is known, and compares weights with this ratio. The table of
Office-Caltech10 trains the same classifier of scikit-learn on each library's result. Balanced
distribution adaptation (`mapping.bda`) is in neither library.
"""

import itertools
import warnings
from collections import defaultdict

import numpy as np
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.timing import compare, define_only, define_rounds, take_turns
from configs import office_caltech
from experiments import command
from tljax.configuration import call_named, plain
from tljax.files.console import progress
from tljax.kernels import median_width
from tljax.report.page import table

ONLY = define_only(['tca', 'weights', 'office'])
ROUNDS = define_rounds(3)
# classifiers of experiments.shallow
CLASSIFIERS = {
    'nearest': lambda: KNeighborsClassifier(1),
    'logistic': lambda: LogisticRegression(max_iter=1000),
}
SHIFT = 0.5  # shift of the target's mean in the first column
COLUMNS = 10  # dimensions of the Gaussians


def main() -> None:
    """Prints the tables of `--only`."""
    warnings.filterwarnings('ignore')  # deprecation warnings inside the other libraries
    for name in ONLY.value:
        {'tca': tca, 'weights': weights, 'office': office}[name]()


def tca():
    """Times transfer component analysis: 2,000 + 2,000 rows of 800 columns, 30 dimensions, linear
    kernel."""
    from benchmarks.peer_sides import components  # its packages may be missing

    rng = np.random.default_rng(0)
    xs, xt = rng.normal(size=(2000, 800)), rng.normal(size=(2000, 800)) + 0.1
    _compare('TCA, 2,000 + 2,000 x 800, by', components(xs, xt), lambda result: [], [])


def weights():
    """Compares weights of 1,000 + 1,000 rows of Gaussians, whose density ratio is known."""
    from benchmarks.peer_sides import weighers  # its packages may be missing

    rng = np.random.default_rng(0)
    xs = rng.normal(size=(1000, COLUMNS))
    xt = rng.normal(size=(1000, COLUMNS)) + SHIFT * (np.arange(COLUMNS) == 0)
    ratio = norm.pdf(xs[:, 0], SHIFT) / norm.pdf(xs[:, 0])

    def cells(weight):
        correlation = np.corrcoef(weight, ratio)[0, 1]
        return [f'{correlation:.3f}', f'{_objective(xs, xt, weight):.6f}']

    for method, calls in weighers(xs, xt).items():
        _compare(
            f'{method}, 1,000 + 1,000 x {COLUMNS}, by',
            calls,
            cells,
            ['correlation with the true ratio', 'objective of KMM'],
        )


def office():
    """Compares accuracies on the 12 tasks of Office-Caltech10.

    Weights have logistic regression, maps the nearest neighbour.
    """
    from benchmarks.peer_sides import maps, weighers  # its packages may be missing

    config = plain(office_caltech.get_config())
    domains = {}
    for name, spec in config['domains'].items():
        splits = call_named('tljax.data', spec, f'domains.{name}')
        domains[name] = {split: _rows(splits[split]) for split in ('train', 'test')}
    tasks = list(itertools.permutations(domains, 2))
    rows = defaultdict(list)
    for source, target in progress(tasks, 'tasks'):
        (xs, ys), (xt, yt) = domains[source]['train'], domains[target]['test']
        for method, calls in weighers(xs, xt).items():
            for side, call in calls.items():
                weight = call()
                model = CLASSIFIERS['logistic']()
                model.fit(xs, ys, sample_weight=len(xs) * weight / weight.sum())
                rows[method, side].append(100 * (model.predict(xt) == yt).mean())
        for method, calls in maps(xs, ys, xt).items():
            for side, call in calls.items():
                zs, zt = call()
                model = CLASSIFIERS['nearest']().fit(zs, ys)
                rows[method, side].append(100 * (model.predict(zt) == yt).mean())
    table(
        ['method', 'by', *(f'{source[0]}-{target[0]}'.upper() for source, target in tasks), 'mean'],
        [
            [*name, *(f'{value:.1f}' for value in values), f'{np.mean(values):.1f}']
            for name, values in rows.items()
        ],
        title='Office-Caltech10, accuracy %',
    )


def _objective(xs, xt, weight):
    """Returns the objective of kernel mean matching, minimised over the scale of the weights."""
    gamma = 1 / (2 * float(median_width(xs, xt)) ** 2)
    return (
        -((weight @ rbf_kernel(xs, xt, gamma).mean(1)) ** 2)
        / (weight @ rbf_kernel(xs, gamma=gamma) @ weight)
        / 2
    )


def _rows(dataset):
    """Returns all inputs (n, d) and labels (n,) of a data set."""
    batch = dataset.take(np.arange(dataset.size))
    return batch['input'].astype(np.float64), batch['label']


def _compare(heading, calls, cells, names):
    """Times the calls and prints a row for each; `cells` maps a result to cells of the table."""
    timed = take_turns(calls, ROUNDS.value)
    results = {side: cells(result) for side, result in timed.returned.items()}
    compare(heading, [('s', timed.seconds)], results, names)


if __name__ == '__main__':
    command.run_plain(main)
