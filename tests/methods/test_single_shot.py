"""Losses of detectors of one stage on pictures that are out of the ordinary, by hand. A picture of
2x2 pixels is its own map, and its channels are codes and logits."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tljax.core import Net, Tick
from tljax.methods.detection import criteria
from tljax.methods.detection.anchoring import Grid
from tljax.methods.detection.single_shot import single_shot
from tljax.zoo import mobilenet, with_extras

CLASSES = 3
QUARTERS = np.array(
    [[0, 0, 0.5, 0.5], [0, 0.5, 0.5, 1], [0.5, 0, 1, 0.5], [0.5, 0.5, 1, 1]], np.float32
)
PADDING = [0, 0, 0, 0, -1]
RNG = np.random.default_rng(0)
CORNERS = np.sort(RNG.uniform(size=(200, 2, 2)), 1)
MANY = [[*top_left, *low_right, i % 2] for i, (top_left, low_right) in enumerate(CORNERS)]
LABELS = {  # boxes of a picture; class 2 never has one
    'no_boxes': [],
    'padding': [PADDING, PADDING],
    'no_area': [[0.2, 0.2, 0.2, 0.9, 1], [0.7, 0.7, 0.7, 0.7, 0], [0.9, 0.9, 0.1, 0.1, 0]],
    'one_box': [[0.1, 0.0, 0.6, 0.4, 1], PADDING],
    'off_all_thresholds': [[0.1, 0.1, 0.2, 0.15, 0]],  # overlaps its quarter by 0.02
    'of_200': MANY,
    'ignored_region': [[0.5, 0.0, 1.0, 0.9, -3], [0.0, 0.0, 0.5, 0.4, 1]],
    'ignored_over_box': [[0.0, 0.0, 0.6, 1.0, -2], [0.0, 0.0, 0.5, 0.4, 1]],
}


class _Read(nn.Module):
    columns: int

    @nn.compact
    def __call__(self, maps, train):
        (x,) = maps
        x = x + self.param('shift', nn.initializers.zeros, (4 + self.columns,))
        x = x.reshape(len(x), -1, 4 + self.columns)
        return x[..., :4], x[..., 4:]


def detector(**keywords):
    def features(params, state, input, key=None):
        return {'map1': input}, state

    return single_shot(
        Net(lambda key, input: ({}, {}), features, 4, {}),
        CLASSES,
        anchors=lambda maps, picture: Grid(QUARTERS, [1]),
        predictor=lambda per_cell, columns, stored: _Read(columns),
        **keywords,
    )


def batch(*names):
    """Random codes and logits for the boxes of some names, which are padded to one shape."""
    most = 200 if any(LABELS[name] for name in names) else 0
    rows = [LABELS[name] + [PADDING] * (most - len(LABELS[name])) for name in names]
    rng = np.random.default_rng(len(names))
    return {
        'input': rng.normal(size=(len(names), 2, 2, 5 + CLASSES)).astype('f'),
        'label': np.array(rows, 'f').reshape(len(names), most, 5),
    }


@functools.cache
def compiled(fewest):
    """(batch) -> metrics and gradient of the focal loss, or of mined errors, at parameters of 0."""
    criterion = criteria.focal() if fewest is None else criteria.mined(fewest=fewest)
    method = detector(criterion=criterion)
    params = {'backbone': {}, 'head': {'shift': jnp.zeros(5 + CLASSES)}}

    @jax.jit
    def run(batch):
        function = jax.value_and_grad(method.loss, has_aux=True)
        state, tick = {'backbone': {}, 'head': {}}, Tick(0, jax.random.key(0))
        (_, (_, metrics)), gradient = function(params, state, batch, tick)
        return metrics, gradient['head']['shift']

    return run


def lost(batch, fewest=None):
    return compiled(fewest)(batch)


def area(box):
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)


def shared_area(first, second):
    return area([*np.maximum(first[:2], second[:2]), *np.minimum(first[2:4], second[2:4])])


def assigned(label):
    """The box of each quarter; None for background, 'ignored' in an ignored region."""
    boxes = [box for box in label.astype(float) if box[4] >= 0 and area(box) > 0]
    overlap = np.zeros((len(boxes), 4))
    for i, box in enumerate(boxes):
        for j, anchor in enumerate(QUARTERS.astype(float)):
            both = shared_area(box, anchor)
            overlap[i, j] = both / (area(box) + area(anchor) - both)
    found = [None] * 4
    for j in range(4):
        if boxes and overlap[:, j].max() >= 0.5:
            found[j] = boxes[overlap[:, j].argmax()]
    taken = set()
    for i, box in enumerate(boxes):
        j = overlap[i].argmax()
        if j not in taken:
            found[j] = box
            taken.add(j)
    for j, anchor in enumerate(QUARTERS):
        regions = [box for box in label if box[4] <= -2]
        if found[j] is None and any(shared_area(box, anchor) >= 0.125 for box in regions):
            found[j] = 'ignored'
    return found


def code(box, anchor):
    shifts = [10 * (box[i] + box[i + 2] - anchor[i] - anchor[i + 2]) for i in (0, 1)]
    sides = [5 * np.log(2 * (box[i + 2] - box[i])) for i in (0, 1)]
    return np.array([*shifts, *sides])  # the sides of a quarter are 1/2


def by_hand(batch):
    """Both errors of a batch with the focal loss."""
    class_error = box_error = matches = 0
    for picture, label in zip(batch['input'], batch['label'], strict=True):
        for row, box, anchor in zip(
            picture.reshape(4, -1).astype(float), assigned(label), QUARTERS, strict=True
        ):
            if isinstance(box, str):
                continue
            wanted = np.zeros(1 + CLASSES)
            if box is not None:
                matches += 1
                wanted[1 + int(box[4])] = 1
                off = np.abs(row[:4] - code(box, anchor))
                box_error += np.where(off < 1, off**2 / 2, off - 0.5).sum() / 4
            p = 1 / (1 + np.exp(-row[4:]))
            class_error -= (
                wanted * 0.25 * (1 - p) ** 2 * np.log(p)
                + (1 - wanted) * 0.75 * p**2 * np.log(1 - p)
            ).sum()
    return class_error / max(matches, 1), box_error / max(matches, 1)


@pytest.mark.parametrize(
    'names', [*([name] for name in LABELS), [*LABELS]], ids=lambda names: '+'.join(names[:2])
)
def test_errors_are_those_by_hand(names):
    given = batch(*names)
    metrics, gradient = lost(given)
    found = [float(metrics[key]) for key in ('class_error', 'box_error')]
    np.testing.assert_allclose(found, by_hand(given), rtol=2e-5, atol=1e-7)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize('fewest, kept', [(0, 0), (3, 3), (9, 4)])
def test_without_boxes_the_hardest_background_is_kept(fewest, kept):
    given = batch('padding')
    metrics, gradient = lost(given, fewest)
    logits = given['input'].reshape(4, -1)[:, 4:].astype(float)
    errors = np.logaddexp(0, logits) - logits * [1, 0, 0, 0]  # the background is to be found
    expected = np.sort(errors.sum(1))[4 - kept :].sum()
    np.testing.assert_allclose(metrics['class_error'], expected, rtol=1e-5)
    assert metrics['box_error'] == 0 and np.isfinite(gradient).all()


def test_hard_examples_leave_an_ignored_region_alone():
    given = batch('ignored_region')  # 2 of the quarters are ignored, 1 is background
    inside = given['input'].reshape(4, -1)[2:]
    values = []
    for shift in (0, 5):
        inside[:] += shift
        metrics, _ = lost(given, 9)
        values.append(float(metrics['loss']))
    assert values[0] == values[1] > 0


def test_weights_scale_the_errors_of_their_pictures():
    given = batch('one_box', 'off_all_thresholds')
    alone = [lost({**given, 'weight': np.float32([[1], [0]])[:, 0]}), lost(given)]
    first, both = ([float(m['class_error']), float(m['box_error'])] for m, _ in alone)
    second, _ = lost({**given, 'weight': np.float32([0, 1])})
    second = [float(second['class_error']), float(second['box_error'])]
    np.testing.assert_allclose(np.add(first, second), both, rtol=1e-5)


def test_a_class_without_boxes_is_learnt_to_be_absent():
    given = batch('one_box', 'padding', 'ignored_region')
    _, gradient = lost(given)
    assert gradient[4] > 0 and gradient[-1] > 0  # less of the background's logit and of class 2


def test_detections_are_the_decoded_boxes_of_the_highest_scores():
    logits = np.full((4, 4), -9.0, 'f')
    logits[3, 2], logits[0, 1], logits[1, 0] = 2, 1, 5  # the background is never detected
    codes = np.zeros((4, 4), 'f')
    codes[3] = [0, 0, 5 * np.log(0.5), 0]  # half as high, around the same centre
    input = np.concatenate([codes, logits], -1).reshape(1, 2, 2, 8)
    method = detector(lowest=0.5)
    given = {'input': input, 'label': jnp.zeros((1, 0, 5))}
    params, state = method.init(jax.random.key(0), given)
    output = jax.jit(method.predict)(params, state, given)['output']
    assert output.shape == (1, 100, 6)
    scores = 1 / (1 + np.exp([-2.0, -1.0]))
    expected = [[0.625, 0.5, 0.875, 1, 1, scores[0]], [0, 0, 0.5, 0.5, 0, scores[1]]]
    np.testing.assert_allclose(output[0, :2], expected, rtol=1e-5)
    assert (output[0, 2:, 4] == -1).all()


def test_a_frozen_backbone_costs_its_forward_pass_alone():
    everywhere = {'stored': lambda layer: True}
    of = mobilenet(alpha=0.25, **everywhere)
    net = with_extras(of, ('block5', 'block11', 'block13'), (16,), **everywhere)
    batch = {'input': jnp.zeros((2, 64, 64, 3)), 'label': jnp.zeros((2, 1, 5))}
    method, tick = single_shot(net, CLASSES), Tick(0, jax.random.key(0))
    params, state = jax.eval_shape(method.init, jax.random.key(0), batch)

    def forward(params, state):
        taps, _ = net.features(params['backbone'], state['backbone'], batch['input'])
        return {name: value for name, value in taps.items() if name.startswith('map')}

    def head_on(taps, params, state):
        given = net._replace(features=lambda *_: (taps, {}))
        loss = single_shot(given, CLASSES).loss
        return jax.grad(lambda head: loss({**params, 'head': head}, state, batch, tick)[0])(
            params['head']
        )

    def frozen_step(params, state):
        return jax.grad(lambda head: method.loss({**params, 'head': head}, state, batch, tick)[0])(
            params['head']
        )

    def operations(function, *arguments):
        return jax.jit(function).lower(*arguments).cost_analysis()['flops']

    taps = jax.eval_shape(forward, params, state)
    parts = operations(forward, params, state) + operations(head_on, taps, params, state)
    assert operations(frozen_step, params, state) == pytest.approx(parts, rel=0.05)
