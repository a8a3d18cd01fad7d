"""Sweeps: what is refused, the command of a member, and sweeps of which members were killed."""

import json
import os
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from commands import ROOT, call, call_apart, error

from experiments import config_file, sweep_file
from tljax.configuration import plain
from tljax.core import Stopped, UserError
from tljax.studies import launching, sweep, sweep_report

CONFIG = """
    from configs import base


    def get_config(arg=None):
        config = base.get_config()
        with config.unlocked():
            config.data = dict(name='digits', size=8)
            config.net = base.smallest()
            config.seeds = (0, 1)
            config.batch = 8
            config.steps = {steps}
            config.save_every = 20
        return config


    def get_sweep():
        return {members}
"""


def own_config(folder: Path, members: str, steps: int = 4) -> str:
    path = folder / 'mine.py'
    path.write_text(textwrap.dedent(CONFIG.format(members=members, steps=steps)))
    return str(path)


@pytest.mark.parametrize(
    'members, said',
    [
        ('[]', 'get_sweep() of {file} is empty: list a dict of changes'),
        ('{"optim.lr": 1}', 'get_sweep() of {file} returns no list of dicts'),
        ('[3]', 'get_sweep() of {file} returns no list of dicts'),
        (
            "[{}, {'optim.lrr': 1}]",
            'get_sweep() of {file}, member 2: config.optim.lrr is no setting of {file}: did you '
            'mean lr?',
        ),
        ("[{'steps': 'many'}]", "member 1: --config.steps=many: 'many' is not a whole number"),
        ("[{'steps': {1}}]", 'member 1: steps={1} is no number, text, list or dict'),
        ("[{'study.budgets': (1,)}]", 'member 1: --config.study.budgets is read by'),
        ("[{'optim.lr': 0.1}, {}, {'optim': {'lr': 1e-1}}]", 'members 1 and 3 have the same'),
        ("[{}, {'batch': 8}]", 'members 1 and 2 have the same config'),
        ('missing', "line 18: NameError: name 'missing' is not defined"),
    ],
)
def test_what_is_no_sweep_is_one_clear_line(members, said, tmp_path):
    file = own_config(tmp_path, members)
    line = error(call('sweep', f'--config={file}', f'--workdir={tmp_path}/a'))
    # a long line loses its middle
    said = said.replace('{file}', file)
    assert said[:60] in line or said[-60:] in line, line
    assert not (tmp_path / 'a').exists()


@pytest.mark.parametrize(
    'flags, said',
    [
        (['--config=configs/digits.py'], 'configs/digits.py has no get_sweep(): see'),
        (['--config=configs/rank.py'], 'configs/rank.py is a config of experiments.rank'),
        (['--config=configs/finetune.py:smoke', '--by=test'], 'test scores choose nothing'),
        (['--config=configs/finetune.py:smoke', '--parallel=0'], '--parallel=0'),
        (['--config=configs/finetune.py:smoke', '--slurm.time=5'], 'without --slurm: add --slurm'),
    ],
)
def test_flags_that_do_not_fit_are_one_clear_line(flags, said, tmp_path):
    assert said in error(call('sweep', *flags, f'--workdir={tmp_path}/a'))


def test_a_machine_without_slurm_is_told(tmp_path):
    flags = ('--config=configs/finetune.py:smoke', '--slurm', f'--workdir={tmp_path}/a')
    done = call_apart('sweep', *flags, env={**os.environ, 'PATH': str(tmp_path)})
    assert '--slurm: Could not detect "srun"' in error(done)


def test_a_missing_submitit_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'submitit', None)
    flags = ('--config=configs/finetune.py:smoke', '--slurm', f'--workdir={tmp_path}/a')
    line = error(call('sweep', *flags))
    assert line == 'error: the package submitit is missing: python -m pip install submitit'


