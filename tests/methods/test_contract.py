"""What every method of `tljax/methods` promises, found by itself: a new file there is tested here
without a word.

What a method's file states (BATCHES, PSEUDO, SOURCE, ...) chooses its data and what is asked
of it; no method is named here.
"""

import functools
import inspect
import json
import re
import sys
import tempfile
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from tiny import tiny

import tljax.methods
from tljax import build, paths
from tljax.configuration import stated_by_method
from tljax.core import TrainState
from tljax.engine.devices import make_mesh
from tljax.engine.step import make_step
from tljax.engine.train import fit

METHODS = [name for name in dir(tljax.methods) if stated_by_method({'name': name}, 'BATCHES', None)]
# the network of detectors, and of their regions
DETECTED = {'name': 'conv4', 'width': 4, 'blocks': 2, 'size': 16}
BATCHES = {  # what a method's file states -> a config whose data gives such batches
    'labelled': {},
    'unlabelled': {},
    'domains': {
        'data': {
            'name': 'domains',
            'source': {'name': 'glyphs', 'part': 'digits', 'size': 8, 'per_class': 10},
            'target': {'name': 'digits', 'size': 8},
        }
    },
    'episodes': {
        'data': {
            'name': 'episodes',
            'of': {'name': 'digits', 'size': 8},
            'by_class': {'test': 0.4},
            'ways': 3,
            'shots': 2,
            'queries': 3,
            'count': 4,
        },
        'batch': 2,
    },
    'boxes': {
        'data': {
            'name': 'scenes',
            'of': {'name': 'glyphs', 'part': 'digits', 'size': 8, 'per_class': 10},
            'size': 16,
            'count': 16,
            'channels': 1,
        },
        'net': {
            'name': 'with_extras',
            'of': DETECTED,
            'maps': ['block1', 'block2'],
            'widths': [],
        },
    },
    'tasks': {
        'data': {
            'name': 'joint_tasks',
            'of': {
                'read': {'name': 'digits', 'size': 8},
                'print': {'name': 'glyphs', 'part': 'digits', 'size': 8, 'per_class': 10},
            },
            'shares': 'equal',
        }
    },
}


def stated(method, constant, default=''):
    return stated_by_method({'name': method}, constant, default)


def config(method, **changes):
    pseudo = {'pseudo': {'name': 'given'}} if stated(method, 'PSEUDO') else {}
    keywords = inspect.signature(getattr(tljax.methods, method)).parameters
    # pictures of 8x8 are too small to be augmented
    digits = {'name': 'segments', 'classes': list('0123456789')}
    small = {'weak': [], 'strong': [], 'width': 16, 'source_classes': 10, 'knowledge': digits}
    if stated(method, 'BATCHES') == 'boxes':  # of detectors of two stages
        small |= {'tail': DETECTED | {'size': 7}, 'layer': 'map2', 'stride': 4}
        small |= {'sides': [6], 'ratios': [1], 'proposals': 4}
    small |= {'views': [], 'clusters': 4}
    small = {key: value for key, value in small.items() if key in keywords}
    plain = {
        'method': {'name': method, **small},
        **({} if stated(method, 'BATCHES') == 'boxes' else {'net': {'blocks': 1}}),
        'steps': 8,
        'optim': {'schedule': 'constant'},
    }
    return tiny(plain, BATCHES[stated(method, 'BATCHES')], pseudo, changes)


@functools.cache
def network(net):
    """The folder of a run that has learnt the digits with a network, given as JSON."""
    folder = tempfile.mkdtemp()
    fit(build.build(tiny({'net': json.loads(net), 'steps': 100})), folder)
    return folder


def places(settings, donor=None):
    """The source network, or `donor`, and the teacher of a method that asks for them."""
    method = settings['method']['name']
    asked = [stated(method, constant) for constant in ('SOURCE', 'TEACHER')]
    folder = any(asked) and network(json.dumps(settings['net']))
    return (folder if asked[0] else donor), (folder if asked[1] else None)


def built(settings, donor=None):
    donor_dir, teacher_dir = places(settings, donor)
    return build.build(settings, donor_dir=donor_dir, teacher_dir=teacher_dir)


@functools.cache
def plain_run(method):
    """The run of a method's config as it is, built once for all tests of a process: they share what
    it compiles."""
    return built(config(method))


