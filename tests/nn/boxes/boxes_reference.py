"""Writes what the TensorFlow Object Detection API makes of small inputs, for test_box_oracle.py.

    TF/bin/python tests/nn/boxes/boxes_reference.py tests/nn/boxes/boxes.json

tests/zoo/tensorflow_reference.py says how it is run.
"""

import json
import sys
from pathlib import Path

import numpy as np
from tensorflow_reference import tf

# isort: split
import box_samples as samples
from object_detection.anchor_generators import (
    grid_anchor_generator,
    multiple_grid_anchor_generator,
    multiscale_grid_anchor_generator,
)
from object_detection.box_coders.faster_rcnn_box_coder import FasterRcnnBoxCoder
from object_detection.core import (
    box_list,
    box_list_ops,
    losses,
    post_processing,
    region_similarity_calculator,
    target_assigner,
)
from object_detection.matchers.argmax_matcher import ArgMaxMatcher
from object_detection.utils import ops


def anchors():
    """Anchors of the three generators."""

    def ssd(maps, shape=(1, 1), **settings):
        generator = multiple_grid_anchor_generator.create_ssd_anchors(
            num_layers=len(maps),
            aspect_ratios=(1.0, 2.0, 0.5, 3.0, 0.3333),
            **settings,
        )
        return joined(generator.generate(maps, im_height=shape[0], im_width=shape[1]))

    def multiscale(maps, shape):
        generator = multiscale_grid_anchor_generator.MultiscaleGridAnchorGenerator(
            3, 2 + len(maps), 4.0, [1.0, 2.0, 0.5], 2
        )
        return joined(generator.generate(maps, im_height=shape[0], im_width=shape[1]))

    grid = grid_anchor_generator.GridAnchorGenerator(
        (0.25, 0.5, 1.0, 2.0), (0.5, 1.0, 2.0), anchor_stride=(16, 16), anchor_offset=(0, 0)
    )
    return {
        'ssd': ssd(samples.MAPS, min_scale=0.2, max_scale=0.95),
        'ssd_wide': ssd(samples.MAPS, (300, 400), min_scale=0.2, max_scale=0.95),
        'ssd_unreduced': ssd(
            samples.MAPS, min_scale=0.15, max_scale=0.95, reduce_boxes_in_lowest_layer=False
        ),
        'multiscale': multiscale([(4, 4), (2, 2), (1, 1)], (32, 32)),
        'multiscale_uneven': multiscale([(5, 4), (3, 2)], (40, 30)),
        'grid': joined(grid.generate([(2, 3)])),
    }


def joined(lists):
    return tf.concat([boxes.get() for boxes in lists], 0)


def overlaps():
    first, second = box_list.BoxList(FIRST), box_list.BoxList(SECOND)
    return {
        'iou': box_list_ops.iou(first, second),
        'ioa': box_list_ops.ioa(second, first),  # the share of each of the first
    }


FIRST = tf.constant(samples.boxes(5, 0))
SECOND = tf.constant(samples.boxes(7, 1))
CODER = FasterRcnnBoxCoder((10.0, 10.0, 5.0, 5.0))


def codes():
    anchors = box_list.BoxList(tf.constant(samples.boxes(5, 2)))
    return {
        'encoded': CODER.encode(box_list.BoxList(FIRST), anchors),
        'decoded': CODER.decode(tf.constant(samples.numbers((5, 4), 3)), anchors).get(),
    }


def matches(anchors):
    """Anchors' boxes, codes and classes, for two pairs of thresholds; the last box is padding."""
    answer, boxes = {}, samples.boxes(6, 4)
    boxes[-1] = 0
    for name, matched, unmatched in (('half', 0.5, 0.5), ('between', 0.7, 0.3)):
        assigner = target_assigner.TargetAssigner(
            region_similarity_calculator.IouSimilarity(),
            ArgMaxMatcher(matched, unmatched, force_match_for_each_row=True),
            CODER,
        )
        classes = tf.one_hot([1, 2, 0, 1, 2, 2], 4)
        _, _, code, _, match = assigner.assign(
            box_list.BoxList(anchors),
            box_list.BoxList(tf.constant(boxes)),
            classes,
            tf.constant([1.0, 0, 0, 0]),
            tf.constant([1.0, 1, 1, 1, 1, 0]),
        )
        answer[name] = {'box': match, 'codes': code}
    return answer


