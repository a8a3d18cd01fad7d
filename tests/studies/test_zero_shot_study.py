"""The study of zero-shot learning: its choices, its rivals, and what it refuses."""

import json

import numpy as np
import pytest
from scipy.io import savemat

from configs import zero_shot as config_file
from tljax.configuration import plain
from tljax.core import UserError
from tljax.knowledge import knowledge
from tljax.shallow.generalised import choice
from tljax.studies import zero_shot, zero_shot_report
from tljax.studies.zero_shot_measures import _confusion, _nearest_mean, _of_all, _points
from tljax.studies.zero_shot_models import Examples, Task, scores

ANIMALS = ['horse', 'tiger', 'seal', 'zebra', 'mermaid']
BASE = knowledge(ANIMALS, [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1]])
RNG = np.random.default_rng(0)


def examples(label):
    """Features that are noisy descriptions, and probabilities of the first three classes."""
    features = BASE.vectors[label] + 0.05 * RNG.normal(size=(len(label), 3))
    share = np.abs(features[:, :3]) / np.abs(features[:, :3]).sum(1, keepdims=True)
    return Examples(features, share, np.asarray(label))


SEEN = examples(np.arange(60) % 3)
NEW = examples(3 + np.arange(8) % 2)
TASK = Task(SEEN, NEW, BASE, {'name': 'segments', 'classes': list('01234')}, np.arange(3))


@pytest.mark.parametrize('name', ['dap', 'iap', 'conse', 'eszsl', 'sae'])
def test_every_model_recognises_classes_without_examples(name):
    found = scores(TASK, name)
    assert found.shape == (8, 5)
    assert (choice(found, [3, 4]) == NEW.label).all()


def test_scaled_features_have_the_spread_of_the_seen_ones():
    scaled = SEEN.scaled(SEEN).features
    np.testing.assert_allclose(scaled.std(0), 3**-0.5)
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-12)


def test_right_answers_among_all_classes():
    values = np.array([[3.0, 1.0, 2.0], [1.0, 3.0, 2.0], [2.5, 0.0, 2.0]])
    label, is_seen = np.array([0, 1, 2]), np.array([True, True, False])
    assert _of_all(values, label, is_seen, 0.0, '') == {
        'seen': 1.0,
        'unseen among all': 0.0,
        'mean': 0.0,
    }
    shifted = _of_all(values, label, is_seen, 0.75, 'calibrated ')
    assert list(shifted.values()) == [1, 1, 1] and 'calibrated seen' in shifted
    points = np.array(_points(values, label, is_seen))
    assert points[0, 1:].tolist() == [1, 0, 0] and points[-1, 1:].tolist() == [0, 1, 0]
    assert points[:, 3].max() == 1


def test_answers_of_a_class_are_shares():
    table = _confusion(np.array([0, 2, 2, 1]), np.array([0, 0, 2, 2]), 'abc')
    assert table == {'a': {'a': 0.5, 'c': 0.5}, 'c': {'b': 0.5, 'c': 0.5}}


def test_the_nearest_mean_of_all_labels_is_a_prototype():
    found = _nearest_mean(SEEN, SEEN, shots=20, draws=1, seed=0)
    means = np.stack([SEEN.features[SEEN.label == c].mean(0) for c in range(3)])
    distance = np.linalg.norm(SEEN.features[:, None] - means, axis=2)
    assert found == (distance.argmin(1) == SEEN.label).mean()


def test_folds_hold_every_class_once():
    folds = zero_shot.folds_of(26, 4)
    assert sorted(np.concatenate(folds).tolist()) == list(range(26))


def smoke(**changes):
    return {**plain(config_file.get_config('smoke')), **changes}


@pytest.mark.slow
def test_the_study_continues_and_never_mixes_the_classes(tmp_path):
    config = smoke()
    results = zero_shot.recognise(config, tmp_path)
    assert results == zero_shot.recognise(config, tmp_path)
    assert json.loads((tmp_path / 'results.json').read_text()) == results
    assert not set(results['seen']) & set(results['unseen']['digits'])
    kinds = {(row['base'], row['method']) for row in results['rows']}
    assert (
        len(kinds) == len(results['rows']) == 6 and sum(r['chosen'] for r in results['rows']) == 1
    )
    chosen = next(row for row in results['rows'] if row['chosen'])
    assert chosen['validation'] == max(row['validation'] for row in results['rows'])
    for shares in results['confusion']['digits'].values():
        assert sum(shares.values()) == pytest.approx(1)
    assert [len(table.rows) for table in zero_shot_report.tables(results)] == [6, 2, 6]


@pytest.mark.parametrize(
    'changes, said',
    [
        (dict(seeds=[1000, 1001]), 'three seeds or more'),
        (dict(seeds=[1, 1000, 1001]), '1 is the seed of a fold'),
        (dict(folds=1), 'folds=1'),
        (dict(knowledge={}), 'knowledge is empty'),
        (
            dict(targets={'letters': {'name': 'letters', 'size': 8, 'per_class': 10}}),
            "targets.letters has the class 'A', which is trained on",
        ),
        (
            dict(knowledge={'few': {'name': 'segments', 'classes': list('ABC')}}),
            "lacks the class 'D'",
        ),
        (dict(methods={'eszls': {}}), 'methods.eszls is unknown: did you mean eszsl'),
        (dict(methods={'dap': {'penalti': [1]}}), 'methods.dap.penalti is unknown'),
        (dict(methods={'dap': {'penalty': 1}}), 'methods.dap.penalty=1: give a list'),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, said, tmp_path):
    with pytest.raises(UserError, match=said.replace('.', r'\.')):
        zero_shot.recognise(smoke(**changes), tmp_path)


def test_the_caveat_stands_where_the_backbone_has_seen_imagenet():
    said = zero_shot_report.notes({'notes': ['the features have learnt ImageNet', 'other']})
    assert len(said) == 1 and said[0].startswith('Caveat: the features have learnt ImageNet')


@pytest.mark.slow
def test_the_field_s_files_go_the_same_way(tmp_path):
    """Classes are corners of a cube, features are noisy maps of them, and two are unseen."""
    corners = np.stack(np.meshgrid(*3 * [[0, 1]], indexing='ij'), -1).reshape(8, 3)[1:]
    label = np.arange(140) % 7
    features = (corners[label] @ RNG.normal(size=(3, 5)) + 0.1 * RNG.normal(size=(140, 5))).T
    savemat(tmp_path / 'res101.mat', {'features': features, 'labels': (label + 1).astype('u1')})
    seen, first = label < 5, np.arange(140) < 100
    places = dict(trainval_loc=seen & first, test_seen_loc=seen & ~first, test_unseen_loc=~seen)
    savemat(
        tmp_path / 'att_splits.mat',
        {
            'allclasses_names': np.array([f'class {i}' for i in range(7)], object),
            'original_att': 100.0 * corners.T,
            **{name: np.flatnonzero(mask) + 1 for name, mask in places.items()},
        },
    )
    config = plain(config_file.get_config(f'features={tmp_path}'))
    config |= dict(folds=2, seeds=[10, 11, 12], methods=dict(dap=dict(penalty=[0.1])))
    config['fit'] |= dict(net=dict(name='identity', dim=5), steps=50, optim=dict(lr=0.1))
    results = zero_shot.recognise(config, tmp_path / 'study')
    assert results['rows'][0]['targets']['unseen']['unseen']['mean'] > 0.9
    assert zero_shot_report.notes(results)
