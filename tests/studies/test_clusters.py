"""The study of unlabelled targets: its summary, its few labels, and what it refuses."""

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

from configs import clusters
from tljax.configuration import plain
from tljax.core import UserError
from tljax.studies.clusters import METRIC, _few_labels, compare, summarise


def test_gains_are_paired_with_the_same_method_on_the_target_alone():
    rng = np.random.default_rng(0)
    values = {
        key: [{'nmi': float(v), 'ari': 0.5} for v in rng.random(4)]
        for key in (
            ('inputs', '', 'kmeans'),
            ('simclr', 'target', 'kmeans'),
            ('simclr', 'source', 'kmeans'),
            ('untrained', '', 'kmeans'),
            ('inputs', 'target', 'reader'),
            ('inputs', 'source', 'reader'),
        )
    }
    rows = {
        (row['features'], row['trained on'], row['algorithm']): row
        for row in summarise(values, {})['rows']
    }
    for key, kind, base in (
        (('simclr', 'source', 'kmeans'), 'gains', ('simclr', 'target', 'kmeans')),
        (('simclr', 'source', 'kmeans'), 'over inputs', ('inputs', '', 'kmeans')),
        (('inputs', 'source', 'reader'), 'gains', ('inputs', 'target', 'reader')),
    ):
        difference = [a['nmi'] - b['nmi'] for a, b in zip(values[key], values[base], strict=True)]
        gain = rows[key][kind]['nmi']
        low, high = stats.t.interval(0.95, 3, np.mean(difference), stats.sem(difference))
        assert (gain['low'], gain['high']) == pytest.approx((low, high))
    assert 'gains' not in rows['simclr', 'target', 'kmeans']
    assert 'over inputs' not in rows['inputs', 'source', 'reader']
    assert rows['untrained', '', 'kmeans'].keys() == {
        'features',
        'trained on',
        'algorithm',
        'scores',
    }


def test_few_labels_are_as_many_of_each_class_and_the_test_scales_nothing():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 20)
    x = rng.normal(size=(40, 3)) * [1, 5, 1] + y[:, None]
    scores = [_few_labels(x, y, x, y, 20, seed)[METRIC] for seed in (0, 1)]
    standard = (x - x.mean(0)) / x.std(0)
    expected = LogisticRegression(C=3**-0.5).fit(standard, y).score(standard, y)
    assert scores == pytest.approx([expected, expected])
    again = _few_labels(x, y, 1e3 * x, y, 20, 0)[METRIC]
    assert again != scores[0]  # standardised by the training inputs
    assert len({_few_labels(x, y, x, y, 1, seed)[METRIC] for seed in range(6)}) > 1


@pytest.mark.parametrize(
    'changes, said',
    [
        ({'seeds': [3]}, 'seeds=[3]: intervals need two or more'),
        ({'examples': ['tset']}, "examples='tset': the target has train, validation, test"),
        ({'target_examples': 1000}, 'target_examples=1000: the target has 899 training examples'),
        ({'labels': [9], 'target_examples': 50}, 'labels=9: among the 50 training examples of'),
        (
            {'labels': [99]},
            'labels=99: among the 899 training examples of the seed 0 are 87 of',
        ),
        ({'clusters': 1}, 'clusters=1, dim=20: give two clusters or more'),
        (
            {'source': {'name': 'digits', 'size': 16}},
            'inputs of the target are (8, 8, 1) and of the source (16, 16, 1): lay dict(name=',
        ),
        ({'target': {'name': 'sine'}}, 'target asks for numbers: give a set whose classes'),
    ],
)
def test_what_does_not_fit_is_one_clear_line(changes, said, tmp_path):
    config = {**plain(clusters.get_config('smoke')), **changes}
    with pytest.raises(UserError) as refused:
        compare(config, tmp_path)
    assert said in str(refused.value) and '\n' not in str(refused.value)


def test_options_of_the_config():
    config = clusters.get_config('target=usps,source=glyphs,first=7')
    assert config.target.name == 'usps' and config.examples == ('test',)
    assert config.source.name == 'glyphs' and config.seeds == (7, 8, 9, 10, 11)
    assert clusters.get_config().source.of.name == 'omniglot'
    few = plain(clusters.get_config('few'))
    assert (few['target_examples'], list(few['pretraining'])) == (150, ['simclr'])
    assert not few['readers'] and not few['deep_embedded_clustering']
