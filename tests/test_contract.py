"""What every method of `tljax/methods` promises, found by itself: a new file there is tested here without a word.

A method whose batches are not one labelled set names what its config needs in CASES.
"""
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import tiny

import tljax.methods
from tljax import build, paths
from tljax.core import Tick, TrainState
from tljax.step import make_step
from tljax.train import fit

METHODS = sorted(path.stem for path in Path(tljax.methods.__path__[0]).glob('[a-z]*.py'))
EPISODES = {'data': {'name': 'episodes', 'of': {'name': 'digits', 'size': 8}, 'by_class': {'test': .4}, 'ways': 3, 'shots': 2,
                     'queries': 3, 'count': 4}, 'batch': 2}
DOMAINS = {'data': {'name': 'domains', 'source': {'name': 'glyphs', 'part': 'digits', 'size': 8, 'per_class': 10},
                     'target': {'name': 'digits', 'size': 8}}}
PICTURES = {'data': {**EPISODES['data'], 'pictures': True}}
CASES = {**{name: EPISODES for name in ('maml', 'matching', 'metaoptnet', 'protonet', 'ridge', 'siamese')},   # changes of the config
         **{name: DOMAINS for name in ('adabn', 'adda', 'cdan', 'cmd', 'dan', 'dann', 'ddc', 'deep_coral', 'domain_confusion', 'jan', 'mcd',
                                        'self_training')},
         **{name: PICTURES for name in ('baseline_plus_plus', 'simpleshot')},
         'fixmatch': {'data': {'name': 'semi_supervised', 'of': {'name': 'digits', 'size': 8}},
                      'method': {'name': 'fixmatch', 'weak': [], 'strong': []}},
         'shot': {'pseudo': {'name': 'given'}},
         'relation': {**EPISODES, 'optim': {'lr': 3e-3}, 'method': {'name': 'relation', 'width': 32}},
         'reptile': {**EPISODES, 'method': {'name': 'reptile', 'steps': 10, 'rate': 1e-2}}}
TRANSDUCTIVE = ('maml', 'reptile')   # BatchNorm never stores statistics
INVARIANT = {'adda': '(head|source)/.*'}   # method -> regex of parameters that its loss does not depend on


def config(method, **changes):
    return tiny({'method': {'name': method}, 'steps': 8}, CASES.get(method, {}), changes)


# what is made by `adaptation.adapting` differs in one scalar, what is made by `episodic.metric` in one comparison: where whole fits are
# compared, dann, cdan and protonet stand for the others by default
ALIKE = ('adabn', 'cmd', 'dan', 'ddc', 'deep_coral', 'domain_confusion', 'jan', 'self_training',
         'baseline_plus_plus', 'matching', 'metaoptnet', 'relation', 'ridge', 'siamese')
whole_fits = pytest.mark.parametrize('method', [pytest.param(name, marks=[pytest.mark.slow] * (name in ALIKE)) for name in METHODS])


@pytest.fixture(params=METHODS)
def method(request):
    return request.param


def first_state(run):
    params, state = run.init(run.seeds[0])
    return TrainState(jnp.zeros((), jnp.int32), params, state, run.tx.init(params))


def pieces(settings):
    """The run of a config and the parts that it was compiled from."""
    program = build.program(settings, build.load(settings['data'])['train'])
    return build.build(settings), program


def raw(run, i):
    """A batch as the step gets it, before `prepare`."""
    return run.source.take(run.source.index(0, i))


def test_init_has_shapes_without_computing(method):
    run, program = pieces(config(method))
    shapes = jax.eval_shape(program.method.init, jax.random.key(0), run.source.batch(0, 0))
    assert set(shapes[0]) and all(leaf.shape is not None for leaf in jax.tree.leaves(shapes))


