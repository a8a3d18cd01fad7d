"""LoRA: its start, its gradients, what is merged at the end, and what it refuses."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import tiny

import tljax
from configs import base
from tljax import build
from tljax.configuration import call_named
from tljax.core import Tick, TrainState, UserError
from tljax.engine.step import make_step, over_seeds
from tljax.engine.train import fit
from tljax.methods.combinators import with_graft
from tljax.methods.fine_tuning.finetune import finetune
from tljax.methods.fine_tuning.with_lora import with_lora
from tljax.nn.convolution import convolve
from tljax.nn.layers import net as network
from tljax.nn.low_rank import LowRank
from tljax.paths import flatten, select
from tljax.weights import read_weights
from tljax.zoo import conv4, mlp, mobilenet
from tljax.zoo.families.vit import VisionTransformer, groups

TICK = Tick(jnp.zeros((), jnp.int32), jax.random.key(0))
WEIGHTS = Path(base.mobilenet_weights())
LORA = {'name': 'with_lora', 'method': {'name': 'finetune'}, 'rank': 2}
FROZEN = {'partition': {'name': 'freeze', 'until': 'backbone'}}


def drawn(tree, seed=0, scale=0.3):
    """Numbers in place of a tree's leaves."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: jnp.asarray(scale * rng.normal(size=leaf.shape), leaf.dtype), tree
    )


def pictures(size=8, channels=3, n=4):
    rng = np.random.default_rng(1)
    return {
        'input': rng.uniform(size=(n, size, size, channels)).astype('f'),
        'label': np.arange(n) % 3,
    }


def test_the_update_is_the_product_of_the_paper():
    """Equation 3 by NumPy, for a dense layer: h = W x + alpha / r * B A x, transposed."""
    method = with_lora(finetune(mlp((6,)), 3), rank=2, alpha=5.0)
    batch = {'input': np.ones((2, 4), 'f'), 'label': np.arange(2)}
    params, state = jax.jit(method.init)(jax.random.key(0), batch)
    params = {**params, 'lora': drawn(params['lora']), 'head': drawn(params['head'])}
    layer = params['backbone']['dense1']
    a, b = (np.asarray(params['lora']['backbone']['dense1']['kernel'][part]) for part in 'ab')
    hidden = np.maximum(batch['input'] @ (layer['kernel'] + 5 / 2 * a @ b) + layer['bias'], 0)
    expected = hidden @ params['head']['kernel'] + params['head']['bias']
    output = jax.jit(method.predict)(params, state, batch)['output']
    np.testing.assert_allclose(output, expected, rtol=1e-5)
    assert not np.allclose(b, 0) and method.final(params)['backbone']['dense1']['kernel'].shape


@pytest.mark.parametrize('strides, padding', [((1, 1), 'SAME'), ((2, 2), 'VALID')])
@pytest.mark.parametrize('shape, groups', [((1, 1, 4, 6), 1), ((3, 3, 4, 6), 1), ((3, 3, 2, 6), 2)])
def test_a_convolution_by_parts_is_the_convolution_by_the_sum(shape, groups, strides, padding):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, 7, 7, 4)), 'float32')
    kernel, a, b = (
        jnp.asarray(rng.normal(size=size), 'float32')
        for size in (shape, (*shape[:3], 2), (2, shape[3]))
    )
    plain = np.einsum('hwcr,rd->hwcd', a, b) + kernel
    np.testing.assert_allclose(
        convolve(x, LowRank(kernel, a, b), strides, padding, groups),
        convolve(x, plain, strides, padding, groups, 'plain'),
        rtol=1e-4,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    'net, size, channels',
    [
        (conv4(width=4, blocks=2, size=8), 8, 3),
        (network(VisionTransformer(8, 1, 2, 4, 8), 8, groups(1)), 8, 3),
    ],
    ids=['conv4', 'vit'],
)
def test_it_starts_as_its_method_and_the_final_network_is_the_one_that_was_trained(
    net, size, channels
):
    plain, method, batch = finetune(net, 3), with_lora(finetune(net, 3), 2), pictures(size)
    params, state = jax.jit(method.init)(jax.random.key(0), batch)
    params = {**params, 'head': drawn(params['head'])}
    plain_params = {name: params[name] for name in ('backbone', 'head')}
    predict, plain_predict = jax.jit(method.predict), jax.jit(plain.predict)
    start, expected = predict(params, state, batch), plain_predict(plain_params, state, batch)
    np.testing.assert_array_equal(start['output'], expected['output'])

    params = {**params, 'lora': drawn(params['lora'], scale=0.1)}
    trained = predict(params, state, batch)['output']
    final = method.final(params)
    assert jax.tree.structure(final) == jax.tree.structure(plain_params)
    np.testing.assert_allclose(
        plain_predict(final, state, batch)['output'], trained, rtol=1e-5, atol=1e-5
    )
    np.testing.assert_array_equal(  # a finished run is read by the same method
        predict(final, state, batch)['output'], plain_predict(final, state, batch)['output']
    )
    assert np.abs(trained - start['output']).max() > 1e-3


