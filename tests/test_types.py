"""Methods of many kinds, each in a few lines of the core types: episodes, nested gradients, players
that take turns, low-rank updates, two streams."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from tljax import paths
from tljax.core import Method, Net, Stream, Tick, TrainState
from tljax.data.formats.arrays import arrays
from tljax.data.streams import draw
from tljax.engine import optim
from tljax.engine.devices import compile_jit, compile_predict, make_mesh
from tljax.engine.step import make_step, many_steps, over_seeds
from tljax.engine.train import Run, fit
from tljax.losses import cross_entropy
from tljax.methods import combinators
from tljax.methods.fine_tuning.finetune import finetune
from tljax.methods.penalties.l2_sp import l2_sp


def mlp(width=6):
    """A toy network of two smooth layers, as wide as its inputs."""

    def init(key, input):
        one, two = 0.5 * jax.random.normal(key, (2, width, width))
        return {
            name: {'kernel': kernel, 'bias': jnp.zeros(width)}
            for name, kernel in (('one', one), ('two', two))
        }, {}

    def features(params, state, input, key=None):
        one = jnp.tanh(input @ params['one']['kernel'] + params['one']['bias'])
        return {
            'one': one,
            'features': jnp.tanh(one @ params['two']['kernel'] + params['two']['bias']),
        }, state

    return Net(init, features, width, {'one': 'one/.*', 'two': 'two/.*'})


def protonet(net):
    """Snell et al. 2017: classes are the means of their supports, logits minus squared
    distances."""

    def logits(params, state, batch):
        def episode(support, query):
            s, q = (
                net.features(params['backbone'], state, part['input'])[0]['features']
                for part in (support, query)
            )
            onehot = jax.nn.one_hot(support['label'], 3)
            prototypes = onehot.T @ s / onehot.sum(0)[:, None]
            return -jnp.sum((q[:, None] - prototypes) ** 2, -1)

        return jax.vmap(episode)(batch['support'], batch['query'])

    def init(key, batch):
        params, state = net.init(key, batch['support']['input'][0])
        return {'backbone': params}, state

    def loss(params, state, batch, tick):
        value = cross_entropy(logits(params, state, batch), batch['query']['label']).mean()
        return value, (state, {})

    return Method(
        init, loss, lambda p, s, b: {'output': logits(p, s, b), 'label': b['query']['label']}
    )


def maml(method, rate, inner):
    """Finn et al. 2017, over any method's loss: one gradient step on the support set for the paths
    that `inner` picks."""

    def adapt(params, state, support, tick):
        grads = jax.grad(lambda p: method.loss(p, state, support, tick)[0])(params)
        return paths.map_paths(
            lambda path, p: (
                p - rate * paths.flatten(grads)[path] if re.fullmatch(inner, path) else p
            ),
            params,
        )

    def loss(params, state, batch, tick):
        def task(number, support, query):
            task_tick = tick._replace(key=jax.random.fold_in(tick.key, number))
            return method.loss(adapt(params, state, support, task_tick), state, query, task_tick)[0]

        return jax.vmap(task)(
            jnp.arange(len(batch['query']['label'])), batch['support'], batch['query']
        ).mean(), (state, {})

    return Method(
        lambda key, batch: method.init(key, jax.tree.map(lambda x: x[0], batch['support'])),
        loss,
        method.predict,
    )


def mcd(net, classes):
    """Saito et al. 2018: both heads learn the source; then they disagree on the target; then the
    backbone makes them agree."""

    def init(key, batch):
        params, state = net.init(key, batch['input'])
        heads = jax.random.normal(jax.random.fold_in(key, 1), (2, net.dim, classes))
        return {
            'backbone': params,
            'head1': {'kernel': heads[0]},
            'head2': {'kernel': heads[1]},
        }, state

    def loss(params, state, batch, tick):
        inputs = jnp.concatenate([batch['input'], batch['target']['input']])
        f = net.features(params['backbone'], state, inputs)[0]['features']
        logits = [f @ params[head]['kernel'] for head in ('head1', 'head2')]
        n = len(batch['label'])
        source = sum(cross_entropy(values[:n], batch['label']).mean() for values in logits)
        discrepancy = jnp.abs(jax.nn.softmax(logits[0][n:]) - jax.nn.softmax(logits[1][n:])).mean()
        value = jax.lax.switch(
            tick.step % 3, [lambda: source, lambda: source - discrepancy, lambda: discrepancy]
        )
        return value, (state, {'discrepancy': discrepancy})

    return Method(init, loss, None)


def with_lora(method, pattern, rank=1):
    """Hu et al. 2021: W + B A in place of W on the way into a method; rules then train `lora`
    alone."""

    def merged(params):
        base, lora = (
            {k: v for k, v in params.items() if k != 'lora'},
            flatten_dict(params['lora'], sep='/'),
        )
        return paths.map_paths(
            lambda path, w: w + lora[f'{path}/b'] @ lora[f'{path}/a'] if f'{path}/a' in lora else w,
            base,
        )

    def init(key, batch):
        params, state = method.init(key, batch)
        lora = {
            f'{path}/{part}': jnp.zeros((w.shape[0], rank))
            if part == 'b'
            else jax.random.normal(key, (rank, w.shape[1]))
            for path, w in paths.select(params, pattern).items()
            for part in ('a', 'b')
        }
        return {**params, 'lora': unflatten_dict(lora, sep='/')}, state

    return Method(
        init,
        *(
            lambda params, *rest, f=f: f(merged(params), *rest)
            for f in (method.loss, method.predict)
        ),
    )


def blobs(n=60, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 3
    return arrays(
        (np.eye(3, 6)[label] * 2 + shift + 0.3 * rng.normal(size=(n, 6))).astype('f'),
        label,
        ('a', 'b', 'c'),
    )


def episodes(data, tasks=4, shots=2):
    """A source of episodes, (tasks, 3 * shots) support and query examples, by random access."""

    def index(seed, step):
        rng = np.random.default_rng([seed, step])
        members = [np.flatnonzero(data.label == c) for c in range(3)]
        return np.stack(
            [[rng.permutation(rows)[: 2 * shots] for rows in members] for _ in range(tasks)]
        )

    def take(index):
        def part(rows):
            rows = data.take(rows.reshape(-1))
            return jax.tree.map(
                lambda leaf: leaf.reshape(len(index), 3 * shots, *leaf.shape[1:]), rows
            )

        return {'support': part(index[..., :shots]), 'query': part(index[..., shots:])}

    return Stream(index, take)


def make_run(
    method,
    source,
    steps,
    rules=(optim.REST,),
    seeds=(0,),
    make=lambda label: optax.sgd(0.1),
    evals=None,
    **more,
):
    batch = source.batch(seeds[0], 0)
    labels = paths.label(jax.eval_shape(method.init, jax.random.key(0), batch)[0], rules)
    tx = optim.optimizer(labels, make)
    step = compile_jit(many_steps(over_seeds(make_step(method, tx, labels))), make_mesh())
    init = jax.jit(method.init)
    return Run(
        'toy',
        lambda seed: init(jax.random.key(seed), batch),
        tx,
        step,
        compile_predict(method.predict, make_mesh()),
        source,
        evals or {},
        seeds,
        steps,
        **more,
    )


def test_protonet_learns_episodes(tmp_path):
    run = make_run(
        protonet(mlp()), source := episodes(blobs()), 60, make=lambda label: optax.adam(1e-2)
    )
    params = jax.tree.map(lambda leaf: leaf[0], fit(run, tmp_path).params)
    out = jax.jit(protonet(mlp()).predict)(params, {}, source.batch(9, 999))
    assert (np.argmax(out['output'], -1) == out['label']).mean() > 0.9


@pytest.mark.parametrize('inner', ['.*', 'head/.*'])  # MAML, ANIL
def test_maml_gradient_equals_finite_differences(inner):
    with jax.enable_x64(True):
        method = maml(finetune(mlp(), 3), 0.5, inner)
        batch = jax.tree.map(
            lambda leaf: np.asarray(leaf, np.float64) if leaf.dtype == np.float32 else leaf,
            episodes(blobs()).batch(0, 0),
        )
        params, state = jax.tree.map(
            lambda leaf: np.asarray(leaf, np.float64),
            jax.jit(method.init)(jax.random.key(0), batch),
        )
        tick = Tick(jnp.zeros((), int), jax.random.key(0))
        value_and_grad = jax.jit(
            jax.value_and_grad(lambda p: method.loss(p, state, batch, tick)[0])
        )
        rng = np.random.default_rng(1)
        direction = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), params)
        ahead, behind = (
            float(value_and_grad(jax.tree.map(lambda p, d, e=e: p + e * d, params, direction))[0])
            for e in (1e-5, -1e-5)
        )
        along = jax.tree.map(lambda g, d: np.vdot(g, d), value_and_grad(params)[1], direction)
        assert sum(jax.tree.leaves(along)) == pytest.approx((ahead - behind) / 2e-5, rel=1e-6)


def test_mcd_players_take_turns_and_the_resting_one_is_untouched():
    two = two_streams(blobs(), blobs(40, shift=0.5))
    turns = {
        'backbone': lambda: optax.sgd(0.1),
        'head1': lambda: optim.take_turns(optax.adam(0.1), 3, 1),
        'head2': lambda: optax.sgd(0.1),
    }
    run = make_run(mcd(mlp(), 3), two, 3, make=lambda label: turns[label]())
    params, state = run.init(0)
    step = jax.jit(make_step(mcd(mlp(), 3), run.tx, paths.label(params, [optim.REST])))
    state_0 = TrainState(jnp.zeros((), jnp.int32), params, state, jax.jit(run.tx.init)(params))
    state_1, metrics = step(state_0, two.batch(0, 0), 0)
    assert metrics['discrepancy'] > 0
    assert (state_1.params['head1']['kernel'] == params['head1']['kernel']).all(), (
        'head1 rests on step 0'
    )
    assert not (state_1.params['head2']['kernel'] == params['head2']['kernel']).all()
    state_2, _ = step(state_1, two.batch(0, 1), 0)
    assert not (state_2.params['head1']['kernel'] == params['head1']['kernel']).all(), (
        'head1 plays on step 1'
    )


def two_streams(source, target, batch=12):
    """Two domains, each with its own epochs; the target's labels are left out."""
    streams = draw(source, batch, stream=0), draw(target, batch, stream=1)
    return Stream(
        lambda seed, step: tuple(stream.index(seed, step) for stream in streams),
        lambda index: {
            **streams[0].take(index[0]),
            'target': {'input': streams[1].take(index[1])['input']},
        },
    )


