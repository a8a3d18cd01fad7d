"""Networks with converted weights against Keras, on the same random weights and random BatchNorm statistics."""
import json
import re
import subprocess
import sys
from pathlib import Path

import h5py
import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest
from keras.src.legacy.saving import legacy_h5_format

from tljax import paths
from tljax.configuration import named
from tljax.core import Refused
from tljax.engine import optim
from tljax.features import extracted, pretrained
from tljax.nn.convolution import place
from tljax.nn.preprocessing import preprocess
from tljax.program import predictor
from tljax.zoo import mobilenet
from tljax.zoo.families.mlp import mlp
from tljax.zoo.table import ROWS
from tljax.zoo.weights.keras import load
from tljax.zoo.weights.published import class_index

FAST = [('mobilenet', 97, {'alpha': .25}), ('mobilenet_v2', 65, {'alpha': .35}), ('resnet50', 65, {}), ('densenet121', 47, {}),
        ('vgg16', 33, {'fc': False}), ('xception', 75, {}), ('inception_v3', 75, {}), ('nasnet_mobile', 33, {})]
ALPHAS = [('mobilenet', size, {'alpha': alpha}) for alpha in ROWS['mobilenet'].widths for size in (128, 224)] + [
    ('mobilenet_v2', 224, {'alpha': alpha}) for alpha in ROWS['mobilenet_v2'].widths]
FULL = [(name, row.size, {}) for name, row in ROWS.items()]
ODD = [(name, 117, {'fc': False} if row.module == 'vgg' else {}) for name, row in ROWS.items()]


def case(each):
    return '-'.join(str(part) for part in (each[0], each[1], *each[2].values()))


def randomise(model, seed=0):
    """Kernels that keep the size of what flows, and statistics as no fresh network has them."""
    rng = np.random.default_rng(seed)

    def draw(variable):
        shape, name = variable.shape, variable.path.split('/')[-1]
        if name in ('gamma', 'moving_variance'):
            return rng.uniform(.5, 1.5, shape)
        if len(shape) == 1:
            return rng.normal(size=shape) * .1
        return rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[:2] if 'depthwise' in variable.path or '_dw_' in variable.path
                                                            else shape[:-1]))

    model.set_weights([draw(variable).astype('f') for variable in model.weights])
    return model


def keras_model(name, size, options, **kw):
    options = {key: value for key, value in options.items() if key not in ('fc', 'size')}
    return randomise(getattr(keras.applications, ROWS[name].title)(weights=None, input_shape=(size, size, 3), **options, **kw))


def write_legacy(path, model):
    """The layout of the published files, with Keras 2's names."""
    with h5py.File(path, 'w') as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    return path


def pictures(size, count=2):
    return np.random.default_rng(1).uniform(size=(count, size, size, 3)).astype('f')


def scaled(name, x):
    """What Keras's own preprocessing makes of pictures in [0, 1]."""
    module = next((family for family in ('densenet', 'nasnet') if name.startswith(family)), name)
    if name.startswith('resnet'):
        module = 'resnet_v2' if name.endswith('v2') else 'resnet'
    return getattr(keras.applications, module).preprocess_input(255. * x)


def agree(ours, theirs, tolerance=1e-4):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    error = np.abs(ours - theirs).max() / np.abs(theirs).max()
    assert error < tolerance, f'off by {error:.1e} of the largest'


