"""Runs of the methods that keep a source network or learn from a teacher: what they start from,
what they learn, that they resume exactly, and what is refused in one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny import tiny

from tljax import build
from tljax.core import UserError
from tljax.engine.checkpoint import load_final
from tljax.engine.log import read
from tljax.engine.train import fit
from tljax.paths import flatten

WORKER = Path(__file__).parents[1] / 'engine' / 'worker.py'
LETTERS = {'data': {'name': 'glyphs', 'size': 8, 'classes': 12, 'per_class': 10}}
KEYWORDS = {
    'bss': {},
    'co_tuning': {'source_classes': 12},
    'delta': {},
    'distillation': {},
    'lwf': {'source_classes': 12},
    'stoch_norm': {},
}


@pytest.fixture(scope='module')
def letters(tmp_path_factory):
    """A network that has learnt to tell twelve printed letters apart."""
    path = tmp_path_factory.mktemp('letters')
    fit(build.build(tiny(LETTERS, {'steps': 40})), path)
    return path


@pytest.fixture(scope='module')
def digits(tmp_path_factory):
    """A network that has learnt the digits themselves, a teacher."""
    path = tmp_path_factory.mktemp('digits')
    fit(build.build(tiny({'steps': 60})), path)
    return path


def config(name, letters, digits, *changes):
    """A run on digits that starts from the letters."""
    return tiny(
        {
            'method': {'name': name, **KEYWORDS[name]},
            'init': {'path': str(letters)},
            'teacher': str(digits) if name == 'distillation' else '',
            'steps': 60,
            'log_every': 10,
        },
        *changes,
    )


@pytest.mark.slow
@pytest.mark.parametrize('name', KEYWORDS)
def test_a_method_learns_digits_from_letters(name, letters, digits, tmp_path):
    run = build.build(config(name, letters, digits))
    fitted = fit(run, tmp_path)
    log = [record for record in read(tmp_path / 'log.jsonl') if record['kind'] == 'training']
    assert log[-1]['loss'][0] < 0.8 * log[0]['loss'][0]
    assert fitted.scores['test']['accuracy'][0] > 0.5
    params, state, _ = load_final(letters)
    if 'source_head' in fitted.params:
        assert 'source_head' in [group.name for group in run.transferred if group.donor != 'fresh']
    if 'source' in fitted.state:
        jax.tree.map(
            np.testing.assert_array_equal, fitted.state['source']['params'], params['backbone']
        )
        jax.tree.map(
            np.testing.assert_array_equal, fitted.state['source']['state'], state['backbone']
        )
    if name == 'lwf':
        jax.tree.map(np.testing.assert_array_equal, fitted.state['source']['head'], params['head'])
    if name == 'distillation':
        jax.tree.map(
            np.testing.assert_array_equal,
            fitted.state['teacher']['params'],
            load_final(digits)[0]['backbone'],
        )


def test_the_memory_of_a_run_comes_back_from_its_checkpoint(letters, digits, tmp_path):
    """A killed run ends bit-equal; the relation is that of each seed's own labels."""
    changes = {'save_every': 3, 'seeds': [3, 5], 'per_class': 2, 'steps': 8}
    run = build.build(config('co_tuning', letters, digits, changes))
    whole = fit(run, tmp_path / 'whole')
    assert (whole.state['relation'][0] != whole.state['relation'][1]).any()
    np.testing.assert_allclose(whole.state['relation'].sum(-1), 1, rtol=1e-5)
    calls = []

    def take(index):
        calls.append(1)
        if len(calls) == 10:
            raise KeyboardInterrupt
        return run.stream.take(index)

    with pytest.raises(KeyboardInterrupt):
        fit(run._replace(stream=run.stream._replace(take=take)), tmp_path / 'cut')
    cut = fit(run, tmp_path / 'cut')
    jax.tree.map(
        np.testing.assert_array_equal, (whole.params, whole.state), (cut.params, cut.state)
    )