def maker(method):
    """The function of a neighbouring module that a method is made by, such as
    `adaptation.adapting`; its own name where there is none."""
    module = sys.modules[getattr(tljax.methods, method).__module__]
    shared = (
        'Perceptron',  # of methods that differ in what is asked of it
        'adapting',
        'compatible',
        'joint',
        'metric',
        'on_base_classes',
        'regularised',
        'shared_trunk',
    )
    makers = [name for name in shared if hasattr(module, name)]
    return makers[0] if makers else method


# Methods of one maker differ in one scalar or one comparison: where whole fits are compared, the
# first of them stands for all by default. Detectors compile for long.
FIRST = {maker(name): name for name in reversed(METHODS)}
LONG = ('single_shot', 'two_stage')
whole_fits = pytest.mark.parametrize(
    'method',
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in LONG or FIRST[maker(name)] != name))
        for name in METHODS
    ],
    scope='module',
)


# of the module, as are whole fits: the tests of a method follow each other
@pytest.fixture(params=METHODS, scope='module')
def method(request):
    return request.param


def first_state(run, method):
    """The state before the first step; what the phase before would have learnt is drawn at
    random."""
    params, state = jax.device_get(run.init(run.seeds[0]))
    params = paths.map_paths(
        lambda path, leaf: (
            np.random.default_rng(7).normal(size=leaf.shape).astype(leaf.dtype)
            if re.fullmatch(stated(method, 'FROZEN'), path)
            else leaf
        ),
        params,
    )
    return jax.device_get(
        TrainState(np.zeros((), np.int32), params, state, jax.jit(run.tx.init)(params))
    )


def parts(settings):
    """The parts that the run of a config is compiled from."""
    return build.parts(settings, *places(settings)).program(build.load(settings['data'])['train'])


def raw(run, i):
    """A batch as the step gets it, before `prepare`."""
    return run.stream.take(run.stream.index(0, i))


def stepped(run, state, i):
    """The state after step `i` of the run's own compiled step, and its loss."""
    state = jax.device_put(
        jax.tree.map(lambda leaf: np.asarray(leaf)[None], state),
        NamedSharding(make_mesh(), PartitionSpec()),
    )
    # an axis of steps, and one of seeds
    batch = jax.tree.map(lambda leaf: np.asarray(leaf)[None, None], raw(run, i))
    state, metrics = run.step.run(state, run.step.place(batch), np.zeros(1, np.uint32))
    return jax.tree.map(lambda leaf: leaf[0], jax.device_get(state)), np.asarray(
        metrics['loss']
    ).item()


def test_init_has_shapes_without_computing(method):
    run, program = plain_run(method), parts(config(method))
    shapes = jax.eval_shape(program.method.init, jax.random.key(0), run.stream.batch(0, 0))
    assert set(shapes[0]) and all(leaf.shape is not None for leaf in jax.tree.leaves(shapes))


def test_the_loss_is_finite_and_its_gradient_moves_every_leaf(method):
    """Adam moves a leaf whose gradient was ever other than zero, and no other."""
    run = plain_run(method)
    first = state = first_state(run, method)
    for i in range(2):
        state, loss = stepped(run, state, i)
        assert np.isfinite(loss)
    old, new = paths.flatten(first.params), paths.flatten(state.params)
    unchanged = {path for path in old if not (old[path] != new[path]).any()}
    assert unchanged == {path for path in old if re.fullmatch(stated(method, 'FROZEN'), path)}


@whole_fits
def test_one_batch_is_learnt(method, tmp_path):
    if re.fullmatch(stated(method, 'FROZEN', 'none'), 'head/kernel'):
        pytest.skip('its head is learnt in the phase before')
    run = plain_run(method)._replace(steps=120)
    one_batch = run.stream._replace(index=lambda seed, step: run.stream.index(seed, 0))
    log = records(fit_with_log(run._replace(stream=one_batch), tmp_path), 'training')
    kind = stated(method, 'BATCHES')
    if kind in ('boxes', 'unlabelled'):
        limit = {'boxes': 0.5, 'unlabelled': 0.8}[kind]
        assert log[-1]['loss'][0] < limit * log[0]['loss'][0]
        return
    accuracy = [record['accuracy'][0] for record in log]
    # queries are measured, which are not trained on
    assert accuracy[-1] > (0.6 if stated(method, 'BATCHES') == 'episodes' else 0.9)


