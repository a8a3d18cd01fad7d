"""Writes what the TensorFlow Object Detection API's detectors of two stages compute, for
test_two_stage_oracle.py.

    TF/bin/python tests/methods/two_stage_reference.py tests/methods/two_stage.json [ROW ...]

tests/zoo/tensorflow_reference.py says how it is run. The settings are those of the API's sample
configs, but both stages are trained on all anchors and on all regions: nothing is drawn at random.
The second stage of a published row looks at given regions, as most regions that its first stage
proposes end at the border of the picture, where rounding decides what a crop holds. Only the named
rows are computed anew. Norms of gradients stand in the order of the names of the variables that
have one.
"""

import json
import re
import sys
from pathlib import Path

import numpy as np
from tensorflow_reference import tf

# isort: split
import tf_slim as slim
import two_stage_samples as samples
from google.protobuf import text_format
from object_detection.builders import model_builder
from object_detection.meta_architectures import faster_rcnn_meta_arch
from object_detection.protos import model_pb2

CONFIG = """
faster_rcnn {
  num_classes: %(classes)d
  image_resizer { fixed_shape_resizer { height: %(height)d width: %(width)d } }
  feature_extractor { type: '%(extractor)s' first_stage_features_stride: 16 }
  first_stage_anchor_generator {
    grid_anchor_generator {
      scales: [%(scales)s]
      aspect_ratios: [0.5, 1.0, 2.0]
      height_stride: 16
      width_stride: 16
    }
  }
  first_stage_box_predictor_conv_hyperparams { %(hyperparameters)s }
  first_stage_box_predictor_depth: %(depth)d
  first_stage_minibatch_size: 100000
  first_stage_nms_score_threshold: 0.0
  first_stage_nms_iou_threshold: 0.7
  first_stage_max_proposals: %(proposals)d
  first_stage_localization_loss_weight: 2.0
  first_stage_objectness_loss_weight: 1.0
  second_stage_batch_size: %(proposals)d
  second_stage_balance_fraction: 1.0
  second_stage_box_predictor { %(predictor)s }
  second_stage_post_processing {
    batch_non_max_suppression {
      score_threshold: 0.0
      iou_threshold: 0.6
      max_detections_per_class: 100
      max_total_detections: 300
    }
    score_converter: SOFTMAX
  }
  second_stage_localization_loss_weight: 2.0
  second_stage_classification_loss_weight: 1.0
  %(crop)s
}
"""
HYPERPARAMETERS = """
    regularizer { l2_regularizer { weight: 0.0 } }
    initializer { truncated_normal_initializer { stddev: 0.01 } }
"""
FULLY_CONNECTED = 'mask_rcnn_box_predictor { fc_hyperparams { op: FC ' + HYPERPARAMETERS + '} }'
POSITION_SENSITIVE = (
    'rfcn_box_predictor { crop_height: 18 crop_width: 18 depth: %d conv_hyperparams { op: CONV '
    + HYPERPARAMETERS
    + '} }'
)
CROP = 'initial_crop_size: 14 maxpool_kernel_size: 2 maxpool_stride: 2'


class Made(faster_rcnn_meta_arch.FasterRCNNFeatureExtractor):
    """Two convolutions make the map, a third one is the tail."""

    def preprocess(self, inputs):
        return inputs / 255

    def _extract_proposal_features(self, inputs, scope):
        x = slim.conv2d(inputs, 6, [5, 5], stride=4, scope='conv1')
        return slim.conv2d(x, 8, [5, 5], stride=4, scope='conv2'), {}

    def _extract_box_classifier_features(self, maps, scope):
        return slim.conv2d(maps, 10, [3, 3], scope='conv3')


model_builder.FASTER_RCNN_FEATURE_EXTRACTOR_CLASS_MAP['made'] = Made