def compare(each, tmp_path):
    """Logits of a file with top, features of one without, and that groups are in the order in which Keras's layers follow each other."""
    name, size, options = each
    x = pictures(size)
    if 'fc' not in options:
        spec = {'name': name, **options, **({'size': size} if ROWS[name].module == 'vgg' else {})}
        whole = keras_model(name, size, options, classifier_activation=None)
        params, state, record = pretrained(spec, write_legacy(tmp_path / 'top.h5', whole))
        agree(predictor(record).run(params, state, {'input': x, 'label': np.zeros(2)})['output'][0], whole(scaled(name, x)))
        (tmp_path / 'top.h5').unlink()
    body = keras_model(name, size, options, include_top=False, pooling='avg')
    options = {'fc': False} if ROWS[name].module == 'vgg' else options
    net = named('tljax.zoo', {'name': name, **options}, 'net', form=place())
    params, state = load(write_legacy(tmp_path / 'body.h5', body), net, ROWS[name].size)
    assert 'head' not in params
    (tmp_path / 'body.h5').unlink()
    taps = jax.jit(net.features)(params['backbone'], state['backbone'], x)[0]
    assert set(taps) >= {*net.groups, 'features'}
    agree(taps['features'], body(scaled(name, x)))
    order = [group for layer in body.layers if layer.weights
             for group, (_, pattern) in enumerate(net.groups.items()) if re.fullmatch(pattern, f'{layer.name}/kernel')]
    if ROWS[name].module not in AUTOMATIC:
        assert order == sorted(order) and set(order) == set(range(len(net.groups)))


def test_a_set_of_features_is_what_keras_makes_of_the_pictures(tmp_path):
    body = keras_model('mobilenet', 32, {'alpha': .25}, include_top=False, pooling='avg')
    of = {'name': 'resampled', 'of': {'name': 'digits', 'size': 8}, 'size': 32, 'most': 20}
    pictured = named('tljax.data', of, 'data')
    splits = extracted(pictured, mobilenet(alpha=.25), str(write_legacy(tmp_path / 'body.h5', body)))
    assert {name: split.size for name, split in splits.items()} == {'train': 20, 'validation': 20, 'test': 20}
    for name, split in splits.items():
        batch = split.take(np.arange(20))
        agree(batch['input'], body(scaled('mobilenet', pictured[name].take(np.arange(20))['input'])))
        np.testing.assert_array_equal(batch['label'], pictured[name].label)


@pytest.mark.parametrize('training', [False, True])
def test_a_normalised_perceptron_by_hand(training):
    net, x = mlp((5, 3), norm='batch'), np.random.default_rng(0).normal(size=(8, 4)).astype('f')
    params, state = net.init(jax.random.key(0), x)
    found, moved = net.features(params, state, x, jax.random.key(1) if training else None)
    for i in (1, 2):
        x = x @ params[f'dense{i}']['kernel']
        mean, deviation = (x.mean(0), np.sqrt(x.var(0) + 1e-5)) if training else (0, np.sqrt(1 + 1e-5))
        if training:
            np.testing.assert_allclose(moved[f'norm{i}']['mean'], .1 * x.mean(0), rtol=1e-4, atol=1e-6)
        x = np.maximum((x - mean) / deviation, 0)
    np.testing.assert_allclose(found['features'], x, rtol=1e-4, atol=1e-5)


AUTOMATIC = ('xception', 'inception_v3', 'inception_resnet_v2')   # layers that Keras numbers by the session: read through the file


LONG = ('densenet121', 'inception_v3', 'mobilenet_v2', 'nasnet_mobile', 'xception')   # up to a minute each to compile: with the giants


