"""What a config names: nested configs, arguments that come later, and what is refused."""

import jax
import numpy as np
import pytest

from tljax.configuration import DATA, DEFAULTS, bind_named, call_each, call_named, settings
from tljax.core import Tick, UserError
from tljax.data import digits
from tljax.parts import load
from tljax.recent import Recent, hashable
from tljax.zoo import mlp


def test_a_nested_config_is_resolved_from_the_inside_out():
    spec = {
        'name': 'episodes',
        'of': {'name': 'resampled', 'of': {'name': 'digits', 'size': 8}, 'size': 6, 'channels': 1},
        'ways': 3,
        'queries': 2,
        'by_class': {'test': 0.4},
    }
    splits = call_named(DATA, spec, 'data')
    assert splits['test'].take([0])['query']['input'].shape == (1, 3, 2, 6, 6, 1)


def test_of_is_the_first_argument_and_may_be_called_by_its_name():
    whole = {'name': 'mobilenet', 'alpha': 0.25}
    by_of, by_name = (
        call_named(
            'tljax.zoo', {'name': 'truncated', key: whole, 'tap': 'block1', 'size': 32}, 'net'
        )
        for key in ('of', 'net')
    )
    assert by_of.fingerprint == by_name.fingerprint and by_of.whole.dim == 256


def test_what_comes_later_goes_to_the_innermost_function():
    make = bind_named(
        'tljax.zoo',
        {'name': 'by_domain', 'of': {'name': 'mlp', 'widths': [3], 'norm': 'batch'}},
        'net',
        'stored',
    )
    kept = []
    net = make(stored=lambda layer: kept.append(layer))
    params, state = jax.eval_shape(net.init, jax.random.key(0), np.ones((2, 4)))
    jax.eval_shape(net.features, params, state, np.ones((2, 4)), jax.random.key(0))
    assert set(kept) == {'norm1'}, 'the perceptron was given the predicate'


def test_a_function_of_fixed_features_takes_a_network_of_another_package():
    with pytest.raises(UserError, match='no published ImageNet weights'):
        call_named(
            DATA, {'name': 'extracted', 'of': {'name': 'digits'}, 'net': {'name': 'conv4'}}, 'data'
        )


@pytest.mark.parametrize(
    'spec, said',
    [
        (
            {'name': 'episode', 'of': {'name': 'digits'}},
            "data.name='episode' is unknown: did you mean episodes?",
        ),
        (
            {'name': 'episodes', 'of': {'name': 'digit'}},
            "data.of.name='digit' is unknown: did you mean digits?",
        ),
        (
            {'name': 'episodes', 'of': {'name': 'digits', 'sise': 8}},
            'data.of.sise is unknown to digits: did you mean size?',
        ),
        ({'name': 'episodes', 'off': {'name': 'digits'}}, 'data.off is unknown to episodes'),
        (
            {'name': 'domains', 'source': {'name': 'digits'}},
            'data: domains needs target: give data.target',
        ),
        ({'name': 'episodes'}, 'data: episodes needs splits: give data.splits'),
    ],
)
def test_what_does_not_fit_is_refused_by_its_place(spec, said):
    with pytest.raises(UserError) as refused:
        call_named(DATA, spec, 'data')
    assert said in str(refused.value)


def test_lists_of_augmentations_are_resolved_too():
    method = call_named(
        'tljax.methods',
        {'name': 'fixmatch', 'weak': ['flip'], 'strong': [{'name': 'crop', 'padding': 1}]},
        'method',
        net=mlp(),
        classes=3,
    )
    assert (
        callable(method.loss)
        and len(call_each('tljax.nn.augment', ['flip', 'crop'], 'augment')) == 2
    )
    with pytest.raises(UserError, match="method.weak.name='flap' is unknown: did you mean flip?"):
        call_named(
            'tljax.methods', {'name': 'fixmatch', 'weak': ['flap']}, 'method', net=mlp(), classes=3
        )


def test_equal_configs_share_an_object_and_the_oldest_is_forgotten():
    recent, made = Recent(most=2), []

    def get(config):
        return recent.get(config, lambda: made.append(config) or object())

    first = get({'a': [1, 2], 'b': {'c': None}})
    assert get({'b': {'c': None}, 'a': (1, 2)}) is first and len(made) == 1
    get({'a': 1})
    assert get({'a': [1, 2], 'b': {'c': None}}) is first
    get({'a': 2})
    assert get({'a': [1, 2], 'b': {'c': None}}) is first, 'what was asked for last is kept longest'
    get({'a': 1})
    assert len(made) == 4
    assert hashable({'x': [1]}) != hashable({'x': [2]})


