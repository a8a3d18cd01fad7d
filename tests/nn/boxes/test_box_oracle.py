"""Boxes against the TensorFlow Object Detection API; boxes_reference.py has written its answers."""

import json
from pathlib import Path

import box_samples as samples
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tljax.nn.boxes import anchors, codes, crops, geometry, losses, matching, mining, suppression

ANSWERS = json.loads((Path(__file__).parent / 'boxes.json').read_text())


def close(value, expected, tolerance=2e-6):
    np.testing.assert_allclose(value, np.array(expected), rtol=1e-5, atol=tolerance)


@pytest.mark.parametrize(
    'name, made',
    [
        ('ssd', lambda: anchors.ssd_anchors(samples.MAPS)),
        ('ssd_wide', lambda: anchors.ssd_anchors(samples.MAPS, shape=(300, 400))),
        ('ssd_unreduced', lambda: anchors.ssd_anchors(samples.MAPS, 0.15, reduced=False)),
        ('multiscale', lambda: anchors.multiscale_anchors([(4, 4), (2, 2), (1, 1)], (32, 32))),
        ('multiscale_uneven', lambda: anchors.multiscale_anchors([(5, 4), (3, 2)], (40, 30))),
        ('grid', lambda: anchors.grid_anchors((2, 3))),
    ],
)
def test_anchors_are_the_apis(name, made):
    close(made(), ANSWERS['anchors'][name])


def test_overlaps_and_codes_are_the_apis():
    first, second, places = samples.boxes(5, 0), samples.boxes(7, 1), samples.boxes(5, 2)
    overlap, share, encoded, decoded = jax.jit(
        lambda first, second, places, code: (
            geometry.iou(first, second),
            geometry.covered(first, second),
            codes.encode(first, places),
            codes.decode(code, places),
        )
    )(first, second, places, samples.numbers((5, 4), 3))
    close(overlap, ANSWERS['overlaps']['iou'])
    close(share.T, ANSWERS['overlaps']['ioa'])
    close(encoded, ANSWERS['codes']['encoded'], 1e-5)
    close(decoded, ANSWERS['codes']['decoded'])


@pytest.mark.parametrize('name, matched, unmatched', [('half', 0.5, 0.5), ('between', 0.7, 0.3)])
def test_matches_and_their_codes_are_the_apis(name, matched, unmatched):
    label = np.array([0, 1, 2, 0, 1, -1])
    boxes = np.concatenate([samples.boxes(6, 4), label[:, None]], 1).astype(np.float32)
    boxes[-1, :4] = 0
    places = anchors.ssd_anchors(samples.MAPS)
    found = jax.jit(lambda boxes: matching.targets(boxes, places, matched, unmatched))(boxes)
    expected = ANSWERS['matches'][name]
    assert found.box.tolist() == expected['box']
    close(found.codes, expected['codes'], 1e-4)  # of codes up to 10


@pytest.mark.parametrize(
    'name, settings',
    [
        ('usual', {}),
        ('fewest', dict(negatives=1.0, fewest=20)),
        ('few', dict(limit=10)),
        ('overlap', dict(overlap=0.6)),
    ],
)
def test_hard_examples_are_the_apis(name, settings):
    n = 60
    boxes = np.stack([samples.repeated(n, seed) for seed in (5, 6)])
    loss = np.abs(samples.numbers((2, n), 7))
    location = np.abs(samples.numbers((2, n), 8))
    box = np.full((2, n), -1)
    box[0, ::7], box[1, 3::20], box[:, 5] = 0, 1, -2
    loss[:, 5] = location[:, 5] = 0  # an ignored anchor has the weight 0
    chosen = jax.jit(lambda *arrays: mining.hard_examples(*arrays, **settings))(loss, boxes, box)
    close((loss * chosen).sum(), ANSWERS['mined'][name]['class'], 1e-4)
    close((location * chosen).sum(), ANSWERS['mined'][name]['location'], 1e-4)


@pytest.mark.parametrize('name', ['shared', 'by_class'])
def test_detections_are_the_apis(name):
    n, expected = 40, ANSWERS['suppressed'][name]
    boxes = (
        samples.repeated(n, 10)
        if name == 'shared'
        else np.stack([samples.repeated(n, seed) for seed in (11, 12, 13)], 1)
    )
    window = jnp.array([0.0, 0.0, 0.8, 0.8])
    found = jax.jit(
        lambda boxes, score: suppression.detections(boxes, score, 0.6, 0.3, 6, 15, window)
    )(boxes, samples.scores((1, n, 3), 9)[0])
    number = int(expected['number'])
    assert 3 < number <= 15 and (found[number:, 4] == -1).all()
    close(found[:number, :4], expected['boxes'][:number])
    close(found[:number, 5], expected['scores'][:number])
    assert found[:number, 4].tolist() == expected['classes'][:number]


def test_crops_and_resizes_are_tensorflows():
    picture, boxes = samples.numbers((2, 5, 7, 2), 14), samples.boxes(4, 15)
    boxes[1] += 0.3
    boxes[2] = boxes[2][[2, 1, 0, 3]]
    maps = samples.numbers((6, 6, 18), 16)
    pairs = boxes.reshape(2, 2, 4)  # the pictures of boxes 0 to 3 are 0, 0, 1 and 1
    crop, single, pooled, enlarged, reduced = jax.jit(
        lambda picture, pairs, maps, places: (
            crops.crop_and_resize(picture, pairs, (3, 4)),
            crops.crop_and_resize(picture, pairs, (1, 1)),
            crops.position_sensitive_crop(maps, places, (6, 6), (3, 3)),
            crops.legacy_resize(picture, (8, 9)),
            crops.legacy_resize(picture, (2, 3)),
        )
    )(picture, pairs, maps, samples.boxes(3, 17))
    expected = ANSWERS['crops']
    close(crop.reshape(4, 3, 4, 2), expected['crop'], 1e-5)
    close(single.reshape(4, 1, 1, 2), expected['single'], 1e-5)
    close(pooled, np.array(expected['position_sensitive'])[:, 0, 0], 1e-5)
    close(enlarged, expected['enlarged'], 1e-5)
    close(reduced, expected['reduced'], 1e-5)


def test_losses_are_the_apis():
    logits, wanted = samples.numbers((4, 3), 18, 3.0), np.eye(3, dtype=np.float32)[[0, 2, 1, 1]]
    focal, smooth = jax.jit(
        lambda logits, first, second: (
            losses.focal(logits, wanted, alpha=0.75),
            losses.smooth_l1(first, second),
        )
    )(logits, samples.numbers((4, 4), 19), samples.numbers((4, 4), 20))
    close(focal, ANSWERS['losses']['focal'][0], 1e-5)
    close(smooth, ANSWERS['losses']['smooth_l1'][0], 1e-5)
