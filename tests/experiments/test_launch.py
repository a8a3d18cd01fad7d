"""Files that start runs on clusters: what they would run, and a run of two local processes."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from commands import ROOT, call, error

from tljax.engine.checkpoint import load_final
from tljax.paths import flatten
from tljax.studies import launching

LAUNCH = ROOT / 'experiments' / 'launch'
SCRIPTS = sorted(LAUNCH.glob('*.sh'))
FLAGS = ['--config.batch=256', "--config.teacher=it's $HOME", '--workdir=runs/a b']
# a program that writes its arguments, and some of its environment, into files beside it
STUB = """#!/bin/bash
printf '%s\\n' "$@" > "$0.arguments"
echo "${{JAX_LOCAL_DEVICE_IDS:-none}}" > "$0.devices"
exit {status}
"""


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """Makes programs on the PATH, and gives the arguments of their last call."""

    def make(name, status=0):
        (tmp_path / name).write_text(STUB.format(status=status))
        (tmp_path / name).chmod(0o755)

        def arguments():
            path = tmp_path / f'{name}.arguments'
            return path.read_text().splitlines() if path.exists() else None

        return arguments

    python = Path(sys.executable).parent
    monkeypatch.setenv('PATH', f'{tmp_path}:{python}:{os.environ["PATH"]}')
    for name in [name for name in os.environ if name.startswith(('SLURM_', 'JAX_LOCAL'))]:
        monkeypatch.delenv(name)
    return make


def run(script, *arguments, **environment):
    """Runs a script as the scheduler does, under variables of Slurm."""
    return subprocess.run(
        ['bash', LAUNCH / script, *arguments],
        cwd=ROOT,
        env={**os.environ, 'SLURM_JOB_ID': '77', **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize('path', SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(path):
    program = Path(sys.executable).with_name('shellcheck')
    done = subprocess.run([program, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert path.stat().st_mode & 0o111 or 'sbatch' in path.read_text()


@pytest.mark.parametrize('script', ['slurm.sh', 'slurm_requeue.sh'])
def test_a_job_of_slurm_starts_the_training(script, stub, tmp_path):
    srun, scontrol = stub('srun'), stub('scontrol')
    done = run(script, 'configs/digits.py', *FLAGS, SLURM_GPUS_ON_NODE='4')
    assert done.returncode == 0, done
    start = ['python', '-m', 'experiments.train', '--config=configs/digits.py']
    assert srun() == [*start, '--distributed=auto', *FLAGS] and scontrol() is None
    assert (tmp_path / 'srun.devices').read_text() == '0,1,2,3\n'
    assert run(script, 'configs/digits.py').returncode == 0  # nodes without GPUs
    assert (tmp_path / 'srun.devices').read_text() == 'none\n'


@pytest.mark.parametrize(
    'status, starts, queued', [(143, '3', True), (143, '100', False), (1, '0', False)]
)
def test_a_run_that_has_saved_and_stopped_is_queued_again(status, starts, queued, stub):
    stub('srun', status)
    scontrol = stub('scontrol')
    done = run('slurm_requeue.sh', 'configs/digits.py', SLURM_RESTART_COUNT=starts)
    assert done.returncode == status
    assert scontrol() == (['requeue', '77'] if queued else None)


def test_a_job_of_an_array_trains_its_member(stub):
    srun = stub('srun')
    flags = ['--config.data.name=digits', '--workdir=runs/a b']
    done = run('slurm_array.sh', 'configs/finetune.py:smoke', *flags, SLURM_ARRAY_TASK_ID='1')
    assert done.returncode == 0, done
    said = call('sweep', '--config=configs/finetune.py:smoke', *flags, '--print').out
    assert srun() == shlex.split(said.splitlines()[1])
    assert '--config.phases.all.optim.lr=0.01' in srun() and srun()[-1].startswith(
        '--workdir=runs/a b/members/'
    )


@pytest.mark.slow
def test_a_job_beyond_the_members_is_refused(stub):
    srun = stub('srun')
    done = run('slurm_array.sh', 'configs/finetune.py:smoke', SLURM_ARRAY_TASK_ID='2')
    assert done.returncode == 2 and 'the sweep has 2 members: sbatch --array=0-1' in done.stderr
    done = run('slurm_array.sh', 'configs/digits.py', SLURM_ARRAY_TASK_ID='0')
    assert done.returncode and 'has no get_sweep()' in done.stderr and srun() is None


def test_all_hosts_of_a_pod_get_one_command(stub, tmp_path):
    gcloud, python3 = stub('gcloud'), stub('python3')
    done = run('tpu_pod.sh', 'my-pod', 'us-central2-b', 'configs/digits.py', *FLAGS)
    assert done.returncode == 0, done
    *start, command = gcloud()
    assert start == [
        *('compute', 'tpus', 'tpu-vm', 'ssh', 'my-pod'),
        *('--zone=us-central2-b', '--worker=all'),
    ]
    (tmp_path / 'tljax').mkdir()
    line = command.removeprefix('--command=')
    subprocess.run(
        ['bash', '-c', line], cwd=tmp_path, check=True
    )  # as the shell of a host reads it
    expected = ['-m', 'experiments.train', '--config=configs/digits.py', '--distributed=auto']
    assert python3() == [*expected, *FLAGS]
    assert run('tpu_pod.sh', 'my-pod').returncode == 2


def test_the_jobset_is_valid_and_its_hosts_find_each_other(stub):
    import kubernetes_validate

    jobset = yaml.safe_load((LAUNCH / 'jobset.yaml').read_text())
    assert (jobset['apiVersion'], jobset['kind']) == ('jobset.x-k8s.io/v1alpha2', 'JobSet')
    (replicated,) = jobset['spec']['replicatedJobs']
    job = replicated['template']
    latest = kubernetes_validate.latest_version()
    for kind in (
        {'apiVersion': 'batch/v1', 'kind': 'Job', 'metadata': {'name': 'a'}, **job},
        {'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'name': 'a'}, **job['spec']['template']},
    ):
        kubernetes_validate.validate(kind, latest, strict=True)
        kind['spec'] = {**kind['spec'], 'paralelism': 4}
        with pytest.raises(kubernetes_validate.ValidationError):  # that is, it looks
            kubernetes_validate.validate(kind, latest, strict=True)
    (container,) = job['spec']['template']['spec']['containers']
    environment = {each['name']: each['value'] for each in container['env']}
    hosts = int(environment['PROCESSES'])
    assert job['spec']['parallelism'] == job['spec']['completions'] == hosts
    # JobSet names a host JOBSET-JOB-NUMBER-INDEX, in a subdomain with the name of the JobSet
    name = jobset['metadata']['name']
    address = f'{name}-{replicated["name"]}-0-0.{name}:12355'
    assert environment['COORDINATOR'] == address
    python = stub('python')
    subprocess.run(
        [*container['command'], *container['args']],
        env={**os.environ, **environment, 'JOB_COMPLETION_INDEX': '3'},
        check=True,
    )
    assert python()[:3] == ['-m', 'experiments.train', '--config=configs/digits.py']
    assert python()[-1] == f'--distributed={address},4,3'


def test_what_the_local_launcher_refuses():
    name = 'experiments.launch.local'
    assert "'two' is no number of processes" in error(call(name, 'two'))
    assert "'--config=a' is no number" in error(call(name, '--config=a', '2'))
    assert '--distributed is set for each process' in error(call(name, '2', '--distributed=auto'))


def test_a_process_that_fails_ends_the_others_even_if_they_wait():
    waiting = (
        'import signal, time; signal.signal(signal.SIGTERM, lambda *_: None); '
        'start = time.monotonic()\nwhile time.monotonic() < start + 60: time.sleep(0.1)'
    )
    killed = 'import os, signal, time; time.sleep(0.3); os.kill(os.getpid(), signal.SIGKILL)'
    grace, launching.GRACE = launching.GRACE, 0.3
    start = time.monotonic()
    try:
        failed = launching.together([['-S', '-c', waiting], ['-S', '-c', killed]])
    finally:
        launching.GRACE = grace
    assert failed == (1, 137, 'was killed by SIGKILL') and time.monotonic() - start < 30


CONFIG = """
from configs import base


