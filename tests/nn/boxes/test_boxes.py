"""Boxes against numbers worked out by hand, and against loops over pairs in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from box_samples import boxes as random_boxes
from box_samples import repeated, scores

from tljax.core import UserError
from tljax.nn.boxes import anchors, codes, crops, geometry, losses, matching, mining, suppression


def test_overlaps_of_boxes_that_are_outside_inverted_or_without_area():
    odd = np.array(
        [[0, 0, 0, 0], [0.5, 0.5, 0.5, 0.9], [0.8, 0, 0.2, 1], [2, 2, 3, 3], [-1, -1, 0.5, 0.5]],
        np.float32,
    )
    whole = np.array([geometry.WHOLE], np.float32)

    def total(boxes):
        return geometry.iou(boxes, whole).sum() + geometry.covered(boxes, boxes).sum()

    overlap, share, gradient = jax.jit(
        lambda boxes: (
            geometry.iou(boxes, whole),
            geometry.covered(boxes, whole),
            jax.grad(total)(boxes),
        )
    )(odd)
    # the last box has area 2.25, of which 0.25 lies in the picture of area 1
    np.testing.assert_allclose(overlap[:, 0], [0, 0, 0, 0, 0.25 / 3], rtol=1e-6)
    np.testing.assert_allclose(share[:, 0], [0, 0, 0, 0, 0.25 / 2.25], rtol=1e-6)
    assert np.isfinite(gradient).all()


def test_codes_come_back_as_boxes_and_are_finite_without_area():
    boxes, places = random_boxes(20, 0), random_boxes(20, 1)
    again, flat = jax.jit(
        lambda boxes, places: (
            codes.decode(codes.encode(boxes, places), places),
            codes.encode(jnp.zeros(4), places),
        )
    )(boxes, places)
    np.testing.assert_allclose(again, boxes, atol=1e-6)
    assert np.isfinite(flat).all()


def test_ssd_anchors_of_the_first_and_the_last_cell():
    made = anchors.ssd_anchors([(19, 19), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1)])
    assert made.shape == (3 * 361 + 6 * (100 + 25 + 9 + 4 + 1), 4) and made.dtype == np.float32
    centre, sides = (made[:, :2] + made[:, 2:]) / 2, made[:, 2:] - made[:, :2]
    # first cell: squares of .1, then .2 by ratio 2 and 1/2; height is scale / root of the ratio
    np.testing.assert_allclose(centre[:3], 0.5 / 19, atol=1e-6)
    root = 2**0.5
    expected = [[0.1, 0.1], [0.2 / root, 0.2 * root], [0.2 * root, 0.2 / root]]
    np.testing.assert_allclose(sides[:3], expected, atol=1e-6)
    np.testing.assert_allclose(centre[3:6], [[0.5 / 19, 1.5 / 19]] * 3, atol=1e-6)
    # last cell: scale .95, and the square of the geometric mean of .95 and 1
    np.testing.assert_allclose(centre[-6:], 0.5, atol=1e-6)
    np.testing.assert_allclose(sides[-1], 0.95**0.5, atol=1e-6)
    np.testing.assert_allclose(sides[-6], 0.95, atol=1e-6)
    # second map: scale .2 + .75 / 5 = .35, next .5
    np.testing.assert_allclose(sides[3 * 361 + 5], (0.35 * 0.5) ** 0.5, atol=1e-6)


def test_anchors_of_a_pyramid_and_of_one_map():
    made = anchors.multiscale_anchors([(4, 4), (2, 2)], shape=(32, 32)) * 32
    sides = made[:, 2:] - made[:, :2]
    # stride 8, side 32 and 32 * root 2, then the same with ratio 2
    np.testing.assert_allclose(sides[:2], [[32, 32], [32 * 2**0.5] * 2], rtol=1e-6)
    np.testing.assert_allclose(sides[2], [32 / 2**0.5, 32 * 2**0.5], rtol=1e-6)
    np.testing.assert_allclose((made[0, :2] + made[0, 2:]) / 2, 4, atol=1e-5)
    np.testing.assert_allclose(sides[16 * 6], 64, rtol=1e-6)
    made = anchors.grid_anchors((2, 2))
    np.testing.assert_allclose(
        made[12 + 6], [-128, -112, 128, 144]
    )  # second cell, ratio 1, scale 1
    with pytest.raises(UserError, match='no maps'):
        anchors.ssd_anchors([])


def test_matches_by_hand():
    overlap = np.array(
        [  # anchors 0 to 5
            [0.6, 0.8, 0.1, 0.0, 0.45, 0.3],
            [0.7, 0.3, 0.2, 0.0, 0.45, 0.3],
            [0.0, 0.1, 0.9, 0.0, 0.00, 0.0],  # padding
            [0.0, 0.0, 0.0, 0.0, 0.00, 0.0],  # overlaps nothing
            [0.0, 0.4, 0.0, 0.0, 0.00, 0.3],  # wants anchor 1, which the first box has
        ],
        np.float32,
    )
    valid = np.array([True, True, False, True, True])
    plain, forced, between, empty, nothing = jax.jit(
        lambda overlap, valid: (
            matching.match(overlap, valid, force=False),
            matching.match(overlap, valid),
            matching.match(overlap, valid, 0.7, 0.4),
            matching.match(overlap, jnp.zeros(5, bool)),
            matching.match(overlap[:0], valid[:0]),
        )
    )(overlap, valid)
    assert plain.tolist() == [1, 0, -1, -1, -1, -1]
    assert forced.tolist() == [1, 0, -1, -1, -1, -1]
    assert between.tolist() == [1, 0, -1, -1, -2, -1]
    assert empty.tolist() == nothing.tolist() == [-1] * 6
    # a box gets its best anchor below the threshold, although another box overlaps it by more
    overlap = np.array([[0.8, 0.55], [0.0, 0.5]], np.float32)
    assert matching.match(overlap, np.array([True, True])).tolist() == [0, 1]


def test_targets_of_many_of_no_and_of_odd_boxes():
    """A picture is as it is alone; padding, boxes without area and regions change nothing."""
    places = anchors.ssd_anchors([(5, 5), (3, 3)])
    label = np.zeros((3, 203, 5), np.float32)
    label[..., 4] = -1
    label[0, :200, :4], label[0, :200, 4] = random_boxes(200, 0), np.arange(200) % 7
    label[2, 0] = [0.2, 0.2, 0.6, 0.6, 3]
    label[2, 1] = [0.2, 0.2, 0.2, 0.6, 1]  # no area
    label[2, 2] = [0.2, 0.2, 0.6, 0.6, -5]  # a region
    label[2, 202] = [0.0, 0.6, 0.3, 0.9, 0]
    run = jax.jit(matching.targets)
    found = run(label, places)
    assert (found.label[1] == matching.BACKGROUND).all() and not found.codes[1].any()
    assert set(np.unique(found.label[2])) == {-1, 0, 3} and np.isfinite(found.codes).all()
    alone = jax.jit(matching.targets)(label[2, [0, 202]], places)
    np.testing.assert_array_equal(alone.label, found.label[2])
    np.testing.assert_allclose(alone.codes, found.codes[2], atol=1e-6)
    # every box of the first picture whose best anchor no earlier box wants has it
    best = np.asarray(geometry.iou(label[0, :200, :4], places)).argmax(1)
    first = {anchor: box for box, anchor in reversed(list(enumerate(best)))}
    for anchor, box in first.items():
        assert found.box[0, anchor] == box
    shapes = jax.eval_shape(matching.targets, label[:, :0], places)
    assert shapes.codes.shape == (3, len(places), 4)


def test_hard_examples_by_hand():
    corner = np.arange(8.0, dtype=np.float32)[:, None]
    boxes = np.concatenate([corner, corner, corner + 1, corner + 1], 1)
    boxes[3] = boxes[2]  # repeats a harder one
    loss = np.array([0.1, 0.2, 0.9, 0.8, 0.3, 0.7, 0.6, 0.5], np.float32)
    box = np.array([0, -1, -1, -1, -1, -2, -1, 1])
    usual, fewest, few, none = jax.jit(
        lambda loss, boxes, box: (
            mining.hard_examples(loss, boxes, box, negatives=1.0),
            mining.hard_examples(loss, boxes, box, negatives=1.0, fewest=4),
            mining.hard_examples(loss, boxes, box, limit=4, negatives=1.0),
            mining.hard_examples(loss, boxes, jnp.full(8, -1), negatives=3.0),
        )
    )(loss, boxes, box)
    # in order: 2, (3 repeats), 5 (ignored), 6, 7 (box), 4, 1, 0 (box): two boxes, two of background
    assert np.flatnonzero(usual).tolist() == [0, 2, 6, 7]
    assert np.flatnonzero(fewest).tolist() == [0, 1, 2, 4, 6, 7]
    assert np.flatnonzero(few).tolist() == [2, 7]  # 2, 5, 6 and 7 are hard; one box, so one more
    assert not none.any()


def test_balanced_samples_are_uniform():
    box = np.array([1, 1, 0, 0, 2, -1, -1, -1, -1, -1, -1, -1, -1, -2, -2])
    keys = jax.random.split(jax.random.key(0), 1500)
    drawn = np.asarray(
        jax.jit(jax.vmap(lambda key: mining.balanced_sample(key, box, 6, positive=0.5)))(keys)
    )
    assert (drawn[:, :5].sum(1) == 3).all() and (drawn[:, 5:13].sum(1) == 3).all()
    expected = np.array([3 / 5] * 5 + [3 / 8] * 8 + [0, 0])
    error = np.sqrt(expected * (1 - expected) / 1500)
    assert (abs(drawn.mean(0) - expected) <= 4 * error).all()
    few = mining.balanced_sample(jax.random.key(1), np.array([0, -1, -1, -2]), 4)
    assert few.tolist() == [True, True, True, False]  # one positive, and all the background


def test_losses_by_hand_and_their_gradients_at_extreme_logits():
    assert float(losses.smooth_l1(jnp.array([-1.5, 0, 0, 0.2]), jnp.zeros(4))) == pytest.approx(
        1.02
    )
    # p = 0.9, so that the loss is .25 * .1^2 * -log .9, and for 0 it is .75 * .9^2 * -log .1
    logit = np.log(9.0).astype(np.float32)
    logits = jnp.array([logit, logit, 120.0, -120.0, 120.0, -120.0])
    wanted = jnp.array([1.0, 0, 1, 0, 0, 1])
    values, gradient = jax.jit(
        lambda logits: (
            losses.focal(logits, wanted),
            jax.grad(lambda logits: losses.focal(logits, wanted).sum())(logits),
        )
    )(logits)
    expected = [0.0025 * -np.log(0.9), 0.75 * 0.81 * -np.log(0.1), 0, 0, 90, 30]
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-12)
    np.testing.assert_allclose(gradient[2:], [0, 0, 0.75, -0.25], atol=1e-5)


def overlap_of(first, second):
    """Intersection over union of two boxes."""
    height = min(first[2], second[2]) - max(first[0], second[0])
    width = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(height, 0) * max(width, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return shared / (sum(areas) - shared) if shared else 0


def kept_boxes(boxes, score, limit, overlap, lowest):
    """Numbers of the boxes that suppression keeps, one after the other."""
    kept = []
    for i in np.argsort(-score, kind='stable'):
        if score[i] > lowest and all(overlap_of(boxes[i], boxes[j]) <= overlap for j in kept):
            kept.append(int(i))
    return kept[:limit]


def test_suppression_is_that_of_a_loop_over_pairs():
    n, limit = 40, 12
    boxes = np.stack([repeated(n, seed) for seed in range(4)])
    score = scores((4, n), 0)
    score[3] = 0.1  # all below the lowest
    numbers, mask = jax.jit(lambda boxes, score: suppression.nms(boxes, score, limit, 0.5, 0.3))(
        boxes, score
    )
    lengths = set()
    for i in range(4):
        expected = kept_boxes(boxes[i], score[i], limit, 0.5, 0.3)
        assert numbers[i][mask[i]].tolist() == expected
        assert not numbers[i][~mask[i]].any()
        lengths.add(len(expected))
    assert 0 in lengths and len(lengths) > 2
    order = np.argsort(-score, axis=1, kind='stable')
    ranked = np.take_along_axis(boxes, order[..., None], 1)
    kept = jax.jit(suppression.suppress)(ranked, 0.5)
    for i in range(4):
        expected = kept_boxes(ranked[i], np.arange(n, 0, -1.0), n, 0.5, 0)
        assert np.flatnonzero(kept[i]).tolist() == expected


def test_detections_under_jit_vmap_and_pmap():
    boxes = np.stack([random_boxes(9, seed) for seed in range(2)])
    score = scores((2, 9, 3), 1)
    score[1] = 0  # a picture without detections

    def detect(boxes, score):
        return suppression.detections(boxes, score, overlap=0.5, per_class=4, total=30)

    expected = np.asarray(jax.jit(detect)(boxes, score))
    assert expected.shape == (2, 30, 6)
    assert (expected[1] == [0, 0, 0, 0, -1, 0]).all() and (expected[0, 12:, 4] == -1).all()
    found = expected[0][expected[0, :, 4] >= 0]
    assert (np.diff(found[:, 5]) <= 0).all() and set(found[:, 4]) == {0, 1, 2}
    for label in range(3):
        rows = found[found[:, 4] == label]
        numbers = kept_boxes(boxes[0], score[0, :, label], 4, 0.5, 1e-8)
        np.testing.assert_allclose(rows[:, :4], boxes[0][numbers].clip(0, 1))
        np.testing.assert_allclose(rows[:, 5], score[0, numbers, label])
    apart = jax.pmap(jax.vmap(detect))(boxes[None], score[None])
    np.testing.assert_allclose(apart[0], expected)


def test_crops_of_a_ramp_stand_where_the_boxes_say():
    """A ramp shows the place of each sample; outside of the picture it is the given number."""
    rows, columns = np.mgrid[:5, :9].astype(np.float32)
    picture = np.stack([rows, columns], -1)
    box = np.array(
        [[0.25, 0.5, 0.75, 1.0], [0.75, 0.0, 0.25, 0.5], [-0.5, 0.0, 0.5, 0.0]], np.float32
    )
    crop, middle = jax.jit(
        lambda picture, box: (
            crops.crop_and_resize(picture, box, (3, 2), outside=-7.0),
            crops.crop_and_resize(picture, box, (1, 1)),
        )
    )(picture, box)
    np.testing.assert_allclose(crop[0, :, :, 0], [[1, 1], [2, 2], [3, 3]], atol=1e-6)
    np.testing.assert_allclose(crop[0, :, :, 1], [[4, 8]] * 3, atol=1e-6)
    np.testing.assert_allclose(crop[1, :, 0, 0], [3, 2, 1], atol=1e-6)  # mirrored
    np.testing.assert_allclose(crop[2, :, 0, 0], [-7, 0, 2], atol=1e-6)
    np.testing.assert_allclose(middle[0, 0, 0], [2, 6], atol=1e-6)


def at(picture, row, column):
    """One bilinear sample of a picture; places after the last pixel have its value."""
    last = picture.shape[0] - 1, picture.shape[1] - 1
    low = min(int(row), last[0]), min(int(column), last[1])
    high = min(low[0] + 1, last[0]), min(low[1] + 1, last[1])
    answer = 0
    for i, row_share in ((low[0], 1 - (row - low[0])), (high[0], row - low[0])):
        for j, share in ((low[1], 1 - (column - low[1])), (high[1], column - low[1])):
            answer = answer + row_share * share * picture[i, j]
    return answer


def test_position_sensitive_crops_and_the_legacy_resize_sample_by_sample():
    """The crop of 2 x 3 bins, each of 2 x 2 samples on its borders; and pixels of a resize."""
    rng = np.random.default_rng(0)
    maps, boxes = rng.normal(size=(6, 7, 2 * 3 * 4)).astype(np.float32), random_boxes(3, 2)
    pooled, resized = jax.jit(
        lambda maps, boxes: (
            crops.position_sensitive_crop(maps, boxes, (4, 6), (2, 3)),
            crops.legacy_resize(maps, (9, 5)),
        )
    )(maps, boxes)
    expected = np.zeros((3, 4))
    for n, (top, left, bottom, right) in enumerate(boxes):
        for i, j, down, along in np.ndindex(2, 3, 2, 2):
            row = (top + (bottom - top) * (i + down) / 2) * 5
            column = (left + (right - left) * (j + along) / 3) * 6
            group = maps[..., 4 * (3 * i + j) : 4 * (3 * i + j + 1)]
            expected[n] += at(group, row, column) / 24
    np.testing.assert_allclose(pooled, expected, atol=1e-5)
    expected = [[at(maps, i * 6 / 9, j * 7 / 5) for j in range(5)] for i in range(9)]
    np.testing.assert_allclose(resized, expected, atol=1e-5)