@pytest.mark.slow
def test_two_phases_keep_the_classifier_of_the_source(letters, digits, tmp_path):
    """The recipe of configs/finetune.py: first the head alone, then everything. The second phase
    takes the source's classifier from the first one, not its head of digits."""
    shared = config('lwf', letters, digits, {'steps': 5})
    head = {
        **shared,
        'partition': {'name': 'freeze', 'until': 'backbone'},
        'groups': {'source_head': {'scale': 0.0}},
    }
    rules = {'path': '', 'phase': 'head', 'rules': [['.*', None]]}
    phases = [('head', head), ('all', {**shared, 'init': rules})]
    run, fitted = build.fit_phases(phases, tmp_path)
    source = load_final(letters)[0]
    first = load_final(tmp_path / '00-head')[0]
    jax.tree.map(np.testing.assert_array_equal, first['source_head'], source['head'])
    jax.tree.map(np.testing.assert_array_equal, fitted.state['source']['head'], source['head'])
    assert first['head']['kernel'].any() and run.record['donor']


@pytest.mark.slow
def test_a_teacher_may_be_an_earlier_phase_and_another_network(digits, letters, tmp_path):
    large = tiny({'net': {'width': 8}, 'steps': 3})
    small = tiny(
        {
            'method': {'name': 'distillation', 'teacher': large['net']},
            'teacher': 'large',
            'steps': 3,
        }
    )
    run, fitted = build.fit_phases([('large', large), ('small', small)], tmp_path)
    teacher = load_final(tmp_path / '00-large')[0]
    jax.tree.map(
        np.testing.assert_array_equal, fitted.state['teacher']['params'], teacher['backbone']
    )
    assert flatten(fitted.params)['backbone/conv1/kernel'].shape[-1] == 4
    assert run.record['teacher_weights'] and 'teacher_weights' not in build.build(large).record
    fit(build.build({**large, 'seeds': [1]}), tmp_path / 'other')  # another teacher, same folder
    changed = build.build(small, teacher_dir=tmp_path / 'other')
    with pytest.raises(UserError, match='the weights of its teacher have changed'):
        fit(changed, tmp_path / '01-small')


@pytest.mark.slow
def test_cached_features_are_kept_where_the_method_compares_features_alone(letters, digits):
    frozen = {'partition': {'name': 'freeze', 'until': 'backbone'}, 'cache': True}
    for name in KEYWORDS:
        run = build.build(config(name, letters, digits, frozen))
        cached = run.stream.batch(0, 0)['input'].ndim == 2
        assert cached == (name in ('lwf', 'co_tuning', 'stoch_norm')), name


@pytest.mark.slow
def test_devices_agree_on_what_is_remembered(letters, digits, tmp_path):
    """Two devices by jit and by pmap end as one does; the memory is no average that could drift.
    StochNorm's devices toss coins of their own, so that its fit only has to be finite."""
    runs = {}
    for name in ('lwf', 'co_tuning', 'distillation', 'delta', 'stoch_norm'):
        # trained without batch statistics, which a device under pmap has of its own rows
        stored = {'statistics': 'stored'} if name != 'stoch_norm' else {}
        changes = {'steps': 5, 'optim': {'name': 'sgd', 'lr': 0.02}, 'eval_batch': 512, **stored}
        runs[name] = config(name, letters, digits, changes)
    expected = {
        name: fit(build.build(settings), tmp_path / name) for name, settings in runs.items()
    }
    others = {
        f'{name} by {parallel}': {**settings, 'parallel': parallel}
        for name, settings in runs.items()
        for parallel in ('jit', 'pmap')
    }
    path = tmp_path / 'runs.json'
    path.write_text(json.dumps({str(tmp_path / f'{key}.npz'): run for key, run in others.items()}))
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(map(str, WORKER.parents[1:3]))}
    subprocess.run([sys.executable, WORKER, path, '2'], env=environment, check=True, timeout=600)
    for key in others:
        name, params = key.split()[0], dict(np.load(tmp_path / f'{key}.npz'))
        _, state, _ = load_final(tmp_path / key)
        for path, leaf in flatten(expected[name].params).items():
            assert np.isfinite(params[path]).all(), (key, path)
            if name != 'stoch_norm':
                np.testing.assert_allclose(params[path], leaf, atol=2e-5, err_msg=f'{key}: {path}')
        for memory in {'source', 'teacher', 'attention', 'relation'} & {*state}:
            jax.tree.map(
                lambda ours, theirs: np.testing.assert_allclose(ours, theirs, atol=1e-5),
                state[memory],
                expected[name].state[memory],
            )