@pytest.mark.parametrize('each', [pytest.param(each, marks=[pytest.mark.slow] * (each[0] in LONG), id=case(each)) for each in FAST])
def test_logits_and_features_are_keras_s(each, tmp_path):
    compare(each, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize('each', ALPHAS + FULL + ODD, ids=case)
def test_logits_and_features_are_keras_s_at_full_size(each, tmp_path):
    compare(each, tmp_path)


@pytest.mark.parametrize('training', [False, True], ids=['stored', 'batch'])
@pytest.mark.parametrize('each', [('mobilenet', 64, {'alpha': .25, 'dropout': 0.}), ('vgg16', 32, {'size': 32})], ids=case)
def test_the_gradient_of_fine_tuning_is_keras_s(each, training, tmp_path):
    compare_gradients(each, training, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize('training', [False, True], ids=['stored', 'batch'])
@pytest.mark.parametrize('name, size', [('resnet50', 64), ('densenet121', 64), ('mobilenet_v2', 64), ('inception_v3', 75)])
def test_the_gradient_of_deep_networks_is_keras_s_in_float64(name, size, training, tmp_path, monkeypatch):
    """In float32 rounding moves units of a deep network on batch statistics across their kinks, and the two sides' gradients apart."""
    monkeypatch.setattr(keras.src.backend, 'result_type', lambda *_: 'float64')   # Keras's BatchNorm would go down to float32 on JAX
    keras.backend.set_floatx('float64')
    keras.config.set_dtype_policy('float64')
    try:
        with jax.enable_x64(True):
            compare_gradients((name, size, {}), training, tmp_path, 'float64')
    finally:
        keras.backend.set_floatx('float32')
        keras.config.set_dtype_policy('float32')


def compare_gradients(each, training, tmp_path, dtype='float32'):
    """Loss, gradient and moved statistics of cross-entropy on ten classes, leaf by leaf."""
    name, size, options = each
    x, y = pictures(size, 8).astype(dtype), jnp.arange(8)
    model = keras_model(name, size, options, classifier_activation=None, classes=10)
    net = named('tljax.zoo', {'name': name, **options, 'dtype': dtype}, 'net', form=place())
    params, state = jax.tree.map(lambda leaf: leaf.astype(dtype),
                                 load(write_legacy(tmp_path / 'top.h5', model), net, size, ROWS[name].top))

    def theirs(trained):
        out, moved = model.stateless_call(trained, [v.value for v in model.non_trainable_variables], scaled(name, x), training=training)
        return optax.softmax_cross_entropy_with_integer_labels(out, y).mean(), moved

    def ours(params):
        taps, moved = net.features(params['backbone'], state['backbone'], x, jax.random.key(0) if training else None)
        out = taps['features'] @ params['head']['kernel'] + params['head']['bias']
        return optax.softmax_cross_entropy_with_integer_labels(out, y).mean(), moved

    (value, moved), grads = jax.jit(jax.value_and_grad(theirs, has_aux=True))([v.value for v in model.trainable_variables])
    (found, kept), mine = jax.jit(jax.value_and_grad(ours, has_aux=True))(params)
    np.testing.assert_allclose(found, value, rtol=1e-5)
    # Keras's gradients, and the statistics after the step, go through the same file and reader as weights do.
    for variable, number in zip(model.trainable_variables, grads, strict=True):
        variable.assign(number)
    for variable, number in zip(model.non_trainable_variables, moved, strict=True):
        variable.assign(number)
    expected, statistics = load(write_legacy(tmp_path / 'gradient.h5', model), net, size, ROWS[name].top)
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(expected))
    for path, leaf in paths.flatten(expected).items():
        error = np.abs(leaf - paths.flatten(mine)[path]).max() / max(np.abs(leaf).max(), 1e-3 * largest)
        assert error < 1e-3, (path, error)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), statistics['backbone'], dict(kept))


def test_three_layouts_hold_the_same_weights(tmp_path):
    model = keras_model('mobilenet', 32, {'alpha': .25})
    model.save(tmp_path / 'whole.h5')
    model.save_weights(tmp_path / 'new.weights.h5')
    net = named('tljax.zoo', {'name': 'mobilenet', 'alpha': .25}, 'net')
    first = load(write_legacy(tmp_path / 'legacy.h5', model), net, 224, ('conv_preds',))
    for other in ('whole.h5', 'new.weights.h5'):
        jax.tree.map(np.testing.assert_array_equal, first, load(tmp_path / other, net, 224, ('conv_preds',)))
    np.testing.assert_array_equal(first[0]['head']['kernel'], model.get_layer('conv_preds').get_weights()[0][0, 0])


def test_a_head_of_one_s_own_is_found_and_a_model_within_a_model(tmp_path):
    body = keras_model('mobilenet', 32, {'alpha': .25}, include_top=False, pooling='avg')
    net = named('tljax.zoo', {'name': 'mobilenet', 'alpha': .25}, 'net')
    model = keras.Sequential([keras.Input((32, 32, 3)), body, keras.layers.Dense(7, name='mine')])
    for path in (write_legacy(tmp_path / 'legacy.h5', model), tmp_path / 'new.weights.h5', tmp_path / 'whole.h5'):
        if path.name == 'new.weights.h5':
            model.save_weights(path)
        elif path.name == 'whole.h5':
            model.save(path)
        params, _ = load(path, net, 224, ROWS['mobilenet'].top)
        np.testing.assert_array_equal(params['head']['kernel'], model.layers[-1].get_weights()[0])
        np.testing.assert_array_equal(params['backbone']['conv1']['kernel'], body.get_layer('conv1').get_weights()[0])


