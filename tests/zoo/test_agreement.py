"""Networks give Keras's logits, features and intermediates on the same random weights and BatchNorm
statistics."""

import re

import jax
import keras
import numpy as np
import pytest
from keras_models import agree, case, keras_model, pictures, predicted, scaled, write_legacy

from tljax.configuration import call_named
from tljax.nn.preprocessing import preprocess
from tljax.program import predictor
from tljax.weights import pretrained
from tljax.zoo.table import KERAS as ROWS
from tljax.zoo.weights.keras import load

FAST = [
    ('mobilenet', 97, {'alpha': 0.25}),
    ('mobilenet_v2', 65, {'alpha': 0.35}),
    ('resnet50', 65, {}),
    ('densenet121', 47, {}),
    ('vgg16', 33, {'fc': False}),
    ('xception', 75, {}),
    ('inception_v3', 75, {}),
    ('nasnet_mobile', 33, {}),
]

ALPHAS = [
    ('mobilenet', size, {'alpha': alpha})
    for alpha in ROWS['mobilenet'].widths
    for size in (128, 224)
] + [('mobilenet_v2', 224, {'alpha': alpha}) for alpha in ROWS['mobilenet_v2'].widths]

FULL = [(name, row.size, {}) for name, row in ROWS.items()]

ODD = [(name, 117, {'fc': False} if row.module == 'vgg' else {}) for name, row in ROWS.items()]


def compare(setting, tmp_path):
    """Compares the logits of a file with top and the features of a file without.

    Checks also that the groups have the order of Keras's layers.
    """
    name, size, options = setting
    x = pictures(size)
    if 'fc' not in options:
        spec = {'name': name, **options, **({'size': size} if ROWS[name].module == 'vgg' else {})}
        full_model = keras_model(name, size, options, classifier_activation=None)
        params, state, record = pretrained(spec, write_legacy(tmp_path / 'top.h5', full_model))
        agree(
            predictor(record).run(params, state, {'input': x, 'label': np.zeros(2)})['output'][0],
            predicted(full_model, scaled(name, x)),
        )
        (tmp_path / 'top.h5').unlink()
    body = keras_model(name, size, options, include_top=False, pooling='avg')
    options = {'fc': False} if ROWS[name].module == 'vgg' else options
    net = call_named('tljax.zoo', {'name': name, **options}, 'net')
    params, state = load(write_legacy(tmp_path / 'body.h5', body), net, ROWS[name].size)[:2]
    assert 'head' not in params
    (tmp_path / 'body.h5').unlink()
    taps = jax.jit(net.features)(params['backbone'], state['backbone'], x)[0]
    assert set(taps) >= {*net.groups, 'features'}
    agree(taps['features'], predicted(body, scaled(name, x)))
    order = [
        group
        for layer in body.layers
        if layer.weights
        for group, (_, pattern) in enumerate(net.groups.items())
        if re.fullmatch(pattern, f'{layer.name}/kernel')
    ]
    if ROWS[name].module not in AUTOMATIC:
        assert order == sorted(order) and set(order) == set(range(len(net.groups)))


# Networks whose layers Keras numbers by the session: their names depend on the tests before.
AUTOMATIC = ('xception', 'inception_v3', 'inception_resnet_v2')

# Networks that take up to a minute to compile. They are among the slow tests. For resnet50 the slow
# test of intermediates compares the features, too.
LONG = (
    'densenet121',
    'inception_v3',
    'mobilenet_v2',
    'nasnet_mobile',
    'resnet50',
    'vgg16',
    'xception',
)


@pytest.mark.parametrize(
    'setting',
    [
        pytest.param(setting, marks=[pytest.mark.slow] * (setting[0] in LONG), id=case(setting))
        for setting in FAST
    ],
)
def test_logits_and_features_are_keras_s(setting, tmp_path):
    compare(setting, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize('setting', ALPHAS + FULL + ODD, ids=case)
def test_logits_and_features_are_keras_s_at_full_size(setting, tmp_path):
    compare(setting, tmp_path)


@pytest.mark.parametrize(
    'name', ['xception', 'vgg16', 'resnet50', 'resnet50v2', 'densenet121', 'nasnet_mobile']
)
def test_preprocessing_is_keras_s(name):
    x = pictures(4)
    np.testing.assert_allclose(
        preprocess(x, ROWS[name].mode), scaled(name, x), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    'name, layer, group',
    [
        pytest.param('resnet50', 'conv3_block4_out', 'conv3_block4', marks=pytest.mark.slow),
        ('mobilenet', 'conv_pw_5_relu', 'block5'),
    ],
)
def test_intermediates_are_keras_s_layers(name, layer, group, tmp_path):
    body = keras_model(name, 64, {}, include_top=False)
    net = call_named('tljax.zoo', {'name': name}, 'net')
    params, state = load(write_legacy(tmp_path / f'{name}.h5', body), net, ROWS[name].size)[:2]
    part = keras.Model(body.input, [body.get_layer(layer).output, body.output])
    taps = jax.jit(net.features)(params['backbone'], state['backbone'], pictures(64))[0]
    between, last = predicted(part, scaled(name, pictures(64)))
    agree(taps[group], between)
    agree(taps['features'], np.mean(last, (1, 2)))