def test_a_printed_command_gives_the_config_of_its_member(tmp_path):
    values = """[
        {'optim.lr': 1e-3, 'seeds': (3,), 'init.path': ''},
        {'data.task': 'numbers', 'per_class': 5, 'keep': 'best', 'eval_every': 2},
        {'net': dict(name='conv4', width=(4, 8), size=8), 'per_class': None},
        {'augment': ('flip', dict(name='crop', padding=2)), 'teacher': "it's (1, 2)"},
        {'method.name': 'finetune', 'cache': False, 'data.name': 'glyphs', 'data.size': 8},
    ]"""
    file, settings = own_config(tmp_path, values), [(['batch'], '16')]
    done = call(
        'sweep', f'--config={file}', '--config.batch=16', '--print', f'--workdir={tmp_path}/a b'
    )
    lines = done.out.splitlines()
    members = sweep_file.members(file, settings)
    assert len(lines) == len(members) == 5 and not (tmp_path / 'a b').exists()
    folders = set()
    for line, (changes, expected, _) in zip(lines, members, strict=True):
        python, *argv = shlex.split(line)
        assert (python, *argv[:2]) == ('python', '-m', 'experiments.train')
        (flag,), read, own = config_file.split(argv[2:])
        config = config_file.load(read)
        config_file.apply_settings(config, read, own)
        assert plain(config) == expected and expected['batch'] == 16
        for key, value in changes.items():
            place = plain(config)
            for part in key.split('.'):
                place = place[part]
            assert place == value and not isinstance(value, dict)
        folders.add(flag)
    assert len(folders) == 5  # one for each


# a program in place of experiments.train: it writes what a training writes, and some die at first
PROGRAM = """
import json, os, pathlib, signal, sys
folder = pathlib.Path(sys.argv[-1].removeprefix('--workdir='))
validation, test, fate = json.loads(sys.argv[1])
first = not folder.exists()
(folder / '01-all').mkdir(parents=True, exist_ok=True)
with (folder / 'starts').open('a') as file:
    file.write('x')
print('step 3 of 9', flush=True)
if fate == 'killed' and first:
    os.kill(os.getpid(), signal.SIGKILL)
if fate == 'broken':
    sys.exit('error: the data are gone\\n')
means = {'train': 0.1, 'validation': validation, 'test': test}
rows = [dict(split=s, metric='rmse', mean=m, low=m - 1, high=m + 1) for s, m in means.items()]
scores = {split: {'rmse': [mean, mean]} for split, mean in means.items()}
text = json.dumps({'rows': rows, 'scores': scores, 'seeds': [0, 1]})
(folder / '01-all' / 'results.json').write_text(text)
"""
FATES = {
    0.1: (3.0, 1.0, ''),  # the best test score
    0.2: (1.5, 5.0, 'killed'),  # the best validation score, as less is better
    0.3: (2.0, 3.0, 'killed'),
    0.4: (9.0, 9.0, ''),
}


def members_of(fates: dict, workdir: Path) -> list[launching.Member]:
    config = plain(config_file.load('configs/finetune.py:smoke'))
    members = []
    for rate, fate in fates.items():
        changed = json.loads(json.dumps(config))
        changed['phases']['all']['optim']['lr'] = rate
        command = ['-S', '-c', PROGRAM, json.dumps(fate)]
        members.append(sweep.member({'phases.all.optim.lr': rate}, changed, command, workdir))
    return members


def run(members, workdir, by='validation'):
    return sweep.sweep({}, members, workdir, launching.locally(2), by)


