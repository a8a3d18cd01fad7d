#!/usr/bin/env bash
# A guess: the weights of ADAPT's TrAdaBoost are those of the paper (Dai et al. 2007, algorithm 1), so
# that a row of the target that is predicted wrongly gets (1 - e) / e times its weight, where e is the
# weighted error on the target. It gets (2 - e) / e times its weight, as beta_t is computed as
# e / (2 - e), while the docstring says E / (1 - E). Votes are computed alike. With a learner that has
# probabilities, e is moreover the mean distance of the probabilities from the labels: a learner that
# is right everywhere has an error above 0.
#
# Seen with adapt 0.4.5, scikit-learn 1.9.1 and TensorFlow 2.21.0, Python 3.11; four rows of the
# target, one of which is wrong, so that e is 1/4:
#
#     factor of the wrong row 7.0, in the paper 3.0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q adapt==0.4.5 scikit-learn==1.9.1 tensorflow-cpu==2.21.0
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from adapt.instance_based import TrAdaBoost
from sklearn.base import BaseEstimator


class Zero(BaseEstimator):
    """A learner that predicts class 0 for every row."""

    def fit(self, x, y, sample_weight):
        return self

    def predict(self, x):
        return np.zeros(len(x), int)


model = TrAdaBoost(Zero(), Xt=np.eye(4), yt=np.array([0, 0, 0, 1]), n_estimators=2, verbose=0)
model.fit(np.eye(4), np.array([0, 0, 0, 1]))
weight = model.sample_weights_tgt_[1]
factor = round(float(weight[3] / weight[0]), 6)
print('factor of the wrong row', factor, 'in the paper', 3.0)
assert factor == 7.0
PYTHON
