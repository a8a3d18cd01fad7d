"""Shallow adaptation beside skada and ADAPT in one run: how long each takes, and what each reaches on Office-Caltech10.

    python -m pip install -e . skada adapt tensorflow && python -m experiments.benchmark_peers
    python -m experiments.benchmark_peers --only=weights --rounds=3

All sides get the same arrays, kernel widths (gamma is 1 / (2 width^2)), grids, numbers of centres and of folds; the rest is each library's
default. Density ratios of Gaussians are known, so weights are held against the truth. The office table trains the same classifier of
scikit-learn on what each side returns. Balanced distribution adaptation (`mapping.bda`) is in neither library.
"""
import itertools
import time
import warnings

import numpy as np
from absl import app, flags
from adapt.instance_based import KLIEP, KMM, RULSIF, ULSIF
from scipy.stats import norm
from skada import CORALAdapter, KLIEPReweightAdapter, KMMReweightAdapter, SubspaceAlignmentAdapter, TransferComponentAnalysisAdapter
from sklearn.metrics.pairwise import rbf_kernel

from configs import office_caltech
from experiments.shallow import CLASSIFIERS
from tljax.configuration import named, plain
from tljax.kernels import median_width
from tljax.log import progress
from tljax.report import table
from tljax.shallow import instance, mapping

ONLY = flags.DEFINE_list('only', ['tca', 'weights', 'office'], 'Which tables to print.')
ROUNDS = flags.DEFINE_integer('rounds', 3, 'How often each is timed, in turn; the least is printed with the median.', lower_bound=1)
SHIFT, COLUMNS = .5, 10   # of the target's mean in the first column; columns of the Gaussians


def main(_):
    """Prints the tables that were asked for."""
    warnings.filterwarnings('ignore')   # of the peers' own deprecations
    for name in ONLY.value:
        {'tca': tca, 'weights': weights, 'office': office}[name]()


def tca():
    """Transfer component analysis of 2,000 + 2,000 rows of 800 columns, 30 dimensions, linear kernel."""
    rng = np.random.default_rng(0)
    xs, xt = rng.normal(size=(2000, 800)), rng.normal(size=(2000, 800)) + .1
    times, _ = _times({'tljax': lambda: mapping.tca(xs, xt, dim=30), 'skada': lambda: _mapped(_tca(), xs, None, xt)})
    _compare('TCA, 2,000 + 2,000 x 800, by', times, {side: [] for side in times}, [])


def weights():
    """Weights of 1,000 + 1,000 rows of Gaussians whose density ratio is known."""
    rng = np.random.default_rng(0)
    xs, xt = rng.normal(size=(1000, COLUMNS)), rng.normal(size=(1000, COLUMNS)) + SHIFT * (np.arange(COLUMNS) == 0)
    truth = norm.pdf(xs[:, 0], SHIFT) / norm.pdf(xs[:, 0])
    for method, sides in weighers(xs, xt).items():
        times, found = _times(sides)
        _compare(f'{method}, 1,000 + 1,000 x {COLUMNS}, by', times,
                 {side: [f'{np.corrcoef(each, truth)[0, 1]:.3f}', f'{_objective(xs, xt, each):.6f}'] for side, each in found.items()},
                 ['correlation with the true ratio', 'objective of KMM'])


def office():
    """Accuracy on the 12 tasks of Office-Caltech10: weights with logistic regression, maps with the nearest neighbour."""
    config = plain(office_caltech.get_config())
    splits = {name: named('tljax.data', spec, f'domains.{name}') for name, spec in config['domains'].items()}
    domains = {name: {side: _rows(split[side]) for side in ('train', 'test')} for name, split in splits.items()}
    tasks = list(itertools.permutations(domains, 2))
    rows = {}
    for source, target in progress(tasks, 'tasks'):
        (xs, ys), (xt, yt) = domains[source]['train'], domains[target]['test']
        for (method, sides), classifier in [*((each, 'logistic') for each in weighers(xs, xt).items()),
                                            *((each, 'nearest') for each in maps(xs, ys, xt).items())]:
            for side, call in sides.items():
                found = call()
                fitted = CLASSIFIERS[classifier]()
                zs, zt = found if classifier == 'nearest' else (xs, xt)
                fitted.fit(zs, ys, **({} if classifier == 'nearest' else {'sample_weight': len(xs) * found / found.sum()}))
                rows.setdefault((method, side), []).append(100 * (fitted.predict(zt) == yt).mean())
    table(['method', 'by', *(f'{source[0]}-{target[0]}'.upper() for source, target in tasks), 'mean'],
          [[*name, *(f'{value:.1f}' for value in values), f'{np.mean(values):.1f}'] for name, values in rows.items()],
          title='Office-Caltech10, accuracy %')