def mined():
    """The miner's summed losses of two pictures, with and without a smallest number."""
    n = 60
    boxes = [samples.repeated(n, seed) for seed in (5, 6)]
    loss = np.abs(samples.numbers((2, n), 7))
    location = np.abs(samples.numbers((2, n), 8))
    answer = {}
    for name, settings in {
        'usual': dict(max_negatives_per_positive=3, min_negatives_per_image=0),
        'fewest': dict(max_negatives_per_positive=1, min_negatives_per_image=20),
        'few': dict(num_hard_examples=10, max_negatives_per_positive=3),
        'overlap': dict(iou_threshold=0.6, max_negatives_per_positive=3),
    }.items():
        settings = {'num_hard_examples': 3000, 'iou_threshold': 0.99, **settings}
        miner = losses.HardExampleMiner(
            loss_type='cls', cls_loss_weight=1.0, loc_loss_weight=1.0, **settings
        )
        box = np.full((2, n), -1, np.int32)
        box[0, ::7], box[1, 3::20], box[:, 5] = 0, 1, -2
        loss[:, 5] = location[:, 5] = 0  # an ignored anchor has the weight 0
        from object_detection.core import matcher

        matches = [matcher.Match(tf.constant(row)) for row in box]
        location_sum, class_sum = miner(
            tf.constant(location),
            tf.constant(loss),
            [box_list.BoxList(tf.constant(row)) for row in boxes],
            matches,
        )
        answer[name] = {'location': location_sum, 'class': class_sum}
    return answer


def suppressed():
    """Detections of 40 boxes and 3 classes, with boxes shared and by class."""
    n, answer = 40, {}
    score = tf.constant(samples.scores((1, n, 3), 9))
    for name, boxes in {
        'shared': samples.repeated(n, 10)[None, :, None],
        'by_class': np.stack([samples.repeated(n, seed) for seed in (11, 12, 13)], 1)[None],
    }.items():
        found = post_processing.batch_multiclass_non_max_suppression(
            tf.constant(boxes),
            score,
            score_thresh=0.3,
            iou_thresh=0.6,
            max_size_per_class=6,
            max_total_size=15,
            clip_window=tf.constant([0.0, 0.0, 0.8, 0.8]),
        )
        answer[name] = {
            'boxes': found[0][0],
            'scores': found[1][0],
            'classes': found[2][0],
            'number': found[5][0],
        }
    return answer


def crops():
    """Crops and resizes of small pictures; some boxes leave the picture, one is mirrored."""
    picture = tf.constant(samples.numbers((2, 5, 7, 2), 14))
    boxes = samples.boxes(4, 15)
    boxes[1] += 0.3
    boxes[2] = boxes[2][[2, 1, 0, 3]]
    maps = tf.constant(samples.numbers((6, 6, 3 * 3 * 2), 16))
    return {
        'crop': tf.image.crop_and_resize(picture, boxes, [0, 0, 1, 1], [3, 4]),
        'single': tf.image.crop_and_resize(picture, boxes, [0, 0, 1, 1], [1, 1]),
        'position_sensitive': ops.position_sensitive_crop_regions(
            maps, tf.constant(samples.boxes(3, 17)), [6, 6], [3, 3], global_pool=True
        ),
        'enlarged': tf.compat.v1.image.resize_bilinear(picture, [8, 9]),
        'reduced': tf.compat.v1.image.resize_bilinear(picture, [2, 3]),
    }


def anchor_losses():
    logits = tf.constant(samples.numbers((1, 4, 3), 18, 3.0))
    wanted = tf.one_hot([[0, 2, 1, 1]], 3)
    ones = tf.ones((1, 4, 3))
    return {
        'focal': losses.SigmoidFocalClassificationLoss(gamma=2.0, alpha=0.75)(
            logits, wanted, weights=ones
        ),
        'smooth_l1': losses.WeightedSmoothL1LocalizationLoss(delta=1.0)(
            tf.constant(samples.numbers((1, 4, 4), 19)),
            tf.constant(samples.numbers((1, 4, 4), 20)),
            weights=tf.ones((1, 4)),
        ),
    }


def main():
    made = anchors()
    answers = {
        'anchors': made,
        'overlaps': overlaps(),
        'codes': codes(),
        'matches': matches(made['ssd']),
        'mined': mined(),
        'suppressed': suppressed(),
        'crops': crops(),
        'losses': anchor_losses(),
    }
    with tf.compat.v1.Session() as session:
        answers = session.run(answers)
    text = json.dumps(answers, default=listed)
    Path(sys.argv[1]).write_text(text + '\n')


def listed(value):
    """Lists of numbers of six significant digits, nested like an array."""
    if value.dtype.kind != 'f':
        return value.tolist()
    return np.vectorize(lambda number: float(f'{number:.6g}'), otypes=[float])(value).tolist()


if __name__ == '__main__':
    main()
