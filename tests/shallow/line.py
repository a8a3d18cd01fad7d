"""A learner of NumPy alone, for tests and for the reference that another library makes."""

import numpy as np


def line(x, y, weight):
    """Weighted least squares of the classes 0 and 1, with an intercept: a function x -> class."""

    def extend(x):
        return np.concatenate([x, np.ones((len(x), 1))], 1)

    root = np.sqrt(weight)[:, None]
    slope = np.linalg.lstsq(root * extend(x), root[:, 0] * (2 * y - 1))[0]
    return lambda x: (extend(x) @ slope > 0).astype(int)
