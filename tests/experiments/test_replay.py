"""The record of a run, and its replay."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from commands import call, error

from tljax.configuration import settings
from tljax.studies import provenance, replay

CONFIG = """
from configs import base


def get_config(arg=None):
    config = base.get_config()
    with config.unlocked():
        config.data = dict(name='npz', path={path!r})
        config.net = base.smallest()
        config.seeds = (3, 4)
        config.batch = 8
        config.steps = 4
        config.cache = False
    return config
"""


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A folder with data, a config of them, and a finished run."""
    folder = tmp_path_factory.mktemp('trained')
    draw = np.random.default_rng(0)
    arrays = {
        f'{split}_{name}': value
        for split, size in (('train', 40), ('validation', 20), ('test', 20))
        for name, value in (
            ('input', draw.integers(0, 255, (size, 8, 8, 1), np.uint8)),
            ('label', np.arange(size) % 2),
        )
    }
    np.savez(folder / 'data.npz', **arrays)
    (folder / 'mine.py').write_text(CONFIG.format(path=str(folder / 'data.npz')))
    flags = [f'--config={folder}/mine.py', '--config.optim.lr=2e-3', f'--workdir={folder}/run']
    done = call('train', *flags)
    assert done.code == 0, done
    return folder, flags


def test_the_record_of_a_run(trained):
    folder, flags = trained
    record = json.loads((folder / 'run' / 'run.json').read_text())
    (start,) = record['starts']
    assert start['arguments'] == flags and record['config']['optim']['lr'] == 2e-3
    assert set(record['data']['train']) == {'train', 'validation', 'test'}
    assert len({*record['data']['train'].values()}) == 3
    assert start['packages']['numpy'] == np.__version__ and start['devices']['count'] >= 1
    before = (folder / 'run' / 'run.json').read_text()
    assert call('train', *flags).code == 0  # it is finished: nothing starts
    assert (folder / 'run' / 'run.json').read_text() == before
    assert start['devices']['machine'] in (folder / 'run/00-train/report.html').read_text()


def test_a_replay_agrees_number_by_number(trained):
    folder, _ = trained
    done = call('replay', folder / 'run')
    assert done.code == 0 and 'code, packages and devices are those of the record' in done.err, done
    assert 'the data are those of the record' in done.err and 'numbers agree' in done.err
    rows = [line.split() for line in done.out.strip().splitlines()[2:]]
    assert len(rows) == 3 * 2 * 2 and {row[-1] for row in rows} == {'0'}  # splits, scores, seeds
    assert all(row[4] == row[5] for row in rows) and {row[3] for row in rows} == {'3', '4'}
    assert 'is in use: name a new folder' in error(call('replay', folder / 'run'))


def copy(folder: Path, change=None) -> Path:
    """A copy of the run, with its record changed."""
    run = folder.parent / f'{folder.name}-copy'
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(folder, run)
    if change:
        record = json.loads((run / 'run.json').read_text())
        change(record)
        (run / 'run.json').write_text(json.dumps(record))
    return run


def test_other_numbers_end_with_status_1(trained, tmp_path):
    def older(record):
        record['starts'].insert(0, json.loads(json.dumps(record['starts'][0])))
        record['starts'][1]['packages']['jax'] = '0.9.9'
        record['starts'][1]['devices']['count'] = 77
        record['config']['optim']['lr'] = 0.5  # stands for anything that changes the numbers

    run = copy(trained[0] / 'run', older)
    done = call('replay', run, f'--out={tmp_path}/a', '--json')
    document = json.loads(done.out)
    assert done.code == 1 and not document['agree']
    assert 'jax: 0.9.9 there, ' in done.err and 'devices, count: 77 there, ' in done.err
    assert 'was continued with changes: jax: ' in done.err
    most = max(abs(row['difference']) for row in document['rows'])
    agrees = [replay._agree(row, most) for row in document['rows']]
    assert most > 0 and all(agrees)
    assert 'numbers differ' in done.err


