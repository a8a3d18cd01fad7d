"""Several labels of an example, and weights of classes: the loss by hand, and what a run makes of
them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from tljax import trained
from tljax.core import Task, UserError
from tljax.data.formats.arrays import arrays
from tljax.data.streams import training_stream, weight_by_class
from tljax.losses import sigmoid_cross_entropy

LABEL = np.array([[1, 0], [1, 1], [0, 0], [0, 1]] * 8, np.float32)
INPUT = LABEL * 2 - 1


def several():
    whole = arrays(INPUT, LABEL)._replace(task=Task('labels', ('sky', 'sea')))
    return {'train': whole, 'test': whole}


def test_the_loss_is_the_mean_of_sigmoid_cross_entropies():
    logits, label = jnp.array([[0.3, -1.2], [2.0, 0.0]]), jnp.array([[1.0, 0.0], [0.0, 1.0]])
    p = expit(np.array(logits))
    expected = -(np.where(label == 1, np.log(p), np.log(1 - p))).mean(1)
    np.testing.assert_allclose(sigmoid_cross_entropy(logits, label), expected, rtol=1e-6)
    gradient = jax.grad(lambda z: sigmoid_cross_entropy(z, label).sum())(logits)
    np.testing.assert_allclose(gradient, (p - np.array(label)) / 2, atol=1e-6)


def test_a_run_learns_several_labels_at_once(tmp_path):
    model = trained.train(
        several(),
        {'name': 'identity', 'dim': 2},
        steps=60,
        batch=8,
        optim={'lr': 0.3},
        workdir=tmp_path,
    )
    assert model.task == 'labels' and model.classes == ('sky', 'sea')
    assert model.scores['test'] == {'mean_average_precision': [1.0], 'label_accuracy': [1.0]}
    answers = model.predict(np.array([[1.0, 1.0], [-1.0, -1.0]]))
    # both labels or none: no softmax could
    assert (answers[0] > 0.9).all() and (answers[1] < 0.1).all()


def test_methods_of_one_class_refuse_several_labels(tmp_path):
    with pytest.raises(UserError, match="'simpleshot' takes one class for each example"):
        trained.train(several(), {'name': 'identity', 'dim': 2}, 'simpleshot', workdir=tmp_path)
    with pytest.raises(UserError, match='several labels or numbers each'):
        trained.train(several(), {'name': 'identity', 'dim': 2}, per_class=2, workdir=tmp_path)
    with pytest.raises(UserError, match='have the same labels: there is nothing to learn'):
        from tljax.data.splits import refuse_nothing_to_learn

        refuse_nothing_to_learn(
            arrays(INPUT[:3], LABEL[:1].repeat(3, 0))._replace(task=Task('labels', ('sky', 'sea')))
        )


RARE = arrays(np.arange(10.0)[:, None], np.array([0] * 8 + [1, 1]), ('ants', 'bees'))


def test_balanced_weights_make_classes_count_alike():
    weights = weight_by_class(RARE, 'balanced')
    assert weights.tolist() == [10 / 16, 10 / 4] and (weights[RARE.label]).mean() == 1
    batch = training_stream(RARE, batch=10, class_weights='balanced').batch(seed=0, step=0)
    assert batch['weight'].dtype == np.float32
    assert all(batch['weight'][batch['label'] == c].sum() == pytest.approx(5) for c in (0, 1))
    assert (
        weight_by_class(RARE, '1, 4').tolist()
        == weight_by_class(RARE, (1, 4)).tolist()
        == pytest.approx((np.array([1, 4]) / 1.6).tolist())
    )


def test_weights_count_the_labels_that_are_drawn():
    """Two labels of each class are balanced already; other numbers average 1 over them."""
    batch = training_stream(RARE, batch=4, k=2, class_weights='balanced').batch(seed=0, step=0)
    assert batch['weight'].tolist() == [1.0] * 4
    assert training_stream(RARE, batch=4, k=2, class_weights='1,3').batch(0, 0)[
        'weight'
    ].mean() == pytest.approx(1)


def test_weights_of_classes_change_what_is_learnt(tmp_path):
    """With the same input everywhere the head learns the classes' shares: 8 to 2, or, balanced, as
    many of each."""
    same = {'train': arrays(np.ones((10, 1)), RARE.label, RARE.classes)}
    kept = dict(net={'name': 'identity', 'dim': 1}, steps=200, batch=10, optim={'lr': 0.1})
    plain = trained.train(same, workdir=tmp_path / 'plain', **kept).predict(np.ones((1, 1)))
    balanced = trained.train(
        same, workdir=tmp_path / 'balanced', class_weights='balanced', **kept
    ).predict(np.ones((1, 1)))
    np.testing.assert_allclose([plain[0], balanced[0]], [[0.8, 0.2], [0.5, 0.5]], atol=0.02)


def test_weights_never_count_the_labels_that_pseudo_labels_replace():
    with pytest.raises(UserError, match="would count the data's own labels"):
        training_stream(RARE, batch=2, labels={0: RARE.label}, class_weights='balanced')


@pytest.mark.parametrize(
    'weights, data, message',
    [
        (
            'even',
            RARE,
            "class_weights='even' is neither balanced nor 2 numbers above 0: one for each "
            'of ants, bees',
        ),
        ((1.0, 2.0, 3.0), RARE, 'nor 2 numbers'),
        ((1.0, 0.0), RARE, 'above 0'),
        ('balanced', arrays(np.zeros(2), np.array([0.5, 1.5])), 'has no classes'),
    ],
)
def test_weights_that_are_refused(weights, data, message):
    with pytest.raises(UserError, match=message):
        weight_by_class(data, weights)