def weighers(xs, xt):
    """{method: {by: a call without arguments that returns weights (ns,)}}."""
    width = float(median_width(xs, xt))
    gamma, gammas = 1 / (2 * width ** 2), [1 / (2 * (width * each) ** 2) for each in instance.WIDTHS]
    grid = dict(gamma=gammas, max_centers=100, verbose=0, random_state=0)
    penalties = list(instance.PENALTIES)

    def skada(adapter):
        x, domain = np.concatenate([xs, xt]), np.repeat([1, -2], [len(xs), len(xt)])
        return adapter.fit(x, sample_domain=domain).compute_weights(x, sample_domain=domain)[:len(xs)]

    return {
        'KMM': {'tljax': lambda: instance.kmm(xs, xt, width), 'skada': lambda: skada(KMMReweightAdapter(gamma=gamma)),
                'ADAPT': lambda: KMM(gamma=gamma, verbose=0, random_state=0, max_size=len(xs)).fit_weights(xs, xt)},
        'KLIEP': {'tljax': lambda: instance.kliep(xs, xt), 'skada': lambda: skada(KLIEPReweightAdapter(gamma=gammas, random_state=0)),
                  'ADAPT': lambda: KLIEP(**grid).fit_weights(xs, xt)},
        'uLSIF': {'tljax': lambda: instance.ulsif(xs, xt), 'ADAPT': lambda: ULSIF(**grid, lambdas=penalties).fit_weights(xs, xt)},
        'RuLSIF': {'tljax': lambda: instance.rulsif(xs, xt), 'ADAPT': lambda: RULSIF(**grid, lambdas=penalties).fit_weights(xs, xt)}}


def maps(xs, ys, xt):
    """{method: {by: a call without arguments that returns (zs, zt)}}."""
    return {
        'subspace alignment': {'tljax': lambda: mapping.subspace_alignment(xs, xt, dim=30),
                               'skada': lambda: _mapped(SubspaceAlignmentAdapter(n_components=30, random_state=0), xs, ys, xt)},
        'CORAL': {'tljax': lambda: mapping.coral(xs, xt), 'skada': lambda: _mapped(CORALAdapter(), xs, ys, xt)},
        'TCA': {'tljax': lambda: mapping.tca(xs, xt, dim=30), 'skada': lambda: _mapped(_tca(), *_unit(xs), ys, *_unit(xt))}}


def _objective(xs, xt, weight):
    """What kernel mean matching minimises, at the scale of the weights that suits it best."""
    gamma = 1 / (2 * float(median_width(xs, xt)) ** 2)
    return -(weight @ rbf_kernel(xs, xt, gamma).mean(1)) ** 2 / (weight @ rbf_kernel(xs, gamma=gamma) @ weight) / 2


def _tca():
    return TransferComponentAnalysisAdapter(kernel='linear', n_components=30, mu=1.)


def _unit(x):
    return (x / np.linalg.norm(x, axis=1, keepdims=True),)


def _mapped(adapter, xs, ys, xt):
    x, domain = np.concatenate([xs, xt]), np.repeat([1, -2], [len(xs), len(xt)])
    y = None if ys is None else np.concatenate([ys, np.full(len(xt), -1)])
    z = adapter.fit_transform(x, y, sample_domain=domain)
    z = z[0] if isinstance(z, tuple) else z
    return z[:len(xs)], z[len(xs):]


def _rows(dataset):
    batch = dataset.take(np.arange(dataset.size))
    return batch['input'].astype(np.float64), batch['label']


def _times(calls):
    """Seconds of each call, {name: (rounds,)}, in turn so that a slow moment hits all, compiled beforehand; and what each returned."""
    returned = {name: call() for name, call in calls.items()}
    times = {name: [] for name in calls}
    for _, (name, call) in itertools.product(range(ROUNDS.value), calls.items()):
        begun = time.perf_counter()
        returned[name] = call()
        times[name].append(time.perf_counter() - begun)
    return times, returned


def _compare(first, times, results, names):
    table([first, 's, least', 'median', 'over tljax', *names],
          [[side, f'{min(values):.2f}', f'{np.median(values):.2f}', f'{min(values) / min(times["tljax"]):.2f}', *results[side]]
           for side, values in times.items()])


if __name__ == '__main__':
    app.run(main)
