"""Scores of transferability against the published way to compute them, side by side in one run:
seconds, and whether the numbers agree.

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.scores
    python -m benchmarks.scores --only=probe --rounds=3

All sides use the same BLAS. On a machine that others use, give it one thread as above, as threads
that wait for each other cost most there, and go by the processor's time, which others hardly
change. `--rows`, `--dim` and `--classes` are of the features.
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
    """Prints the tables that were asked for."""
    for name in ONLY.value:
        {'logme': evidence, 'probe': probe}[name]()


def evidence():
    """LogME against the authors' algorithm and against a loop over classes on the Gram matrix, both
    in NumPy."""
    f, y = labelled()
    timed = take_turns(
        {
            'tljax': lambda: logme(f, y),
            'NumPy, Gram matrix': lambda: gram_logme(f, y),
            'NumPy, as published': lambda: published_logme(f, y),
        },
        ROUNDS.value,
        warm=0,
    )
    scores = timed.returned
    _compare(
        'LogME by',
        timed,
        {
            side: [f'{score:.9f}', f'{abs(score / scores["tljax"] - 1):.0e}']
            for side, score in scores.items()
        },
        ['score', 'relative difference'],
    )


def probe():
    """A linear probe against scikit-learn's logistic regression by L-BFGS, both in float32 with
    their own tolerances."""
    f, y = labelled()

    def theirs():
        fitted = LogisticRegression(C=1.0, max_iter=1000).fit(f, y)
        return fitted.coef_.T, fitted.intercept_

    def judged(found):
        logits = f @ found[0].astype(np.float64) + found[1]
        loss = (logsumexp(logits, 1) - logits[np.arange(len(y)), y]).sum() + (
            found[0].astype(np.float64) ** 2
        ).sum() / 2
        return [f'{loss:.3f}', f'{(logits.argmax(1) == y).mean():.4f}']

    timed = take_turns(
        {'tljax': lambda: linear_probe(f, y), 'scikit-learn': theirs}, ROUNDS.value, warm=0
    )
    _compare(
        'linear probe by',
        timed,
        {side: judged(each) for side, each in timed.returned.items()},
        ['objective', 'training accuracy'],
    )


def labelled():
    """Features like those of a network: a spectrum that decays, a mean, and classes that partly
    overlap."""
    rng = np.random.default_rng(0)
    y = np.arange(ROWS.value) % CLASSES.value
    scale = np.arange(1, DIM.value + 1) ** -0.5
    f = (
        rng.normal(size=(ROWS.value, DIM.value))
        + rng.normal(size=(CLASSES.value, DIM.value))[y] / 4
    ) * scale + scale[0] / 4
    return f.astype(np.float32), y


def published_logme(f, y):
    """The fixed point iteration of You et al. 2022, algorithm 3 (https://arxiv.org/abs/2110.10545),
    by a full singular value decomposition.

    As in the authors' code, that of f comes from that of f^T f, and the iteration stops at 1e-3 or
    after eleven rounds.
    """
    f = f.astype(np.float64)
    right, spectrum, _ = np.linalg.svd(f.T @ f)
    kept = spectrum > 1e-20
    left, spectrum = f @ right[:, kept] / np.sqrt(spectrum[kept]), spectrum[kept]
    found = []
    for label in range(y.max() + 1):
        target = (y == label).astype(np.float64)
        energy = (left.T @ target) ** 2
        found.append(
            _fixed_point(
                spectrum, energy, target.sum(), len(f), rounds=11, tolerance=1e-3, guard=1e-5
            )
        )
    return np.mean(found)


def gram_logme(f, y):
    """The same iteration to the end of double precision, on the eigenvalues of f^T f."""
    f = f.astype(np.float64)
    values, vectors = np.linalg.eigh(f.T @ f)
    energy = (vectors.T @ (f.T @ np.eye(y.max() + 1)[y])) ** 2 / values[:, None]
    return np.mean(
        [
            _fixed_point(
                values,
                energy[:, label],
                (y == label).sum(),
                len(f),
                rounds=1000,
                tolerance=1e-12,
                guard=0.0,
            )
            for label in range(energy.shape[1])
        ]
    )


def _fixed_point(spectrum, energy, square, n, rounds, tolerance, guard):
    """The log evidence per example where alpha = gamma / m^T m and beta = (n - gamma) / residual
    reproduce themselves."""
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


def _compare(first, timed, results, names):
    compare(
        first,
        [('s', timed.seconds), ('processor s', timed.processor)],
        results,
        names,
        f'{ROWS.value} x {DIM.value} float32 features, {CLASSES.value} classes',
    )


if __name__ == '__main__':
    command.run_plain(main)
