"""The command invariance on a tiny run and a few pictures."""

import json

import numpy as np
import pytest
from commands import call, error
from PIL import Image

TRAIN = ('train', '--config=configs/digits.py:smoke')


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp('run')
    done = call(*TRAIN, f'--workdir={folder}')
    assert done.code == 0, done.err
    return folder


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp('pictures'), np.random.default_rng(0)
    for name in ('ants', 'bees'):
        (folder / name).mkdir()
        for i in range(12):
            pixels = rng.integers(0, 255, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f'{i}.png')
    return folder


@pytest.mark.slow
def test_pictures_give_tables_an_advice_and_a_page(run, pictures, tmp_path):
    page = tmp_path / 'page.html'
    done = call('invariance', f'--workdir={run}', f'--page={page}', pictures)
    assert done.code == 0, done.err
    assert 'left-right flip' in done.out and 'block1' in done.out
    assert 'hue' not in done.out  # the network takes grey pictures
    sentence = done.out.strip().splitlines()[-1]
    assert sentence.startswith(('Freeze', 'Train the whole network'))
    text = page.read_text()
    assert '<svg' in text and 'Which layers to fine-tune' in text and sentence[:40] in text


@pytest.mark.slow
def test_a_config_is_a_target_and_the_document_is_json(run):
    target = ('--config=configs/digits.py', '--config.data.size=12')
    done = call('invariance', f'--workdir={run}', *target, '--most=100', '--json')
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found['pictures'] == 100 and found['layers'] == ['block1']
    assert len(found['rows']) == len(found['transformations'])
    assert 0 <= found['probes']['block1'] <= 1 and found['advice']['until'] in ('', 'backbone')


def test_a_picture_that_cannot_be_read_is_left_out(run, pictures, tmp_path):
    (tmp_path / 'broken.png').write_bytes(b'x')
    done = call('invariance', f'--workdir={run}', '--json', pictures / 'ants', tmp_path)
    assert done.code == 1 and 'broken.png cannot be decoded' in done.err
    assert 'advice' not in json.loads(done.out)  # a single class needs nothing


def test_too_few_pictures_are_refused(run, tmp_path):
    Image.new('L', (8, 8)).save(tmp_path / 'a.png')
    line = error(call('invariance', f'--workdir={run}', tmp_path))
    assert '1 of 1 pictures can be read: give three or more' in line
