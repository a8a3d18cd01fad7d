"""Settings are chosen on the validation split, before the test split is read."""

import json

import numpy as np
import pytest
from tiny import SMALL

from configs import base, parameters
from tljax.configuration import merge, plain
from tljax.core import UserError
from tljax.studies import choosing, comparison


def config(**settings):
    whole = merge(plain(base.get_config()), SMALL)
    return whole | {
        'steps': 2,
        'seeds': [0],
        'study': {'baseline': '', 'strategies': {}, 'budgets': [1, 2], 'settings': settings},
    }


RATES = [{'optim': {'lr': 1e-9}}, {'optim': {'lr': 0.05}}]


@pytest.mark.slow
def test_the_best_mean_on_the_validation_split_is_chosen(tmp_path, monkeypatch):
    build, taught, read = choosing.build.build, {}, []

    def watched(settings, name, donor, splits, teacher):
        taught[name] = teacher and teacher.name
        read.append(set(splits))
        return build(settings, name, donor, splits, teacher)

    monkeypatch.setattr(choosing.build, 'build', watched)
    student = [
        {'method': {'name': 'distillation'}, 'teacher': 'plain', **rate} for rate in RATES[::-1]
    ]
    found = choosing.choose(config(plain=RATES, student=student), tmp_path)
    rows = {(row['method'], row['setting']): row for row in found['rows']}
    for row in rows.values():
        scores = [row['values'][k] for k in ('1 label per class', '2 labels per class')]
        assert row['mean'] == pytest.approx(np.mean(scores))
    best = {
        method: 1 + int(np.argmax([rows[method, i]['mean'] for i in (1, 2)]))
        for method in ('plain', 'student')
    }
    assert found['chosen'] == best == {'plain': 2, 'student': 1}
    assert taught['student 1, 1 label per class'] == 'plain-2-1'
    assert taught['student 2, 2 labels per class'] == 'plain-2-2'
    assert all(names == {'train', 'validation'} for names in read)
    assert json.loads((tmp_path / 'results.json').read_text()) == found


@pytest.mark.parametrize(
    'settings, said',
    [
        ({'a': RATES, 'b': RATES[:1]}, 'a has 2, b has 1: give every method as many'),
        ({'a': []}, 'a has 0'),
    ],
)
def test_methods_with_unequal_settings_are_refused(settings, said, tmp_path):
    with pytest.raises(UserError, match=said):
        choosing.choose(config(**settings), tmp_path)


def test_a_teacher_is_an_earlier_strategy(tmp_path):
    strategies = {'student': {'teacher': 'plain'}, 'plain': {}}
    study = {'baseline': 'plain', 'budgets': [1], 'strategies': strategies}
    with pytest.raises(UserError, match="teacher='plain' is trained later: name an earlier"):
        comparison.compare(config() | {'seeds': [0, 1], 'study': study}, tmp_path)


def test_every_method_has_four_settings_and_one_is_chosen():
    assert {len(candidates) for candidates in parameters.SETTINGS.values()} == {4}
    assert parameters.CHOSEN.keys() == parameters.SETTINGS.keys()
    choice = plain(parameters.get_config('choose'))
    assert choice['seeds'] == [0] and choice['data']['domain'] == 'sketch'
    for domain in ('photo', 'sketch'):
        whole = plain(parameters.get_config(f'domain={domain}'))
        assert whole['seeds'] == [1000, 1001, 1002, 1003] and whole['data']['domain'] == domain
        for name, number in parameters.CHOSEN.items():
            chosen = plain({'x': parameters.SETTINGS[name][number - 1]})['x']
            assert whole['study']['strategies'][name] == chosen
    lite0 = plain(parameters.get_config('teacher=lite0'))['study']['strategies']
    assert [*lite0][-2:] == ['lite0', 'distillation']
    assert lite0['distillation']['method']['teacher'] == lite0['lite0']['net']
    with pytest.raises(ValueError, match='settings are chosen on sketch'):
        parameters.get_config('choose,domain=photo')