@pytest.mark.slow
@pytest.mark.skipif(not WEIGHTS.is_file(), reason='TLJAX_DATA has no weights of MobileNet')
@pytest.mark.parametrize('dtype, rounding', [('float64', 1e-12), ('float32', 2e-5)])
def test_the_real_mobilenet_is_merged(dtype, rounding):
    """Rounding is of 27 layers, relative to the largest output; a millionth is beyond float32."""
    donor = read_weights(mobilenet(alpha=0.25), str(WEIGHTS), top=False)
    with jax.enable_x64(dtype == 'float64'):
        plain = with_graft(finetune(mobilenet(alpha=0.25, dtype=dtype), 7), *donor)
        method, batch = with_lora(plain, rank=3, rules=['backbone/conv_pw.*']), pictures(96)
        batch['input'] = batch['input'].astype(dtype)
        params, state = jax.jit(method.init)(jax.random.key(0), batch)
        params = {**params, 'head': drawn(params['head'])}
        predict, plain_predict = jax.jit(method.predict), jax.jit(plain.predict)
        own = {name: params[name] for name in ('backbone', 'head')}
        start, expected = predict(params, state, batch), plain_predict(own, state, batch)
        np.testing.assert_array_equal(start['output'], expected['output'])
        params = {**params, 'lora': drawn(params['lora'], scale=0.05)}
        trained = predict(params, state, batch)['output']
        final = plain_predict(method.final(params), state, batch)['output']
    largest = np.abs(trained).max()
    assert np.abs(final - trained).max() < rounding * largest
    assert np.abs(trained - start['output']).max() > 0.1 * largest


def test_gradients_of_a_and_b_are_finite_differences():
    with jax.enable_x64(True):
        net = conv4(width=4, blocks=2, size=8, norm='layer', dtype=jnp.float64)
        batch = pictures()
        batch['input'] = batch['input'].astype(float)
        for merged in (False, True):
            method = with_lora(finetune(net, 3), rank=2, alpha=3.0, merged=merged)
            params, state = jax.jit(method.init)(jax.random.key(0), batch)
            params = jax.tree.map(
                lambda leaf: np.random.default_rng(leaf.size).normal(size=leaf.shape), params
            )
            loss = jax.jit(jax.value_and_grad(lambda p: method.loss(p, state, batch, TICK)[0]))
            grads = jax.device_get(loss(params)[1]['lora'])
            direction = drawn(grads, seed=3, scale=1.0)
            ahead, behind = (
                loss(
                    {
                        **params,
                        'lora': jax.tree.map(
                            lambda p, d, e=e: p + e * d, params['lora'], direction
                        ),
                    }
                )[0]
                for e in (1e-6, -1e-6)
            )
            along = sum(jax.tree.leaves(jax.tree.map(np.vdot, grads, direction)))
            np.testing.assert_allclose(along, (ahead - behind) / 2e-6, rtol=1e-6)
            assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(grads))