def test_a_full_vgg_file_serves_without_its_dense_layers(tmp_path):
    model = keras_model('vgg16', 32, {}, classes=3)
    params, _, _ = pretrained({'name': 'vgg16', 'fc': False}, write_legacy(tmp_path / 'top.h5', model), top=False)
    assert set(params) == {'backbone'} and not {'fc1', 'fc2'} & set(params['backbone'])
    np.testing.assert_array_equal(params['backbone']['block5_conv3']['kernel'][0], model.get_layer('block5_conv3').get_weights()[0])


@pytest.mark.parametrize('name', ROWS)
def test_partitions_made_from_groups_label_every_parameter_in_the_order_of_depth(name):
    net, size = named('tljax.zoo', {'name': name}, 'net'), ROWS[name].size
    shapes, _ = jax.eval_shape(net.init, jax.random.key(0), jax.ShapeDtypeStruct((1, size, size, 3), 'float32'))
    params, groups = {'backbone': shapes, 'head': {'kernel': 0, 'bias': 0}}, list(net.groups)
    layerwise = optim.decay(net.groups, rate=.5)
    labels = paths.flatten(paths.label(params, layerwise.rules))
    assert set(labels.values()) == {*(f'backbone.{group}' for group in groups), 'head'}
    assert [layerwise.scales[f'backbone.{group}'] for group in groups] == [.5 ** (len(groups) - depth) for depth in range(len(groups))]
    for depth, until in enumerate(groups):
        found = paths.flatten(paths.label(params, optim.freeze(net.groups, until).rules))
        below = {path for path, each in labels.items() if each in {f'backbone.{group}' for group in groups[:depth + 1]}}
        assert {path for path, each in found.items() if each == 'frozen'} == below


@pytest.mark.parametrize('name', ROWS)
def test_the_table_s_numbers_are_the_network_s_and_groups_cover_every_parameter_once(name):
    net, size = named('tljax.zoo', {'name': name}, 'net'), ROWS[name].size
    params, state = jax.eval_shape(net.init, jax.random.key(0), jax.ShapeDtypeStruct((1, size, size, 3), 'float32'))
    count = sum(leaf.size for leaf in jax.tree.leaves((params, state))) + 1000 * (net.dim + 1)
    assert count == ROWS[name].parameters
    for path in paths.flatten(params):
        assert sum(bool(re.fullmatch(pattern, path)) for pattern in net.groups.values()) == 1, path


PUBLISHED = {   # parameters, batch statistics counted, as published
    'xception': 22_910_480, 'vgg16': 138_357_544, 'vgg19': 143_667_240, 'resnet50': 25_636_712, 'resnet101': 44_707_176,
    'resnet152': 60_419_944, 'resnet50v2': 25_613_800, 'resnet101v2': 44_675_560, 'resnet152v2': 60_380_648, 'inception_v3': 23_851_784,
    'inception_resnet_v2': 55_873_736, 'mobilenet': 4_253_864, 'mobilenet_v2': 3_538_984, 'densenet121': 8_062_504,
    'densenet169': 14_307_880, 'densenet201': 20_242_984, 'nasnet_mobile': 5_326_716, 'nasnet_large': 88_949_818}


def test_the_models_command_lists_all_with_their_numbers():
    done = subprocess.run([sys.executable, '-m', 'experiments.models', '--json'], cwd=Path(__file__).parents[1], capture_output=True,
                          text=True, check=True)
    rows = {row['name']: row for row in json.loads(done.stdout)}
    assert {name: row['parameters'] for name, row in rows.items()} == PUBLISHED
    assert [each['alpha'] for each in rows['mobilenet_v2']['widths']] == [.35, .5, .75, 1., 1.3, 1.4]
    assert rows['mobilenet']['widths'][0]['parameters'] == 475_544, 'counted by Keras for its file at alpha 0.25'