@whole_fits
def test_frozen_leaves_stay_bit_equal_and_have_no_memory(method):
    has_maps = stated(method, 'BATCHES') == 'boxes'
    net = {'name': 'mlp', 'widths': [8, 8], 'norm': 'batch'}
    settings = config(
        method,
        **({} if has_maps else {'net': net}),
        partition={'name': 'freeze', 'until': 'block1' if has_maps else 'layer1'},
    )
    run, program = built(settings), parts(settings)
    before = after = first_state(run, method)
    step = jax.jit(make_step(program.method, program.tx, program.labels, program.prepare))
    for i in range(3):
        after, _ = step(after, raw(run, i), 0)
    after = jax.device_get(after)
    labels, old, new = (
        paths.flatten(tree) for tree in (program.labels, before.params, after.params)
    )
    assert all(
        (old[path] == new[path]).all() == (label == 'frozen') for path, label in labels.items()
    )
    moments = sum(leaf.size for leaf in jax.tree.leaves(before.opt_state) if leaf.ndim)
    trained = [leaf for path, leaf in old.items() if labels[path] != 'frozen']
    assert moments == 2 * sum(leaf.size for leaf in trained if leaf.ndim), (
        'Adam keeps two per trained weight'
    )
    if has_maps:
        return  # whose network here has no statistics
    statistics = jax.tree.map(
        lambda a, b: bool((a == b).all()), before.variables['backbone'], after.variables['backbone']
    )
    assert all(jax.tree.leaves(statistics['norm1']))
    assert len(set(jax.tree.leaves(statistics['norm2']))) == 1, (
        'a method stores the statistics of all layers that train, or of none'
    )


@whole_fits
def test_compiled_once(method, tmp_path):
    run = plain_run(method)
    count = run.step.run._cache_size()
    fit(run, tmp_path)
    assert run.step.run._cache_size() <= count + 1


@whole_fits
def test_a_cut_off_run_ends_bit_equal(method, tmp_path):
    run = plain_run(method)._replace(save_every=3)
    expected = fit(run, tmp_path / 'whole').params
    calls = []

    def take(index):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return run.stream.take(index)

    with pytest.raises(KeyboardInterrupt):
        fit(run._replace(stream=run.stream._replace(take=take)), tmp_path / 'cut')
    jax.tree.map(np.testing.assert_array_equal, expected, fit(run, tmp_path / 'cut').params)


@whole_fits
def test_two_seeds_in_one_call_equal_two_calls(method, tmp_path):
    pair = fit(built(config(method, seeds=[3, 5])), tmp_path / 'both').params
    for i, seed in enumerate((3, 5)):
        single = fit(built(config(method, seeds=[seed])), tmp_path / str(seed)).params
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b[0], rtol=1e-3, atol=1e-4),
            pair,
            single,
        )


FROZEN = {'partition': {'name': 'freeze', 'until': 'backbone'}}


@pytest.fixture(scope='module')
def donor(tmp_path_factory):
    path = tmp_path_factory.mktemp('donor')
    fit(build.build(tiny()), path)
    return path


@whole_fits
def test_cached_features_give_the_same_fit_where_the_method_allows_them(method, donor, tmp_path):
    if not stated(method, 'CACHED', True) or stated(method, 'PSEUDO'):
        pytest.skip('it states that it is never cached')
    runs = [built(config(method, cache=cache, **FROZEN), donor) for cache in (True, False)]
    assert [run.stream.batch(0, 0)['input'].ndim for run in runs] == [2, 4]
    fits = [fit(run, tmp_path / str(i)).params for i, run in enumerate(runs)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), *fits)


def test_a_method_that_states_it_is_never_cached(donor):
    name = next(
        name
        for name in METHODS
        if not stated(name, 'CACHED', True) and stated(name, 'BATCHES') == 'domains'
    )
    assert (
        build.build(config(name, cache=True, **FROZEN), donor_dir=donor)
        .stream.batch(0, 0)['input']
        .ndim
        == 4
    )


def fit_with_log(run, workdir):
    fit(run._replace(log_every=10), workdir)
    return workdir


def records(workdir, kind):
    from tljax.engine.log import read

    return [record for record in read(workdir / 'log.jsonl') if record['kind'] == kind]


def test_every_method_is_a_file_with_a_factory_of_its_name():
    for name in METHODS:
        module = getattr(tljax.methods, name).__module__
        assert module.rsplit('.', 1)[1] == name


def test_names_of_methods_are_unique_over_all_chapters():
    stems = [path.stem for path in Path(tljax.methods.__path__[0]).glob('*/[a-z]*.py')]
    assert {name: stems.count(name) for name in METHODS if stems.count(name) > 1} == {}
