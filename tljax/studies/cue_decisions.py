"""Decisions between the shape and the texture of a picture: Geirhos et al. 2019, figure 4
(https://arxiv.org/abs/1811.12231).

The shape bias is the share of decisions for the shape among decisions for the shape or the texture.
Pictures whose shape and texture are of one category do not count. Decisions are categories,
(seeds, n) integers, where NONE stands for no decision. People are treated as networks are: one
person is one seed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

NONE = -1  # no decision
DRAWS = 2000  # of the bootstrap
EDGES = 2.5, 97.5  # percentiles of a 95 % interval


class Bias(NamedTuple):
    """A shape bias.

    Attributes:
        mean: mean over seeds, from 0 (texture) to 1 (shape); NaN where nothing was decided.
        low: lower end of its 95 % interval over pictures.
        high: upper end.
        decided: share of the pictures for which the shape or the texture was chosen.
        by_seed: bias of each seed.

    >>> Bias(mean=0.25, low=0.2, high=0.3, decided=0.6, by_seed=(0.25,)).decided
    0.6
    """

    mean: float
    low: float
    high: float
    decided: float
    by_seed: tuple[float, ...]


class Change(NamedTuple):
    """A change of shape bias, and its 95 % interval over pictures.

    >>> Change(mean=0.1, low=0.02, high=0.18).low > 0
    True
    """

    mean: float
    low: float
    high: float


def decide(probability: np.ndarray, groups: Sequence[np.ndarray]) -> np.ndarray:
    """Chooses the category with the largest mean probability over its classes.

    The mean, in place of the sum, gives a category of one class the chance of a category of many:
    of ImageNet's classes 109 are dogs and one is a knife.

    Args:
        probability: (..., classes) probabilities of a network's classes.
        groups: for each category the numbers of its classes.

    Returns:
        (...) numbers of categories. Of equal means the first is chosen.

    Source: the authors' recommendation in github.com/rgeirhos/texture-vs-shape, for reasons in the
        appendix of Geirhos et al. 2018 (https://arxiv.org/abs/1808.08750). The paper's own answers
        were aggregated otherwise: by the mean, ResNet-50 has 21.39 % in place of 22.07 %.

    >>> dogs_and_knife = [np.array([0, 1]), np.array([2])]
    >>> int(decide(np.array([0.4, 0.0, 0.3, 0.3]), dogs_and_knife))  # 0.2 against 0.3
    1
    """
    means = [np.asarray(probability)[..., group].mean(-1) for group in groups]
    return np.stack(means, -1).argmax(-1)


def decide_by_similarity(
    features: np.ndarray,
    examples: np.ndarray,
    label: np.ndarray,
    allowed: np.ndarray,
) -> np.ndarray:
    """Chooses the category whose examples have the largest mean cosine similarity.

    Features are centred at the mean of the categories' means. A mean of similarities, in place of
    the similarity to a mean, expects the same of few examples and of many. It is a nearest-centroid
    classifier with centred and normalised features: Wang et al. 2019, SimpleShot
    (https://arxiv.org/abs/1911.04623).

    Args:
        features: (n, d).
        examples: features of labelled examples, (m, d).
        label: categories of the examples, (m,) integers; each category has one or more.
        allowed: (n, m) of bool: which examples a row may be compared with, at least one of each
            category.

    Returns:
        (n,) numbers of categories.

    >>> features, examples = np.array([[9.0, 8.0]]), np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    >>> allowed = np.ones((1, 3), bool)
    >>> decide_by_similarity(features, examples, np.array([0, 1, 1]), allowed).tolist()
    [0]
    """
    members = label[:, None] == np.arange(label.max() + 1)  # (m, categories)
    centre = (members / members.sum(0)).sum(1) @ examples / members.shape[1]
    similarity = _normalised(features - centre) @ _normalised(examples - centre).T
    means = (np.where(allowed, similarity, 0) @ members) / (allowed.astype(float) @ members)
    return means.argmax(1)


def _normalised(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)


def shape_bias(
    decision: np.ndarray,
    shape: np.ndarray,
    texture: np.ndarray,
    draws: int = DRAWS,
    seed: int = 0,
) -> Bias:
    """Computes the shape bias with its percentile bootstrap over the pictures in conflict.

    Args:
        decision: (seeds, n).
        shape: category of the shapes, (n,).
        texture: category of the textures, (n,).
        draws: number of resamples.
        seed: seed of the resamples. Equal seeds resample the same pictures.

    >>> decision = np.array([[0, 0, 1, 2, 0]])  # shape, shape, texture, neither; no conflict
    >>> bias = shape_bias(decision, np.zeros(5, int), np.array([1, 1, 1, 1, 0]))
    >>> round(bias.mean, 3), bias.decided
    (0.667, 0.75)
    """
    chosen = _chosen(decision, shape, texture)
    ratio = _ratio(*chosen.sum(-1))
    low, high = _interval(_resampled(chosen, draws, seed))
    return Bias(_mean(ratio), low, high, float(chosen.sum(0).mean()), tuple(map(float, ratio)))


def change(
    before: np.ndarray,
    after: np.ndarray,
    shape: np.ndarray,
    texture: np.ndarray,
    draws: int = DRAWS,
    seed: int = 0,
) -> Change:
    """Computes how much the shape bias has changed, with a bootstrap paired by picture.

    Args:
        before: decisions (seeds, n); a mean is taken over its seeds.
        after: decisions (seeds, n), of as many seeds or another number.
        shape: as in `shape_bias`.
        texture: as in `shape_bias`.
        draws: as in `shape_bias`.
        seed: as in `shape_bias`.

    >>> shape, texture = np.zeros(4, int), np.ones(4, int)
    >>> change(np.array([[0, 1, 1, 1]]), np.array([[0, 0, 1, 1]]), shape, texture).mean
    0.25
    """
    sides = [_chosen(decision, shape, texture) for decision in (after, before)]
    means = [_mean(_ratio(*chosen.sum(-1))) for chosen in sides]
    after_draws, before_draws = (_resampled(chosen, draws, seed) for chosen in sides)
    return Change(means[0] - means[1], *_interval(after_draws - before_draws))


def by_category(
    decision: np.ndarray, shape: np.ndarray, texture: np.ndarray, categories: int
) -> tuple[np.ndarray, np.ndarray]:
    """Computes the shape bias of each category of shapes, over all seeds together.

    Args:
        decision: as in `shape_bias`.
        shape: as in `shape_bias`.
        texture: as in `shape_bias`.
        categories: number of categories.

    Returns:
        Shape bias (categories,), NaN where nothing was decided, and share of decided pictures
        (categories,).

    >>> shape, texture = np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0])
    >>> bias, decided = by_category(np.array([[0, 1, 1, 2]]), shape, texture, 2)
    >>> bias.tolist(), decided.tolist()
    ([0.5, 1.0], [1.0, 0.5])
    """
    chosen = _chosen(decision, shape, texture).mean(1)  # (2, pictures)
    of_category = shape[shape != texture] == np.arange(categories)[:, None]
    shares = chosen @ of_category.T / np.maximum(of_category.sum(1), 1)  # (2, categories)
    return _ratio(*shares), shares.sum(0)


def agreeing_accuracy(decision: np.ndarray, shape: np.ndarray, texture: np.ndarray) -> float:
    """Computes how often the category is found where shape and texture agree; NaN if they never do.

    Args:
        decision: as in `shape_bias`.
        shape: as in `shape_bias`.
        texture: as in `shape_bias`.

    >>> agreeing_accuracy(np.array([[0, 1, 1]]), np.array([0, 0, 1]), np.array([0, 1, 0]))
    1.0
    """
    agree = shape == texture
    return float((decision[:, agree] == shape[agree]).mean()) if agree.any() else np.nan


def _chosen(decision: np.ndarray, shape: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """(2, seeds, pictures in conflict): 1 where the shape, and where the texture was chosen."""
    conflict = shape != texture
    decided = np.atleast_2d(decision)[:, conflict]
    return np.stack([decided == shape[conflict], decided == texture[conflict]]).astype(float)


def _ratio(by_shape: np.ndarray, by_texture: np.ndarray) -> np.ndarray:
    total = by_shape + by_texture
    return np.where(total > 0, by_shape / np.where(total > 0, total, 1), np.nan)


def _resampled(chosen: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Shape bias of each resample of the pictures, (draws,)."""
    pictures = chosen.shape[-1]
    rows = np.random.default_rng(seed).integers(pictures, size=(draws, pictures))
    cells = rows + pictures * np.arange(draws)[:, None]
    times = np.bincount(cells.ravel(), minlength=draws * pictures).reshape(draws, pictures)
    sums = times.astype(float) @ np.moveaxis(chosen, -1, 1)  # (2, draws, seeds)
    return _ratio(*sums).mean(-1)


def _interval(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return np.nan, np.nan
    low, high = np.percentile(finite, EDGES)
    return float(low), float(high)


def _mean(values: np.ndarray) -> float:
    return float(values.mean())
