"""Files that TensorFlow wrote, and published detectors, against what TensorFlow and its runtime
read from them (tensorflow_reference.py)."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from tljax.core import UserError
from tljax.nn.boxes.anchors import ssd_anchors
from tljax.zoo.weights.tensorflow.reading import read, read_tensors
from tljax.zoo.weights.tensorflow.stored import Stored
from tljax.zoo.weights.tensorflow.variables import read_variables, variables

HERE = Path(__file__).parent
ANSWERS = json.loads((HERE / 'tensorflow_files.json').read_text())
WRITTEN, PUBLISHED = ANSWERS['written'], ANSWERS['published']
DATA = Path(os.environ.get('TLJAX_DATA', ''), 'detection_weights')
real = pytest.mark.skipif(not DATA.is_dir(), reason='TLJAX_DATA has no detection_weights')
SSDLITE = DATA / 'ssdlite_mobilenet_v2_coco'
QUANTISED, FLOAT16 = (DATA / name for name in PUBLISHED)


def agree(array, answer, rtol=0.0):
    """Compares an array with its type, its shape and its first numbers."""
    dtype, shape, values = answer
    assert (str(array.dtype), list(array.shape)) == (dtype, shape)
    numbers = array.ravel()[: len(values)]
    np.testing.assert_allclose(
        numbers.astype(float), np.array(values, array.dtype).astype(float), rtol=rtol
    )
    assert array.dtype.kind in 'fV' or numbers.tolist() == values  # beyond what a float can hold


@pytest.mark.parametrize('file', ['constants.pb', 'shards.ckpt', 'partitioned.ckpt'])
def test_tensors_are_those_that_tensorflow_reads(file):
    tensors = read_tensors(HERE / file)
    assert set(tensors) == set(WRITTEN[file])
    for name, array in tensors.items():
        agree(array, WRITTEN[file][name])


def test_constants_of_a_graph_that_are_read_are_variables():
    found, facts = read_variables(HERE / 'constants.pb')
    norm = ['beta', 'moving_mean', 'moving_variance']
    assert list(found) == [*(f'Conv/BatchNorm/{name}' for name in norm), 'Conv/weights']
    assert 'whole/float32' in facts.left and not facts.folded and facts.classes is None


def test_a_checkpoint_is_left_without_its_optimiser():
    found, facts = read_variables(HERE / 'partitioned.ckpt')
    assert {name: array.shape for name, array in found.items()} == {
        'small/weights': (4,),
        'tall/weights': (201, 3),
        'wide/weights': (2, 150),
    }
    agree(found['small/weights'], WRITTEN['partitioned.ckpt']['small/weights'])  # no average
    assert {'global_step', 'tall/weights/Momentum', 'small/weights/ExponentialMovingAverage'} <= {
        *facts.left
    }


def test_a_moving_average_alone_stands_for_its_variable():
    average = np.float32([1, 2])
    stored = Stored('checkpoint', {'a/weights/ExponentialMovingAverage': average})
    found, _ = variables(stored)
    assert found['a/weights'].tolist() == [1, 2]


@pytest.mark.parametrize('file', ['int8.tflite', 'float16.tflite'])
def test_constants_are_dequantised_as_the_runtime_does(file):
    answer, stored = WRITTEN[file], read(HERE / file)
    assert set(stored.tensors) == set(answer['tensors'])
    for name, array in stored.tensors.items():
        agree(array, answer['tensors'][name], rtol=1e-6)


@pytest.mark.parametrize('file', ['int8.tflite', 'float16.tflite'])
def test_variables_are_near_those_before_quantisation(file):
    answer, (found, facts) = WRITTEN[file], read_variables(HERE / file)
    assert list(found) == ['Conv/biases', 'Conv/weights', 'dw/biases', 'dw/depthwise_weights']
    for name, key in (('Conv/weights', 'kernel'), ('dw/depthwise_weights', 'depthwise')):
        _, shape, values = answer[key]
        exact = np.reshape(values, shape)
        assert found[name].shape == exact.shape
        largest = np.abs(exact).max()
        allowed = largest / 127 / 2 if file == 'int8.tflite' else largest * 2**-11
        assert 0 < np.abs(found[name] - exact).max() <= 1.01 * allowed
    np.testing.assert_allclose(found['Conv/biases'], answer['bias'][2], atol=0.02)
    assert not facts.folded and facts.anchors is None


def test_a_folded_norm_is_unfolded_exactly():
    random = np.random.default_rng(0)
    kernel, beta, factor = (random.normal(size=n).astype(np.float32) for n in (6, 3, 3))
    tensors = {
        'a/Conv2D/merged_input': kernel.reshape(1, 1, 2, 3),
        'a/BatchNorm/batchnorm/sub': beta,
        'b/depthwise_weights': kernel.reshape(1, 2, 3, 1),
        'b/BatchNorm/batchnorm/mul': factor,
        'b/BatchNorm/FusedBatchNorm/Offset': beta,
        'MobilenetV1/MobilenetV1/stack/1': np.int32(3),
    }
    found, facts = variables(Stored('tfjs', tensors))
    assert facts.folded == ('a', 'b') and facts.left == ('MobilenetV1/MobilenetV1/stack/1',)
    x = random.normal(size=(5, 3)).astype(np.float32)
    for layer, expected in (('a', x + beta), ('b', x * factor + beta)):
        gamma, mean, variance = (
            found[f'{layer}/BatchNorm/{leaf}']
            for leaf in ('gamma', 'moving_mean', 'moving_variance')
        )
        y = gamma * (x - mean) / np.sqrt(variance + np.float32(1e-3)) + beta
        np.testing.assert_array_equal(y, expected)


def test_a_scope_that_was_entered_anew_counts_once():
    scope = 'FeatureExtractor/MobilenetV1/MobilenetV1/Conv2d_1_depthwise'
    tensors = {
        f'{scope}/BatchNorm/batchnorm/mul': np.ones(1),
        f'{scope}/BatchNorm/batchnorm/sub': np.ones(1),
        scope.replace('MobilenetV1/', '', 1) + '/depthwise_weights': np.ones((1, 1, 1, 1)),
    }
    found, _ = variables(Stored('tfjs', tensors))
    assert {name.rpartition('Conv2d_')[0] for name in found} == {'FeatureExtractor/MobilenetV1/'}


@pytest.mark.parametrize(
    'tensors, text',
    [
        ({'x': np.float32(1)}, 'holds no variables'),
        ({'a/BatchNorm/beta': np.zeros(2)}, 'has beta of a/BatchNorm alone, or no kernel'),
        (
            {'a/weights': np.zeros(2), 'a/BatchNorm/gamma': np.zeros(2)},
            'has gamma of a/BatchNorm alone',
        ),
        ({'a/weights': np.float32([0, np.nan])}, 'is not finite at a/weights'),
        (
            {'a/weights': np.zeros(2), 'a/Conv2D_weights': np.zeros(2)},
            "has the variable 'a/weights' twice",
        ),
    ],
    ids=['none', 'no kernel', 'gamma alone', 'nan', 'twice'],
)
def test_what_is_no_network_is_refused(tensors, text):
    with pytest.raises(UserError, match=text):
        variables(Stored('tfjs', tensors))


@pytest.mark.parametrize(
    'boxes, columns, classes',
    [(12, 273, 90), (12, 6, 1), (360, 91, 90), (4, 92, 91), (3240, 819, None)],
)
def test_the_predictors_tell_the_number_of_classes(boxes, columns, classes):
    tensors = {
        'Box_0/BoxEncodingPredictor/biases': np.zeros(boxes),
        'Box_0/ClassPredictor/biases': np.zeros(columns),
    }
    assert variables(Stored('checkpoint', tensors))[1].classes == classes


@real
def test_the_published_ssdlite_has_its_numbers_names_and_anchors():
    tensors = read_tensors(SSDLITE)
    assert len(tensors) == 262 and sum(array.size for array in tensors.values()) == 4_508_632
    shards = [np.fromfile(file, np.uint8) for file in sorted(SSDLITE.glob('group1-shard*'))]
    numbers = np.concatenate(shards).view(np.float32)  # after them come integers
    first = tensors['Postprocessor/ExpandDims']
    np.testing.assert_array_equal(first.ravel(), numbers[1 : 1 + first.size])
    found, facts = read_variables(SSDLITE)
    assert facts.classes == 90 and len(found) == 404 and len(facts.folded) == 64
    assert found['FeatureExtractor/MobilenetV2/Conv/weights'].shape == (3, 3, 3, 32)
    assert found['BoxPredictor_0/ClassPredictor/weights'].shape == (1, 1, 576, 273)
    maps = [(19, 19), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1)]
    np.testing.assert_allclose(facts.anchors, ssd_anchors(maps), atol=2e-7)


@real
@pytest.mark.parametrize('file', PUBLISHED)
def test_published_constants_are_those_of_the_runtime(file):
    tensors = read_tensors(DATA / file)
    assert len(PUBLISHED[file]) > 10
    for name, answer in PUBLISHED[file].items():
        agree(tensors[name], answer, rtol=1e-6)


@real
def test_the_quantised_detector_has_the_names_and_axes_of_training():
    found, facts = read_variables(QUANTISED)
    assert facts.classes == 90 and len(found) == 199 and len(facts.folded) == 35
    scope = 'FeatureExtractor/MobilenetV1'
    assert found[f'{scope}/Conv2d_0/weights'].shape == (3, 3, 3, 24)
    assert found[f'{scope}/Conv2d_13_depthwise/depthwise_weights'].shape == (3, 3, 768, 1)
    assert found[f'{scope}/Conv2d_13_pointwise_2_Conv2d_2_3x3_s2_384/weights'].shape == (
        *(3, 3, 192, 384),
    )
    step = 0.00645306  # of the anchors' centres, heights and widths
    _, exact = read_variables(SSDLITE)
    assert np.abs(facts.anchors - exact.anchors).max() <= 0.75 * step + 1e-6


@real
def test_the_detector_of_open_images_has_the_names_of_training():
    found, facts = read_variables(FLOAT16)
    assert facts.classes == 23 and len(found) == 324 and facts.anchors is None
    scope = 'FeatureExtractor/MobilenetV2'
    assert found[f'{scope}/layer_19_2_Conv2d_2_3x3_s2_512/weights'].shape == (3, 3, 256, 512)
    assert found[f'{scope}/expanded_conv_16/depthwise/depthwise_weights'].shape == (3, 3, 960, 1)
    both, _ = read_variables(SSDLITE)  # the same network below its extras and predictors
    body = {name for name in both if 'layer_19' not in name and not name.startswith('BoxP')}
    assert body == {
        name for name in found if 'layer_19' not in name and not name.startswith('BoxP')
    }
    assert {name: both[name].shape for name in body} == {name: found[name].shape for name in body}
