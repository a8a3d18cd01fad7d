"""Phases of a config: gradual unfreezing, and those of the study on digits."""

import pytest

from configs import base, digits
from tljax import build, configuration, paths
from tljax.engine.train import fit


@pytest.mark.slow
def test_gradual_unfreezing_is_phases_of_partitions(tmp_path):
    """ULMFiT's unfreezing: each phase grafts everything from the one before, head and all, and
    thaws one more block."""
    whole = configuration.plain(base.get_config()) | {
        'data': {'name': 'digits', 'size': 8},
        'net': {'name': 'conv4', 'width': 4, 'blocks': 2, 'size': 8},
        'batch': 16,
        'steps': 3,
        'phases': {
            'head': {'partition': {'name': 'freeze', 'until': 'backbone'}},
            'top': {
                'partition': {'name': 'freeze', 'until': 'block1'},
                'init': {'phase': 'head', 'rules': [['.*', None]]},
            },
            'all': {'init': {'phase': 'top', 'rules': [['.*', None]]}},
        },
    }
    names, kept = [], []
    for name, settings in configuration.phases(whole):
        names.append(name)
        parent = settings['init']['phase']
        run = build.build(settings, name, parent and configuration.folder(tmp_path, names, parent))
        kept.append(fit(run, configuration.folder(tmp_path, names, name)).params)
    moved = [
        {
            path.split('/')[1]
            for path, leaf in paths.flatten(new).items()
            if (leaf != paths.flatten(old)[path]).any()
        }
        for old, new in zip(kept, kept[1:], strict=False)
    ]
    assert moved == [
        {'conv2', 'norm2', 'kernel', 'bias'},
        {'conv1', 'norm1', 'conv2', 'norm2', 'kernel', 'bias'},
    ]


@pytest.mark.parametrize('source', ['glyphs', 'untrained', 'shuffled'])
def test_the_phases_of_the_digits_study_build(source):
    for smoke in ('', ',smoke'):
        for name, settings in configuration.phases(digits.get_config(f'source={source}{smoke}')):
            changes: dict = {'init': {'phase': ''}}
            if settings['data']['name'] == 'glyphs':  # 24,000 letters would be drawn
                changes['data'] = {'per_class': 5, 'classes': 9}
            built = build.build(configuration.merge(settings, changes), name)
            assert (built.steps == 0) == (source == 'untrained' and name == 'pretrain')