def test_two_streams_of_unequal_length_keep_their_own_epochs():
    source = two_streams(blobs(60), blobs(40), batch=20)
    indices = [source.index(0, step) for step in range(6)]
    for stream, size in ((0, 60), (1, 40)):
        rows = np.concatenate([index[stream] for index in indices])
        assert all(
            sorted(rows[start : start + size]) == list(range(size)) for start in range(0, 120, size)
        )
    assert set(source.batch(0, 0)['target']) == {'input'}


def test_lora_starts_as_its_method_and_trains_its_own_leaves_alone(tmp_path):
    base, source = finetune(mlp(), 3), draw(blobs(), 30)
    method = with_lora(base, 'backbone/.*kernel')
    batch = source.batch(0, 0)
    params, state = jax.jit(method.init)(jax.random.key(0), batch)
    base_params = {k: v for k, v in params.items() if k != 'lora'}
    lora_output, base_output = (
        jax.jit(predict)(values, state, batch)['output']
        for predict, values in ((method.predict, params), (base.predict, base_params))
    )
    np.testing.assert_array_equal(lora_output, base_output)
    run = make_run(
        method, source, 20, rules=[('lora/.*', 'lora'), ('head/.*', 'head'), ('.*', 'frozen')]
    )
    new_params = jax.tree.map(lambda leaf: leaf[0], fit(run, tmp_path).params)
    assert jax.tree.all(
        jax.tree.map(lambda a, b: bool((a == b).all()), new_params['backbone'], params['backbone'])
    )
    assert all((leaf != 0).any() for leaf in jax.tree.leaves(new_params['lora']))


