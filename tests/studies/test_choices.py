"""Choices of a study by label-free scores."""

import numpy as np
import pytest

from tljax.studies.comparison import Measured, chosen_by_budget
from tljax.studies.label_free import Judgement


def test_what_a_score_chooses_is_looked_up_in_the_test_scores():
    values = {('a', None): np.array([0.5, 0.9]), ('b', None): np.array([0.7, 0.6])}
    judgements = {
        ('a', None): Judgement({'sure': [1.0, 1.0]}, [0.1, 0.2], None, None),
        ('b', None): Judgement({'sure': [2.0, np.nan]}, [0.3, 0.4], None, None),
    }
    results = chosen_by_budget(Measured('accuracy', values, judgements, True))
    rows = {row['score']: row for row in results['rows']}
    assert rows['sure']['picks'] == ['b', 'a'] and rows['sure']['mean'] == pytest.approx(0.8)
    assert rows['oracle']['picks'] == ['b', 'a']
    assert results['proxy_a_distance']['b, all labels'] == [0.3, 0.4]
