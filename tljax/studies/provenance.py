"""The record of a run: its config, and with which code, packages, devices and data it ran.

The record is `run.json` in the run's folder. Its `starts` has an entry for each start of the run
that differs from the one before, such as a restart with another version of a package.
"""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import jax
import numpy as np

from tljax import build
from tljax.configuration import phases
from tljax.core import Dataset
from tljax.data.splits import signature
from tljax.files.programs import machine
from tljax.files.text import write
from tljax.protocols import Config, Record

RECORD = 'run.json'
PACKAGES = (  # on which numbers may depend, and those that read or draw examples
    'tljax',
    'jax',
    'jaxlib',
    'jax-cuda13-plugin',
    'libtpu',
    'flax',
    'optax',
    'orbax-checkpoint',
    'numpy',
    'scipy',
    'scikit-learn',
    'scikit-image',
    'tensorflow-datasets',
    'pillow',
    'matplotlib',
)
VARIABLES = (  # of the environment, on which numbers may depend
    'XLA_FLAGS',
    'JAX_ENABLE_X64',
    'JAX_DEFAULT_MATMUL_PRECISION',
    'NVIDIA_TF32_OVERRIDE',
)
SAMPLE = 16  # examples of a split whose inputs are part of its fingerprint


def write_record(config: Config, workdir: Path, arguments: Sequence[str] = ()) -> None:
    """Writes the record of a run that starts, or adds a start to it.

    Args:
        config: the whole config, a plain dict.
        workdir: folder of the run.
        arguments: the command line as typed, without the name of the command.
    """
    if jax.process_index():
        return
    path = workdir / RECORD
    if path.exists():
        record = json.loads(path.read_text())
    else:
        record = {'config': config, 'data': data_prints(config), 'starts': []}
    now = {'arguments': list(arguments), **surroundings()}
    if record['starts'][-1:] != [now]:
        write(path, json.dumps(record | {'starts': [*record['starts'], now]}, indent=1) + '\n')


def surroundings() -> Record:
    """Returns what a run depends on beside its config and its data.

    Returns:
        {'code': of `code_version`, 'packages': {name: version}, 'devices': {'platform', 'kind',
        'count', 'processes', 'machine' (a hash of the processor's kind)}, 'environment': {variable:
        value}}.

    >>> surroundings()['packages']['jax'] == jax.__version__
    True
    """
    packages = {'python': platform.python_version()}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    device = jax.devices()[0]
    devices = dict(
        platform=device.platform,
        kind=device.device_kind,
        count=jax.device_count(),
        processes=jax.process_count(),
        machine=machine(),
    )
    environment = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    folder = Path(__file__).parent
    return dict(
        code=code_version(folder), packages=packages, devices=devices, environment=environment
    )


def code_version(folder: Path) -> Record:
    """Returns the version of the code in a folder, by git.

    Args:
        folder: a folder of the code.

    Returns:
        {'commit': hash, 'dirty': whether a file of Python differs from the commit or is not in it};
        both are None where git does not know the folder.

    >>> import tempfile
    >>> code_version(Path(tempfile.mkdtemp()))
    {'commit': None, 'dirty': None}
    """
    known = _git(folder, 'ls-files', '--', '*.py')  # a copy in another project's tree is not known
    top = _git(folder, 'rev-parse', '--show-toplevel')
    if not known or not top:
        return dict(commit=None, dirty=None)
    commit = _git(folder, 'rev-parse', 'HEAD') or None
    return dict(commit=commit, dirty=bool(_git(Path(top), 'status', '--porcelain', '--', '*.py')))


def _git(folder: Path, *arguments: str) -> str:
    """Returns what git prints; '' where it fails or is missing."""
    try:
        done = subprocess.run(
            ['git', '-C', str(folder), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ''
    return done.stdout.strip()


def data_prints(config: Config) -> dict[str, dict[str, str]]:
    """Returns the fingerprints of the splits of each phase.

    Args:
        config: the whole config, a plain dict.

    Returns:
        {phase: {split: fingerprint}}; the split 'train, target' is another domain's.
    """
    found = {}
    for name, settings in phases(config):
        splits = build.load(settings['data'])
        targets = {f'{key}, target': each.target for key, each in splits.items() if each.target}
        computed = _is_computed(settings['data'])
        found[name] = {key: print_of(each, computed) for key, each in {**splits, **targets}.items()}
    return found


def print_of(split: Dataset, computed: bool = False) -> str:
    """Returns a fingerprint of a split, which does not depend on where its files are.

    It covers the number, shape, names, labels and classes of all examples, and the inputs of some.

    Args:
        split: the split.
        computed: whether a network computes the inputs. Their last digits depend on the device, so
            they are left out, as are examples that are made on the device.

    >>> from tljax.data import arrays
    >>> pets = arrays(np.eye(2), np.array([0, 1]), ('cat', 'dog'))
    >>> print_of(pets) == print_of(arrays(2 * np.eye(2), np.array([0, 1]), ('cat', 'dog')))
    False
    """
    digest = hashlib.sha256(signature({'': split}).encode())
    if split.size and not computed and split.example is None:
        rows = np.unique(np.linspace(0, split.size - 1, SAMPLE).astype(int))
        for leaf in map(np.asarray, jax.tree.leaves(split.take(rows))):
            digest.update(f'{leaf.dtype} {leaf.shape}'.encode())
            text = leaf.dtype.kind in 'OU'
            digest.update(repr(leaf.tolist()).encode() if text else leaf.tobytes())
    return digest.hexdigest()[:16]


def _is_computed(data: Config) -> bool:
    """Whether the inputs of a data set, or of one inside it, are features of a network."""
    return data.get('name') == 'extracted' or any(
        _is_computed(value) for value in data.values() if isinstance(value, dict)
    )


def differences(there: Record, here: Record) -> list[str]:
    """Returns in what two starts of a run differ, one line each.

    Args:
        there: an entry of a record's `starts`.
        here: the same, or `surroundings`.

    >>> there = {'packages': {'jax': '0.10.1'}, 'devices': {'platform': 'gpu', 'count': 8}}
    >>> here = {'packages': {'jax': '0.10.2'}, 'devices': {'platform': 'cpu', 'count': 8}}
    >>> differences(there, here)
    ['jax: 0.10.1 there, 0.10.2 here', 'devices, platform: gpu there, cpu here']
    """
    lines = []
    for part in ('code', 'packages', 'devices', 'environment'):
        old, new = there.get(part, {}), here.get(part, {})
        for key in dict.fromkeys([*old, *new]):
            if old.get(key) != new.get(key):
                name = key if part == 'packages' else f'{part}, {key}'
                lines.append(
                    f'{name}: {old.get(key, "absent")} there, {new.get(key, "absent")} here'
                )
    return lines