def test_a_penalty_on_a_graft_measures_the_distance_from_the_donor():
    source = draw(blobs(), 30)
    donor = jax.jit(finetune(mlp(), 3).init)(jax.random.key(7), source.batch(0, 0))
    grafted = combinators.with_graft(finetune(mlp(), 3), *donor)
    method = combinators.with_penalty(grafted, l2_sp(alpha=2.0, beta=0.0))
    params, state = jax.jit(method.init)(jax.random.key(0), source.batch(0, 0))
    state = method.remember(params, state, None)
    shifted = jax.tree.map(lambda leaf: np.asarray(leaf) + 1, params)
    tick = Tick(jnp.zeros((), int), jax.random.key(0))
    penalised_loss, loss = (
        float(jax.jit(case_method.loss)(shifted, case_state, source.batch(0, 0), tick)[0])
        for case_method, case_state in ((method, state), (grafted, {'backbone': {}}))
    )
    assert penalised_loss - loss == pytest.approx(
        sum(leaf.size for leaf in jax.tree.leaves(params['backbone'])), rel=1e-5
    )


def test_two_seeds_in_one_fit_equal_two_fits(tmp_path):
    source = draw(blobs(), 12, k=5)
    joint_params = fit(
        make_run(finetune(mlp(), 3), source, 15, seeds=(3, 4)), tmp_path / 'both'
    ).params
    for i, seed in enumerate((3, 4)):
        params = fit(
            make_run(finetune(mlp(), 3), source, 15, seeds=(seed,))._replace(
                init=lambda seed: jax.jit(finetune(mlp(), 3).init)(
                    jax.random.key(seed), source.batch(3, 0)
                )
            ),
            tmp_path / str(seed),
        ).params
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b[0], atol=1e-6),
            joint_params,
            params,
        )


