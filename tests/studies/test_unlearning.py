"""Sharded training forgets exactly: what is left is what training without the examples gives."""

import numpy as np
import pytest
from commands import call, error
from tiny import tiny

from tljax.core import UserError
from tljax.data import digits
from tljax.data.formats.arrays import arrays
from tljax.studies.unlearning import place_of, system_digest, train_shards

SETTINGS = tiny({'net': {'name': 'conv4', 'width': 4, 'blocks': 2, 'size': 8, 'norm': 'layer'}})
TRAIN = digits(size=8)['train']._replace(names=[f'{row}.png' for row in range(899)])


def test_after_a_withdrawal_the_system_is_bit_equal_to_one_that_never_had_the_examples(tmp_path):
    gone = ['3.png', '17.png']
    whole, costs = train_shards(SETTINGS, TRAIN, 3, 2, tmp_path / 'a')
    again, new = train_shards(SETTINGS, TRAIN, 3, 2, tmp_path / 'a', gone)
    rows = np.setdiff1d(np.arange(899), [3, 17])
    batch = TRAIN.take(rows)
    never = arrays(batch['input'], batch['label'], TRAIN.classes)
    never = never._replace(names=[TRAIN.names[row] for row in rows])
    fresh, all_costs = train_shards(SETTINGS, never, 3, 2, tmp_path / 'b')
    assert system_digest(again) == system_digest(fresh) != system_digest(whole)
    hit = {place_of(name, 0, 3, 2)[0] for name in gone}
    for shard in range(3):
        is_equal = system_digest([again[shard]]) == system_digest([whole[shard]])
        assert is_equal == (shard not in hit)
    assert sum(cost.steps for cost in costs.values()) == 6 and {*new} == {*all_costs}
    stages = [place_of(name, 0, 3, 2) for name in gone]
    trained = [
        (shard, slice)
        for shard in range(3)
        for slice in range(2)
        if any(place[0] == shard and place[1] <= slice for place in stages)
    ]
    assert len({*new} - {*costs}) == len(trained)


def test_a_place_depends_on_the_id_alone_and_shards_are_alike_in_size():
    places = np.array([place_of(f'{row}.png', 0, 4, 2) for row in range(4000)])
    counts = np.unique(places, axis=0, return_counts=True)[1]
    assert len(counts) == 8 and counts.min() > 400
    assert place_of('a', 1, 8, 4) != place_of('a', 2, 8, 4)


def test_too_many_shards_are_refused(tmp_path):
    few = {'train': arrays(np.eye(4, dtype='f'), np.array([0, 1, 0, 1]), 'ab')}
    with pytest.raises(UserError, match='a slice of the 4 examples is empty'):
        train_shards(SETTINGS, few['train'], 8, 1, tmp_path)


@pytest.mark.slow
def test_the_command_prints_its_tables(tmp_path):
    done = call('unlearning', '--config=configs/unlearning.py:smoke', f'--workdir={tmp_path}/a')
    assert done.code == 0, done.err
    assert 'After a withdrawal' in done.out and (tmp_path / 'a/report.html').exists()
    text = '--config.study.shards=(0,)'
    done = call('unlearning', '--config=configs/unlearning.py:smoke', text)
    assert 'study.shards=[0]: give whole numbers' in error(done)