def test_loss_is_a_finite_scalar_and_its_gradient_reaches_every_leaf(method):
    run, program = pieces(config(method))
    state, reached = first_state(run), set()
    step = jax.jit(make_step(program.method, program.tx, program.labels, program.prepare))
    gradient = jax.jit(jax.value_and_grad(lambda p, s, b, t: program.method.loss(p, s, b, t)[0]))
    for i in range(2):
        batch = run.source.batch(0, i)
        value, grads = gradient(state.params, state.state, batch, Tick(state.step, jax.random.key(i)))
        assert value.shape == () and np.isfinite(value)
        reached |= {path for path, leaf in paths.flatten(grads).items() if np.abs(leaf).max() > 0}
        state, _ = step(state, raw(run, i), 0)
    missed = set(paths.flatten(state.params)) - reached
    assert not {path for path in missed if not paths.first([(INVARIANT.get(method, ''), 'x')], path)}, missed


@whole_fits
def test_one_batch_is_learnt(method, tmp_path):
    if method == 'adda':
        pytest.skip('its first stage learns: tests/test_adaptation.py')
    few = {'steps': 150} if method in CASES and method != 'shot' else {'steps': 60, 'batch': 16, 'per_class': 1}
    run = build.build(config(method, **few))
    accuracy = [record['accuracy'][0] for record in records(fit_with_log(run, tmp_path), 'training') if 'accuracy' in record]
    assert accuracy[-1] > (.6 if method in CASES and method != 'shot' else .9)   # episodes are never seen twice


def test_frozen_leaves_stay_bit_equal_and_have_no_memory(method):
    run, program = pieces(config(method, partition={'name': 'freeze', 'until': 'block1'}))
    before = first_state(run)
    step = jax.jit(make_step(program.method, program.tx, program.labels, program.prepare))
    after = before
    for i in range(3):
        after, _ = step(after, raw(run, i), 0)
    labels, old, new = (paths.flatten(tree) for tree in (program.labels, before.params, after.params))
    unmoved = {path for path, label in labels.items() if label == 'frozen' or paths.first([(INVARIANT.get(method, ''), 'x')], path)}
    assert all((old[path] == new[path]).all() == (path in unmoved) for path in labels)
    moments = sum(leaf.size for leaf in jax.tree.leaves(before.opt_state) if leaf.ndim)
    trained = [leaf for path, leaf in old.items() if labels[path] != 'frozen']
    assert moments == 2 * sum(leaf.size for leaf in trained if leaf.ndim), 'Adam keeps two per trained weight'
    statistics = jax.tree.map(lambda a, b: bool((a == b).all()), before.state['backbone'], after.state['backbone'])
    if method in TRANSDUCTIVE:
        assert all(jax.tree.leaves(statistics))
        return
    assert all(jax.tree.leaves(statistics['norm1'])) and not any(jax.tree.leaves(statistics['norm2']))


@whole_fits
def test_compiled_once(method, tmp_path):
    run = build.build(config(method))
    count = run.step.run._cache_size()
    fit(run, tmp_path)
    assert run.step.run._cache_size() <= count + 1


@whole_fits
def test_a_cut_off_run_ends_bit_equal(method, tmp_path):
    settings = config(method, save_every=3)
    whole = fit(build.build(settings), tmp_path / 'whole').params
    run = build.build(settings)
    calls = []

    def take(index):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return run.source.take(index)

    with pytest.raises(KeyboardInterrupt):
        fit(run._replace(source=run.source._replace(take=take)), tmp_path / 'cut')
    jax.tree.map(np.testing.assert_array_equal, whole, fit(run, tmp_path / 'cut').params)


@whole_fits
def test_two_seeds_in_one_call_equal_two_calls(method, tmp_path):
    both = fit(build.build(config(method, seeds=[3, 5])), tmp_path / 'both').params
    for i, seed in enumerate((3, 5)):
        alone = fit(build.build(config(method, seeds=[seed])), tmp_path / str(seed)).params
        jax.tree.map(lambda a, b, i=i: np.testing.assert_allclose(a[i], b[0], rtol=1e-3, atol=1e-4), both, alone)


def fit_with_log(run, workdir):
    fit(run._replace(log_every=10), workdir)
    return workdir


def records(workdir, kind):
    from tljax.log import read
    return [record for record in read(workdir / 'log.jsonl') if record['kind'] == kind]


def test_every_method_is_a_file_with_a_factory_of_its_name():
    for name in METHODS:
        assert callable(getattr(__import__(f'tljax.methods.{name}', fromlist=[name]), name))
