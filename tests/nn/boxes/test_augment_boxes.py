"""Augmentations of boxes: a picture whose pixels show where they come from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tljax.core import UserError
from tljax.nn import augment_boxes
from tljax.nn.boxes.geometry import area, covered

SIDES = (24, 32)


def ramps():
    """A picture whose channels are row and column, in shares of the picture, and 1."""
    rows, columns = np.mgrid[: SIDES[0], : SIDES[1]] + 0.5
    return np.stack([rows / SIDES[0], columns / SIDES[1], np.ones(SIDES)], -1).astype(np.float32)


BOXES = np.array(
    [
        [0.1, 0.1, 0.3, 0.2, 0],
        [0.5, 0.4, 0.9, 1.0, 4],
        [0.4, 0.2, 0.6, 0.5, -6],  # a region of class 4
        [0.0, 0.0, 0.0, 0.0, -1],
    ],
    np.float32,
)


def test_mirrored_boxes_by_hand():
    output, found = jax.jit(augment_boxes.mirrored)(ramps(), BOXES)
    expected = BOXES.copy()
    expected[:3, [1, 3]] = [[0.8, 0.9], [0.0, 0.6], [0.5, 0.8]]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(output, ramps()[:, ::-1])


def test_windowed_boxes_and_pixels_by_hand():
    run = jax.jit(augment_boxes.windowed)
    output, found = run(ramps(), BOXES, jnp.array([0.4, 0.3, 0.9, 0.8]), 0.6)
    # the second box is covered by 0.4 / 0.6, the region by 2/3; the first is outside
    expected = [[0, 0, 0, 0, -1], [0.2, 0.2, 1, 1, 4], [0, 0, 0.4, 0.4, -6], [0, 0, 0, 0, -1]]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    middle = np.asarray(output)[4:-4, 4:-4]  # pixel (r, c) shows .4 + .5 r, .3 + .5 c
    np.testing.assert_allclose(middle[..., 0], 0.4 + ramps()[4:-4, 4:-4, 0] / 2, atol=1e-4)
    np.testing.assert_allclose(middle[..., 1], 0.3 + ramps()[4:-4, 4:-4, 1] / 2, atol=1e-4)
    assert (run(ramps(), BOXES, jnp.array([0.4, 0.3, 0.9, 0.8]), 0.7)[1][:, 4] == -1).all()
    # a window of twice the side shows the picture in its last quarter, on black
    output, found = run(ramps(), BOXES, jnp.array([-1.0, -1.0, 1.0, 1.0]))
    np.testing.assert_allclose(found[0, :4], [0.55, 0.55, 0.65, 0.6], atol=1e-6)
    assert not np.asarray(output)[: SIDES[0] // 2 - 1].any()
    assert (np.asarray(output)[SIDES[0] // 2 + 1 :, SIDES[1] // 2 + 1 :, 2] > 0.99).all()


def draws(function, boxes, n=400, seed=0):
    run = jax.jit(jax.vmap(function, (0, None, None)))
    keys = jax.random.split(jax.random.key(seed), n)
    return [np.asarray(array) for array in run(keys, ramps(), boxes)]


def windows_of(output):
    """The window that each picture shows, from the slope of its ramps."""
    edge = slice(4, -4)
    corners = []
    for axis, channel in ((1, 0), (2, 1)):
        line = output[:, edge, edge, channel].mean(3 - axis)
        place = ramps()[edge, 4, 0] if axis == 1 else ramps()[4, edge, 1]
        slope = (line[:, -1] - line[:, 0]) / (place[-1] - place[0])
        start = line[:, 0] - slope * place[0]
        corners.append((start, start + slope))
    return np.stack([corners[0][0], corners[1][0], corners[0][1], corners[1][1]], -1)


def test_ssd_crop_keeps_its_thresholds_areas_ratios_and_boxes():
    threshold = 0.7
    function = augment_boxes.ssd_crop([threshold], keep=0.25, area=(0.2, 0.8), ratio=(0.5, 2.0))
    output, found = draws(function, BOXES)
    whole = (output == ramps()).all((1, 2, 3))
    assert abs(whole.mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 400)
    np.testing.assert_array_equal(found[whole], np.stack([BOXES] * whole.sum()))
    window, found = windows_of(output[~whole]), found[~whole]
    sides = window[:, 2:] - window[:, :2]
    share, ratio = sides.prod(1), sides[:, 1] * SIDES[1] / (sides[:, 0] * SIDES[0])
    assert 0.19 < share.min() < 0.4 and 0.6 < share.max() < 0.81
    assert 0.49 < ratio.min() < 0.7 and 1.5 < ratio.max() < 2.02
    assert window.min() > -5e-3 and window.max() < 1 + 5e-3
    shares = np.asarray(covered(BOXES[:, :4], window))
    assert (shares[[0, 1]].max(0) > threshold - 0.02).all()
    for row in range(3):
        kept = found[:, row, 4] != -1
        assert (shares[row][kept] > threshold - 0.03).all()
        assert (shares[row][~kept] < threshold + 0.03).all()
        # a box that is kept is where the window says, clipped
        corner, side = np.tile(window[kept, :2], 2), np.tile(sides[kept], 2)
        expected = ((BOXES[row, :4] - corner) / side).clip(0, 1)
        np.testing.assert_allclose(found[kept, row, :4], expected, atol=2e-2)
    assert 0 < (found[:, 0, 4] == 0).mean() < 1 and 0 < (found[:, 1, 4] == 4).mean() < 1


def test_ssd_crop_of_empty_and_of_full_pictures():
    empty = np.full((3, 5), -1, np.float32) * [0, 0, 0, 0, 1]
    output, found = draws(augment_boxes.ssd_crop([0.5], keep=0), empty.astype(np.float32), 50)
    np.testing.assert_array_equal(found, np.stack([empty] * 50))
    window = windows_of(output)
    assert np.asarray(area(window)).min() > 0.49  # the whole picture is taken for the box
    # no window of a tenth of the picture covers all of this box: the picture stays whole
    full = np.array([[0, 0, 1, 1, 2]], np.float32)
    output, found = draws(augment_boxes.ssd_crop([1.0], keep=0, area=(0.1, 0.1)), full, 20)
    np.testing.assert_array_equal(output, np.stack([ramps()] * 20))
    np.testing.assert_array_equal(found, np.stack([full] * 20))


def test_scale_jitter_scales_by_its_range():
    box = np.array([[0.25, 0.25, 0.75, 0.75, 1]], np.float32)
    _, found = draws(augment_boxes.scale_jitter((0.5, 0.8)), box)
    sides = found[:, 0, 2:4] - found[:, 0, :2]  # all of a reduced picture is seen
    np.testing.assert_allclose(sides[:, 0], sides[:, 1], rtol=1e-4)
    scale = sides[:, 0] / 0.5
    assert 0.499 < scale.min() < 0.52 and 0.78 < scale.max() < 0.801
    assert found[..., :4].min() >= 0 and found[..., :4].max() <= 1


def test_an_example_depends_on_its_key_alone():
    functions = [augment_boxes.flip_boxes(), augment_boxes.ssd_crop(), augment_boxes.scale_jitter()]
    prepare = jax.jit(augment_boxes.prepare_boxes(functions))
    keys = np.asarray(jax.random.key_data(jax.random.split(jax.random.key(0), 4)))
    batch = {'input': np.stack([ramps()] * 4), 'label': np.stack([BOXES] * 4), 'key': keys}
    expected = prepare(batch)
    assert sorted(expected) == ['input', 'label']
    order = [2, 0, 3, 1]
    permuted = prepare({name: value[order] for name, value in batch.items()})
    for name in expected:
        np.testing.assert_allclose(permuted[name], np.asarray(expected[name])[order], atol=1e-5)


@pytest.mark.parametrize(
    'make, message',
    [
        (lambda: augment_boxes.flip_boxes(2), 'flip_boxes.probability=2'),
        (lambda: augment_boxes.ssd_crop(keep=-1), 'ssd_crop=-1'),
        (lambda: augment_boxes.ssd_crop([]), 'ssd_crop.thresholds'),
        (lambda: augment_boxes.ssd_crop(area=(0.5, 0.1)), 'ssd_crop.area'),
        (lambda: augment_boxes.scale_jitter((2, 1)), 'scale_jitter.scale'),
    ],
)
def test_wrong_strengths_are_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()
