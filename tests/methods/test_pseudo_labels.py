"""Labels that a model gives: centroids, self-training, FixMatch."""

import jax
import numpy as np
import pytest
from tiny import tiny
from two_sets import DOMAINS, TICK, gap, logits, softmax

import tljax.methods
from tljax import build
from tljax.core import UserError
from tljax.methods.pseudo_labels import centroids
from tljax.nn import augment
from tljax.zoo.families.identity import identity


def test_self_training_counts_the_sure_alone(batch):
    value_gap, head = gap('self_training', batch, threshold=0.8)
    probability = softmax(logits(batch, head)[1])
    confident = probability.max(1) >= 0.8
    assert 0 < confident.sum() < 12
    np.testing.assert_allclose(
        value_gap, -(confident * np.log(probability.max(1))).mean(), rtol=1e-4
    )


def test_pseudo_labels_are_those_of_the_nearest_centroid():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 20)
    features = np.eye(3)[truth] * 3 + rng.normal(size=(60, 3)) * 0.4
    # a third at random; class 3 never
    predictions = (
        np.eye(4)[np.where(rng.uniform(size=60) < 0.3, rng.integers(3, size=60), truth)] * 2
    )
    label = centroids(features, predictions)
    assert (label == truth).mean() > 0.95 > (
        predictions.argmax(1) == truth
    ).mean() and 3 not in label
    columns, membership = np.column_stack([features, np.ones(60)]), softmax(predictions)
    for _ in range(2):  # written out, row by row
        means = [np.average(columns, axis=0, weights=w) if w.any() else None for w in membership.T]
        cosine = [
            [
                -9 if mean is None else row @ mean / np.linalg.norm(row) / np.linalg.norm(mean)
                for mean in means
            ]
            for row in columns
        ]
        classes = np.argmax(cosine, 1)
        membership = np.eye(4)[classes]
    np.testing.assert_array_equal(label, classes)


def test_pseudo_labels_want_a_run_and_one_set():
    for changes in ({'data': {'name': 'digits', 'size': 8}}, DOMAINS):
        with pytest.raises(UserError, match='labels one set by a finished run'):
            build.build(tiny({'pseudo': {'name': 'centroids'}}, changes))


def test_fixmatch_learns_from_strongly_augmented_pictures_what_it_is_sure_of():
    flat = identity(6)._replace(
        features=lambda params, state, input, key=None: (
            {'features': input.reshape(len(input), -1)},
            state,
        )
    )
    rng = np.random.default_rng(0)
    x, u = rng.normal(size=(2, 8, 2, 3, 1)).astype(np.float32)
    label = rng.integers(3, size=8)
    keywords = {
        'weak': [augment.crop(padding=0)],
        'strong': [augment.flip(probability=1.0)],
        'threshold': 0.7,
        'weight': 2.0,
    }
    method = tljax.methods.fixmatch(flat, 3, **keywords)
    head = {'kernel': rng.normal(size=(6, 3)).astype(np.float32), 'bias': np.arange(3, dtype='f')}
    batch = {'input': x, 'label': label, 'target': {'input': u}}

    def loss(head):
        return method.loss({'backbone': {}, 'head': head}, {'backbone': {}}, batch, TICK)

    def probability(pictures):
        return softmax(pictures.reshape(8, -1) @ head['kernel'] + head['bias'])

    (value, (_, metrics)), slope = jax.jit(jax.value_and_grad(loss, has_aux=True))(head)
    weak_probability = probability(u)
    strong_error = -np.log(probability(u[:, :, ::-1])[np.arange(8), weak_probability.argmax(1)])
    confident = weak_probability.max(1) >= 0.7
    assert 0 < confident.sum() < 8
    np.testing.assert_allclose(metrics['unlabelled'], (confident * strong_error).mean(), rtol=1e-5)
    np.testing.assert_allclose(
        value,
        -np.log(probability(x)[np.arange(8), label]).mean() + 2 * (confident * strong_error).mean(),
        rtol=1e-5,
    )
    flipped = u[:, :, ::-1].reshape(8, -1)  # no gradient through what it is told
    error = confident[:, None] * (
        probability(u[:, :, ::-1]) - np.eye(3)[weak_probability.argmax(1)]
    )
    labelled_error = (probability(x) - np.eye(3)[label]) / 8
    expected = x.reshape(8, -1).T @ labelled_error + 2 * flipped.T @ error / 8
    np.testing.assert_allclose(slope['kernel'], expected, rtol=1e-4, atol=1e-5)
