"""Shallow adaptation beside skada and ADAPT in one run: how long each takes, and what each reaches
on Office-Caltech10.

    python -m pip install -e . skada adapt tensorflow && python -m benchmarks.peers
    python -m benchmarks.peers --only=weights --rounds=3

All sides get the same arrays, kernel widths (gamma is 1 / (2 width^2)), grids, numbers of centres
and of folds; the rest is each library's default. Density ratios of Gaussians are known, so weights
are held against the truth. The office table trains the same classifier of scikit-learn on what each
side returns. Balanced distribution adaptation (`mapping.bda`) is in neither library.
"""

import itertools
import warnings

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
# as in the study
CLASSIFIERS = {
    'nearest': lambda: KNeighborsClassifier(1),
    'logistic': lambda: LogisticRegression(max_iter=1000),
}
SHIFT, COLUMNS = 0.5, 10  # of the target's mean in the first column; columns of the Gaussians


def main() -> None:
    """Prints the tables that were asked for."""
    warnings.filterwarnings('ignore')  # of the peers' own deprecations
    for name in ONLY.value:
        {'tca': tca, 'weights': weights, 'office': office}[name]()


def tca():
    """Transfer component analysis of 2,000 + 2,000 rows of 800 columns, 30 dimensions, linear
    kernel."""
    from benchmarks.peer_sides import components  # of packages that may be missing

    rng = np.random.default_rng(0)
    xs, xt = rng.normal(size=(2000, 800)), rng.normal(size=(2000, 800)) + 0.1
    _compare('TCA, 2,000 + 2,000 x 800, by', components(xs, xt), lambda found: [], [])


def weights():
    """Weights of 1,000 + 1,000 rows of Gaussians whose density ratio is known."""
    from benchmarks.peer_sides import weighers  # of packages that may be missing

    rng = np.random.default_rng(0)
    xs, xt = (
        rng.normal(size=(1000, COLUMNS)),
        rng.normal(size=(1000, COLUMNS)) + SHIFT * (np.arange(COLUMNS) == 0),
    )
    truth = norm.pdf(xs[:, 0], SHIFT) / norm.pdf(xs[:, 0])
    for method, sides in weighers(xs, xt).items():
        _compare(
            f'{method}, 1,000 + 1,000 x {COLUMNS}, by',
            sides,
            lambda found: [
                f'{np.corrcoef(found, truth)[0, 1]:.3f}',
                f'{_objective(xs, xt, found):.6f}',
            ],
            ['correlation with the true ratio', 'objective of KMM'],
        )


def office():
    """Accuracy on the 12 tasks of Office-Caltech10: weights with logistic regression, maps with the
    nearest neighbour."""
    from benchmarks.peer_sides import maps, weighers  # of packages that may be missing

    config = plain(office_caltech.get_config())
    splits = {
        name: call_named('tljax.data', spec, f'domains.{name}')
        for name, spec in config['domains'].items()
    }
    domains = {
        name: {side: _rows(split[side]) for side in ('train', 'test')}
        for name, split in splits.items()
    }
    tasks = list(itertools.permutations(domains, 2))
    rows = {}
    for source, target in progress(tasks, 'tasks'):
        (xs, ys), (xt, yt) = domains[source]['train'], domains[target]['test']
        for (method, sides), classifier in [
            *((each, 'logistic') for each in weighers(xs, xt).items()),
            *((each, 'nearest') for each in maps(xs, ys, xt).items()),
        ]:
            for side, call in sides.items():
                found = call()
                fitted = CLASSIFIERS[classifier]()
                zs, zt = found if classifier == 'nearest' else (xs, xt)
                fitted.fit(
                    zs,
                    ys,
                    **(
                        {}
                        if classifier == 'nearest'
                        else {'sample_weight': len(xs) * found / found.sum()}
                    ),
                )
                rows.setdefault((method, side), []).append(100 * (fitted.predict(zt) == yt).mean())
    table(
        ['method', 'by', *(f'{source[0]}-{target[0]}'.upper() for source, target in tasks), 'mean'],
        [
            [*name, *(f'{value:.1f}' for value in values), f'{np.mean(values):.1f}']
            for name, values in rows.items()
        ],
        title='Office-Caltech10, accuracy %',
    )


def _objective(xs, xt, weight):
    """What kernel mean matching minimises, at the scale of the weights that suits it best."""
    gamma = 1 / (2 * float(median_width(xs, xt)) ** 2)
    return (
        -((weight @ rbf_kernel(xs, xt, gamma).mean(1)) ** 2)
        / (weight @ rbf_kernel(xs, gamma=gamma) @ weight)
        / 2
    )


def _rows(dataset):
    batch = dataset.take(np.arange(dataset.size))
    return batch['input'].astype(np.float64), batch['label']


def _compare(first, calls, told, names):
    """Times each side and prints a row for each; `told` makes the cells of what it returned."""
    timed = take_turns(calls, ROUNDS.value)
    compare(
        first,
        [('s', timed.seconds)],
        {side: told(found) for side, found in timed.returned.items()},
        names,
    )


if __name__ == '__main__':
    command.run_plain(main)