def test_killed_members_are_completed_by_the_second_call(tmp_path):
    members = members_of(FATES, tmp_path)
    first = run(members, tmp_path)
    errors = [each['error'] for each in first['members']]
    assert errors == [None, *2 * ['killed by SIGKILL, after: step 3 of 9'], None]
    assert first['best'] == members[0].name  # of the finished ones
    assert '2 of 4 members failed' in sweep_report.reading(first)
    assert members[1].name in sweep_report.reading(first)
    second = run(members, tmp_path)
    assert not any(each['error'] for each in second['members'])
    starts = [len((each.folder / 'starts').read_text()) for each in members]
    assert starts == [1, 2, 2, 1]  # what was finished is not trained again
    assert (second['best'], second['metric']) == (members[1].name, 'rmse')
    (table,) = sweep_report.tables(second)
    assert table.rows[1] == ['0.2', '2', '1.5000', '0.5000 to 2.5000', '5.0000', '4.0000 to 6.0000',
                             'best']  # fmt: skip
    assert json.loads((tmp_path / 'results.json').read_text()) == second
    assert members[1].name in (tmp_path / 'report.html').read_text()
    run(members_of({**FATES, 0.05: (1.0, 1.0, '')}, tmp_path), tmp_path)  # it may grow
    assert [len((each.folder / 'starts').read_text()) for each in members] == starts


def test_a_failed_member_is_told_by_its_last_line(tmp_path):
    results = run(members_of({0.1: (1.0, 1.0, 'broken'), 0.2: (2.0, 2.0, '')}, tmp_path), tmp_path)
    assert [each['error'] for each in results['members']] == ['error: the data are gone', None]
    assert results['best'] == results['members'][1]['name']
    assert sweep_report.tables(results)[0].rows[0][-1] == 'failed'


def test_a_split_without_scores_stops_the_sweep(tmp_path):
    members = members_of(FATES, tmp_path)
    with pytest.raises(UserError, match='--by=dev: .* has no scores .* one of train, validation'):
        sweep.sweep({}, members, tmp_path, launching.locally(1), 'dev')
    assert not members[-1].folder.exists()


def test_two_sweeps_of_a_folder_are_refused(tmp_path):
    (member,) = members_of({0.1: (1.0, 1.0, '')}, tmp_path)

    def launch(members, ended):
        with pytest.raises(UserError, match='another process runs the sweep'):
            run([member], tmp_path)

    sweep.sweep({}, [member], tmp_path, launch)


@pytest.mark.slow
def test_the_devices_are_left_to_the_members():
    code = """
import tempfile
from pathlib import Path
import test_sweep
folder = Path(tempfile.mkdtemp())
for _ in range(2):
    test_sweep.run(test_sweep.members_of(test_sweep.FATES, folder), folder)
from jax._src import xla_bridge
assert not xla_bridge.backends_are_initialized()
"""
    folders = [str(ROOT), str(ROOT / 'tests'), str(Path(__file__).parent)]
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(folders)}
    subprocess.run([sys.executable, '-c', code], env=environment, check=True)


def test_a_signal_stops_the_members(tmp_path):
    code = (
        "import os, signal, time; os.kill(os.getppid(), signal.SIGTERM); print('on'); time.sleep(9)"
    )
    member = launching.Member('a', {}, {}, ['-S', '-u', '-c', code], tmp_path / 'a')
    start = time.monotonic()
    with pytest.raises(Stopped) as stopped:
        launching.locally()([member], lambda *_: None)
    assert stopped.value.status == 143 and time.monotonic() - start < 8


@pytest.mark.slow
def test_a_sweep_of_twelve_of_which_two_are_killed_ends_complete(tmp_path):
    file = own_config(tmp_path, "[{'optim.lr': i / 1000} for i in range(1, 13)]", steps=400)
    flags = [f'--config={file}', f'--workdir={tmp_path}/sweep', '--parallel=2']
    command = [sys.executable, '-m', 'experiments.sweep', *flags]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        victims = {f'optim.lr={rate}-' for rate in (0.003, 0.008)}
        deadline = time.monotonic() + 500
        while victims and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
            for victim in list(victims):
                for folder in (tmp_path / 'sweep' / 'members').glob(f'{victim}*/00-train'):
                    victims.discard(victim)
                    _kill_training(folder.parent)
        _, said = process.communicate(timeout=500)
    assert process.returncode == 1, said
    assert said.count('killed by SIGKILL') == 4, said  # when it happens, and at the end
    results = json.loads((tmp_path / 'sweep' / 'results.json').read_text())
    assert sum(bool(each['rows']) for each in results['members']) == 10
    places = {Path(each['folder'], '00-train', 'results.json') for each in results['members']}
    times = {place: place.stat().st_mtime for place in places if place.exists()}
    done = call_apart('sweep', *flags)
    assert done.code == 0 and '10 of 12 members are finished' in done.err, done
    assert len(done.out.strip().splitlines()) == 14 and done.out.count('best') == 1
    assert all(place.exists() for place in places)
    assert all(place.stat().st_mtime == before for place, before in times.items())


