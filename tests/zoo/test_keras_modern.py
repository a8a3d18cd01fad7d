"""EfficientNet, MobileNetV3 and ConvNeXt read Keras's files, and compute what Keras does."""

import jax
import numpy as np
import pytest
from keras_models import agree, keras_model, pictures, predicted, write_legacy

from tljax.core import UserError
from tljax.nn.preprocessing import MODES
from tljax.program import predictor
from tljax.weights import pretrained

CASES = [  # name, its keywords in Keras, its keywords here
    ('efficientnet_b0', {}, {}),
    ('efficientnet_v2_b0', {}, {}),
    ('mobilenet_v3_small', {}, {}),
    ('mobilenet_v3_small', {'alpha': 0.75}, {'alpha': 0.75}),
    ('mobilenet_v3_large', {'minimalistic': True}, {'minimal': True}),
    ('mobilenet_v3_large', {}, {}),
    ('convnext_tiny', {}, {}),
]


def made(name, options, size):
    """Keras's network with random weights, ten outputs, and the normalisation of its file."""
    model = keras_model(name, size, options, classes=10, classifier_activation=None)
    for layer in model.layers:
        if type(layer).__name__ == 'Normalization' and layer.weights:
            mode = MODES['torch']
            layer.set_weights([np.array(mode.mean), np.square(mode.deviation), np.array(0)])
    return model


@pytest.mark.slow
@pytest.mark.parametrize('case', CASES)
def test_logits_are_keras_s(case, tmp_path):
    name, options, keywords = case
    model = made(name, options, 75)
    path = write_legacy(tmp_path / 'weights.h5', model)
    params, state, record = pretrained({'name': name, **keywords}, str(path))
    x = pictures(75)
    output = predictor(record).run(params, state, {'input': x, 'label': np.zeros(2)})['output'][0]
    agree(output, predicted(model, 255 * x))


@pytest.mark.slow
def test_another_normalisation_of_pictures_gives_no_predictions_and_is_told(tmp_path):
    model = keras_model('efficientnet_b0', 32, {}, classes=10)
    path = write_legacy(tmp_path / 'weights.h5', model)
    params, _, record = pretrained({'name': 'efficientnet_b0'}, str(path))
    assert 'head' not in params and 'normalization' in record['left']


@pytest.mark.slow
def test_a_file_of_another_network_is_refused(tmp_path):
    path = str(write_legacy(tmp_path / 'weights.h5', keras_model('efficientnet_b0', 32, {})))
    for name in ('efficientnet_b1', 'mobilenet_v3_large'):
        with pytest.raises(UserError, match='another network or width'):
            pretrained({'name': name}, path)
    assert jax.tree.leaves(pretrained({'name': 'efficientnet_b0'}, path)[0])
