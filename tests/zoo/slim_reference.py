"""Writes the maps that the TensorFlow Object Detection API computes, for tests/zoo/test_slim.py.

    TF/bin/python tests/zoo/slim_reference.py tests/zoo/slim.json

tests/zoo/tensorflow_reference.py says how it is run. The settings are those of the API's sample
configs. The file has, for each row, the names and shapes of the variables by layer, and some values
of each map.
"""

import json
import sys
from pathlib import Path

import numpy as np
from tensorflow_reference import tf

# isort: split
import slim_samples as samples
import tf_slim
from google.protobuf import text_format
from object_detection.builders import hyperparams_builder
from object_detection.models import (
    faster_rcnn_inception_v2_feature_extractor as faster_inception,
)
from object_detection.models import (
    faster_rcnn_resnet_v1_feature_extractor as faster_resnet,
)
from object_detection.models import (
    ssd_inception_v2_feature_extractor,
    ssd_mobilenet_v1_feature_extractor,
    ssd_mobilenet_v1_fpn_feature_extractor,
    ssd_mobilenet_v1_ppn_feature_extractor,
    ssd_mobilenet_v2_feature_extractor,
    ssd_resnet_v1_fpn_feature_extractor,
)
from object_detection.protos import hyperparams_pb2

V1 = ssd_mobilenet_v1_feature_extractor.SSDMobileNetV1FeatureExtractor
PPN = ssd_mobilenet_v1_ppn_feature_extractor.SSDMobileNetV1PpnFeatureExtractor
V1_FPN = ssd_mobilenet_v1_fpn_feature_extractor.SSDMobileNetV1FpnFeatureExtractor
V2 = ssd_mobilenet_v2_feature_extractor.SSDMobileNetV2FeatureExtractor
INCEPTION = ssd_inception_v2_feature_extractor.SSDInceptionV2FeatureExtractor
RESNET_FPN = ssd_resnet_v1_fpn_feature_extractor.SSDResnet50V1FpnFeatureExtractor
SINGLE = {
    'ssd_mobilenet_v1': (V1, {}),
    'ssd_mobilenet_v1_75': (V1, {'depth_multiplier': 0.75, 'overrides': True}),
    'ssd_mobilenet_v1_25': (V1, {'depth_multiplier': 0.25}),
    'ssd_mobilenet_v1_ppn': (PPN, {'overrides': True}),
    'ssd_mobilenet_v1_fpn': (V1_FPN, {'overrides': True}),
    'ssd_resnet50_fpn': (RESNET_FPN, {'overrides': True}),
    'ssd_mobilenet_v2': (V2, {}),
    'ssdlite_mobilenet_v2': (V2, {'use_depthwise': True}),
    'ssd_inception_v2': (INCEPTION, {'overrides': True}),
}
DOUBLE = {
    'faster_rcnn_inception_v2': (faster_inception.FasterRCNNInceptionV2FeatureExtractor, 576),
    'faster_rcnn_resnet50': (faster_resnet.FasterRCNNResnet50FeatureExtractor, 1024),
    'faster_rcnn_resnet101': (faster_resnet.FasterRCNNResnet101FeatureExtractor, 1024),
}
HYPERPARAMETERS = """
    activation: RELU_6
    regularizer { l2_regularizer { weight: 0.00004 } }
    initializer { truncated_normal_initializer { stddev: 0.03 } }
    batch_norm { scale: true center: true epsilon: 0.001 }
"""


def single(row):
    """The maps of a detector of one stage, finest first."""
    make, settings = SINGLE[row]
    message = text_format.Parse(HYPERPARAMETERS, hyperparams_pb2.Hyperparams())
    extractor = make(
        is_training=False,
        depth_multiplier=settings.get('depth_multiplier', 1.0),
        min_depth=16,
        pad_to_multiple=1,
        conv_hyperparams_fn=hyperparams_builder.build(message, is_training=False),
        override_base_feature_extractor_hyperparams=settings.get('overrides', False),
        **{key: value for key, value in settings.items() if key == 'use_depthwise'},
    )
    images = tf.constant(255 * samples.pictures(row))
    with (
        tf.compat.v1.variable_scope('FeatureExtractor'),
        tf_slim.arg_scope([tf_slim.batch_norm], is_training=False),
    ):
        return extractor.extract_features(extractor.preprocess(images))


def double(row):
    """The map of the first stage, and what the second stage makes of crops."""
    make, channels = DOUBLE[row]
    extractor = make(is_training=False, first_stage_features_stride=16)
    images = tf.constant(255 * samples.pictures(row))
    first, _ = extractor.extract_proposal_features(
        extractor.preprocess(images), scope='FirstStageFeatureExtractor'
    )
    second = extractor.extract_box_classifier_features(
        tf.constant(samples.crops(row, channels)), scope='SecondStageFeatureExtractor'
    )
    return [first, second]


def computed(row):
    """Shapes of the variables by layer, number of trainable ones, and values of the maps."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        maps = single(row) if row in SINGLE else double(row)
        layers = {}
        for variable in tf.compat.v1.global_variables():
            name, shape = variable.op.name, variable.shape.as_list()
            variable.load(samples.variable(name, shape), session)
            layer, _, leaf = name.rpartition('/')
            layers.setdefault(layer, {})[leaf] = shape
        return {
            'layers': {layer: compact(shapes) for layer, shapes in layers.items()},
            'trainable': sum(
                int(np.prod(variable.shape)) for variable in tf.compat.v1.trainable_variables()
            ),
            'maps': [
                {
                    'shape': list(array.shape),
                    'picked': [float(f'{x:.7g}') for x in samples.picked(array)],
                }
                for array in session.run(maps)
            ],
        }


def compact(shapes):
    """The number of channels of a BatchNorm layer; otherwise {leaf: shape}."""
    norm = ['beta', 'gamma', 'moving_mean', 'moving_variance']
    return shapes['beta'][0] if sorted(shapes) == norm else shapes


if __name__ == '__main__':
    answers = {row: computed(row) for row in samples.SIZES}
    text = json.dumps(answers, separators=(',', ':'))
    Path(sys.argv[1]).write_text(text.replace('},"', '},\n"') + '\n', encoding='utf-8')