@pytest.mark.parametrize('parallel', ['jit', pytest.param('pmap', marks=pytest.mark.slow)])
def test_steps_move_a_b_and_the_head_alone(parallel, tmp_path):
    settings = tiny({'method': LORA, 'parallel': parallel, 'steps': 3}, FROZEN)
    run = build.build(settings)
    program = build.parts(settings).program(build.load(settings['data'])['train'])
    params, variables = run.init(0)
    first = TrainState(jnp.zeros((), jnp.int32), params, variables, run.tx.init(params))
    axis = 'data' if parallel == 'pmap' else None
    step = make_step(program.method, program.tx, program.labels, axis=axis)
    step = jax.pmap(step, axis, in_axes=(None, 0, None), out_axes=None) if axis else jax.jit(step)
    state = first
    for i in range(3):
        batch = run.stream.batch(0, i)
        batch = jax.tree.map(lambda leaf: leaf[None], batch) if axis else batch
        state, _ = step(state, batch, 0)
    old, new = flatten(jax.device_get(first.params)), flatten(jax.device_get(state.params))
    moved = {path for path in old if (old[path] != new[path]).any()}
    assert moved == {path for path in old if not path.startswith('backbone/')}
    variables, after = flatten(variables), flatten(state.variables)
    assert all((variables[path] == after[path]).all() for path in variables)
    adam = 2 * sum(leaf.size for path, leaf in old.items() if path in moved)
    assert adam == sum(leaf.size for leaf in jax.tree.leaves(run.tx.init(params)) if leaf.ndim)

    fitted = fit(run, tmp_path)  # the same three steps, and then the sums
    expected = flatten(jax.device_get(program.method.final(state.params)))
    assert flatten(fitted.params).keys() == expected.keys()
    for path, leaf in flatten(fitted.params).items():
        np.testing.assert_allclose(leaf[0], expected[path], atol=1e-6)
    assert build.build(settings).transferred[-1][:2] == (
        'lora',
        sum(leaf.size for leaf in select(params, 'lora/.*').values()),
    )


@pytest.mark.slow
def test_seeds_by_vmap_are_seeds_one_by_one():
    settings = tiny({'method': LORA, 'seeds': [3, 5]}, FROZEN)
    run = build.build(settings)
    program = build.parts(settings).program(build.load(settings['data'])['train'])
    states = [
        TrainState(jnp.zeros((), jnp.int32), *start, run.tx.init(start[0]))
        for start in (run.init(seed) for seed in (3, 5))
    ]
    step = make_step(program.method, program.tx, program.labels)
    batches = [run.stream.batch(seed, 0) for seed in (3, 5)]
    alone = [jax.jit(step)(*each)[0] for each in zip(states, batches, (3, 5), strict=True)]
    stack = lambda *leaves: jnp.stack(leaves)  # noqa: E731
    for mapped in (jax.vmap(step), over_seeds(step)):
        together = jax.jit(mapped)(
            jax.tree.map(stack, *states), jax.tree.map(stack, *batches), jnp.array([3, 5])
        )[0]
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5),
            together.params,
            jax.tree.map(stack, *(state.params for state in alone)),
        )


EPISODES = {
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
}
META = EPISODES | {'statistics': 'batch'}  # as MAML's inner loop has them
DOMAINS = {
    'data': {
        'name': 'domains',
        'source': {'name': 'glyphs', 'part': 'digits', 'size': 8, 'per_class': 10},
        'target': {'name': 'digits', 'size': 8},
    }
}


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    'method, data',
    [
        pytest.param(
            {**LORA, 'method': {'name': 'dann', 'width': 8}}, DOMAINS, id='dann', marks=SLOW
        ),
        pytest.param({**LORA, 'method': {'name': 'protonet'}}, EPISODES, id='protonet', marks=SLOW),
        pytest.param(
            {**LORA, 'method': {'name': 'maml'}, 'merged': True}, META, id='over maml', marks=SLOW
        ),
        pytest.param(
            {'name': 'maml', 'method': LORA, 'moves': '(lora|head)/.*'},
            META,
            id='in maml',
            marks=SLOW,
        ),
    ],
)
def test_other_methods_learn_by_it_and_the_run_is_loaded(method, data, tmp_path):
    settings = tiny(data, FROZEN, {'method': method, 'steps': 2})
    run = build.build(settings)
    start = run.init(0)[0]
    fitted = fit(run, tmp_path)
    model = tljax.load(tmp_path)
    jax.tree.map(np.testing.assert_array_equal, model.params, fitted.params)
    split = build.load(settings['data'])['test']
    from tljax.engine.evaluate import score
    from tljax.program import predictor

    values = score(predictor(model.record), model.params, model.state, split, 4)
    name = next(iter(values))
    np.testing.assert_allclose(values[name], fitted.scores['test'][name], atol=1e-6)
    inner = method['name'] == 'maml'
    assert ('lora' in fitted.params) == inner, 'an inner loop goes on from A and B'
    kernel = fitted.params['backbone']['conv2']['kernel'][0]
    assert (kernel == start['backbone']['conv2']['kernel']).all() == inner


