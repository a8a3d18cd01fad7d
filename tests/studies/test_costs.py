"""What strategies cost: bytes by hand, and the command on eight devices."""

import json

import pytest
from commands import call, call_apart, error
from tiny import tiny

from tljax import build
from tljax.engine.reading import exchanged_bytes
from tljax.studies.costs import of_step


def test_bytes_of_a_head_by_hand():
    net = {'name': 'mlp', 'widths': [20]}
    cost = of_step(build.build(tiny({'net': net, 'partition': {'name': 'freeze'}})))
    numbers = 20 * 10 + 10
    # Adam's two moments and its count, and that of the schedule
    assert cost == {
        'trained': numbers,
        'parameters': 64 * 20 + 20 + numbers,
        'share': numbers / (64 * 20 + 20 + numbers),
        'optimiser_bytes': 4 * (2 * numbers + 2),
        'all_reduced_bytes': 0,  # one device
    }


def test_sums_over_devices_are_found_in_the_text_of_a_program():
    text = """
      %a = f32[3,5]{1,0} all-reduce(f32[3,5]{1,0} %b), to_apply=%add
      %c = (f32[], s32[2]{0}, pred[7]{0}) all-reduce-start(%d, %e, %f), to_apply=%add
      %g = f32[99]{0} add(f32[99]{0} %all-reduce.1, f32[99]{0} %h)
    """
    assert exchanged_bytes(text)['all-reduce'] == 4 * 15 + 4 + 8 + 7


@pytest.mark.slow
def test_the_command_counts_bytes_on_eight_devices_beside_the_scores(tmp_path):
    """The bytes that are exchanged are those of trained parameters, and of the metrics' scalars."""
    (tmp_path / 'results.json').write_text(
        json.dumps(
            {
                'rows': [
                    {'strategy': 'lora_1', 'labels_per_class': 1, 'metric': 'm', 'values': [0.5, 1]}
                ]
            }
        )
    )
    flags = ['--config=configs/efficient.py:smoke', f'--workdir={tmp_path}']
    done = call_apart('costs', *flags, '--json')
    assert done.code == 0, done.err[-2000:]
    rows = {row['strategy']: row for row in json.loads(done.out)}
    assert rows['finetune']['share'] == 1 and rows['lora_1']['scores'] == {'1': [0.5, 1]}
    for name, row in rows.items():
        extra = row['all_reduced_bytes'] - 4 * row['trained']
        # a mean and a variance of four channels, in the side network
        statistics = 4 * 2 * 4 if name == 'side_tuning' else 0
        assert extra == 4 * 3 + statistics, (name, row)  # and the metrics
        assert row['optimiser_bytes'] - 8 * row['trained'] in (8, 16, 24), (name, row)
    assert rows['bitfit']['trained'] < rows['lora_1']['trained'] < rows['finetune']['trained']
    line = error(call('costs', '--config=configs/digits.py:smoke', '--devices=0'))
    assert '--devices=0' in line
