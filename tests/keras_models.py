"""Keras's networks with random weights, and how ours are compared to them."""

import h5py
import jax
import keras
import numpy as np
from keras.src.legacy.saving import legacy_h5_format
from scipy.special import softmax

from tljax.program import predictor
from tljax.weights import pretrained
from tljax.zoo.table import ROWS


def case(each):
    return '-'.join(str(part) for part in (each[0], each[1], *each[2].values()))


def randomise(model, seed=0):
    """Kernels that keep the size of what flows, and statistics as no fresh network has them."""
    rng = np.random.default_rng(seed)

    def draw(variable):
        shape, name = variable.shape, variable.path.split('/')[-1]
        if name in ('gamma', 'moving_variance'):
            return rng.uniform(0.5, 1.5, shape)
        if len(shape) == 1:
            return rng.normal(size=shape) * 0.1
        return rng.normal(size=shape) * np.sqrt(
            2
            / np.prod(
                shape[:2] if 'depthwise' in variable.path or '_dw_' in variable.path else shape[:-1]
            )
        )

    model.set_weights([draw(variable).astype('f') for variable in model.weights])
    return model


def keras_model(name, size, options, **kw):
    options = {key: value for key, value in options.items() if key not in ('fc', 'size')}
    return randomise(
        getattr(keras.applications, ROWS[name].title.replace('-', ''))(
            weights=None, input_shape=(size, size, 3), **options, **kw
        )
    )


def predicted(model, x):
    """What a model makes of inputs at rest, in one program: Keras by itself compiles one for every
    layer."""
    variables = [
        [variable.value for variable in each]
        for each in (model.trainable_variables, model.non_trainable_variables)
    ]
    return jax.jit(lambda variables, x: model.stateless_call(*variables, x)[0])(variables, x)


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
    return getattr(keras.applications, module).preprocess_input(255.0 * x)


def agree(ours, theirs, tolerance=1e-4):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    error = np.abs(ours - theirs).max() / np.abs(theirs).max()
    assert error < tolerance, f'off by {error:.1e} of the largest'


def agrees(network, path, spec, size=32, scaled=lambda x: 2 * x - 1):
    """Whether a file answers as its model does; the record of what it is taken for."""
    params, state, record = pretrained(spec, path)
    x = np.random.default_rng(1).uniform(size=(3, size, size, 3)).astype('f')
    output = predictor(record).run(params, state, {'input': x, 'label': np.zeros(3)})['output'][0]
    np.testing.assert_allclose(
        softmax(output, -1), predicted(network, scaled(x)), rtol=1e-4, atol=1e-6
    )
    return record


def keras2(config):
    """A config of Keras 3 as Keras 2 wrote it."""
    if isinstance(config, list):
        return [keras2(each) for each in config]
    if not isinstance(config, dict):
        return config
    config = {
        'batch_input_shape' if key == 'batch_shape' else key: keras2(value)
        for key, value in config.items()
        if key not in ('module', 'registered_name')
    }
    if 'inbound_nodes' in config:
        config['inbound_nodes'] = [
            [[*history, {}] for history in _histories(node)] for node in config['inbound_nodes']
        ]
    if config.get('output_layers') and isinstance(config['output_layers'][0], str):
        config['output_layers'] = [config['output_layers']]
    return config


def _histories(node):
    if isinstance(node, dict):
        return [node['keras_history']] if 'keras_history' in node else _histories([*node.values()])
    return [each for value in node for each in _histories(value)] if isinstance(node, list) else []