def test_changed_data_are_refused(trained, tmp_path):
    folder, _ = trained
    arrays = dict(np.load(folder / 'data.npz'))
    kept = (folder / 'data.npz').read_bytes()
    arrays['test_input'] = 255 - arrays['test_input']
    np.savez(folder / 'data.npz', **arrays)
    try:
        line = call('replay', folder / 'run', f'--out={tmp_path}/a').err.splitlines()[-1]
    finally:
        (folder / 'data.npz').write_bytes(kept)
    assert 'have changed (test of train): bring back the same examples' in line
    assert not (tmp_path / 'a').exists()


def test_what_is_no_finished_run_is_refused(trained, tmp_path):
    folder, _ = trained

    def refused(name, *flags):
        return error(call('replay', name, *flags))

    assert 'nowhere holds no finished run' in refused('nowhere')
    assert 'is a phase of a run: name its folder' in refused(folder / 'run' / '00-train')
    assert 'is the folder of the run itself' in refused(folder / 'run', f'--out={folder}/run')
    assert 'is in use' in refused(folder / 'run', f'--out={folder}')
    assert 'name the folder of one run' in error(call('replay'))
    assert '--tolerance=-1' in refused(folder / 'run', '--tolerance=-1')
    run = copy(folder / 'run')
    shutil.rmtree(run / '00-train' / 'final')
    assert 'is not finished: 00-train is at step 4 of 4' in refused(run)
    run = copy(folder / 'run')
    (run / 'run.json').unlink()
    assert 'has no record (no run.json)' in refused(run)
    (tmp_path / 'results.json').write_text('{}')
    assert 'is a study, which is not replayed' in refused(tmp_path)


def test_the_version_of_the_code_is_that_of_git(tmp_path):
    def git(*arguments):
        command = [
            'git',
            '-C',
            str(tmp_path),
            '-c',
            'user.name=a',
            '-c',
            'user.email=a',
            *arguments,
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    code = tmp_path / 'package' / 'code.py'
    code.parent.mkdir()
    code.write_text('x = 1\n')
    git('init', '-q')
    assert provenance.code_version(code.parent) == {'commit': None, 'dirty': None}  # not in it
    git('add', '.')
    git('commit', '-qm', 'code')
    clean = {'commit': git('rev-parse', 'HEAD'), 'dirty': False}
    (tmp_path / 'notes.txt').write_text('no code')
    assert provenance.code_version(code.parent) == clean
    (tmp_path / 'new.py').write_text('')
    assert provenance.code_version(code.parent) == clean | {'dirty': True}


def test_a_fingerprint_is_of_labels_names_and_inputs():
    from tljax.data import arrays, digits

    split = digits(size=8)['test']
    prints = {
        'same': provenance.print_of(digits(size=8)['test']),
        'other size': provenance.print_of(digits(size=9)['test']),
        'computed': provenance.print_of(split, computed=True),
    }
    assert prints.pop('same') == provenance.print_of(split) not in prints.values()
    texts = [
        arrays(np.array(text, object), np.arange(2), 'ab') for text in (['a', 'b'], ['a', 'c'])
    ]
    assert len({provenance.print_of(split) for split in texts}) == 2
    sets = [arrays(np.eye(2) * scale, np.arange(2), 'ab') for scale in (1, 2)]
    assert len({provenance.print_of(split) for split in sets}) == 2
    assert len({provenance.print_of(split, computed=True) for split in sets}) == 1


def test_a_start_is_recorded_if_it_differs_from_the_one_before(tmp_path):
    config = json.loads(json.dumps(settings(data={'name': 'digits', 'size': 8}) | {'phases': {}}))
    for arguments in (['--a'], ['--a'], ['--a', '--log_every=1'], ['--a']):
        provenance.write_record(config, tmp_path, arguments)
    starts = json.loads((tmp_path / 'run.json').read_text())['starts']
    assert [start['arguments'] for start in starts] == [['--a'], ['--a', '--log_every=1'], ['--a']]


@pytest.mark.slow
def test_a_run_of_phases_with_a_guard_is_replayed(tmp_path):
    flags = ('--config=configs/finetune.py:smoke', '--guard', f'--workdir={tmp_path}/run')
    done = call('train', *flags)
    assert done.code == 0, done
    done = call('replay', tmp_path / 'run', f'--out={tmp_path}/again', '--json')
    assert done.code == 0, done
    assert {row['phase'] for row in json.loads(done.out)['rows']} == {'00-head', '01-all', 'guard'}
