"""What the command for studies makes of scores."""
import numpy as np
import pytest


def test_what_a_score_chooses_is_looked_up_in_the_test_accuracy():
    from experiments.compare import chosen
    accuracy = {('a', None): np.array([.5, .9]), ('b', None): np.array([.7, .6])}
    judged = {('a', None): ({'sure': [1., 1.]}, [.1, .2], None), ('b', None): ({'sure': [2., np.nan]}, [.3, .4], None)}
    found = {row['score']: row for row in chosen(accuracy, judged)['rows']}
    assert found['sure']['picks'] == ['b', 'a'] and found['sure']['accuracy_mean'] == pytest.approx(.8)
    assert found['oracle']['picks'] == ['b', 'a'] and chosen(accuracy, judged)['proxy_a_distance']['b, all labels'] == [.3, .4]