def detector(row, is_training):
    predictor = FULLY_CONNECTED if row.pool == 'crop' else POSITION_SENSITIVE % row.reduced
    text = CONFIG % {
        'classes': row.classes,
        'height': row.size[0],
        'width': row.size[1],
        'extractor': row.extractor,
        'scales': ', '.join(str(side / 256) for side in row.sides),
        'hyperparameters': 'op: CONV' + HYPERPARAMETERS,
        'depth': row.width,
        'proposals': row.proposals,
        'predictor': predictor,
        'crop': CROP if row.pool == 'crop' else '',
    }
    message = text_format.Parse(text, model_pb2.DetectionModel())
    return model_builder.build(message, is_training=is_training)


def computed(name, is_training):
    """The answers of a detector in training or at inference."""
    row = samples.ROWS[name]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        model = detector(row, is_training)
        images, shapes = model.preprocess(tf.constant(255 * samples.pictures(name)))
        if is_training:
            model.provide_groundtruth(
                [tf.constant(boxes[:, :4]) for boxes in truth(name)],
                [tf.one_hot(boxes[:, 4].astype(int), row.classes) for boxes in truth(name)],
            )
        if row.extractor != 'made':
            give_regions(model, samples.regions(name))
        told = model.predict(images, shapes)
        for variable in tf.compat.v1.global_variables():
            value = samples.variable(variable.op.name, variable.shape.as_list())
            variable.load(value, session)
        if is_training:
            return session.run(trained(model, told, shapes))
        return session.run(inferred(model, told, shapes))


def give_regions(model, regions):
    """Lets a detector's second stage look at given regions."""
    counts = tf.fill([len(regions)], regions.shape[1])
    given = tf.constant(regions), None, None, counts, None, None
    model._postprocess_rpn = lambda *told: given


def truth(name):
    return [np.array(boxes, np.float32).reshape(-1, 5) for boxes in samples.boxes_of(name)]


def trained(model, told, shapes):
    losses = model.loss(told, shapes)
    variables = sorted(tf.compat.v1.trainable_variables(), key=lambda variable: variable.op.name)
    gradients = tf.gradients(sum(losses.values()), variables)
    return {
        'losses': losses,
        'regions': told['num_proposals'],
        'shapes': {
            variable.op.name: tf.constant(variable.shape.as_list())
            for variable in variables
            if not re.match(samples.NETWORK, variable.op.name)
        },
        'gradients': tf.stack(
            [tf.norm(gradient) for gradient in gradients if gradient is not None]
        ),
    }


def inferred(model, told, shapes):
    found = model.postprocess(told, shapes)
    return {
        'anchor_codes': told['rpn_box_encodings'],
        'anchor_logits': told['rpn_objectness_predictions_with_background'],
        'regions': told['proposal_boxes_normalized'],
        'codes': told['refined_box_encodings'],
        'logits': told['class_predictions_with_background'],
        'boxes': found['detection_boxes'][:, :12],
        'scores': found['detection_scores'][:, :12],
        'classes': found['detection_classes'][:, :12],
    }


def answers(name):
    training, inference = computed(name, True), computed(name, False)
    for key in ('anchor_codes', 'anchor_logits', 'codes', 'logits', 'regions'):
        inference[key] = np.array(samples.picked(inference[key]))
    return {'training': training, 'inference': inference}


def listed(value):
    """Lists of numbers of seven significant digits, nested like an array."""
    value = np.asarray(value)
    if value.dtype.kind != 'f':
        return value.tolist()
    return np.vectorize(lambda number: float(f'{number:.7g}'), otypes=[float])(value).tolist()


if __name__ == '__main__':
    path = Path(sys.argv[1])
    known = json.loads(path.read_text(encoding='utf-8')) if path.exists() else {}
    known |= {name: answers(name) for name in sys.argv[2:] or samples.ROWS}
    text = json.dumps(known, default=listed, separators=(',', ':'))
    path.write_text(text.replace('},"', '},\n"') + '\n', encoding='utf-8')