@pytest.mark.parametrize(
    'name, changes, said',
    [
        (
            'lwf',
            {'init': {'path': ''}},
            "method.name='lwf' keeps a copy of the source network, and this run starts from none",
        ),
        ('delta', {'init': {'path': ''}}, 'name a finished run or weights by init.path'),
        (
            'co_tuning',
            {'method': {'source_classes': 1000}},
            'has 12 outputs, and method.source_classes is 1000: set it to 12',
        ),
        ('distillation', {'teacher': ''}, 'learns from a teacher: name a finished run by teacher'),
        ('bss', {'teacher': 'runs/a'}, "teacher='runs/a': method.name='bss' asks no teacher"),
        ('distillation', {'teacher': 'nowhere'}, 'nowhere holds no finished run'),
        ('distillation', {'teacher': 'imagenet'}, 'are weights of a network: python -m'),
        ('distillation', {'teacher': 'LETTERS'}, 'this data has 0, 1, 2'),
        ('distillation', {'method': {'temperature': 0.0}}, 'method.temperature=0.0: give a number'),
        ('lwf', {'method': {'temperature': -1.0}}, 'method.temperature=-1.0'),
        ('co_tuning', {'method': {'approach': 'both'}}, "'both' is not reverse or direct"),
        ('bss', {'method': {'k': 0}}, 'method.k=0: give 1 or more'),
        ('bss', {'method': {'k': 17}}, 'method.k=17: 16 features of width 16 have 16 singular'),
        ('stoch_norm', {'method': {'share': 1.5}}, 'method.share=1.5: give a number from 0 to 1'),
        (
            'stoch_norm',
            {'statistics': 'stored'},
            "'stoch_norm' does not work with statistics='stored': set statistics='follow'",
        ),
        ('delta', {'method': {'layers': ['block9']}}, 'no intermediate block9; it has block1'),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_line(
    name, changes, said, letters, digits, tmp_path
):
    if changes.get('teacher') == 'LETTERS':
        changes = {'teacher': str(letters)}
    with pytest.raises(UserError) as refused:
        fit(build.build(config(name, letters, digits, changes)), tmp_path)
    assert said in str(refused.value) and '\n' not in str(refused.value)


def test_a_teacher_of_another_network_is_refused(letters, digits, tmp_path):
    wider = {'method': {'teacher': {'name': 'conv4', 'width': 8, 'blocks': 2, 'size': 8}}}
    with pytest.raises(UserError, match='holds another network .* as method.teacher'):
        fit(build.build(config('distillation', letters, digits, wider)), tmp_path)


def test_a_source_without_a_classifier_is_refused(letters, digits, tmp_path):
    episodes = tiny(
        {
            'data': {
                'name': 'episodes',
                'of': {'name': 'digits', 'size': 8},
                'by_class': {'test': 0.4},
                'ways': 3,
                'shots': 1,
                'queries': 1,
                'count': 2,
            },
            'method': {'name': 'protonet'},
            'steps': 0,
            'batch': 1,
        }
    )
    fit(build.build(episodes), tmp_path)
    with pytest.raises(UserError, match='has no classifier, and the method keeps the one'):
        build.build(config('lwf', tmp_path, digits))
