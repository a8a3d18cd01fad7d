"""Writes the weights that ADAPT's TrAdaBoost gives to two toys, for tests/shallow/test_boosting.py.

    ADAPT/bin/python tests/shallow/boosting_reference.py tests/shallow/boosting.json

ADAPT is an environment with adapt 0.4.5 and TensorFlow, which adapt imports. The learner has no
probabilities: with them, adapt's errors are no longer 0 and 1.
"""

import json
import sys
from pathlib import Path

import numpy as np
from adapt.instance_based import TrAdaBoost
from sklearn.base import BaseEstimator

sys.path.insert(0, str(Path(__file__).parent))
from line import line  # noqa: E402

ROUNDS = 6


class Line(BaseEstimator):
    """`line` as an estimator."""

    def fit(self, x, y, sample_weight):
        self.predict_ = line(x, y, sample_weight)
        return self

    def predict(self, x):
        return self.predict_(x)


def main():
    answers = [answer(seed) for seed in (0, 3)]
    Path(sys.argv[1]).write_text(json.dumps(answers, indent=0) + '\n')


def answer(seed):
    """A toy whose source has another rule than its target, and adapt's rounds on it."""
    rng = np.random.default_rng(seed)
    xs, xt = rng.normal(size=(30, 2)).round(3), rng.normal(size=(20, 2)).round(3)
    ys = (xs[:, 0] > 0).astype(int)
    yt = (xt[:, 0] + xt[:, 1] + rng.normal(size=20) > 0).astype(int)
    start = rng.uniform(0.5, 1.5, 50).round(3)
    model = TrAdaBoost(Line(), Xt=xt, yt=yt, n_estimators=ROUNDS, verbose=0)
    model.fit(xs, ys, sample_weight_src=start[:30], sample_weight_tgt=start[30:])
    weights = [
        np.concatenate(parts).tolist()
        for parts in zip(model.sample_weights_src_, model.sample_weights_tgt_, strict=True)
    ]
    return dict(
        xs=xs.tolist(),
        ys=ys.tolist(),
        xt=xt.tolist(),
        yt=yt.tolist(),
        start=start.tolist(),
        weights=weights,
        errors=[float(error) for error in model.estimator_errors_],
    )


if __name__ == '__main__':
    main()
