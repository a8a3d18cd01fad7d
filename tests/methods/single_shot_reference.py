"""Writes what the TensorFlow Object Detection API's detectors of one stage compute, for
test_single_shot_oracle.py.

    TF/bin/python tests/methods/single_shot_reference.py tests/methods/single_shot.json [ROW ...]

tests/zoo/tensorflow_reference.py says how it is run. The settings are those of the API's sample
configs, but BatchNorm uses its stored statistics: the model is made for inference, and its losses
are computed all the same. Some rows are trained with the batch's statistics, too. Only the named
rows are computed anew. The norms of the gradients stand in trees of the scopes of the variables;
'unread' counts the numbers that get no gradient.
"""

import json
import sys
from pathlib import Path

import numpy as np
from tensorflow_reference import tf

# isort: split
import single_shot_samples as samples
from google.protobuf import text_format
from object_detection.builders import model_builder
from object_detection.protos import model_pb2
from two_stage_samples import BOXES, picked

CONFIG = """
ssd {
  num_classes: %(classes)d
  image_resizer { fixed_shape_resizer { height: %(height)d width: %(width)d } }
  box_coder {
    faster_rcnn_box_coder { y_scale: 10 x_scale: 10 height_scale: 5 width_scale: 5 }
  }
  matcher {
    argmax_matcher {
      matched_threshold: 0.5
      unmatched_threshold: 0.5
      force_match_for_each_row: true
    }
  }
  similarity_calculator { iou_similarity { } }
  normalize_loss_by_num_matches: true
  post_processing {
    batch_non_max_suppression {
      score_threshold: 1e-8
      iou_threshold: 0.6
      max_detections_per_class: 100
      max_total_detections: 100
    }
    score_converter: SIGMOID
  }
  %(anchors)s
  feature_extractor { min_depth: 16 %(extractor)s conv_hyperparams { %(layers)s %(norm)s } }
  box_predictor { %(predictor)s }
  loss { localization_loss { weighted_smooth_l1 { } } %(loss)s }
  %(flags)s
}
"""
LAYERS = """
    activation: RELU_6
    regularizer { l2_regularizer { weight: 0.00004 } }
    initializer { truncated_normal_initializer { stddev: 0.03 } }
"""
RATIOS = 'aspect_ratios: [1.0, 2.0, 0.5, 3.0, 0.3333]'
SSD = 'anchor_generator { ssd_anchor_generator { num_layers: 6 %s ' + RATIOS + ' } }'
PYRAMID = """
anchor_generator {
  multiscale_anchor_generator {
    min_level: 3 max_level: 7 anchor_scale: 4.0 aspect_ratios: [1.0, 2.0, 0.5] scales_per_octave: 2
  }
}
"""
SCALES = 'min_scale: 0.2 max_scale: 0.95'
MINED = """
    classification_loss { weighted_sigmoid { } }
    hard_example_miner {
      num_hard_examples: 3000
      iou_threshold: 0.99
      loss_type: CLASSIFICATION
      max_negatives_per_positive: 3
      min_negatives_per_image: %d
    }
"""
FOCAL = """
    classification_loss { weighted_sigmoid_focal { alpha: %s gamma: 2.0 } }
    localization_weight: %s
"""
WITHOUT_BACKGROUND = """
  encode_background_as_zeros: true
  normalize_loc_loss_by_codesize: true
"""


def norm(decay):
    return f'batch_norm {{ scale: true center: true decay: {decay} epsilon: 0.001 }}'


def by_map(settings, decay):
    layers = LAYERS + (norm(decay) if decay else '')
    settings = f'use_dropout: false {settings}'
    return f'convolutional_box_predictor {{ {settings} conv_hyperparams {{ {layers} }} }}'


def shared(settings, decay):
    layers = LAYERS + norm(decay)
    return (
        'weight_shared_convolutional_box_predictor { class_prediction_bias_init: -4.6 '
        f'{settings} conv_hyperparams {{ {layers} }} }}'
    )


def mined(extractor, predictor, fewest, decay=0.9997):
    """SSD with hard examples; without a decay its predictor has no BatchNorm."""
    return {
        'anchors': SSD % SCALES,
        'extractor': extractor,
        'norm': norm(0.9997),
        'predictor': by_map(predictor, decay),
        'loss': MINED % fewest,
        'flags': '',
    }


def focal(anchors, extractor, predictor, decay, alpha, weight=1.0):
    return {
        'anchors': anchors,
        'extractor': extractor + ' override_base_feature_extractor_hyperparams: true',
        'norm': norm(decay),
        'predictor': predictor,
        'loss': FOCAL % (alpha, weight),
        'flags': WITHOUT_BACKGROUND,
    }


def named(kind, settings=''):
    return f"type: '{kind}' {settings}"


def light(multiplier):
    predictor = by_map('kernel_size: 1 class_prediction_bias_init: -4.6', 0.97)
    extractor = named('ssd_mobilenet_v1', f'depth_multiplier: {multiplier}')
    return focal(SSD % SCALES, extractor, predictor, 0.97, 0.75)


def pyramid(kind):
    predictor = shared('depth: 256 num_layers_before_predictor: 4 kernel_size: 3', 0.997)
    return focal(PYRAMID, named(kind), predictor, 0.997, 0.25)


