"""The study of relations, on made facts: scores against another computation, and refusals."""

import json

import numpy as np
import pytest

from configs import relations
from tljax.configuration import plain
from tljax.core import UserError
from tljax.data.made_atoms import offices
from tljax.shallow.clauses import Clause, Table
from tljax.shallow.relational import RelationalModel, all_rows
from tljax.studies.relations import precision, transfer


@pytest.fixture
def config():
    return plain(relations.get_config('smoke'))


def test_a_map_is_found_and_scores_are_paired_by_cut(config, tmp_path):
    results = transfer(config, tmp_path)
    assert json.loads((tmp_path / 'results.json').read_text())['map'] == results['map']
    assert results['map'].items() >= config['expected'].items()
    assert all(count == 4 for count in results['found'].values())
    rows = {row['model']: row for row in results['rows']}
    for row in rows.values():
        assert row['values'] == pytest.approx([np.mean(cut) for cut in row['folds']])
        assert 0 < row['mean'] <= 1
    gain = np.subtract(rows['mapped']['values'], rows['fold alone']['values'])
    assert rows['mapped']['gain'] == pytest.approx(gain.mean())
    page = (tmp_path / 'report.html').read_text()
    assert 'Map of the predicates' in page and '<svg' in page


def test_precision_is_that_of_a_sorted_list():
    atoms = offices(count=3)
    table = Table(atoms.facts, atoms.types)
    clause = Clause(('boss', ('A', 'B')), (('chief', ('B',)),))
    model = RelationalModel((clause,), np.ones(1), 0.0)
    # 12 persons; 36 rows end in a chief, and 9 of them are facts; ties count as one step
    assert len(all_rows(table, 'boss')) == 144
    assert precision(model, table, 'boss') == pytest.approx(9 / 36)


@pytest.mark.parametrize(
    'changes, said',
    [
        ({'seeds': [0]}, 'seeds=[0]: intervals need two cuts or more'),
        ({'predicate': 'advises'}, 'did you mean advisedby?'),
        ({'folds': 6, 'together': []}, 'has no fact of advisedby: give fewer folds'),
        ({'source': {'name': 'offices', 'clerks': 0}}, 'clerks=0'),
        ({'source': {'name': 'office'}}, "source.name='office' is unknown: did you mean offices?"),
        ({'penalty': -1.0}, 'penalty=-1.0: give a positive number'),
    ],
)
def test_what_does_not_fit_is_one_clear_line(config, changes, said, tmp_path):
    with pytest.raises(UserError) as refused:
        transfer({**config, **changes}, tmp_path)
    assert said in str(refused.value) and '\n' not in str(refused.value)


def test_options_of_the_config():
    assert relations.get_config().together == ()
    config = relations.get_config('together,first=5')
    assert config.together == ('advisedby', 'tempadvisedby') and config.seeds == (5, 6, 7, 8, 9)