@pytest.mark.parametrize('name', ['xception', 'vgg16', 'resnet50', 'resnet50v2', 'densenet121', 'nasnet_mobile'])
def test_preprocessing_is_keras_s(name):
    x = pictures(4)
    np.testing.assert_allclose(preprocess(x, ROWS[name].mode), scaled(name, x), rtol=1e-4, atol=1e-4)


def test_intermediates_are_keras_s_layers(tmp_path):
    for name, layer, group in (('resnet50', 'conv3_block4_out', 'conv3_block4'), ('mobilenet', 'conv_pw_5_relu', 'block5')):
        body = keras_model(name, 64, {}, include_top=False)
        net = named('tljax.zoo', {'name': name}, 'net', form=place())
        params, state = load(write_legacy(tmp_path / f'{name}.h5', body), net, ROWS[name].size)
        part = keras.Model(body.input, body.get_layer(layer).output)
        agree(net.features(params['backbone'], state['backbone'], pictures(64))[0][group], part(scaled(name, pictures(64))))


@pytest.mark.parametrize('name', ROWS)
def test_bfloat16_computes_in_halves_and_keeps_float32(name):
    net = named('tljax.zoo', {'name': name, 'dtype': 'bfloat16'}, 'net')
    x = jax.ShapeDtypeStruct((1, ROWS[name].size, ROWS[name].size, 3), 'float32')
    params, state = jax.eval_shape(net.init, jax.random.key(0), x)
    assert {leaf.dtype.name for leaf in jax.tree.leaves((params, state))} == {'float32'}
    taps, _ = jax.eval_shape(net.features, params, state, x)
    assert taps['features'].dtype == 'float32' and taps[list(net.groups)[0]].dtype == 'bfloat16'


def test_wrong_files_are_refused_by_name(tmp_path):
    spec = {'name': 'mobilenet', 'alpha': .25}
    good = write_legacy(tmp_path / 'good.h5', keras_model('mobilenet', 32, {'alpha': .25}))
    (tmp_path / 'cut.h5').write_bytes(good.read_bytes()[:-200_000])
    (tmp_path / 'text.h5').write_text('no weights')
    with h5py.File(tmp_path / 'empty.h5', 'w'):
        pass
    other = write_legacy(tmp_path / 'other.h5', randomise(keras.Sequential([keras.Input((8,)), keras.layers.Dense(3, name='dense')])))
    broken = keras_model('mobilenet', 32, {'alpha': .25})
    broken.get_layer('conv1').set_weights([np.full_like(broken.get_layer('conv1').get_weights()[0], np.nan)])
    for path, said in [(tmp_path / 'cut.h5', 'cut off or damaged'), (tmp_path / 'text.h5', 'no HDF5'), (tmp_path / 'empty.h5', 'no layers'),
                       (tmp_path / 'none.h5', 'does not exist'), (other, 'lacks conv1.*asked for, dense'),
                       (write_legacy(tmp_path / 'nan.h5', broken), 'not finite, at conv1/kernel')]:
        with pytest.raises(Refused, match=said) as refused:
            pretrained(spec, path)
        assert '\n' not in str(refused.value) and str(path) in str(refused.value)
    with pytest.raises(Refused, match='shapes differ at conv1 3x3x3x8 for 3x3x3x16'):
        pretrained({'name': 'mobilenet', 'alpha': .5}, good)
    with pytest.raises(Refused, match='1000 classes apart, and 2 are named'):
        pretrained(spec, good, ['a', 'b'])
    gap = '{"0": ["n0", "a"], "2": ["n2", "b"]}'
    for text, said in (('no json', 'no class index'), (gap, 'no class index'), ('{}', 'names no classes')):
        (tmp_path / 'index.json').write_text(text)
        with pytest.raises(Refused, match=said):
            class_index(tmp_path / 'index.json')


def test_the_class_index_is_read_in_order(tmp_path):
    (tmp_path / 'index.json').write_text(json.dumps({'1': ['n2', 'b'], '0': ['n1', 'a']}))
    assert class_index(Path(tmp_path, 'index.json')) == [('n1', 'a'), ('n2', 'b')]