def test_the_defaults_stand_once():
    from configs import base
    from tljax.configuration import phases, plain

    assert phases(plain(base.get_config())) == [('train', settings())]
    assert (
        settings(optim={'lr': 5.0})['optim'] == {**DEFAULTS['optim'], 'lr': 5.0}
        and DEFAULTS['optim']['lr'] == 1e-3
    )


def test_wrappers_are_functions_of_data_sets():
    from tljax.data import domains, semi_supervised

    splits = digits(size=8)
    assert (
        domains(splits, splits)['train'].target is splits['train']
        and semi_supervised(splits)['test'] is splits['test']
    )


def test_a_method_over_a_method_gives_net_and_classes_to_the_inner_one(monkeypatch):
    """What a combinator in a file of its own gets: the method that the inner config describes."""
    import tljax.methods

    def with_scale(method, factor=1.0):
        """A method whose loss is multiplied."""

        def loss(*arguments):
            value, rest = method.loss(*arguments)
            return factor * value, rest

        return method._replace(loss=loss)

    monkeypatch.setattr(tljax.methods, 'with_scale', with_scale, raising=False)
    monkeypatch.setattr(tljax.methods, '__dir__', lambda: ['finetune', 'with_scale'])
    spec = {'name': 'with_scale', 'method': {'name': 'finetune', 'smoothing': 0.1}, 'factor': 3.0}
    plain, scaled = (
        call_named('tljax.methods', each, 'method', net=mlp(widths=(4,)), classes=2)
        for each in (spec['method'], spec)
    )
    batch = {'input': np.eye(2, dtype='f'), 'label': np.arange(2)}
    params, state = jax.jit(plain.init)(jax.random.key(0), batch)
    ours, alone = (
        float(jax.jit(each.loss)(params, state, batch, Tick(0, jax.random.key(0)))[0])
        for each in (scaled, plain)
    )
    assert ours == pytest.approx(3 * alone)
    with pytest.raises(
        UserError, match='method.method.smothing is unknown to finetune: did you mean smoothing?'
    ):
        call_named(
            'tljax.methods',
            {**spec, 'method': {'name': 'finetune', 'smothing': 0.1}},
            'method',
            net=mlp(),
            classes=2,
        )


def test_a_task_is_said_by_the_loader_and_may_be_overridden(tmp_path):
    from tiny import tiny

    from tljax.build import build
    from tljax.engine.train import fit

    numbers = tiny({'data': {'name': 'digits', 'size': 8, 'task': 'numbers'}})
    run = build(numbers)
    assert run.classes == () and run.stream.batch(0, 0)['label'].dtype == np.float32
    assert list(fit(run, tmp_path).scores['test']) == ['rmse']
    np.savez(tmp_path / 'floats.npz', input=np.zeros((40, 3), 'f'), label=np.repeat([0.0, 2.0], 20))
    file = {'name': 'npz', 'path': str(tmp_path / 'floats.npz')}
    assert load(file)['train'].task.kind == 'numbers'
    classes = load({**file, 'task': 'classes'})
    assert classes['test'].classes == ('0', '2') and set(classes['test'].label.tolist()) == {0, 1}
    with pytest.raises(UserError, match="data.task='boxes' is not classes, labels or numbers"):
        load({**file, 'task': 'boxes'})


def test_a_method_that_takes_a_network_gets_the_inner_one_as_a_function():
    """MAML makes the inner method itself, on a network of its own."""
    support = {'input': np.zeros((1, 2, 1, 3), 'f'), 'label': np.zeros((1, 2, 1), int)}
    spec = {'name': 'maml', 'method': {'name': 'with_lora', 'of': {'name': 'finetune'}, 'rank': 1}}
    method = call_named('tljax.methods', spec, 'method', net=mlp(widths=(4,)), classes=2)
    params = jax.eval_shape(method.init, jax.random.key(0), {'support': support, 'query': support})[
        0
    ]
    assert sorted(params) == ['backbone', 'head', 'lora']


def test_of_two_inner_networks_the_first_gets_what_comes_later():
    perceptron = {'name': 'mlp', 'widths': [3], 'norm': 'batch'}
    make = bind_named(
        'tljax.zoo', {'name': 'side_tuning', 'of': perceptron, 'side': perceptron}, 'net', 'stored'
    )
    x, kept = np.ones((2, 4), 'f'), []
    net = make(stored=lambda layer: bool(kept.append(layer)) or True)
    params, state = jax.jit(net.init)(jax.random.key(0), x)
    _, new = jax.jit(net.features)(params, state, x, jax.random.key(0))
    np.testing.assert_array_equal(new['norm1']['mean'], state['norm1']['mean'])
    assert (new['side']['norm1']['mean'] != state['side']['norm1']['mean']).any()
    assert kept and set(kept) == {'norm1'}