def test_a_finished_run_predicts_and_is_a_donor_of_what_it_learnt(tmp_path):
    run = build.build(tiny({'method': LORA, 'steps': 30}, FROZEN))
    fitted = fit(run, tmp_path)
    model = tljax.load(tmp_path)
    test = build.load({'name': 'digits', 'size': 8})['test']
    inputs, label = (test.take(np.arange(200))[key] for key in ('input', 'label'))
    share = (model.predict(inputs).argmax(1) == label).mean()
    assert abs(share - fitted.scores['test']['accuracy'][0]) < 0.1
    donor = build.build(tiny({'init': {'path': str(tmp_path)}}))
    grafted = donor.init(0)[0]['backbone']['conv2']['kernel']
    np.testing.assert_array_equal(grafted, model.params['backbone']['conv2']['kernel'][0])
    assert not np.array_equal(grafted, run.init(0)[0]['backbone']['conv2']['kernel'])


@pytest.mark.slow
def test_a_frozen_backbone_under_lora_is_not_cached(tmp_path):
    fit(build.build(tiny()), tmp_path)
    changes = {'method': LORA, 'cache': True, 'init': {'path': str(tmp_path)}}
    assert build.build(tiny(changes, FROZEN)).stream.batch(0, 0)['input'].ndim == 4


def test_weight_decay_of_a_and_b_is_no_decay_of_their_product():
    """What the docstring warns of, in numbers: the product loses two shares, not one."""
    method = with_lora(finetune(mlp((4,)), 2), rank=1)
    batch = {'input': np.ones((1, 4), 'f'), 'label': np.zeros(1, int)}
    params = drawn(jax.jit(method.init)(jax.random.key(0), batch)[0]['lora'])
    shrunk = jax.tree.map(lambda leaf: (1 - 0.1) * leaf, params)
    old, new = (tree['backbone']['dense1']['kernel'] for tree in (params, shrunk))
    np.testing.assert_allclose(new['a'] @ new['b'], 0.81 * old['a'] @ old['b'], rtol=1e-6)
    groups = {'lora': {'weight_decay': 0.0}}
    settings = tiny({'method': LORA, 'groups': groups, 'optim': {'weight_decay': 0.5}}, FROZEN)
    run = build.build(settings)
    start = run.init(0)[0]
    updates = run.tx.update(jax.tree.map(jnp.zeros_like, start), run.tx.init(start), start)[0]
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(updates['lora']))


@pytest.mark.parametrize(
    'keywords, said',
    [
        ({'rank': 0}, 'method.rank=0: give 1 or more'),
        (
            {'rank': 9},
            'method.rank=9 is above 8, the rank of backbone/conv1/kernel (3, 3, 3, 8): give at '
            'most 8',
        ),
        (
            {'rules': ['backbone/conv_dw_1/kernel']},
            'backbone/conv_dw_1/kernel (3, 3, 1, 8) is depthwise',
        ),
        ({'rules': ['backbone/conv_qw.*']}, "'backbone/conv_qw.*' matches no kernel"),
        ({'rules': ['backbone/conv1_bn/.*']}, "'backbone/conv1_bn/.*' matches no kernel"),
        ({'rules': ['backbone/(']}, "'backbone/(' is no pattern"),
    ],
)
def test_what_has_no_low_rank_is_refused(keywords, said):
    with pytest.raises(UserError) as refused:
        method = with_lora(finetune(mobilenet(alpha=0.25), 3), **keywords)
        jax.eval_shape(method.init, jax.random.key(0), pictures(32))
    assert said in str(refused.value) and '\n' not in str(refused.value)


def test_counts_on_mobilenet():
    """The 1x1 convolutions of MobileNet 0.25, counted by hand: the sum of inputs and outputs."""
    widths = [8, 16, 32, 32, 64, 64, *[128] * 6, 256, 256]
    sums = sum(a + b for a, b in zip(widths, widths[1:], strict=False))
    for rank in (1, 2, 4):
        spec = {
            'name': 'with_lora',
            'method': {'name': 'finetune'},
            'rank': rank,
            'rules': ['backbone/conv_pw.*'],
        }
        method = call_named('tljax.methods', spec, 'method', net=mobilenet(alpha=0.25), classes=7)
        params = jax.eval_shape(method.init, jax.random.key(0), pictures(32))[0]
        assert sum(leaf.size for leaf in jax.tree.leaves(params['lora'])) == rank * sums
    assert sums == 2728
    assert sum(leaf.size for leaf in jax.tree.leaves(params['backbone'])) == 213072