def test_many_steps_in_one_call_equal_one_step_a_call(tmp_path):
    source = draw(blobs(), 12)
    one = fit(make_run(finetune(mlp(), 3), source, 17), tmp_path / 'one').params
    five = fit(make_run(finetune(mlp(), 3), source, 17, chunk=5), tmp_path / 'five').params
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), one, five)


class Cut(Exception):
    pass


def test_a_fit_that_was_cut_off_ends_bit_equal(tmp_path):
    data = blobs()
    expected = fit(
        make_run(
            finetune(mlp(), 3),
            draw(data, 12),
            20,
            save_every=4,
            make=lambda label: optax.adam(1e-2),
        ),
        tmp_path / 'whole',
    )

    def take_until_cut(rows, calls=[]):  # noqa: B006
        calls.append(rows)
        if len(calls) == 14:
            raise Cut
        return data.take(rows)

    interrupted = draw(data, 12)._replace(take=take_until_cut)
    with pytest.raises(Cut):
        fit(
            make_run(
                finetune(mlp(), 3),
                interrupted,
                20,
                save_every=4,
                make=lambda label: optax.adam(1e-2),
            ),
            tmp_path / 'cut',
        )
    resumed = fit(
        make_run(
            finetune(mlp(), 3),
            draw(data, 12),
            20,
            save_every=4,
            make=lambda label: optax.adam(1e-2),
        ),
        tmp_path / 'cut',
    )
    jax.tree.map(np.testing.assert_array_equal, expected.params, resumed.params)
