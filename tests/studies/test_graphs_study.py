"""The study of graphs: its scores by hand, gains against the right baseline, and refusals."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from configs import graphs
from tljax.configuration import plain
from tljax.core import UserError
from tljax.studies.graphs import _graph, adapt, scores_of, summarise


def test_scores_of_nodes_with_several_topics_by_hand():
    output = np.array([[3.0, 1, 0], [0, 2, 1], [0, 0, 5], [1, 0, 0]])  # predicts 0, 1, 2, 0
    topics = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1]], bool)
    found = scores_of(output, topics)
    assert found['top-1'] == 0.5  # nodes 0 and 2
    # of 4 predicted and 5 true pairs two agree
    assert found['micro F1'] == pytest.approx(2 * 2 / (4 + 5))
    # by class: 2 predicted, 2 true, 1 right; 1, 1, 0; 1, 2, 1
    assert found['macro F1'] == pytest.approx((2 / 4 + 0 + 2 / 3) / 3)
    single = np.eye(3, dtype=bool)[[0, 1, 2, 1]]
    micro = f1_score([0, 1, 2, 1], output.argmax(1), average='micro')
    assert scores_of(output, single)['micro F1'] == pytest.approx(micro)


def test_a_gain_is_over_the_source_alone_with_as_many_hops():
    def scores(*values):
        return {'top-1': list(values)}

    strategies = {
        2: {'source only': scores(0.7, 0.8), 'mmd': scores(0.9, 0.9)},
        5: {
            'source only': scores(0.8, 0.8),
            'mmd': scores(0.9, 0.8),
            'few labels': scores(0.5, 0.5),
            'few labels, source parameters': scores(0.7, 0.6),
        },
    }
    rows = summarise({('a-b', hops): found for hops, found in strategies.items()})['rows']
    gains = {(row['hops'], row['strategy']): row.get('gain') for row in rows}
    assert gains[2, 'mmd'] == pytest.approx(0.15) and gains[5, 'mmd'] == pytest.approx(0.05)
    assert gains[5, 'few labels, source parameters'] == pytest.approx(0.15)
    assert gains[5, 'few labels'] is None and gains[2, 'source only'] is None
    sd = rows[0]['scores']['top-1']['sd']
    assert sd == pytest.approx(np.std([0.7, 0.8], ddof=1))


@pytest.mark.parametrize(
    'changes, said',
    [
        ({'seeds': [0]}, 'seeds=[0]: intervals need two or more'),
        ({'tasks': ['here-their']}, "tasks='here-their': did you mean here-there?"),
        ({'networks': {}}, 'networks names 0: give two or more'),
        ({'strategies': {'few labels': {}}}, 'strategies.few labels: this name is that of'),
        (
            {'networks': dict.fromkeys(('here', 'there'), {'name': 'digits'})},
            "networks.name='digits' is unknown",
        ),
    ],
)
def test_what_does_not_fit_is_one_clear_line(changes, said, tmp_path):
    config = {**plain(graphs.get_config('smoke')), **changes}
    with pytest.raises(UserError) as refused:
        adapt(config, tmp_path)
    assert said in str(refused.value) and '\n' not in str(refused.value)


def test_the_graph_of_a_made_set_has_one_topic_per_node():
    graph = _graph({'name': 'blocks', 'nodes': 30, 'seed': 3, 'test': 0.2})
    assert graph.size == 30 and (graph.topics.argmax(1) == graph.label).all()
    assert (graph.topics.sum(1) == 1).all()


def test_options_of_the_config():
    config = graphs.get_config('source=acmv9,target=dblpv7,hops=3')
    assert config.tasks == ('acmv9-dblpv7',) and config.hops == (3,)
    assert graphs.get_config().hops == (2, 5) and graphs.get_config().tasks == ()
