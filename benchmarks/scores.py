"""Compares scores of transferability with other implementations: their times, and their values.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.scores
    python -m benchmarks.scores --only=probe --rounds=3

All implementations use the same BLAS. On a machine with other users, set one thread, as above,
because threads that wait for each other cost most there, and read the processor time, which other
programs hardly change. `--rows`, `--dim` and `--classes` describe the features.
"""

import numpy as np
from absl import flags
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

from benchmarks.timing import compare, define_only, define_rounds, take_turns
from experiments import command
from tljax.when.evidence import logme
from tljax.when.logistic import linear_probe

ONLY = define_only(['logme', 'probe'])
ROWS = flags.DEFINE_integer('rows', 20_000, 'Labelled examples.', lower_bound=2)
DIM = flags.DEFINE_integer('dim', 2048, 'Features of each.', lower_bound=1)
CLASSES = flags.DEFINE_integer('classes', 100, 'Classes.', lower_bound=2)
ROUNDS = define_rounds(5)


def main() -> None:
    """Prints the tables of `--only`."""
    for name in ONLY.value:
        {'logme': evidence, 'probe': probe}[name]()


def evidence():
    """Compares LogME with two versions in NumPy.

    They are the authors' algorithm, and a loop over classes on the Gram matrix.
    """
    f, y = labelled()
    timed = take_turns(
        {
            'tljax': lambda: logme(f, y),
            'NumPy, Gram matrix': lambda: gram_logme(f, y),
            'NumPy, as published': lambda: published_logme(f, y),
        },
        ROUNDS.value,
        warmup=0,
    )
    scores = timed.returned
    results = {
        side: [f'{score:.9f}', f'{abs(score / scores["tljax"] - 1):.0e}']
        for side, score in scores.items()
    }
    _compare('LogME by', timed, results, ['score', 'relative difference'])


def probe():
    """Compares a linear probe with scikit-learn's logistic regression by L-BFGS.

    Both use float32 and their own tolerances.
    """
    f, y = labelled()

    def scikit_learn_probe():
        model = LogisticRegression(C=1.0, max_iter=1000).fit(f, y)
        return model.coef_.T, model.intercept_

    def objective_and_accuracy(kernel, bias):
        kernel = kernel.astype(np.float64)
        logits = f @ kernel + bias
        cross_entropy = (logsumexp(logits, 1) - logits[np.arange(len(y)), y]).sum()
        objective = cross_entropy + (kernel**2).sum() / 2
        return [f'{objective:.3f}', f'{(logits.argmax(1) == y).mean():.4f}']

    calls = {'tljax': lambda: linear_probe(f, y), 'scikit-learn': scikit_learn_probe}
    timed = take_turns(calls, ROUNDS.value, warmup=0)
    results = {
        side: objective_and_accuracy(kernel, bias)
        for side, (kernel, bias) in timed.returned.items()
    }
    _compare('linear probe by', timed, results, ['objective', 'training accuracy'])


def labelled():
    """Returns features (rows, dim) and labels (rows,) like those of a network.

    The spectrum decays, the mean is not zero, and the classes partly overlap.
    """
    rng = np.random.default_rng(0)
    y = np.arange(ROWS.value) % CLASSES.value
    scale = np.arange(1, DIM.value + 1) ** -0.5
    noise = rng.normal(size=(ROWS.value, DIM.value))
    class_means = rng.normal(size=(CLASSES.value, DIM.value)) / 4
    f = (noise + class_means[y]) * scale + scale[0] / 4
    return f.astype(np.float32), y


def published_logme(f, y):
    """Returns LogME by the fixed-point iteration of You et al. 2022, algorithm 3.

    As in the authors' code, the singular value decomposition of f comes from that of f^T f, and the
    iteration stops at 1e-3 or after eleven rounds. Source: https://arxiv.org/abs/2110.10545.

    Args:
        f: features (n, d).
        y: classes (n,).
    """
    f = f.astype(np.float64)
    right, spectrum, _ = np.linalg.svd(f.T @ f)
    positive = spectrum > 1e-20
    right, spectrum = right[:, positive], spectrum[positive]
    left = f @ right / np.sqrt(spectrum)
    limits = dict(rounds=11, tolerance=1e-3, guard=1e-5)
    evidences = []
    for label in range(y.max() + 1):
        target = (y == label).astype(np.float64)
        energy = (left.T @ target) ** 2
        evidences.append(_log_evidence(spectrum, energy, target.sum(), len(f), **limits))
    return np.mean(evidences)


def gram_logme(f, y):
    """Returns LogME by the same iteration on the eigenvalues of f^T f, to double precision.

    Args:
        f: features (n, d).
        y: classes (n,).
    """
    f = f.astype(np.float64)
    values, vectors = np.linalg.eigh(f.T @ f)
    energy = (vectors.T @ (f.T @ np.eye(y.max() + 1)[y])) ** 2 / values[:, None]
    limits = dict(rounds=1000, tolerance=1e-12, guard=0.0)
    evidences = [
        _log_evidence(values, energy[:, label], (y == label).sum(), len(f), **limits)
        for label in range(energy.shape[1])
    ]
    return np.mean(evidences)


def _log_evidence(spectrum, energy, square, n, rounds, tolerance, guard):
    """Returns the log evidence per example for one class.

    alpha and beta are at the fixed point of alpha = gamma / m^T m, beta = (n - gamma) / residual.

    Args:
        spectrum: (k,) squared singular values of the features.
        energy: (k,) squared projections of the class's 0/1 target on the left singular vectors.
        square: squared norm of the target, the size of the class.
        n: number of examples.
        rounds: most iterations.
        tolerance: relative change of alpha / beta at which the iteration stops.
        guard: number that is added to the divisors.
    """
    alpha = beta = 1.0
    for _ in range(rounds):
        ratio = alpha / beta
        gamma = (spectrum / (spectrum + ratio)).sum()
        weights = (spectrum * energy / (spectrum + ratio) ** 2).sum()
        residual = square - energy.sum() + (energy * (ratio / (spectrum + ratio)) ** 2).sum()
        alpha, beta = gamma / (weights + guard), (n - gamma) / (residual + guard)
        if abs(alpha / beta - ratio) <= tolerance * ratio:
            break
    log_determinant = np.log(alpha + beta * spectrum).sum() - len(spectrum) * np.log(alpha)
    return (
        n * np.log(beta / (2 * np.pi)) - log_determinant - beta * residual - alpha * weights
    ) / (2 * n)


def _compare(heading, timed, results, names):
    times = [('s', timed.seconds), ('processor s', timed.processor)]
    title = f'{ROWS.value} x {DIM.value} float32 features, {CLASSES.value} classes'
    compare(heading, times, results, names, title)


if __name__ == '__main__':
    command.run_plain(main)