POOLED = 'depth: 512 num_layers_before_predictor: 1 kernel_size: 1 share_prediction_tower: true'
OVERRIDDEN = 'override_base_feature_extractor_hyperparams: true'
ROWS = {
    'ssd_mobilenet_v1': mined(named('ssd_mobilenet_v1'), 'kernel_size: 1', 0),
    'ssd_mobilenet_v1_0.75_depth': light(0.75),
    'ssd_mobilenet_v1_quantized': light(1.0),
    'ssd_mobilenet_v1_ppn': focal(
        SSD % 'min_scale: 0.15 max_scale: 0.95 reduce_boxes_in_lowest_layer: false',
        named('ssd_mobilenet_v1_ppn'),
        shared(POOLED, 0.97),
        0.97,
        0.75,
        1.5,
    ),
    'ssd_mobilenet_v1_fpn': pyramid('ssd_mobilenet_v1_fpn'),
    'ssd_resnet50_fpn': pyramid('ssd_resnet50_v1_fpn'),
    'ssd_mobilenet_v2': mined(
        named('ssd_mobilenet_v2', 'use_depthwise: true'), 'kernel_size: 3', 3
    ),
    'ssd_mobilenet_v2_quantized': mined(named('ssd_mobilenet_v2'), 'kernel_size: 1', 3),
    'ssdlite_mobilenet_v2': mined(
        named('ssd_mobilenet_v2', 'use_depthwise: true'), 'kernel_size: 3 use_depthwise: true', 3
    ),
    'ssd_inception_v2': mined(
        named('ssd_inception_v2', OVERRIDDEN), 'kernel_size: 3', 0, decay=None
    ),
}


def detector(row, frozen, size=None):
    height, width = size or samples.SIZES[row]
    text = CONFIG % {
        **ROWS[row],
        'classes': samples.CLASSES,
        'height': height,
        'width': width,
        'layers': LAYERS,
    }
    message = text_format.Parse(text, model_pb2.DetectionModel())
    return model_builder.build(message, is_training=not frozen)


def computed(row, frozen):
    """The answers of a detector whose BatchNorm uses its stored statistics, or the batch's."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        model = detector(row, frozen)
        images, shapes = model.preprocess(tf.constant(255 * samples.pictures(row)))
        truth = [np.array(boxes, np.float32).reshape(-1, 5) for boxes in BOXES]
        model.provide_groundtruth(
            [tf.constant(boxes[:, :4]) for boxes in truth],
            [tf.one_hot(boxes[:, 4].astype(int), samples.CLASSES) for boxes in truth],
        )
        told = model.predict(images, shapes)
        losses = model.loss(told, shapes)
        variables = tf.compat.v1.trainable_variables()
        names = [each.op.name for each in variables]
        gradients = dict(zip(names, tf.gradients(sum(losses.values()), variables), strict=True))
        asked = {
            'losses': {name.rpartition('/')[2]: value for name, value in losses.items()},
            'gradients': {
                name: tf.norm(gradient)
                for name, gradient in gradients.items()
                if gradient is not None
            },
        }
        if frozen:
            asked |= inferred(model, told, shapes)
        for each in tf.compat.v1.global_variables():
            each.load(samples.variable(each.op.name, each.shape.as_list()), session)
        answers = session.run(asked)
        if not frozen:
            answers['moved'] = moved(session)
    sizes = [int(np.prod(each.shape)) for each in variables]
    answers['gradients'] = tree(answers['gradients'])
    answers['trained'] = sum(sizes)
    unread = [size for name, size in zip(names, sizes, strict=True) if gradients[name] is None]
    answers['unread'] = sum(unread)
    return answers


def inferred(model, told, shapes):
    found = model.postprocess(told, shapes)
    return {
        'anchors': told['anchors'],
        'codes': told['box_encodings'],
        'logits': told['class_predictions_with_background'],
        'boxes': found['detection_boxes'][:, : samples.TOP],
        'scores': found['detection_scores'][:, : samples.TOP],
        'classes': found['detection_classes'][:, : samples.TOP],
    }


def moved(session):
    """By how much a step moves the means that BatchNorm stores, a norm for each layer."""
    session.run(tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.UPDATE_OPS))
    means = {
        each.op.name: each
        for each in tf.compat.v1.global_variables()
        if each.op.name.endswith('/moving_mean')
    }
    changes = {
        name: np.linalg.norm(value - samples.variable(name, value.shape))
        for name, value in session.run(means).items()
    }
    return tree(changes)


def tree(flat):
    """{'a/b': x} as {'a': {'b': x}}."""
    nested = {}
    for name, value in flat.items():
        *scopes, leaf = name.split('/')
        place = nested
        for scope in scopes:
            place = place.setdefault(scope, {})
        place[leaf] = value
    return nested


def answers(row):
    found = computed(row, True)
    for key in ('anchors', 'codes', 'logits'):
        found[key] = np.array(picked(found[key]))
    if row in samples.FOLLOWING:
        found['following'] = computed(row, False)
    return found


def listed(value):
    """Lists of numbers of nine significant digits, as float32 needs, nested like an array."""
    value = np.asarray(value)
    if value.dtype.kind != 'f':
        return value.tolist()
    return np.vectorize(lambda number: float(f'{number:.9g}'), otypes=[float])(value).tolist()


if __name__ == '__main__':
    path = Path(sys.argv[1])
    known = json.loads(path.read_text(encoding='utf-8')) if path.exists() else {}
    for row in sys.argv[2:] or ROWS:
        known[row] = answers(row)
        text = json.dumps(known, default=listed, separators=(',', ':'))
        path.write_text(text.replace('},"', '},\n"') + '\n', encoding='utf-8')
        known = json.loads(text)
