"""Two folders of one's own: an adaptation from the command line, and what it says of the target."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import call, error
from PIL import Image

from configs import adapt

DATA = os.environ.get('TLJAX_DATA')
WEIGHTS = Path(DATA or '', 'imagenet_weights', 'mobilenet_2_5_224_tf_no_top.h5')


@pytest.fixture
def root(tmp_path):
    """Red and blue pictures in folders of their names, and others without labels."""
    rng = np.random.default_rng(0)
    for i in range(20):
        pixels = rng.integers(0, 80, (40, 40, 3), np.uint8)
        pixels[..., 2 * (i % 2)] += 150
        for place in (f'source/{("red", "blue")[i % 2]}', 'target'):
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / place / f'{("red", "blue")[i % 2]}{i}.png')
    return tmp_path


def settings(root):
    size = [
        f'--config.data.of.{side}.{key}=32'
        for side in ('source', 'target')
        for key in ('size', 'resize')
    ]
    return [
        f'--config.data.weights={WEIGHTS}',
        '--config.steps=30',
        '--config.batch=8',
        '--config.seeds=0',
        f'--workdir={root}/run',
        *size,
    ]


@pytest.mark.slow
@pytest.mark.skipif(not WEIGHTS.is_file(), reason='TLJAX_DATA has no weights of MobileNet')
def test_a_run_on_fixed_features_tells_the_classes_of_pictures(root):
    config = f'--config=configs/adapt.py:train=shot,source={root}/source,target={root}/target'
    done = call('train', config, *settings(root))
    assert done.code == 0, done.err
    assert 'target      20 examples without labels' in done.err and 'negative_entropy' in done.out
    done = call('predict', f'--workdir={root}/run', '--json', root / 'target')
    found = {Path(each['path']).stem: each['top'][0][0] for each in json.loads(done.out)}
    right = [name.startswith(told) for name, told in found.items()]
    assert len(right) == 20 and np.mean(right) >= 0.9


@pytest.mark.parametrize('kind', ['folder', 'zip', 'tar'])
def test_a_target_without_folders_has_no_labels(root, kind):
    (root / 'target' / '.thumbnails').mkdir()
    (root / 'target' / '.thumbnails' / 'a.png').write_bytes(b'')
    flat = (
        root / 'target'
        if kind == 'folder'
        else shutil.make_archive(root / 'flat', kind, root / 'target')
    )
    found = adapt.get_config(f'train=shot,source={root}/source,target={flat}').data.of
    assert (found.source.name, found.target.name) == ('folder', 'unlabelled')
    packed = shutil.make_archive(root / 'classes', 'zip', root / 'source')
    assert (
        adapt.get_config(f'train=shot,source={root}/source,target={packed}').data.of.target.name
        == 'folder'
    )


def test_folders_that_do_not_pair_are_told(root):
    (root / 'other' / 'green').mkdir(parents=True)
    for i in range(4):
        Image.new('RGB', (40, 40), 'green').save(root / 'other' / 'green' / f'{i}.png')
    config = f'--config=configs/adapt.py:train=dann,source={root}/source,target={root}/other'
    line = error(call('train', config, *settings(root)))
    assert 'the source tells blue, red apart and the target green: no class is in both' in line
    bare = f'--config=configs/adapt.py:train=dann,source={root}/target,target={root}/source'
    assert 'has no class folders' in error(call('train', bare, *settings(root)))
    line = error(call('train', f'{config}x', *settings(root)))
    assert 'is no domain of this config' in line and 'no folder that is there' in line