def _kill_training(folder: Path) -> None:
    """Kills the process that trains in a folder."""
    for path in Path('/proc').glob('[0-9]*/cmdline'):
        try:
            arguments = path.read_bytes().decode().split('\0')
        except OSError:
            continue
        if f'--workdir={folder}' in arguments:
            os.kill(int(path.parent.name), signal.SIGKILL)


SBATCH = """#!/bin/bash
# as sbatch: an array of one job after another, in the background, from a copy of the script
cp "$1" {folder}/script
for i in $(seq 0 {last}); do
    SLURM_JOB_ID=7$i SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$i SLURM_JOB_NUM_NODES=1 \\
    SLURM_NTASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0 SLURM_JOB_NODELIST=here \\
    bash {folder}/script
done > /dev/null 2>&1 &
echo "Submitted batch job 7"
"""
SRUN = """#!/bin/bash
while [[ $1 == -* ]]; do
    if [[ $1 == --error ]]; then
        exec 2> "$(echo "$2" | sed "s/%A_%a_%t/7_${SLURM_ARRAY_TASK_ID}_0/")"
    fi
    case $1 in --output | --error) shift ;; esac
    shift
done
exec "$@"
"""


@pytest.mark.slow
def test_members_are_submitted_as_an_array(tmp_path, monkeypatch):
    programs = {
        'sbatch': SBATCH.format(last=1, folder=tmp_path),
        'srun': SRUN,
        'sacct': '#!/bin/bash\necho "JobID|State|NodeList"\necho "7_[0-1]|RUNNING|here"\n',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')
    fates = {0.1: (3.0, 1.0, ''), 0.2: (1.5, 5.0, 'broken')}
    members = members_of(fates, tmp_path / 'sweep')
    launch = launching.on_slurm(tmp_path / 'sweep' / 'slurm', 1, {'partition': 'gpu', 'time': 60})
    results = sweep.sweep({}, members, tmp_path / 'sweep', launch)
    assert [bool(each['rows']) for each in results['members']] == [True, False]
    assert results['members'][1]['error'] == 'error: the data are gone'
    script = tmp_path / 'sweep' / 'slurm' / '7_submission.sh'
    lines = script.read_text().splitlines()
    assert {'#SBATCH --array=0-1%1', '#SBATCH --partition=gpu', '#SBATCH --time=60'} <= {*lines}
    with pytest.raises(UserError, match='--slurm: Unavailable'):
        launching.on_slurm(tmp_path, None, {'partitoin': 'gpu'})


@pytest.mark.slow
def test_a_member_that_is_queued_is_waited_for(tmp_path, monkeypatch):
    import submitit

    (tmp_path / 'srun').write_text(SRUN)
    (tmp_path / 'srun').chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')  # there is no sbatch
    folder = tmp_path / 'sweep'
    (member,) = members_of({0.1: (3.0, 1.0, '')}, folder)
    (folder / 'slurm').mkdir(parents=True)
    (folder / 'slurm' / 'jobs.json').write_text(json.dumps({member.name: '9_0'}))
    asked = []

    def done(job, force_check=False):
        asked.append(job.job_id)
        if len(asked) == 3:
            subprocess.run([sys.executable, *member.command], check=True)
        return len(asked) >= 3

    monkeypatch.setattr(submitit.SlurmJob, 'done', done)
    results = sweep.sweep({}, [member], folder, launching.on_slurm(folder / 'slurm'))
    assert results['best'] == member.name and set(asked) == {'9_0'}