def get_config(arg=None):
    config = base.get_config()
    with config.unlocked():
        config.data = dict(name='digits', size=8)
        config.net = dict(name='conv4', width=4, blocks=2, size=8, norm='layer')
        config.seeds = (0, 1)
        config.batch = 16
        config.steps = 6
        config.optim.name = 'sgd'  # Adam would hide a wrong scale of the gradient
        config.optim.lr = 0.1
        config.cache = False
    return config
"""


def local(*arguments, devices=2):
    flags = os.environ.get('XLA_FLAGS', '').split()
    environment = {
        **os.environ,
        'XLA_FLAGS': ' '.join(flag for flag in flags if 'device_count' not in flag),
        'JAX_NUM_CPU_DEVICES': str(devices),
    }
    return subprocess.run(
        [sys.executable, '-m', 'experiments.launch.local', *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
    )


@pytest.mark.slow
def test_two_local_processes_of_two_devices_train_as_one_does(tmp_path):
    (tmp_path / 'mine.py').write_text(CONFIG)
    config = f'--config={tmp_path}/mine.py'
    done = local('2', config, f'--workdir={tmp_path}/two')
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count('95 % interval') == 1  # one process prints
    assert call('train', config, f'--workdir={tmp_path}/one').code == 0
    (two, _, record), (one, _, expected) = (
        load_final(tmp_path / name / '00-train') for name in ('two', 'one')
    )
    for path, value in flatten(one).items():
        np.testing.assert_allclose(flatten(two)[path], value, atol=1e-5, err_msg=path)
    assert record['scores'] == expected['scores']
    (start,) = json.loads((tmp_path / 'two' / 'run.json').read_text())['starts']
    assert (start['devices']['count'], start['devices']['processes']) == (4, 2)


@pytest.mark.slow
def test_a_run_that_cannot_start_names_the_process(tmp_path):
    (tmp_path / 'mine.py').write_text(CONFIG)
    done = local('2', f'--config={tmp_path}/mine.py', '--config.batch=3', f'--workdir={tmp_path}/a')
    assert done.returncode == 2 and 'Traceback' not in done.stderr, done.stderr[-3000:]
    line = r'process \d of 2 on \S+ failed with status 2; the others were ended'
    assert re.search(line, done.stderr)
